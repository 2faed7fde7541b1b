import { MerkleHash } from '../hash/index.js';
import { createDedupIndex } from './dedup-index.js';
import { isDamage } from './failures.js';
import { readRecord } from './file-record.js';
import { CHUNKS_PREFIX, FILES_PREFIX, fileKey } from './keys.js';
import type { ObjectStore } from './ports.js';
import type { FoundRecord, IndexedFile } from './store-index.js';
import { sizeOf } from './tables/entries.js';

/**
 * What older versions wrote, an object for each record and for each chunk of each shard, and what still
 * is one: records that are too long for a table.
 */
export interface ObjectRecords {
  find(hash: MerkleHash): Promise<FoundRecord | null>;
  /** Shards that an object lists for the chunk. */
  shards(chunk: MerkleHash): Promise<readonly { shard: MerkleHash; createdMs: number }[]>;
  files(): AsyncIterable<IndexedFile>;
  remove(hash: MerkleHash): Promise<boolean>;
  forgetShards(shards: ReadonlySet<string>): Promise<void>;
}

export function createObjectRecords(
  store: ObjectStore,
  background: (work: Promise<unknown>) => void,
): ObjectRecords {
  const dedup = createDedupIndex(store, background);
  /** No version that is in use adds any: where there are none there will be none. */
  let hasChunks: Promise<boolean> | null = null;

  async function lookForChunks(): Promise<boolean> {
    for await (const _ of store.list(CHUNKS_PREFIX)) return true;
    return false;
  }

  return {
    async find(hash) {
      const info = await store.head(fileKey(hash));
      if (info === null) return null;
      return { version: `object ${info.version}`, load: () => readRecord(store, hash) };
    },
    async shards(chunk) {
      hasChunks ??= lookForChunks().catch((error) => {
        hasChunks = null;
        throw error;
      });
      return (await hasChunks) ? dedup.entries(chunk) : [];
    },
    async *files() {
      for await (const { key, modifiedMs } of store.list(FILES_PREFIX)) {
        const hash = MerkleHash.parse(key.slice(FILES_PREFIX.length));
        yield { hash, sizeBytes: await fileSize(store, hash), createdMs: modifiedMs, shard: null };
      }
    },
    remove: (hash) => store.delete(fileKey(hash)),
    async forgetShards(shards) {
      for await (const { key } of store.list(CHUNKS_PREFIX)) {
        if (shards.has(key.slice(key.lastIndexOf('/') + 1))) await store.delete(key);
      }
    },
  };
}

/** Null for a damaged record. */
async function fileSize(store: ObjectStore, hash: MerkleHash): Promise<number | null> {
  try {
    return sizeOf(await readRecord(store, hash));
  } catch (error) {
    if (isDamage(error)) return null;
    throw error;
  }
}
