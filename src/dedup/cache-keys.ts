import { HASH_BYTES } from '../hash/index.js';
import { decodeShard } from '../shard/index.js';

/**
 * Under which chunks a shard is remembered on this machine. A server lists one chunk in 1024; here an
 * entry costs 16 bytes and a lookup no round trip, so that it is one in 32 and, as there, the first of
 * each file: a new version whose beginning has changed finds the old one within 2 MiB on average.
 */
export const CACHE_KEY_BYTES = 8;

/** By the last bits of the hash, so that both sides choose alike. */
const CHUNKS_PER_KEY = 32;

/** Whether the chunk whose hash is at `offset` is one that shards are remembered under. */
export function isCacheKey(hashes: Uint8Array, offset: number): boolean {
  return (hashes[offset + HASH_BYTES - 1] as number) % CHUNKS_PER_KEY === 0;
}

/**
 * Keys of the chunks in `hashes` (32 bytes each) to look up. `isFirst`: a file begins with the first
 * one, which is always looked up.
 */
export function keysToFind(hashes: Uint8Array, isFirst: boolean): Uint8Array {
  const keys = new Uint8Array((hashes.length / HASH_BYTES) * CACHE_KEY_BYTES);
  let length = 0;
  for (let at = 0; at < hashes.length; at += HASH_BYTES) {
    if (!(isFirst && at === 0) && !isCacheKey(hashes, at)) continue;
    keys.set(hashes.subarray(at, at + CACHE_KEY_BYTES), length);
    length += CACHE_KEY_BYTES;
  }
  return keys.subarray(0, length);
}

/** Keys to remember an uploaded shard under. @throws OrbweaverError the errors of `decodeShard` */
export function keysOfShard(shard: Uint8Array): Uint8Array {
  const { files, xorbs } = decodeShard(shard);
  const pieces: Uint8Array[] = [];
  const byHash = new Map(xorbs.map((xorb) => [xorb.hash.toString(), xorb.chunkHashes]));
  const add = (hashes: Uint8Array, at: number): void => {
    pieces.push(hashes.subarray(at, at + CACHE_KEY_BYTES));
  };
  for (const { chunkHashes } of xorbs) {
    for (let at = 0; at < chunkHashes.length; at += HASH_BYTES) {
      if (isCacheKey(chunkHashes, at)) add(chunkHashes, at);
    }
  }
  for (const { terms } of files) {
    const [first] = terms;
    const hashes = first === undefined ? undefined : byHash.get(first.xorb.toString());
    if (first === undefined || hashes === undefined) continue;
    const at = first.chunkStart * HASH_BYTES;
    // Otherwise it is there already.
    if (at < hashes.length && !isCacheKey(hashes, at)) add(hashes, at);
  }
  const keys = new Uint8Array(pieces.length * CACHE_KEY_BYTES);
  pieces.forEach((piece, i) => {
    keys.set(piece, i * CACHE_KEY_BYTES);
  });
  return keys;
}
