/**
 * Shards remembered between runs, so that known data is found without asking a server.
 * Implementation: `io/`. An optimisation: it never fails a transfer, what cannot be read is a miss.
 *
 * Shards are found by keys, the first {@link CACHE_KEY_BYTES} bytes of the hashes of some of their
 * chunks; `dedup/cache-keys.ts` says of which.
 */
export interface ShardCache {
  /**
   * Shards that know one of these keys (8 bytes each), each at most once for the life of the cache:
   * what was given out is known to the caller.
   */
  find(keys: Uint8Array): Promise<readonly CachedShard[]>;
  /**
   * Remembers a shard until `expiresAtSeconds` (Unix time) under these keys. False when it is not
   * kept: larger than the whole limit, expired, or the disk failed.
   */
  put(shard: Uint8Array, keys: Uint8Array, expiresAtSeconds: number): Promise<boolean>;
}

export interface CachedShard {
  readonly bytes: Uint8Array;
  /** Forgets it: its reader found that it is damaged, of no use, or refused by the server. */
  drop(): Promise<void>;
}
