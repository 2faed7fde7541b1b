import type { GatewayOptions } from './ports.js';

/** What the gateway uses when an option is not given. Units are in the names. */
export const GATEWAY_DEFAULTS: {
  readonly urlLifetimeMs: number;
  readonly bodyMemoryBytes: number;
  readonly maxWaitingCount: number;
  readonly cacheBytes: number;
  readonly heartbeatMs: number;
} = {
  // Long enough for a slow reader of one window, short enough that a leaked URL dies soon.
  urlLifetimeMs: 60 * 60 * 1000,
  // Three xorbs of the largest size and some shards.
  bodyMemoryBytes: 256 * 1024 * 1024,
  // Reference clients open at most 64 uploads each.
  maxWaitingCount: 256,
  cacheBytes: 64 * 1024 * 1024,
  // What the protocol says: about every 20 s, so that read timeouts of clients work as usual.
  heartbeatMs: 20_000,
};

/** Options after validation. */
export interface GatewaySettings {
  readonly publicUrl: string | null;
  readonly secret: Uint8Array | null;
  readonly urlLifetimeMs: number;
  readonly bodyMemoryBytes: number;
  readonly maxWaitingCount: number;
  readonly cacheBytes: number;
  readonly heartbeatMs: number;
  readonly acceptUnverifiedShards: boolean;
}

/** Checks every option once. @throws TypeError, RangeError */
export function gatewaySettings(options: GatewayOptions = {}): GatewaySettings {
  return {
    publicUrl: options.publicUrl === undefined ? null : checkUrl(options.publicUrl),
    secret: options.secret === undefined ? null : checkSecret(options.secret),
    urlLifetimeMs: positive(options, 'urlLifetimeMs'),
    bodyMemoryBytes: positive(options, 'bodyMemoryBytes'),
    maxWaitingCount: positive(options, 'maxWaitingCount'),
    cacheBytes: positive(options, 'cacheBytes'),
    heartbeatMs: positive(options, 'heartbeatMs'),
    acceptUnverifiedShards: options.acceptUnverifiedShards ?? false,
  };
}

function positive(options: GatewayOptions, name: keyof typeof GATEWAY_DEFAULTS): number {
  const value = options[name] ?? GATEWAY_DEFAULTS[name];
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw new RangeError(`"${name}" expected a positive whole number, got ${value}`);
  }
  return value;
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain = url !== null && url.search === '' && url.hash === '' && url.username === '';
  if (url === null || !plain || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new TypeError('"publicUrl" expected an http or https URL without query and user');
  }
  return url.href.replace(/\/+$/, '');
}

function checkSecret(secret: Uint8Array): Uint8Array {
  if (secret.length !== 32) {
    throw new RangeError(`"secret" expected 32 bytes, got ${secret.length}`);
  }
  return Uint8Array.from(secret);
}
