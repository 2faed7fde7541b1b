import type { ByteRange, FetchedPart } from '../client/ports.js';
import { isOrbweaverError } from '../errors.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { createRetryBudget } from './attempts.js';
import { multipartBoundary, parseContentRange } from './content-range.js';
import { AttemptFailure, failure } from './failures.js';
import { type Answer, answerFailure, type HttpContext, sendForData } from './http.js';
import { createMultipartReader, type PlacedBytes } from './multipart.js';
import { RangeCutter } from './range-cutter.js';
import { isExpired } from './signed-url.js';

/**
 * Ranged reads of xorb data from (signed) URLs.
 *
 * A broken connection goes on from where it stopped. Signatures may cover the exact ranges only, so
 * when such a rest is refused the whole range is asked for again and its beginning dropped. A server
 * that does not do several ranges in one request is asked for one at a time from then on.
 */
export type FetchRanges = (
  url: string,
  ranges: readonly ByteRange[],
  signal?: AbortSignal,
  skipBytes?: number,
) => AsyncGenerator<FetchedPart, void, undefined>;

/** No object behind these URLs is larger; more is not read, whatever is sent. */
const MAX_ANSWER_BYTES = XORB_ACCEPT_MAX_BYTES + 1024 * 1024;
/** A whole object in answer to several ranges is read if it wastes no more than this. */
const MAX_WASTE_BYTES = 1024 * 1024;
/** Rest of a body that is read after the last wanted byte, so that the connection can be kept. */
const MAX_REST_BYTES = 64 * 1024;

export function createFetchRanges(context: HttpContext): FetchRanges {
  /** Hosts that did not answer several ranges with several ranges. */
  const singleRangeHosts = new Set<string>();

  return async function* fetchRanges(text, ranges, signal, skipBytes = 0) {
    const cutter = new RangeCutter(ranges, skipBytes);
    if (cutter.done) return;
    const url = await context.policy.check(text);
    const budget = createRetryBudget(context, { name: 'GET of xorb data', host: url.host, signal });
    let wholeFirst = false;

    while (!cutter.done) {
      const onlyFirst = singleRangeHosts.has(url.host);
      const asked = cutter.missing({ onlyFirst, wholeFirst });
      const several = asked.length > 1;
      const resumed = cutter.insideRange && !wholeFirst;
      let moved = false;
      try {
        const answer = await askFor(context, url, asked, signal);
        const body = await placedBody(answer, asked);
        if (body === null) {
          // The whole object where a few ranges were wanted.
          singleRangeHosts.add(url.host);
          continue;
        }
        try {
          for (;;) {
            const step = await body.next();
            if (step.done === true) break;
            for (const part of cutter.take(step.value)) {
              moved = true;
              yield part;
            }
            if (cutter.done) return;
          }
        } finally {
          // With all bytes there, the end of the answer is nobody's wait; without, it is of no use.
          if (cutter.done) void drain(body);
          else await body.return();
        }
        if (several) singleRangeHosts.add(url.host);
        if (!several || !moved) throw incomplete(answer, moved, several);
        budget.progress();
      } catch (exception) {
        const broken = asFailure(exception);
        if (moved) budget.progress();
        if (resumed && !moved && isRefusal(broken)) {
          wholeFirst = true;
          continue;
        }
        if (several && !moved && broken.error.code === 'PROTOCOL') {
          singleRangeHosts.add(url.host);
          continue;
        }
        await budget.next(broken);
      }
    }
  };
}

/** Reads a short rest of a body, or breaks the connection. Never fails. */
async function drain(body: AsyncGenerator<PlacedBytes, void, undefined>): Promise<void> {
  let restBytes = 0;
  try {
    for await (const { bytes } of body) {
      restBytes += bytes.length;
      if (restBytes > MAX_REST_BYTES) break;
    }
  } catch {
    // Nothing of it was wanted.
  }
}

/** Sends the request and turns every status that brings no data into a failure. */
async function askFor(
  context: HttpContext,
  url: URL,
  asked: readonly ByteRange[],
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const list = asked.map(({ start, end }) => `${start}-${end - 1}`).join(',');
  const answer = await sendForData(context, url, { range: `bytes=${list}` }, signal);
  const { status } = answer.exchange;
  if (status === 200 || status === 206) return answer;
  if (status !== 403) throw await answerFailure(context, answer);
  const serverDate = Date.parse(answer.exchange.header('date') ?? '');
  const nowMs = Number.isFinite(serverDate) ? serverDate : context.clock.now();
  throw await answerFailure(context, answer, {
    fields: (bodyText) => ({ expired: isExpired(url, bodyText, nowMs) }),
  });
}

