import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Clock } from '../flow/index.js';
import { hexId } from './ids.js';
import { replyText, targetOf } from './listener.js';
import type { MetadataFaults } from './metadata-faults.js';

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
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { headers, method } = request;
  const refuse = (status: number, code: string): void => {
    request.resume();
    replyText(response, status, xml(code), { 'content-type': 'application/xml; charset=UTF-8' });
  };
  if (API_HEADERS.some((name) => headers[name] !== undefined)) {
    bucket.counts.leakedHeaders++;
    refuse(400, 'ExcessHeaderValues');
    return;
  }
  const { pathname } = targetOf(request);
  const object = decodeURIComponent(pathname.slice(1));
  const problem = signatureProblem(bucket, request, object);
  if (problem !== null) {
    if (method === 'PUT') bucket.counts.puts++;
    refuse(problem === 'ExpiredToken' ? 400 : 403, problem);
  } else if (method === 'PUT') await put(bucket, { request, response, object, refuse });
  else await get(bucket, response, object, refuse);
}

/** The code of what is wrong with the signature, or null. */
function signatureProblem(
  bucket: BucketState,
  request: IncomingMessage,
  object: string,
): string | null {
  const { searchParams } = targetOf(request);
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

interface PutCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly object: string;
  readonly refuse: (status: number, code: string) => void;
}

async function put(bucket: BucketState, call: PutCall): Promise<void> {
  const { request, response, object, refuse } = call;
  const { counts, faults } = bucket;
  counts.puts++;
  if (Object.keys(request.headers).some((name) => !NEEDED_HEADERS.has(name))) counts.extraHeaders++;
  if (request.headers['content-length'] === undefined) {
    refuse(411, 'MissingContentLength');
    return;
  }
  if (faults.redirectPut !== undefined) {
    request.resume();
    replyText(response, 307, '', { location: faults.redirectPut });
    return;
  }
  if ((faults.failPut ?? 0) > 0) {
    faults.failPut = (faults.failPut ?? 0) - 1;
    refuse(503, 'ServiceUnavailable');
    return;
  }
  const taken = bucket.objects.has(object);
  const noticed = faults.nameTakenAt ?? 'put';
  if (taken && noticed === 'put') {
    refuse(412, 'PreconditionFailed');
    return;
  }
  const stored = await store(bucket, request);
  if (stored === null) return;
  // Where a taken name is noticed later, the first content stays.
  if (!taken) bucket.objects.set(object, stored);
  counts.stored++;
  if (faults.losePutResponse === true) {
    delete faults.losePutResponse;
    request.socket.destroy();
    return;
  }
  replyText(response, 200, '', {});
}

/** Null: the connection broke before the end; nothing is stored then. */
async function store(bucket: BucketState, request: IncomingMessage): Promise<StoredObject | null> {
  const { faults } = bucket;
  const path = join(bucket.dataDir, hexId(8));
  const file = await open(`${path}.part`, 'w');
  const sha256 = createHash('sha256');
  let sizeBytes = 0;
  try {
    for await (const piece of request as AsyncIterable<Buffer>) {
      sizeBytes += piece.length;
      sha256.update(piece);
      if (faults.cutPutAfterBytes !== undefined && sizeBytes > faults.cutPutAfterBytes) {
        delete faults.cutPutAfterBytes;
        request.socket.destroy();
        return null;
      }
      await file.write(piece);
    }
  } catch {
    return null;
  } finally {
    await file.close();
  }
  if (sizeBytes !== Number(request.headers['content-length'])) return null;
  await rename(`${path}.part`, path);
  const contentType = request.headers['content-type'] ?? '';
  return { path, sizeBytes, sha256: sha256.digest('hex'), contentType };
}

async function get(
  bucket: BucketState,
  response: ServerResponse,
  object: string,
  refuse: (status: number, code: string) => void,
): Promise<void> {
  const stored = bucket.objects.get(object);
  if (stored === undefined) {
    refuse(404, 'NoSuchKey');
    return;
  }
  response.writeHead(200, {
    'content-type': stored.contentType,
    'content-length': stored.sizeBytes,
  });
  createReadStream(stored.path).pipe(response);
}

function xml(code: string): string {
  return `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${code}.</Message></Error>`;
}
