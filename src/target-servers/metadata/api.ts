import type { HttpHeaders, HttpRequest, HttpResponse } from '../../http/index.js';
import { asObject, jsonResponse, readJson } from '../messages.js';
import { type BucketCounts, type BucketState, signUrl, URL_SECONDS } from './bucket.js';

/** The API of a metadata server: signed URLs, and what is known about files. */

/** Which importer made the CIDs that the server says. */
export type CidProfile = 'raw' | 'raw-256KiB-174' | 'unixfs-v1-2025' | 'unknown';

/** What happened. */
export interface MetadataCounts extends BucketCounts {
  signedUrls: number;
  /** Calls of `fileMetadata`, and the names in the longest one. */
  metadataCalls: number;
  longestBatch: number;
}

const CATEGORIES = [
  'certificate',
  'for_authenticity',
  'artwork',
  'installation',
  'non_attachment_file',
];
/** Path of the API. */
export const BASE: string = '/port/api/v1/commerce';

/** What was calculated of an object. */
export interface Facts {
  readonly hash: string;
  readonly size: number;
  readonly cids: Readonly<Record<CidProfile, string>>;
  cidVisible: boolean;
}

export interface MetadataState extends BucketState {
  readonly apiKey: string;
  readonly issuer: string;
  readonly metadata: MetadataCounts;
  /** What was calculated, by object. */
  readonly facts: Map<string, Facts>;
  readonly profile: () => CidProfile;
}

const TYPES: Readonly<Record<string, string>> = {
  jpg: 'image/jpeg',
  png: 'image/png',
  pdf: 'application/pdf',
  txt: 'text/plain',
};

/** Path of an object in the bucket. */
export function objectOf(state: MetadataState, fileName: string): string {
  return `srr-images/${state.issuer}/${fileName}`;
}

interface Named {
  readonly filename: string;
  readonly category: string;
}

/** A request at the API's origin. */
export async function handleApi(state: MetadataState, request: HttpRequest): Promise<HttpResponse> {
  const { faults } = state;
  const body = asObject(await readJson(request.body));
  if ((faults.badGateway ?? 0) > 0) {
    faults.badGateway = (faults.badGateway ?? 0) - 1;
    return problem(502, 'Bad Gateway');
  }
  if ((faults.rateLimited ?? 0) > 0) {
    faults.rateLimited = (faults.rateLimited ?? 0) - 1;
    return problem(429, 'Too Many Requests', { 'retry-after': '1' });
  }
  const { headers, method, url } = request;
  const known =
    headers['commerce-api-key'] === state.apiKey && headers['issuer-address'] === state.issuer;
  if (!known || faults.refuse === true) return problem(401, 'Unauthorized');
  const isUrls = method === 'POST' && url.pathname === `${BASE}/signedUrls`;
  const isMetadata = method === 'POST' && url.pathname === `${BASE}/fileMetadata`;
  if (!isUrls && !isMetadata) return problem(404, `Cannot ${method} ${url.pathname}`);
  const { payload, problems } = readPayload(body?.['payload']);
  if (payload === null) return problem(400, problems);
  return isUrls ? signedUrls(state, body, payload) : fileMetadata(state, payload);
}

function problem(status: number, message: unknown, headers: HttpHeaders = {}): HttpResponse {
  return jsonResponse(status, { statusCode: status, message }, headers);
}

function readPayload(payload: unknown): {
  payload: readonly Named[] | null;
  problems: readonly string[];
} {
  if (!Array.isArray(payload) || payload.length === 0) {
    return { payload: null, problems: ['payload should not be empty'] };
  }
  const problems: string[] = [];
  const named = payload.map((entry: unknown, at) => {
    const { filename, category } = asObject(entry) ?? {};
    if (typeof filename !== 'string' || !/^[^\s/]+\.[^\s/.]+$/.test(filename)) {
      problems.push(`payload.${at}.filename must be a name without spaces and with an extension`);
    }
    if (typeof category !== 'string' || !CATEGORIES.includes(category)) {
      problems.push(
        `payload.${at}.category must be one of the following values: ${CATEGORIES.join(',')}`,
      );
    }
    return { filename: String(filename), category: String(category) };
  });
  return { payload: problems.length > 0 ? null : named, problems };
}

function signedUrls(
  state: MetadataState,
  body: Readonly<Record<string, unknown>> | null,
  payload: readonly Named[],
): HttpResponse {
  const { faults } = state;
  state.metadata.signedUrls++;
  const action = body?.['action'];
  if (action !== 'write' && action !== 'read') {
    return problem(400, ['action must be one of the following values: write,read']);
  }
  const taken = payload.filter(({ filename }) => state.objects.has(objectOf(state, filename)));
  if (action === 'write' && faults.nameTakenAt === 'signedUrls' && taken.length > 0) {
    return problem(
      400,
      taken.map(({ filename }) => `filename ${filename} already exists`),
    );
  }
  const late = faults.expiredUrl === true || faults.alwaysExpired === true;
  delete faults.expiredUrl;
  const results = payload.map(({ filename }) => {
    const extension = filename.split('.').at(-1)?.toLowerCase() ?? '';
    const contentType = TYPES[extension] ?? 'application/octet-stream';
    const signed = faults.wrongContentType === true ? 'application/x-other' : contentType;
    const object = objectOf(state, filename);
    const url = signUrl(state, {
      method: action === 'write' ? 'PUT' : 'GET',
      object,
      contentType: action === 'write' ? signed : '',
      issuedMs: state.clock.unixMs() - (late ? (URL_SECONDS + 1) * 1000 : 0),
    });
    return { filename, contentType, url, finalUrl: `${state.url}/${object}` };
  });
  delete faults.wrongContentType;
  return jsonResponse(201, { results });
}

function fileMetadata(state: MetadataState, payload: readonly Named[]): HttpResponse {
  const { faults, metadata } = state;
  metadata.metadataCalls++;
  metadata.longestBatch = Math.max(metadata.longestBatch, payload.length);
  const hidden = (faults.invisible ?? 0) > 0;
  if (hidden) faults.invisible = (faults.invisible ?? 0) - 1;
  const missing = payload
    .map(({ filename }, index) => ({ index, filename, filePath: objectOf(state, filename) }))
    .filter(
      ({ filename, filePath }) =>
        hidden || faults.vanished === filename || !state.objects.has(filePath),
    );
  if (missing.length > 0) {
    // Only those that are missing, with their indexes in the request.
    return problem(
      404,
      missing.map(({ index, filePath }) => ({ index, filePath })),
    );
  }
  const results = payload.map(({ filename }) => {
    const facts = state.facts.get(objectOf(state, filename));
    if (facts === undefined) return { filename, message: 'HASH_STILL_IN_CALCULATION' };
    const hash = faults.wrongHash === true ? `sha256-${'0'.repeat(64)}` : facts.hash;
    const size = faults.wrongSize === true ? facts.size + 1 : facts.size;
    if (!facts.cidVisible) return { filename, hash, size };
    return { filename, hash, cid: facts.cids[state.profile()], size };
  });
  return jsonResponse(200, faults.payloadKey === true ? { payload: results } : { results });
}
