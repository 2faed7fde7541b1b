import { isOrbweaverError, type OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import { type Body, type HttpHeaders, type HttpRequest, piecesOf } from '../http/index.js';
import type { BodyBuffers } from './body-buffers.js';
import type { BodyAccount } from './body-memory.js';
import { failure, rejected } from './failures.js';

/** Request bodies: what is checked while they arrive, and how small ones are held. */

/** The rules for a body. */
export interface BodyRules {
  readonly limitBytes: number;
  /** Slowest body that is waited for, in bytes per second. */
  readonly minRate: number;
  /** How long it may bring less than that. */
  readonly graceMs: number;
  /** True while others wait for the memory that this one holds. */
  readonly isScarce: () => boolean;
  readonly clock: Clock;
}

/** Rate that is asked of a body while others wait for memory: a poor line, and no trickle. */
const SCARCE_RATE = 64 * 1024;

/** The declared length, or null when there is none (chunked coding). 400 when it is no number. */
export function declaredLength(headers: HttpHeaders): number | null {
  const text = headers['content-length'];
  if (text === undefined) return null;
  if (!/^\d{1,15}$/.test(text)) throw rejected('"content-length" expected a number of bytes');
  return Number(text);
}

/**
 * How many bytes the body of a request has: what was declared, or what a client in the same process says
 * of it. Null when nobody says.
 */
export function bodyLength({
  headers,
  body,
}: Pick<HttpRequest, 'headers' | 'body'>): number | null {
  return declaredLength(headers) ?? (body === null ? 0 : (body.sizeBytes ?? null));
}

/**
 * `body` under rules. Reading rejects with 413 as soon as there are more bytes than the limit, 400
 * when there are not as many as `declared` or it breaks off, and 408 when it does not come: time that
 * we wait for it counts against a credit of `graceMs`, and every byte earns its share of it back.
 *
 * @throws OrbweaverError 413 for a declared length above the limit, before a byte is read
 */
export function guardBody(body: Body, declared: number | null, rules: BodyRules): Body {
  const { limitBytes, minRate, graceMs, isScarce, clock } = rules;
  if (declared !== null && declared > limitBytes) throw tooLarge(limitBytes);
  let receivedBytes = 0;
  let creditMs = graceMs;
  /** While we wait: since when, and how to end that. */
  let waiting: { readonly sinceMs: number; readonly fail: (error: Error) => void } | null = null;
  let stopTimer: (() => void) | null = null;

  // One timer for the body, not one for each piece: what arrives only ever moves its end away.
  const watch = (delayMs: number): void => {
    stopTimer = clock.setTimer(delayMs, () => {
      stopTimer = null;
      if (waiting === null) return;
      const leftMs = creditMs - (clock.now() - waiting.sinceMs);
      if (leftMs > 0) watch(leftMs);
      else waiting.fail(tooSlow(minRate));
    });
  };
  const unwatch = (): void => {
    stopTimer?.();
    stopTimer = null;
  };

  function read<T>(start: () => Promise<T>, sizeOf: (result: T) => number): Promise<T> {
    const sinceMs = clock.now();
    const rate = isScarce() ? Math.max(minRate, SCARCE_RATE) : minRate;
    return new Promise<T>((resolve, reject) => {
      const fail = (cause: unknown): void => {
        waiting = null;
        unwatch();
        body.cancel(cause);
        const known = isOrbweaverError(cause);
        reject(known ? cause : failure(400, 'ABORTED', 'the request body broke off', cause));
      };
      waiting = { sinceMs, fail };
      if (stopTimer === null) watch(creditMs);
      start().then((result) => {
        waiting = null;
        const count = sizeOf(result);
        receivedBytes += count;
        creditMs = Math.min(graceMs, creditMs - (clock.now() - sinceMs) + (1000 * count) / rate);
        const error = faultOf(count === 0);
        if (error !== null) fail(error);
        else resolve(result);
        if (count === 0) unwatch();
      }, fail);
    });
  }

  function faultOf(isEnd: boolean): OrbweaverError | null {
    if (receivedBytes > limitBytes) return tooLarge(limitBytes);
    if (creditMs <= 0) return tooSlow(minRate);
    if (declared === null || (isEnd ? receivedBytes === declared : receivedBytes <= declared)) {
      return null;
    }
    const got = isEnd ? receivedBytes : 'more';
    return rejected(`the body expected ${declared} bytes ("content-length"), got ${got}`);
  }

  const { take } = body;
  return {
    sizeBytes: body.sizeBytes,
    fill: (into) =>
      read(
        () => body.fill(into),
        (count) => count,
      ),
    ...(take === undefined
      ? {}
      : {
          take: () =>
            read(
              () => take.call(body),
              (piece) => piece.length,
            ),
        }),
    cancel(reason) {
      unwatch();
      body.cancel(reason);
    },
  };
}

/** A body in memory. */
export interface HeldBody {
  readonly bytes: Uint8Array;
  /** Gives the memory back; call it in `finally`. */
  readonly release: () => void;
}

/** Arrives before memory is asked for: about what a connection holds in any case. */
const FREE_BYTES = 64 * 1024;
/** Steps by which a body's memory grows. */
const GROWTH_BYTES = 1024 * 1024;

/** Reads a whole body; its memory grows while it arrives. */
export async function holdBody(
  body: Body | null,
  account: BodyAccount,
  buffers: BodyBuffers,
): Promise<HeldBody> {
  let bytes = new Uint8Array(FREE_BYTES);
  let length = 0;
  let isLarge = false;
  const release = (): void => {
    if (isLarge) buffers.giveBack(bytes);
    account.release();
  };
  try {
    for await (const piece of piecesOf(body)) {
      const end = length + piece.length;
      if (end > FREE_BYTES) await account.grow(Math.ceil(end / GROWTH_BYTES) * GROWTH_BYTES);
      if (end > bytes.length) {
        // The large one is address space: pages that nothing is written to take no memory.
        const larger = buffers.take();
        larger.set(bytes.subarray(0, length));
        bytes = larger;
        isLarge = true;
      }
      bytes.set(piece, length);
      length = end;
    }
    return { bytes: bytes.subarray(0, length), release };
  } catch (error) {
    release();
    throw error;
  }
}

/** The first bytes of a body: resolves with `wantedBytes`, or all there are. */
export async function firstBytes(body: Body | null, wantedBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(body === null ? 0 : wantedBytes);
  let length = 0;
  while (length < bytes.length) {
    const came = await (body as Body).fill(bytes.subarray(length));
    if (came === 0) break;
    length += came;
  }
  return bytes.subarray(0, length);
}

/**
 * Reads the body to its end and drops it. A response given while the client still sends would race
 * with a reset of the connection, and some clients then never see it.
 */
export async function drainBody(body: Body | null): Promise<void> {
  for await (const _piece of piecesOf(body)) {
    // dropped
  }
}

function tooLarge(limitBytes: number): OrbweaverError {
  return failure(413, 'LIMIT_EXCEEDED', `the body is larger than ${limitBytes} bytes`);
}

function tooSlow(minRate: number): OrbweaverError {
  return failure(408, 'STALLED', `the body expected at least ${minRate} bytes a second, got less`);
}
