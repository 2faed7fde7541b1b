/**
 * Shards remembered between runs, so that known data is found without asking a server.
 * Implementation: `io/`. An optimisation: it never fails a transfer, what cannot be read is a miss.
 *
 * Shards are found by keys, the first {@link CACHE_KEY_BYTES} bytes of the hashes of some of their
 * chunks; `dedup/cache-keys.ts` says of which.
 */
export interface ShardCache {
  /** Shards that know one of these keys (8 bytes each), oldest first; nothing of them is read yet. */
  find(keys: Uint8Array): Promise<readonly CachedShard[]>;
  /**
   * Remembers a shard until `expiresAtSeconds` (Unix time) under these keys. False when it is not
   * kept: larger than the whole limit, expired, or the disk failed.
   */
  put(shard: Uint8Array, keys: Uint8Array, expiresAtSeconds: number): Promise<boolean>;
}

export interface CachedShard {
  /** The same for the same shard, however often it is found. */
  readonly id: string;
  readonly sizeBytes: number;
  /** Null: unreadable, damaged or removed meanwhile; then it is forgotten. */
  read(): Promise<Uint8Array | null>;
  /** Forgets it: its reader found that it is of no use, or the server refused it. Never rejects. */
  drop(): Promise<void>;
}
