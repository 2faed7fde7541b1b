import { HASH_BYTES } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';

/**
 * What the gateway derives from its one secret, each for one purpose and one tenant: what was signed for
 * one is no good for another.
 */
export interface GatewaySecrets {
  /** Whose they are; undefined: of those who name no tenant. */
  readonly tenant: string | undefined;
  /** Signature of a URL: 32 bytes. */
  sign(text: string): Uint8Array;
  /**
   * Key of dedup responses made in the period that holds `unixMs`: 32 bytes, the same all through it.
   */
  dedupKey(unixMs: number): Uint8Array;
}

/** A dedup key lives as long as a response made at its start: clients meet at most two at a time. */
export const DEDUP_KEY_PERIOD_MS: number = 7 * 24 * 60 * 60 * 1000;

/**
 * Sub-keys are BLAKE3 keyed with the secret over a label, so that one purpose never reveals another.
 * Gateways with the same secret sign alike and key alike.
 */
export function createSecrets(secret: Uint8Array, hasher: Hasher, tenant?: string): GatewaySecrets {
  const encoder = new TextEncoder();
  const derive = (key: Uint8Array, text: string): Uint8Array => {
    const out = new Uint8Array(HASH_BYTES);
    hasher.keyed(key, encoder.encode(text), out, 0);
    return out;
  };
  /** Derived when it is first used. */
  const keyFor = (purpose: string): (() => Uint8Array) => {
    let known: Uint8Array | null = null;
    return () => {
      if (known !== null) return known;
      const key = derive(secret, `orbweaver gateway: ${purpose}, version 1`);
      known = tenant === undefined ? key : derive(key, `tenant ${tenant}`);
      return known;
    };
  };
  const urlKey = keyFor('fetch url signatures');
  const dedupKey = keyFor('dedup answer keys');
  return {
    tenant,
    sign: (text) => derive(urlKey(), text),
    dedupKey: (unixMs) => derive(dedupKey(), String(Math.floor(unixMs / DEDUP_KEY_PERIOD_MS))),
  };
}
