import { hexEncode } from '../bytes/index.js';
import { type Call, hashParam } from './call.js';
import { effectiveRange, entityTag, isNotModified } from './conditional.js';
import { failure } from './failures.js';
import { xorbKey } from './keys.js';
import { contentRange, multipartBody } from './multipart-body.js';
import { type BodyPart, objectBody } from './object-body.js';
import type { GatewayAnswer, ObjectStore } from './ports.js';
import { type ByteSpan, parseRange, rangesInside, totalBytes } from './ranges.js';
import { emptyAnswer } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { type SignedRequest, verifySignedUrl } from './signed-url.js';
import { streamOf } from './streams.js';

/**
 * GET and HEAD /v1/fetch/{xorb}?…: bytes of stored chunk records under a signed URL, without a token.
 * The thing that is served is the records; the footer behind them is not part of it.
 */
export function fetchRoutes(services: GatewayServices): Route[] {
  const path = '/v1/fetch/:xorb';
  const handle = (call: Call): Promise<GatewayAnswer> => fetchRecords(services, call);
  return [
    { method: 'GET', path, scope: null, handle },
    { method: 'HEAD', path, scope: null, handle },
  ];
}

async function fetchRecords(services: GatewayServices, call: Call): Promise<GatewayAnswer> {
  const { clock, secrets, store, xorbs, random } = services;
  const { request } = call;
  const hash = hashParam(call, 'xorb');
  const allowed = verifySignedUrl(secrets, hash, request.query, clock.nowMs());
  const xorb = await xorbs.get(hash);
  if (xorb === null) throw failure(404, 'NOT_FOUND', `xorb ${hash} is not stored`);
  const total = xorb.recordsBytes;

  const tag = entityTag(hash.toString(), total);
  const common = {
    etag: tag,
    'accept-ranges': 'bytes',
    // The URL is the permission, so a cache shared by several people must not keep the answer.
    'cache-control': `private, max-age=${secondsLeft(allowed, clock.nowMs())}, immutable`,
  };
  if (isNotModified(request.header('if-none-match'), tag)) return emptyAnswer(304, common);

  const header = effectiveRange(request.header('range'), request.header('if-range'), tag);
  const ranges = allowedRanges(header, allowed, total);
  if (ranges === 'unsatisfiable') {
    return emptyAnswer(416, { ...common, 'content-range': `bytes */${total}` });
  }
  const report = (error: unknown): void => services.fault(call, error);
  const answer = (
    status: number,
    more: Record<string, string>,
    parts: readonly BodyPart[],
  ): GatewayAnswer => ({
    status,
    headers: { ...common, 'content-type': 'application/octet-stream', ...more },
    body: request.method === 'HEAD' ? null : bodyOf(store, xorbKey(hash), parts, report),
  });

  const [first, ...others] = ranges as [ByteSpan, ...ByteSpan[]];
  if (header !== null && others.length > 0) {
    const boundary = hexEncode(random(16));
    const body = multipartBody({ ranges, totalBytes: total, boundary });
    return answer(
      206,
      { 'content-type': body.contentType, 'content-length': String(body.lengthBytes) },
      body.parts,
    );
  }
  const length = { 'content-length': String(first.end - first.start) };
  if (header === null) return answer(200, length, [first]);
  return answer(206, { ...length, 'content-range': contentRange(first, total) }, [first]);
}

/**
 * The ranges to serve. Anything outside of the signed set is 403, like a wrong signature. Without a
 * Range header the whole is asked for, so all of it has to be signed as one range. Ranges that
 * overlap so much that they come to more than what is signed are 416: one small request must not
 * make the gateway send a xorb a thousand times.
 */
export function allowedRanges(
  header: string | null,
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

/**
 * The body that `parts` are. After the status went out, a failure of the store can only cut it off:
 * somebody is told.
 */
function bodyOf(
  store: ObjectStore,
  key: string,
  parts: readonly BodyPart[],
  report: (error: unknown) => void,
): GatewayAnswer['body'] {
  if (store.open !== undefined) {
    const open = store.open.bind(store, key);
    return objectBody({ parts, open, report });
  }
  return streamOf(piecesOf(store, key, parts, report));
}

async function* piecesOf(
  store: ObjectStore,
  key: string,
  parts: readonly BodyPart[],
  report: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    for (const part of parts) {
      if (part instanceof Uint8Array) yield part;
      else yield* store.stream(key, part);
    }
  } catch (error) {
    report(error);
    throw error;
  }
}

function secondsLeft(allowed: SignedRequest, nowMs: number): number {
  return Math.max(0, allowed.expiresSeconds - Math.ceil(nowMs / 1000));
}
