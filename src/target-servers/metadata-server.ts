import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../flow/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { type BucketCounts, type BucketState, handleBucket, signUrl, URL_SECONDS } from './bucket.js';
import { cidsOf } from './cids.js';
import { hexId } from './ids.js';
import { asObject, type ListenOptions, listen, readJson, replyJson, targetOf } from './listener.js';
import type { MetadataFaults } from './metadata-faults.js';

/** Which importer made the CIDs that the server says. */
export type CidProfile = 'raw' | 'raw-256KiB-174' | 'unixfs-v1-2025' | 'unknown';

/** How the servers behave. */
export interface MetadataServerOptions extends ListenOptions {
  /** @default a random one */
  readonly apiKey?: string | undefined;
  /** `0x` and 40 hex digits. @default a random one */
  readonly issuer?: string | undefined;
  /** @default raw-256KiB-174 */
  readonly cidProfile?: CidProfile | undefined;
  /** Time between two steps of the calculation, ms; 0: by `tick` only. @default 0 */
  readonly tickMs?: number | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  readonly faults?: MetadataFaults | undefined;
}

/** What happened. */
export interface MetadataCounts extends BucketCounts {
  signedUrls: number;
  /** Calls of `fileMetadata`, and the names in the longest one. */
  metadataCalls: number;
  longestBatch: number;
}

