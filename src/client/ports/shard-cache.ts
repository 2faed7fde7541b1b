/**
 * Shards remembered between runs, so that known data is found without asking a server.
 * Implementation: `io/`. An optimisation: it never fails a transfer, what cannot be read is a miss.
 */
export interface ShardCache {
  /** Every shard that has not expired, newest first. */
  load(nowSeconds: number): AsyncIterable<CachedShard>;
  /**
   * Remembers a shard until `expiresAtSeconds` (Unix time). False when it is not kept: larger than
   * the whole limit, expired, or the disk failed.
   */
  put(shard: Uint8Array, expiresAtSeconds: number): Promise<boolean>;
}

export interface CachedShard {
  readonly bytes: Uint8Array;
  /** Forgets it: its reader found that it is damaged or of no use. */
  drop(): Promise<void>;
}
