import type { Hasher } from '../hash/ports.js';

/** What the gateway derives from its one secret, each for one purpose. */
export interface GatewaySecrets {
  /** Signature of a fetch URL: 32 bytes. */
  sign(text: string): Uint8Array;
  /** Key of dedup answers made in the period that holds `nowMs`: 32 bytes, the same all through it. */
  dedupKey(nowMs: number): Uint8Array;
}

/** A dedup key lives as long as an answer made at its start: clients meet at most two at a time. */
export const DEDUP_KEY_PERIOD_MS: number = 7 * 24 * 60 * 60 * 1000;

/**
 * Sub-keys are BLAKE3 keyed with the secret over a label, so that one purpose never reveals another.
 * Gateways with the same secret sign alike and key alike.
 */
export function createSecrets(secret: Uint8Array, hasher: Hasher): GatewaySecrets {
  const encoder = new TextEncoder();
  const derive = (key: Uint8Array, text: string): Uint8Array => {
    const out = new Uint8Array(32);
    hasher.keyed(key, encoder.encode(text), out, 0);
    return out;
  };
  const urlKey = derive(secret, 'orbweaver gateway: fetch url signatures, version 1');
  const answerKey = derive(secret, 'orbweaver gateway: dedup answer keys, version 1');
  return {
    sign: (text) => derive(urlKey, text),
    dedupKey: (nowMs) => derive(answerKey, String(Math.floor(nowMs / DEDUP_KEY_PERIOD_MS))),
  };
}
