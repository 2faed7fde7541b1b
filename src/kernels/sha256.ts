import { createHash } from 'node:crypto';

/** A SHA-256 in progress. `update` takes views of any memory, shared memory included. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** The digest, 32 bytes; ends the computation. */
  digest(): Uint8Array;
}

/** Streaming SHA-256 by node:crypto, which uses the processor's SHA instructions where it can. */
export function createSha256(): Sha256 {
  const hash = createHash('sha256');
  return {
    update(bytes) {
      hash.update(bytes);
    },
    digest: () => new Uint8Array(hash.digest()),
  };
}
