import type { ErrorCode } from '../errors.js';
import type { HttpHeaders } from '../http/index.js';
import type { RandomSource } from '../platform/index.js';

/**
 * The one policy of what is tried again and when. Pure: no clock, no network.
 *
 * | response                            | what happens                                        |
 * |-------------------------------------|-----------------------------------------------------|
 * | 2xx                                 | success                                             |
 * | 401                                 | the token is refreshed once per call, then final    |
 * | 403                                 | final (a signed URL: `fields.expired` says more)    |
 * | 408, 425, 429                       | again                                               |
 * | 501                                 | final: the server does not have this endpoint       |
 * | 507                                 | final: its disk stays full until somebody acts      |
 * | other 5xx                           | again                                               |
 * | other 4xx, 3xx                      | final                                               |
 * | reset, refused, cut, DNS, no route  | again; twice only if the host was never reached     |
 * | certificate, not HTTP               | final                                               |
 * | no byte moves for the stall timeout | again                                               |
 */
export interface RetryOptions {
  /**
   * Attempts after the first one; 0 switches retries off.
   * @default 6
   */
  readonly retries: number;
  /**
   * Upper end of the first delay; doubles with every further one.
   * @default 1000
   */
  readonly baseDelayMs: number;
  /**
   * Upper end of any delay.
   * @default 60_000
   */
  readonly maxDelayMs: number;
  /**
   * A server that asks for a longer pause than this is not waited for.
   * @default 300_000
   */
  readonly maxRetryAfterMs: number;
}

/** Six retries with full jitter wait half a minute on average: a server restart, not an outage. */
export const DEFAULT_RETRY: RetryOptions = {
  retries: 6,
  baseDelayMs: 1000,
  maxDelayMs: 60_000,
  maxRetryAfterMs: 300_000,
};

/** Retries against a host that never answered: more likely a typing error than an outage. */
export const RETRIES_NEVER_REACHED = 2;

/** What to do with a response or a failure. */
export type Verdict = 'success' | 'retry' | 'refresh-token' | 'final';

/** The row of the table for an HTTP status. */
export function verdictOfStatus(status: number): Verdict {
  if (status >= 200 && status < 300) return 'success';
  if (status === 401) return 'refresh-token';
  if (status === 408 || status === 425 || status === 429) return 'retry';
  if (status === 501 || status === 507) return 'final';
  return status >= 500 ? 'retry' : 'final';
}

/** The code under which an HTTP status is reported. */
export function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return 'AUTH_REQUIRED';
  if (status === 403) return 'FORBIDDEN';
  if (status === 404 || status === 410) return 'NOT_FOUND';
  if (status === 429) return 'RATE_LIMITED';
  if (status === 408 || status === 425) return 'SERVER_ERROR';
  if (status === 501) return 'PROTOCOL';
  if (status === 507) return 'DISK_FULL';
  if (status >= 500) return 'SERVER_ERROR';
  return status >= 400 ? 'REJECTED' : 'PROTOCOL';
}

/** The `code` of the error of a connection that did not stand in time. */
export const CONNECT_TIMEOUT_CODE = 'ERR_CONNECT_TIMEOUT';
/** The `code` of a `fetch` that failed without saying why, as browsers do. */
export const FETCH_FAILED_CODE = 'ERR_FETCH_FAILED';

/** The `code` of a proxy that was not reached, or could not connect onwards. */
export const PROXY_UNREACHED_CODE = 'ERR_PROXY_UNREACHED';
/** The `code` of a proxy that does not want to connect there. */
export const PROXY_REFUSED_CODE = 'ERR_PROXY_REFUSED';

/** Codes of Node and undici that may go away by themselves. */
const TRANSIENT_CODES: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EPROTO',
  CONNECT_TIMEOUT_CODE,
  FETCH_FAILED_CODE,
  PROXY_UNREACHED_CODE,
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_INFO',
  'UND_ERR_ABORTED',
  'HPE_INVALID_EOF_STATE',
]);

/** Failures before a connection stood; a host that only ever gave these was never reached. */
const UNREACHED_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  CONNECT_TIMEOUT_CODE,
  PROXY_UNREACHED_CODE,
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** OpenSSL's ways to say that nobody who is believed vouches for a certificate. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Whether the certificate of a host is what a connection failed by. */
export function isUntrusted(systemCode: string): boolean {
  return UNTRUSTED.has(systemCode);
}

/** Whether a failure below HTTP, named by its `code`, is worth another attempt. */
export function isTransient(systemCode: string): boolean {
  return TRANSIENT_CODES.has(systemCode);
}

/** Whether a failure below HTTP happened before the host was reached. */
export function isUnreached(systemCode: string): boolean {
  return UNREACHED_CODES.has(systemCode);
}

/**
 * Delay before retry number `retry` (from 0): uniform in [0, base × 2^retry), capped. Full jitter,
 * because many workers fail at the same moment and must not come back at the same moment.
 */
export function backoffMs(retry: number, random: RandomSource, options: RetryOptions): number {
  const ceilingMs = Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** Math.min(retry, 30));
  return Math.floor(random() * ceilingMs);
}

/** `Retry-After` in ms: seconds or a date; null when it is missing or neither. */
function retryAfterMs(headers: HttpHeaders, unixMs: number): number | null {
  const value = headers['retry-after']?.trim();
  if (value === undefined || value === '') return null;
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isFinite(date) ? Math.max(0, date - unixMs) : null;
}

/**
 * How long the server asks to wait, or null when it does not say: `Retry-After` (seconds or a
 * date), else the reset of the rate-limit headers (`RateLimit: …;t=`, `(X-)RateLimit-Reset`) when
 * nothing is left.
 */
export function requestedPauseMs(headers: HttpHeaders, unixMs: number): number | null {
  const afterMs = retryAfterMs(headers, unixMs);
  if (afterMs !== null) return afterMs;
  // A Hub has them in every response: they say something about this one where nothing is left.
  const limit = headers['ratelimit'] ?? '';
  const left = /(?:^|;)\s*r=(\d+)/.exec(limit)?.[1] ?? leftOf(headers);
  if (left !== undefined && Number(left) > 0) return null;
  const structured = /(?:^|;)\s*t=(\d+)/.exec(limit);
  if (structured !== null) return Number(structured[1]) * 1000;
  const reset = (headers['ratelimit-reset'] ?? headers['x-ratelimit-reset'] ?? '').trim();
  if (!/^\d+$/.test(reset)) return null;
  // Some servers give seconds from now, some the Unix time.
  const seconds = Number(reset);
  return seconds < 1_000_000_000 ? seconds * 1000 : Math.max(0, seconds * 1000 - unixMs);
}

function leftOf(headers: HttpHeaders): string | undefined {
  return headers['ratelimit-remaining'] ?? headers['x-ratelimit-remaining'];
}