/** A metadata server and its bucket. */
export interface MetadataServer {
  /** `<origin>/port/api/v1/commerce` */
  readonly url: string;
  readonly bucketUrl: string;
  readonly apiKey: string;
  readonly issuer: string;
  /** To be changed at any time. */
  readonly faults: MetadataFaults;
  readonly counts: Readonly<MetadataCounts>;
  cidProfile: CidProfile;
  /** One step of the calculation for every stored file. */
  tick(): Promise<void>;
  /** Stores a file as if somebody had uploaded it before. */
  plant(fileName: string, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

const CATEGORIES = [
  'certificate',
  'for_authenticity',
  'artwork',
  'installation',
  'non_attachment_file',
];
const BASE = '/port/api/v1/commerce';

interface Facts {
  readonly hash: string;
  readonly size: number;
  readonly cids: Readonly<Record<CidProfile, string>>;
  cidVisible: boolean;
}

interface State extends BucketState {
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

/**
 * A file-metadata API and its bucket on loopback, on a port each: it signs, checks signatures, stores
 * and calculates for real, and fails in every way that is asked for.
 *
 * @example
 * const server = await startMetadataServer();
 * await server.tick();
 * await server.close();
 */
export async function startMetadataServer(
  options: MetadataServerOptions = {},
): Promise<MetadataServer> {
  const { clock = SYSTEM_CLOCK, host } = options;
  const counts: MetadataCounts = {
    puts: 0,
    stored: 0,
    leakedHeaders: 0,
    extraHeaders: 0,
    signedUrls: 0,
    metadataCalls: 0,
    longestBatch: 0,
  };
  let profile: CidProfile = options.cidProfile ?? 'raw-256KiB-174';
  const state: State = {
    clock,
    faults: options.faults ?? {},
    key: hexId(32),
    dataDir: await mkdtemp(join(tmpdir(), 'orbweaver-metadata-')),
    objects: new Map(),
    counts,
    metadata: counts,
    url: '',
    apiKey: options.apiKey ?? hexId(24),
    issuer: options.issuer ?? `0x${hexId(20)}`,
    facts: new Map(),
    profile: () => profile,
  };
  const bucket = await listen(
    { request: (request, response) => handleBucket(state, request, response) },
    { host },
  );
  state.url = bucket.url;
  const api = await listen(
    { request: (request, response) => handleApi(state, request, response) },
    options,
  );
  const stop = everyTick(clock, options.tickMs ?? 0, () => tick(state));
  return {
    url: `${api.url}${BASE}`,
    bucketUrl: bucket.url,
    apiKey: state.apiKey,
    issuer: state.issuer,
    faults: state.faults,
    counts,
    get cidProfile() {
      return profile;
    },
    set cidProfile(value) {
      profile = value;
    },
    tick: () => tick(state),
    async plant(fileName, bytes) {
      const url = signUrl(state, {
        method: 'PUT',
        object: objectOf(state, fileName),
        contentType: 'text/plain',
        issuedMs: clock.unixMs(),
      });
      const before = { ...counts };
      await fetch(url, { method: 'PUT', body: bytes, headers: { 'content-type': 'text/plain' } });
      Object.assign(counts, before);
    },
    async close() {
      stop();
      await api.close();
      await bucket.close();
      await rm(state.dataDir, { recursive: true, force: true });
    },
  };
}

function everyTick(clock: Clock, periodMs: number, run: () => Promise<void>): () => void {
  if (periodMs === 0) return () => {};
  let stop = (): void => {};
  let over = false;
  const next = (): void => {
    stop = clock.setTimer(periodMs, () => {
      void run().then(() => {
        if (!over) next();
      });
    });
  };
  next();
  return () => {
    over = true;
    stop();
  };
}

function objectOf(state: State, fileName: string): string {
  return `srr-images/${state.issuer}/${fileName}`;
}

/** Hash first, then the CID, or both at once. */
async function tick(state: State): Promise<void> {
  for (const [object, stored] of state.objects) {
    const known = state.facts.get(object);
    if (known !== undefined) {
      known.cidVisible = true;
      continue;
    }
    const made = await cidsOf(stored.path);
    state.facts.set(object, {
      hash: `sha256-${stored.sha256}`,
      size: stored.sizeBytes,
      cids: {
        raw: made.cidRaw ?? '',
        'raw-256KiB-174': made.cid256KiB174 ?? '',
        'unixfs-v1-2025': made.cid1MiB1024 ?? '',
        // An importer that keeps a mode makes a dag-pb root of everything.
        unknown: 'bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa',
      },
      cidVisible: state.faults.hashBeforeCid !== true,
    });
  }
}

interface Named {
  readonly filename: string;
  readonly category: string;
}

async function handleApi(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { faults } = state;
  const body = asObject(await readJson(request));
  const problem = (status: number, message: unknown, headers = {}): void =>
    replyJson(response, status, { statusCode: status, message }, headers);
  if ((faults.badGateway ?? 0) > 0) {
    faults.badGateway = (faults.badGateway ?? 0) - 1;
    return problem(502, 'Bad Gateway');
  }
  if ((faults.rateLimited ?? 0) > 0) {
    faults.rateLimited = (faults.rateLimited ?? 0) - 1;
    return problem(429, 'Too Many Requests', { 'retry-after': '1' });
  }
  const { headers } = request;
  if (headers['commerce-api-key'] !== state.apiKey || headers['issuer-address'] !== state.issuer) {
    return problem(401, 'Unauthorized');
  }
  const { pathname } = targetOf(request);
  const isUrls = request.method === 'POST' && pathname === `${BASE}/signedUrls`;
  const isMetadata = request.method === 'POST' && pathname === `${BASE}/fileMetadata`;
  if (!isUrls && !isMetadata) return problem(404, `Cannot ${request.method} ${pathname}`);
  const names = readPayload(body?.['payload']);
  if (!Array.isArray(names.payload)) return problem(400, names.problems);
  if (isUrls) signedUrls(state, response, { body, payload: names.payload, problem });
  else fileMetadata(state, response, names.payload, problem);
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

interface UrlsCall {
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly payload: readonly Named[];
  readonly problem: (status: number, message: unknown) => void;
}

function signedUrls(state: State, response: ServerResponse, call: UrlsCall): void {
  const { faults } = state;
  state.metadata.signedUrls++;
  const action = call.body?.['action'];
  if (action !== 'write' && action !== 'read') {
    return call.problem(400, ['action must be one of the following values: write,read']);
  }
  const taken = call.payload.filter(({ filename }) => state.objects.has(objectOf(state, filename)));
  if (action === 'write' && faults.nameTakenAt === 'signedUrls' && taken.length > 0) {
    return call.problem(
      400,
      taken.map(({ filename }) => `filename ${filename} already exists`),
    );
  }
  const late = faults.expiredUrl === true || faults.alwaysExpired === true;
  delete faults.expiredUrl;
  const results = call.payload.map(({ filename }) => {
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
  replyJson(response, 201, { results });
}

function fileMetadata(
  state: State,
  response: ServerResponse,
  payload: readonly Named[],
  problem: (status: number, message: unknown) => void,
): void {
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
  replyJson(response, 200, faults.payloadKey === true ? { payload: results } : { results });
}
