import type { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { decodeShard, type Shard, shardKey } from '../shard/index.js';
import { damaged } from './failures.js';
import { shardObjectKey } from './keys.js';
import { createLruCache } from './lru.js';
import type { ObjectStore } from './ports.js';

/** Registered shards as they are stored; dedup answers are made of them. */
export interface ShardCatalog {
  /** Null when it is not stored. @throws OrbweaverError 500 `INTEGRITY` when it is damaged */
  get(hash: MerkleHash): Promise<Shard | null>;
}

/** Objects around terms and chunk lists, several times what they take as bytes. */
const MEMORY_PER_SHARD_BYTE = 4;

export function createShardCatalog(options: {
  store: ObjectStore;
  hasher: Hasher;
  cacheBytes: number;
}): ShardCatalog {
  const cache = createLruCache<Shard>(options.cacheBytes);
  return {
    async get(hash: MerkleHash): Promise<Shard | null> {
      const name = hash.toString();
      const known = cache.get(name);
      if (known !== undefined) return known;
      const bytes = await options.store.read(shardObjectKey(hash));
      if (bytes === null) return null;
      if (!shardKey(options.hasher, bytes).equals(hash)) throw damaged(`shard ${hash}`);
      const shard = decodeShard(bytes, { maxBytes: bytes.length });
      cache.set(name, shard, bytes.length * MEMORY_PER_SHARD_BYTE);
      return shard;
    },
  };
}
