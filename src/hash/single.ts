import { DATA_KEY, VERIFICATION_KEY } from './keys.js';
import { HASH_BYTES, MerkleHash } from './merkle-hash.js';
import type { Hasher } from './ports.js';

/** Hashes that are one keyed BLAKE3 over given bytes; the tree is in `tree.ts`. */

/**
 * Chunk hash: BLAKE3 with the data key over the uncompressed chunk. The same function names local
 * shards (over the whole shard file).
 */
export function chunkHash(hasher: Hasher, chunk: Uint8Array): MerkleHash {
  return keyedHash(hasher, DATA_KEY, chunk);
}

/**
 * Range hash (term verification): over the raw hashes of chunks `[startChunk, endChunk)` of the
 * packed list `hashes`.
 * @throws RangeError when the range does not lie in the list.
 */
export function rangeHash(
  hasher: Hasher,
  hashes: Uint8Array,
  startChunk: number,
  endChunk: number,
): MerkleHash {
  const count = hashes.length / HASH_BYTES;
  if (!(startChunk >= 0 && startChunk <= endChunk && endChunk <= count)) {
    throw new RangeError(`chunks [${startChunk}, ${endChunk}) do not lie in a list of ${count}`);
  }
  const start = startChunk * HASH_BYTES;
  return keyedHash(hasher, VERIFICATION_KEY, hashes.subarray(start, endChunk * HASH_BYTES));
}

/**
 * Keyed chunk hash, as dedup responses carry it: BLAKE3 with the shard's key over the raw chunk hash
 * `hashes[offset, offset + 32)`, written to `out[outOffset, outOffset + 32)`.
 */
export function keyedChunkHash(
  hasher: Hasher,
  key: Uint8Array,
  hashes: Uint8Array,
  offset: number,
  out: Uint8Array,
  outOffset: number,
): void {
  hasher.keyed(key, hashes.subarray(offset, offset + HASH_BYTES), out, outOffset);
}

/** One keyed hash as a value. */
export function keyedHash(hasher: Hasher, key: Uint8Array, data: Uint8Array): MerkleHash {
  const out = new Uint8Array(HASH_BYTES);
  hasher.keyed(key, data, out, 0);
  return MerkleHash.from(out);
}
