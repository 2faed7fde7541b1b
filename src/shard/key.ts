import { DATA_KEY, HASH_BYTES, keyedChunkHash, MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { shardKeyOf } from './footer.js';
import type { Shard, ShardFooter, ShardXorb } from './types.js';

/**
 * Keyed shards: a dedup response must let a client recognise chunks that it has, and tell it nothing
 * about others. Every chunk hash is replaced by BLAKE3 keyed with the response's key over it; xorb
 * hashes stay.
 */

/**
 * The shard with keyed chunk hashes and without files. A key of 32 zero bytes leaves the hashes as
 * they are. Times in the new footer are 0; `encodeShard` sets them.
 *
 * @param shard with plain chunk hashes
 * @throws TypeError when the shard is keyed already; RangeError for a key of another length
 *
 * @example
 * const response = keyShard(hasher, shard, key);
 * const bytes = encodeShard(response, { variant: 'keyed', createdAt: now, expiresAt: now + 604800 });
 */
export function keyShard(hasher: Hasher, shard: Shard, key: Uint8Array): Shard {
  if (key.length !== HASH_BYTES) {
    throw new RangeError(`"key" expected ${HASH_BYTES} bytes, got ${key.length}`);
  }
  if (shardKeyOf(shard.footer) !== null) {
    throw new TypeError('"shard" expected plain chunk hashes, got a keyed shard');
  }
  const hmacKey = new Uint8Array(HASH_BYTES);
  hmacKey.set(key);
  const footer = { ...EMPTY_FOOTER, hmacKey };
  if (shardKeyOf(footer) === null) return { files: [], xorbs: shard.xorbs, footer };
  const xorbs = shard.xorbs.map((xorb): ShardXorb => {
    const chunkHashes = new Uint8Array(xorb.chunkHashes.length);
    for (let at = 0; at < chunkHashes.length; at += HASH_BYTES) {
      keyedChunkHash(hasher, hmacKey, xorb.chunkHashes, at, chunkHashes, at);
    }
    return { ...xorb, chunkHashes };
  });
  return { files: [], xorbs, footer };
}

/**
 * Name of a shard in a store: the data-key hash of its bytes.
 *
 * @example
 * const name = `${shardKey(hasher, bytes)}.mdb`;
 */
export function shardKey(hasher: Hasher, bytes: Uint8Array): MerkleHash {
  const out = new Uint8Array(HASH_BYTES);
  hasher.keyed(DATA_KEY, bytes, out, 0);
  return MerkleHash.from(out);
}

/** {@link shardKey} of a long shard, with others let in by `pause`. */
export async function longShardKey(
  hasher: Hasher,
  bytes: Uint8Array,
  pause: () => Promise<void>,
): Promise<MerkleHash> {
  if (hasher.keyedLong === undefined) return shardKey(hasher, bytes);
  return MerkleHash.from(await hasher.keyedLong(DATA_KEY, bytes, pause));
}

const EMPTY_FOOTER: Omit<ShardFooter, 'hmacKey'> = {
  fileSectionOffset: 0,
  xorbSectionOffset: 0,
  fileLookupOffset: 0,
  fileLookupCount: 0,
  xorbLookupOffset: 0,
  xorbLookupCount: 0,
  chunkLookupOffset: 0,
  chunkLookupCount: 0,
  createdAt: 0n,
  expiresAt: 0n,
  storedBytesOnDisk: 0n,
  materializedBytes: 0n,
  storedBytes: 0n,
  footerOffset: 0,
};
