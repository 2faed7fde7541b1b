import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';

/** What the gateway derives from its one secret, each for one purpose, and from names of tenants. */
export interface GatewaySecrets {
  /** Signature of a fetch URL: 32 bytes. */
  sign(text: string): Uint8Array;
  /**
   * Key of a tenant's dedup responses made in the period that holds `unixMs`: 32 bytes, the same all
   * through it.
   */
  dedupKey(unixMs: number, tenant?: string): Uint8Array;
  /**
   * Name under which a tenant's shards are listed for a chunk: the chunk itself where there are no
   * tenants. Not secret and the same at each start, so that an index stays good.
   */
  chunkName(chunk: MerkleHash, tenant?: string): MerkleHash;
}

/** A dedup key lives as long as a response made at its start: clients meet at most two at a time. */
export const DEDUP_KEY_PERIOD_MS: number = 7 * 24 * 60 * 60 * 1000;

/**
 * Sub-keys are BLAKE3 keyed with the secret over a label, so that one purpose never reveals another.
 * Gateways with the same secret sign alike and key alike.
 */
export function createSecrets(secret: Uint8Array, hasher: Hasher): GatewaySecrets {
  const encoder = new TextEncoder();
  const derive = (key: Uint8Array, text: string): Uint8Array => {
    const out = new Uint8Array(HASH_BYTES);
    hasher.keyed(key, encoder.encode(text), out, 0);
    return out;
  };
  const urlKey = derive(secret, 'orbweaver gateway: fetch url signatures, version 1');
  const dedupRoot = derive(secret, 'orbweaver gateway: dedup answer keys, version 1');
  return {
    sign: (text) => derive(urlKey, text),
    dedupKey: (unixMs, tenant) => {
      const key = tenant === undefined ? dedupRoot : derive(dedupRoot, `tenant ${tenant}`);
      return derive(key, String(Math.floor(unixMs / DEDUP_KEY_PERIOD_MS)));
    },
    chunkName: (chunk, tenant) => {
      if (tenant === undefined) return chunk;
      const out = new Uint8Array(HASH_BYTES);
      const key = derive(new Uint8Array(HASH_BYTES), `orbweaver gateway: chunks of ${tenant}`);
      hasher.keyed(key, chunk.bytes, out, 0);
      return MerkleHash.from(out);
    },
  };
}
