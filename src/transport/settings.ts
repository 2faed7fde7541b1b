import { Budget, type Clock, RateLimit } from '../flow/index.js';
import { type RandomSource, SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import { type Crc64OfPieces, crc64OfPieces, type GrantPolicy } from './grants.js';
import { createMasker, maskUrl } from './mask.js';
import type { RetryEvent, TokenOption, TokenSource, TokenUrl } from './ports.js';
import { DEFAULT_RETRY, type RetryOptions } from './retry-table.js';
import { checkTokenUrl, isTokenUrl, tokenSourceOf } from './token-url.js';
import type { Rates } from './watchdog.js';

/** What a client of a store is told, however its requests leave. Only `endpoint` and `token` are needed. */
export interface StoreOptions {
  /** Base URL of the CAS, `https:` or `http:`; a path is kept, a query is refused. */
  readonly endpoint: string;
  /** The CAS token or where it comes from; `''` for a server that wants none. */
  readonly token: TokenOption;
  /**
   * Sent to every host.
   * @default DEFAULT_USER_AGENT
   */
  readonly userAgent?: string;
  /**
   * Groups the calls of one session in the server's logs; sent to the CAS only.
   * @default '' (not sent)
   */
  readonly sessionId?: string;
  /**
   * More headers, for the CAS only: signed URLs of other hosts never see them.
   * @default {}
   */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Milliseconds without a byte in either direction until a connection counts as dead; the attempt
   * is then repeated. Slow transfers live. `Infinity` is not offered: 2^31 - 1 is three weeks.
   * @default DEFAULT_STALL_TIMEOUT_MS
   */
  readonly stallTimeoutMs?: number;
  /**
   * Milliseconds that a server which is within reach may think about an upload after its last byte.
   * Whether it is in reach is asked after each stall timeout.
   * @default DEFAULT_RESPONSE_TIMEOUT_MS
   */
  readonly responseTimeoutMs?: number;
  /**
   * Milliseconds for a dedup query in all; then it is a miss.
   * @default DEFAULT_DEDUP_TIMEOUT_MS
   */
  readonly dedupTimeoutMs?: number;
  /**
   * Caps of what bodies bring and take, which several clients may share.
   * @default none
   */
  readonly rates?: Rates;
  /**
   * Whether xorbs go by upload grants, straight into the store, where the server offers them:
   * `auto` where that is another host than the server itself, `always`, or `never`.
   * @default 'auto'
   */
  readonly grants?: GrantPolicy;
  /**
   * CRC-64/NVME of bytes that lie in pieces, which upload grants ask for.
   * @default in JavaScript, a part at a time on the calling thread
   */
  readonly crc64?: Crc64OfPieces;
  /**
   * What is tried again, how often and when.
   * @default DEFAULT_RETRY
   */
  readonly retry?: Partial<RetryOptions>;
  /**
   * Hosts that URLs from the server may name although their addresses are private: exact names or
   * `*.example.com`. The CAS host is always one of them.
   * @default []
   */
  readonly allowHosts?: readonly string[];
  /**
   * What responses that are held as a whole (dedup responses, reconstructions) take their bytes from.
   * @default a budget of DEFAULT_HELD_BYTES of the client's own
   */
  readonly budget?: Budget;
  /** Called before each repeated attempt. */
  readonly onRetry?: (event: RetryEvent) => void;
  /** @default the system's */
  readonly clock?: Clock;
  /** @default Math.random */
  readonly random?: RandomSource;
}

export const DEFAULT_USER_AGENT = 'orbweaver';
/** A dead connection is given up and replaced within 45 s, and no live one is. */
export const DEFAULT_STALL_TIMEOUT_MS = 30_000;
/** Servers check a whole xorb or shard before they respond; ten minutes have been seen. */
export const DEFAULT_RESPONSE_TIMEOUT_MS = 900_000;
export const DEFAULT_DEDUP_TIMEOUT_MS = 5_000;
/** One reconstruction of a terabyte, or a dozen of the largest dedup responses. */
export const DEFAULT_HELD_BYTES: number = 256 * 1024 * 1024;

/** The options that are milliseconds. */
interface Times {
  readonly stallTimeoutMs: number;
  readonly responseTimeoutMs: number;
  readonly dedupTimeoutMs: number;
}

/** The options with every default filled in. */
export interface StoreSettings extends Times {
  readonly endpoint: URL;
  readonly token: TokenSource | TokenUrl | string;
  readonly userAgent: string;
  readonly sessionId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly rates: Rates;
  readonly grants: GrantPolicy;
  readonly crc64: Crc64OfPieces;
  readonly retry: RetryOptions;
  readonly allowHosts: readonly string[];
  readonly budget: Budget;
  readonly onRetry: ((event: RetryEvent) => void) | undefined;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Headers that the client sets itself, or that would break the connection. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'range',
  'referer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'x-xet-session-id',
]);

