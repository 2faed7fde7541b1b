import { checkOptions, is, type OptionRules } from '../options/index.js';
import { type CorsOptions, checkCors } from './cors.js';
import type { GatewayMetrics } from './metrics.js';
import type { GatewayAccess, GatewayFault } from './ports.js';
import { checkQuotas, type Quotas } from './quotas.js';
import { checkRateLimit, type RateLimitOptions } from './rate-limits.js';

/** Settings of a gateway. All have defaults ({@link GATEWAY_DEFAULTS}). */
export interface GatewayOptions {
  /**
   * Start of the fetch URLs that reconstructions name, when clients reach the gateway under another
   * address than the one they send as `Host` (a proxy in front). May have a path, which then stands
   * in place of the prefix under which the gateway is mounted.
   * @default the origin of the request and the prefix
   */
  readonly publicUrl?: string | undefined;
  /**
   * 32 bytes that sign fetch URLs and derive the keys of dedup responses. Gateways that share a
   * store share the secret. @default random, so that URLs die with the process
   */
  readonly secret?: Uint8Array | undefined;
  /** How long a fetch URL works, in milliseconds. @default 3600000 */
  readonly urlLifetimeMs?: number | undefined;
  /**
   * Name signed URLs of the store, one for each range, in reconstructions, so that clients read xorbs without
   * this gateway: where the store signs some, and clients reach it at the address that these name. A
   * response of more than 2048 ranges names URLs of the gateway all the same. @default false
   */
  readonly directDownloads?: boolean | undefined;
  /**
   * Offer upload grants, by which clients put xorbs under a signed URL and commit them afterwards:
   * straight into the store where that signs URLs of its own, else into the gateway. Without them
   * clients send xorbs to `POST /v1/xorbs`. @default true
   */
  readonly grants?: boolean | undefined;
  /** How long the URL of an upload grant works, in milliseconds. @default 3600000 */
  readonly grantLifetimeMs?: number | undefined;
  /**
   * Bytes for request bodies, dedup responses, reconstructions and caches together, at least 16 MiB
   * (docs/gateway.md says who gets how much). Memory of a worker pool comes on top.
   * @default 268435456
   */
  readonly maxMemory?: number | undefined;
  /** Requests that may wait for body memory; the next gets 503. @default 256 */
  readonly maxWaitingCount?: number | undefined;
  /** Slowest body that is waited for, in bytes per second. @default 1024 */
  readonly minBodyRate?: number | undefined;
  /** How long a body may bring less than that, in milliseconds; then 408. @default 20000 */
  readonly bodyGraceMs?: number | undefined;
  /** Silence after which the last progress line of a shard upload is repeated. @default 20000 */
  readonly heartbeatMs?: number | undefined;
  /**
   * Accept shards without range hashes and compute them here. Off by default: range hashes prove
   * that the sender has the chunks that its shard names. @default false
   */
  readonly acceptUnverifiedShards?: boolean | undefined;
  /**
   * One chunk in so many is listed for dedup queries, besides the first of each file: a power of two
   * from 1 to 1024, which is what every client of the protocol asks for. Clients are told, and ask more
   * densely. An entry is an empty object. @default 64
   */
  readonly dedupOneIn?: number | undefined;
  /**
   * How much tenants may have: by name, `*` for each that is not named, the empty name for those who name
   * none. Needs a store that keeps values. @default no limits, and nothing is counted
   */
  readonly quotas?: Quotas | undefined;
  /** How much one principal may ask for. @default no limit */
  readonly rateLimit?: RateLimitOptions | undefined;
  /** Which web pages may talk to the gateway. @default none: no CORS headers */
  readonly cors?: CorsOptions | undefined;
  /** Told about every request when its response was sent. @default nobody */
  readonly onAccess?: ((access: GatewayAccess) => void) | undefined;
  /** Told about every response with a status of 500 or above, and about damaged data. @default nobody */
  readonly onFault?: ((fault: GatewayFault) => void) | undefined;
  /** Who counts requests, operations of the store and dedup questions. @default nobody */
  readonly metrics?: GatewayMetrics | undefined;
}

