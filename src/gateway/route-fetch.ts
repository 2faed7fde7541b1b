import { hexEncode } from '../bytes/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { Body, HttpResponse } from '../http/index.js';
import { type Call, hashParam } from './call.js';
import { effectiveRange, entityTag, isNotModified } from './conditional.js';
import { damaged, failure } from './failures.js';
import { xorbKey } from './keys.js';
import { contentRange, multipartBody } from './multipart-body.js';
import { objectBody } from './object-body.js';
import type { ObjectReader } from './ports.js';
import { type ByteSpan, parseRange, rangesInside, totalBytes } from './ranges.js';
import { emptyResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { type SignedCheck, type SignedRequest, verifySignedUrl } from './signed-url.js';

/**
 * GET and HEAD /v1/fetch/{xorb}?…: bytes of stored chunk records under a signed URL, without a token.
 * The thing that is served is the records; the footer behind them is not part of it.
 */
export function fetchRoutes(services: GatewayServices): Route[] {
  const path = '/v1/fetch/:xorb';
  const handle = (call: Call): Promise<HttpResponse> => fetchRecords(services, call);
  return [
    { method: 'GET', path, scope: null, checkSigned, handle },
    { method: 'HEAD', path, scope: null, checkSigned, handle },
  ];
}

const checkSigned: SignedCheck = (call, secrets, unixMs) => {
  verifySignedUrl(secrets, hashParam(call, 'xorb'), call.request.url.searchParams, unixMs);
};

async function fetchRecords(services: GatewayServices, call: Call): Promise<HttpResponse> {
  const { clock, secrets, random } = services;
  const { headers, method, url } = call.request;
  const hash = hashParam(call, 'xorb');
  const allowed = verifySignedUrl(secrets, hash, url.searchParams, clock.unixMs());
  const { reader, recordsBytes: total } = await openXorb(services, hash);
  let body: Body | null = null;
  try {
    const tag = entityTag(hash.toString(), total);
    const common = {
      etag: tag,
      'accept-ranges': 'bytes',
      // The URL is the permission, so a cache shared by several people must not keep the response.
      'cache-control': `private, max-age=${secondsLeft(allowed, clock.unixMs())}, immutable`,
    };
    if (isNotModified(headers['if-none-match'], tag)) return emptyResponse(304, common);

    const header = effectiveRange(headers['range'], headers['if-range'], tag);
    const ranges = allowedRanges(header, allowed, total);
    if (ranges === 'unsatisfiable') {
      return emptyResponse(416, { ...common, 'content-range': `bytes */${total}` });
    }
    const [first, ...others] = ranges as [ByteSpan, ...ByteSpan[]];
    const isMultipart = header !== undefined && others.length > 0;
    const multipart = isMultipart
      ? multipartBody({ ranges, totalBytes: total, boundary: hexEncode(random(16)) })
      : null;
    const lengthBytes = multipart?.lengthBytes ?? first.end - first.start;
    const isPart = header !== undefined && multipart === null;
    if (method !== 'HEAD') {
      const report = (error: unknown): void => services.fault(call, error);
      body = objectBody({ parts: multipart?.parts ?? [first], reader, report });
    }
    return {
      status: header === undefined ? 200 : 206,
      headers: {
        ...common,
        'content-type': multipart?.contentType ?? 'application/octet-stream',
        'content-length': String(lengthBytes),
        ...(isPart ? { 'content-range': contentRange(first, total) } : {}),
      },
      body,
    };
  } finally {
    // The body closes it, when there is one.
    if (body === null) await reader.close();
  }
}

/**
 * The object is opened before anything is said about it, and has to have the length that its footer
 * was read with: a xorb that is gone or cut is a status, not a connection that breaks off.
 */
async function openXorb(
  { store, xorbs }: GatewayServices,
  hash: MerkleHash,
): Promise<{ readonly reader: ObjectReader; readonly recordsBytes: number }> {
  const reader = await store.open(xorbKey(hash));
  if (reader === null) {
    xorbs.forget(hash);
    throw failure(404, 'NOT_FOUND', `xorb ${hash} is not stored`);
  }
  try {
    let xorb = xorbs.cached(hash) ?? null;
    if (xorb?.sizeBytes !== reader.sizeBytes) xorb = await xorbs.get(hash);
    if (xorb?.sizeBytes !== reader.sizeBytes) throw damaged(`xorb ${hash} has another length`);
    return { reader, recordsBytes: xorb.recordsBytes };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/**
 * The ranges to serve. Anything outside of the signed set is 403, like a wrong signature. Without a
 * Range header the whole is asked for, so all of it has to be signed as one range. Ranges that
 * overlap so much that they come to more than what is signed are 416: one small request must not
 * make the gateway send a xorb a thousand times.
 */
export function allowedRanges(
  header: string | undefined,
  allowed: SignedRequest,
  total: number,
): readonly ByteSpan[] | 'unsatisfiable' {
  const asked = parseRange(header, total, { clampEnd: false });
  if (asked.kind === 'malformed' || asked.kind === 'unsatisfiable') return 'unsatisfiable';
  const ranges = asked.kind === 'none' ? [{ start: 0, end: total }] : asked.ranges;
  if (!rangesInside(ranges, allowed.ranges) || ranges.some(({ end }) => end > total)) {
    throw failure(403, 'FORBIDDEN', 'the URL is signed for other ranges');
  }
  return totalBytes(ranges) > totalBytes(allowed.ranges) ? 'unsatisfiable' : ranges;
}

function secondsLeft(allowed: SignedRequest, unixMs: number): number {
  return Math.max(0, allowed.expiresSeconds - Math.ceil(unixMs / 1000));
}