/** @throws TypeError for a wrong type or text, RangeError for a number out of range */
export function checkStoreOptions(options: StoreOptions): StoreSettings {
  const retry = { ...DEFAULT_RETRY, ...options.retry };
  for (const [name, value] of Object.entries(retry)) checkNumber(`retry.${name}`, value, 0);
  return {
    endpoint: checkEndpoint(options.endpoint),
    token: checkToken(options.token),
    userAgent: checkHeader('userAgent', options.userAgent ?? DEFAULT_USER_AGENT),
    sessionId: checkHeader('sessionId', options.sessionId ?? ''),
    headers: checkHeaders(options.headers ?? {}),
    ...checkTimes(options),
    rates: options.rates ?? unlimited(options.clock ?? SYSTEM_CLOCK),
    grants: checkGrants(options.grants ?? 'auto'),
    crc64: options.crc64 ?? crc64OfPieces,
    retry,
    allowHosts: options.allowHosts ?? [],
    budget: options.budget ?? new Budget({ capacityBytes: DEFAULT_HELD_BYTES }),
    onRetry: options.onRetry,
    clock: options.clock ?? SYSTEM_CLOCK,
    random: options.random ?? systemRandom,
  };
}

/** Each with its default. */
function checkTimes(options: StoreOptions): Times {
  const time = (name: keyof Times, otherwise: number): number =>
    checkNumber(name, options[name] ?? otherwise, 1);
  return {
    stallTimeoutMs: time('stallTimeoutMs', DEFAULT_STALL_TIMEOUT_MS),
    responseTimeoutMs: time('responseTimeoutMs', DEFAULT_RESPONSE_TIMEOUT_MS),
    dedupTimeoutMs: time('dedupTimeoutMs', DEFAULT_DEDUP_TIMEOUT_MS),
  };
}

function checkEndpoint(text: string): URL {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:\/\/[^/]/i.test(text)) {
    throw new TypeError(
      `"endpoint" expected a URL such as https://cas.example.com, got ${endpointText(text)}`,
    );
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new TypeError(
      `"endpoint" expected a URL without user name, query and fragment, got more than ${maskUrl(url)}; the token is an option of its own`,
    );
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** What was given, without what may be a secret, and what was meant most likely. */
function endpointText(text: unknown): string {
  if (typeof text !== 'string') return typeof text;
  // Without a scheme the masker does not see that a password stands there.
  const shown = createMasker().mask(text.replace(/^.*@/s, '***@').replace(/[?#].*$/s, '?***'));
  const guess = `http://${text}`;
  const isHost = /^[\w.-]+(?::\d+)?(?:\/[^?#@]*)?$/.test(text) && URL.canParse(guess);
  return `"${shown}"${isHost ? `; did you mean ${guess}?` : ''}`;
}

function unlimited(clock: Clock): Rates {
  return { upload: new RateLimit(clock), download: new RateLimit(clock) };
}

function checkGrants(policy: GrantPolicy): GrantPolicy {
  if (policy === 'auto' || policy === 'always' || policy === 'never') return policy;
  throw new TypeError('"grants" expected "auto", "always" or "never"');
}

function checkToken(token: TokenOption): TokenSource | TokenUrl | string {
  if (typeof token === 'string') return token;
  if (typeof token === 'function') return tokenSourceOf(token);
  if (isTokenUrl(token)) return checkTokenUrl(token);
  if (typeof token?.get !== 'function') {
    throw new TypeError(
      '"token" expected a string, a function, an object with get() or a refreshUrl',
    );
  }
  return token;
}

function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) {
      throw new TypeError(`"headers" expected header names, got ${JSON.stringify(name)}`);
    }
    if (OWN_HEADERS.has(lower)) throw new TypeError(`"headers" may not set ${lower}`);
    checked[lower] = checkHeader(`headers.${lower}`, value);
  }
  return checked;
}

/** The value is not shown: it may be a credential. */
function checkHeader(field: string, value: string): string {
  if (typeof value !== 'string' || !/^[\t\x20-\x7e]*$/.test(value)) {
    throw new TypeError(`"${field}" expected one line of printable ASCII`);
  }
  return value;
}

/** Longest time of a timer; three weeks. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** @throws TypeError, RangeError for anything but a whole number from `least` on */
export function checkNumber(field: string, number: number, least: number): number {
  if (typeof number !== 'number') throw new TypeError(`"${field}" expected a number`);
  if (Number.isInteger(number) && number >= least && number <= MAX_TIMER_MS) return number;
  const expected = `an integer from ${least} to ${MAX_TIMER_MS}`;
  throw new RangeError(`"${field}" expected ${expected}, got ${number}`);
}