/**
 * The data of an answer with its places, or null when it is a whole object that is not worth
 * reading for the few ranges asked.
 */
async function placedBody(
  answer: Answer,
  asked: readonly ByteRange[],
): Promise<AsyncGenerator<PlacedBytes, void, undefined> | null> {
  const { exchange } = answer;
  const boundary = multipartBoundary(exchange.header('content-type') ?? '');
  if (boundary !== null) return multipartBody(answer, boundary);
  const [first] = asked as readonly [ByteRange, ...ByteRange[]];
  const contentRange = parseContentRange(exchange.header('content-range') ?? '');
  const lengthText = exchange.header('content-length');
  const lengthBytes = lengthText === null ? null : Number(lengthText);
  if (contentRange !== null) {
    const { start, end } = contentRange;
    if (lengthBytes !== null && lengthBytes !== end - start) {
      await exchange.discard();
      throw failure(
        answer.operation,
        'PROTOCOL',
        `"content-length" of xorb data expected ${end - start} as in Content-Range, got ${lengthBytes}`,
        { retry: false },
      );
    }
    return plainBody(answer, start);
  }
  if (exchange.status === 206) return plainBody(answer, first.start);
  // 200: some servers answer a URL that stands for one range with just that range. The whole object
  // cannot be that short, because the range ends inside of it.
  if (asked.length === 1 && lengthBytes === first.end - first.start) {
    return plainBody(answer, first.start);
  }
  const askedBytes = asked.reduce((sum, { start, end }) => sum + end - start, 0);
  const wasteful = lengthBytes !== null && lengthBytes > askedBytes + MAX_WASTE_BYTES;
  if (asked.length === 1 || !wasteful) return plainBody(answer, 0);
  await exchange.discard();
  return null;
}

async function* plainBody(
  answer: Answer,
  start: number,
): AsyncGenerator<PlacedBytes, void, undefined> {
  let offset = start;
  for await (const bytes of limited(answer)) {
    yield { offset, bytes };
    offset += bytes.length;
  }
}

async function* multipartBody(
  answer: Answer,
  boundary: string,
): AsyncGenerator<PlacedBytes, void, undefined> {
  const reader = createMultipartReader(boundary);
  for await (const bytes of limited(answer)) {
    for (const placed of reader.push(bytes)) yield placed;
  }
}

async function* limited(answer: Answer): AsyncGenerator<Uint8Array, void, undefined> {
  let receivedBytes = 0;
  for await (const bytes of answer.exchange.body()) {
    receivedBytes += bytes.length;
    if (receivedBytes > MAX_ANSWER_BYTES) {
      throw failure(
        answer.operation,
        'PROTOCOL',
        `"body" of xorb data expected at most ${MAX_ANSWER_BYTES} bytes, got more`,
        { retry: false },
      );
    }
    yield bytes;
  }
}

/** The body ended in good order and something is missing. */
function incomplete(answer: Answer, moved: boolean, several: boolean): AttemptFailure {
  const requestId = answer.exchange.header('x-request-id');
  // Cut by something on the way that hid it; the rest may come at the next attempt.
  if (moved) {
    return failure(
      answer.operation,
      'TRUNCATED',
      '"body" of xorb data expected the asked range, got a part of it',
      { retry: true, fields: { requestId } },
    );
  }
  return failure(
    answer.operation,
    'PROTOCOL',
    '"body" of xorb data expected the asked bytes, got none of them',
    { retry: !several, fields: { requestId, status: answer.exchange.status } },
  );
}

/** A refusal of the ranges rather than of the request: a rest of a range that was signed whole. */
function isRefusal(broken: AttemptFailure): boolean {
  return broken.status === 403 || broken.status === 400 || broken.status === 416;
}

function asFailure(exception: unknown): AttemptFailure {
  if (exception instanceof AttemptFailure) return exception;
  // A reader of ours refused the bytes: the answer is broken, not the connection.
  if (isOrbweaverError(exception) && exception.code === 'PROTOCOL') {
    return new AttemptFailure(exception, { retry: false });
  }
  throw exception;
}
