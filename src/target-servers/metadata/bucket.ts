import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../flow/index.js';
import {
  type HttpRequest,
  type HttpResponse,
  piecesBody,
  piecesOf,
  textBody,
} from '../../http/index.js';
import { hexId } from '../ids.js';
import { ConnectionCut } from '../messages.js';
import type { MetadataFaults } from './faults.js';

/** Cloud storage that takes a PUT by a signed URL, in the manner of Google's V4 signatures. */

/** An object of the bucket. */
export interface StoredObject {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly contentType: string;
}

/** What happened at the bucket. */
export interface BucketCounts {
  /** PUTs that arrived. */
  puts: number;
  /** PUTs that stored something. */
  stored: number;
  /** Requests that carried headers of the API: each is a leak of its key. */
  leakedHeaders: number;
  /** PUTs that carried any header which is not needed. */
  extraHeaders: number;
}

export interface BucketState {
  readonly clock: Clock;
  readonly faults: MetadataFaults;
  readonly key: string;
  readonly dataDir: string;
  /** By the path of the object, without a slash in front. */
  readonly objects: Map<string, StoredObject>;
  readonly counts: BucketCounts;
  /** Origin; known once it listens. */
  url: string;
}

/** What a URL is signed for. */
export interface SignedFor {
  readonly method: 'PUT' | 'GET';
  /** Path of the object, without a slash in front. */
  readonly object: string;
  /** Empty for GET. */
  readonly contentType: string;
  readonly issuedMs: number;
}

/** Signed URLs are good for so long, seconds. */
export const URL_SECONDS: number = 15 * 60;

export function signUrl(bucket: BucketState, request: SignedFor): string {
  const url = new URL(`${bucket.faults.urlOrigin ?? bucket.url}/${encodePath(request.object)}`);
  const date = new Date(request.issuedMs).toISOString().replace(/[-:]|\.\d+/g, '');
  url.searchParams.set('X-Goog-Algorithm', 'GOOG4-HMAC-SHA256');
  url.searchParams.set('X-Goog-Date', date);
  url.searchParams.set('X-Goog-Expires', String(URL_SECONDS));
  url.searchParams.set(
    'X-Goog-SignedHeaders',
    request.method === 'PUT' ? 'content-type;host' : 'host',
  );
  url.searchParams.set('X-Goog-Signature', signature(bucket.key, request, date));
  return url.href;
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function signature(key: string, request: Omit<SignedFor, 'issuedMs'>, date: string): string {
  const { method, object, contentType } = request;
  return createHmac('sha256', key)
    .update([method, object, contentType, date, URL_SECONDS].join('\n'))
    .digest('hex');
}

/** Headers that an HTTP client cannot do without, and the one that is asked for. */
const NEEDED_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'content-type',
]);
const API_HEADERS = ['commerce-api-key', 'issuer-address', 'authorization'];

/** A request at the bucket's origin. */
export async function handleBucket(
  bucket: BucketState,
  request: HttpRequest,
): Promise<HttpResponse> {
  const { headers, method } = request;
  if (API_HEADERS.some((name) => headers[name] !== undefined)) {
    bucket.counts.leakedHeaders++;
    return refusal(400, 'ExcessHeaderValues');
  }
  const object = decodeURIComponent(request.url.pathname.slice(1));
  const problem = signatureProblem(bucket, request, object);
  if (problem !== null) {
    if (method === 'PUT') bucket.counts.puts++;
    return refusal(403, problem);
  }
  return method === 'PUT' ? put(bucket, request, object) : get(bucket, object);
}

function refusal(status: number, code: string): HttpResponse {
  const xml = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${code}.</Message></Error>`;
  return {
    status,
    headers: { 'content-type': 'application/xml; charset=UTF-8' },
    body: textBody(xml),
  };
}

/** The code of what is wrong with the signature, or null. */
function signatureProblem(
  bucket: BucketState,
  request: HttpRequest,
  object: string,
): string | null {
  const { searchParams } = request.url;
  const date = searchParams.get('X-Goog-Date') ?? '';
  const method = request.method === 'PUT' ? 'PUT' : 'GET';
  const contentType = method === 'PUT' ? (request.headers['content-type'] ?? '') : '';
  const expected = Buffer.from(signature(bucket.key, { method, object, contentType }, date));
  const given = Buffer.from(searchParams.get('X-Goog-Signature') ?? '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return 'SignatureDoesNotMatch';
  }
  const issuedMs = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  );
  return bucket.clock.unixMs() > issuedMs + URL_SECONDS * 1000 ? 'AccessDenied' : null;
}

async function put(
  bucket: BucketState,
  request: HttpRequest,
  object: string,
): Promise<HttpResponse> {
  const { counts, faults } = bucket;
  counts.puts++;
  if (Object.keys(request.headers).some((name) => !NEEDED_HEADERS.has(name))) counts.extraHeaders++;
  if (request.body?.sizeBytes === undefined) return refusal(411, 'MissingContentLength');
  if (faults.redirectPut !== undefined) {
    return { status: 307, headers: { location: faults.redirectPut }, body: null };
  }
  if ((faults.failPut ?? 0) > 0) {
    faults.failPut = (faults.failPut ?? 0) - 1;
    return refusal(503, 'ServiceUnavailable');
  }
  const taken = bucket.objects.has(object);
  if (taken && (faults.nameTakenAt ?? 'put') === 'put') return refusal(412, 'PreconditionFailed');
  const stored = await store(bucket, request);
  // Where a taken name is noticed later, the first content stays.
  if (!taken) bucket.objects.set(object, stored);
  counts.stored++;
  if (faults.losePutResponse === true) {
    delete faults.losePutResponse;
    throw new ConnectionCut();
  }
  return { status: 200, headers: {}, body: null };
}

/** Nothing is stored of a body that ends early. @throws what breaks it */
async function store(bucket: BucketState, request: HttpRequest): Promise<StoredObject> {
  const { faults } = bucket;
  const path = join(bucket.dataDir, hexId(8));
  const file = await open(`${path}.part`, 'w');
  const sha256 = createHash('sha256');
  let sizeBytes = 0;
  try {
    for await (const piece of piecesOf(request.body)) {
      sizeBytes += piece.length;
      sha256.update(piece);
      if (faults.cutPutAfterBytes !== undefined && sizeBytes > faults.cutPutAfterBytes) {
        delete faults.cutPutAfterBytes;
        throw new ConnectionCut();
      }
      await file.write(piece);
    }
  } finally {
    await file.close();
  }
  if (sizeBytes !== request.body?.sizeBytes) throw new ConnectionCut();
  await rename(`${path}.part`, path);
  const contentType = request.headers['content-type'] ?? '';
  return { path, sizeBytes, sha256: sha256.digest('hex'), contentType };
}

function get(bucket: BucketState, object: string): HttpResponse {
  const stored = bucket.objects.get(object);
  if (stored === undefined) return refusal(404, 'NoSuchKey');
  const { path, contentType, sizeBytes } = stored;
  const pieces = createReadStream(path) as AsyncIterable<Buffer>;
  return {
    status: 200,
    headers: { 'content-type': contentType },
    body: piecesBody(pieces, sizeBytes),
  };
}
