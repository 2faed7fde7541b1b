import type { MerkleHash } from '../hash/index.js';

/** What a stored footer says about a xorb, and what verification finds out. */
export interface XorbInfo {
  /** Root over chunk hashes and uncompressed lengths: the xorb's name. */
  readonly hash: MerkleHash;
  /** 32 bytes for each chunk, in order. */
  readonly chunkHashes: Uint8Array;
  /** End of record i in the stored bytes, header included. */
  readonly recordEnds: Uint32Array;
  /** End of chunk i when all chunks are laid side by side uncompressed. */
  readonly rawEnds: Uint32Array;
  /** Four bytes that a store may randomize so that two stored copies differ; outside every hash. */
  readonly nonce?: Uint8Array | undefined;
}