/** What the gateway uses when an option is not given. Units are in the names. */
export const GATEWAY_DEFAULTS: {
  readonly urlLifetimeMs: number;
  readonly grantLifetimeMs: number;
  readonly maxMemory: number;
  readonly maxWaitingCount: number;
  readonly minBodyRate: number;
  readonly bodyGraceMs: number;
  readonly heartbeatMs: number;
  readonly dedupOneIn: number;
} = {
  // Long enough for a slow reader of one window, short enough that a leaked URL dies soon.
  urlLifetimeMs: 60 * 60 * 1000,
  // Clients hold a grant while they repeat a request for minutes, and ask for the next one in advance.
  grantLifetimeMs: 60 * 60 * 1000,
  maxMemory: 256 * 1024 * 1024,
  // Reference clients open at most 64 uploads each.
  maxWaitingCount: 256,
  // Below the slowest modem; a body that brings less never comes.
  minBodyRate: 1024,
  bodyGraceMs: 20_000,
  // What the protocol says: about every 20 s, so that read timeouts of clients work as usual.
  heartbeatMs: 20_000,
  // An entry for 4 MiB of data as a rule, so that a new version finds the old one about there.
  dedupOneIn: 64,
};

/** A smaller gateway could not hold one footer and one response of each kind. */
const LEAST_MEMORY_BYTES = 16 * 1024 * 1024;

/** Options after validation. */
export interface GatewaySettings extends Readonly<typeof GATEWAY_DEFAULTS> {
  readonly publicUrl: string | null;
  readonly secret: Uint8Array | null;
  readonly directDownloads: boolean;
  readonly grants: boolean;
  readonly acceptUnverifiedShards: boolean;
  readonly quotas: Quotas | null;
  readonly rateLimit: RateLimitOptions | null;
  readonly cors: CorsOptions | null;
  readonly onAccess: ((access: GatewayAccess) => void) | undefined;
  readonly onFault: ((fault: GatewayFault) => void) | undefined;
  readonly metrics: GatewayMetrics | undefined;
}

const RULES: OptionRules<GatewayOptions> = {
  publicUrl: is.text,
  secret: is.object,
  urlLifetimeMs: is.integer(1),
  directDownloads: is.flag,
  grants: is.flag,
  grantLifetimeMs: is.integer(1),
  maxMemory: is.integer(LEAST_MEMORY_BYTES),
  maxWaitingCount: is.integer(1),
  minBodyRate: is.integer(1),
  bodyGraceMs: is.integer(1),
  heartbeatMs: is.integer(1),
  dedupOneIn: is.integer(1, 1024),
  acceptUnverifiedShards: is.flag,
  quotas: is.object,
  rateLimit: is.object,
  cors: is.object,
  onAccess: is.callback,
  onFault: is.callback,
  metrics: is.object,
};

/** Checks every option once. @throws TypeError, RangeError */
export function gatewaySettings(options: GatewayOptions = {}): GatewaySettings {
  const { publicUrl, secret, quotas, rateLimit, cors, onAccess, onFault, metrics, ...rest } =
    checkOptions('createGateway', options, RULES);
  const { dedupOneIn = GATEWAY_DEFAULTS.dedupOneIn } = rest;
  if (!Number.isInteger(Math.log2(dedupOneIn))) {
    throw new RangeError(`"dedupOneIn" expected a power of two from 1 to 1024, got ${dedupOneIn}`);
  }
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  return {
    ...GATEWAY_DEFAULTS,
    directDownloads: false,
    grants: true,
    acceptUnverifiedShards: false,
    ...(Object.fromEntries(given) as Partial<typeof GATEWAY_DEFAULTS>),
    publicUrl: publicUrl === undefined ? null : checkUrl(publicUrl, 'publicUrl'),
    secret: secret === undefined ? null : checkSecret(secret, 'secret'),
    quotas: quotas === undefined ? null : checkQuotas(quotas, 'quotas'),
    rateLimit: rateLimit === undefined ? null : checkRateLimit(rateLimit, 'rateLimit'),
    cors: cors === undefined ? null : checkCors(cors, 'cors'),
    onAccess,
    onFault,
    metrics,
  };
}

function checkUrl(text: string, name: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain = url !== null && url.search === '' && url.hash === '' && url.username === '';
  if (url === null || !plain || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new TypeError(`"${name}" expected an http or https URL without query and user`);
  }
  return url.href.replace(/\/+$/, '');
}

function checkSecret(secret: Uint8Array, name: string): Uint8Array {
  if (!(secret instanceof Uint8Array) || secret.length !== 32) {
    throw new RangeError(`"${name}" expected 32 bytes, got ${secret.length}`);
  }
  return Uint8Array.from(secret);
}
