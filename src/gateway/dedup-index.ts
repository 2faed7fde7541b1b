import { MerkleHash } from '../hash/index.js';
import { chunkKey, chunkPrefix } from './keys.js';
import type { ObjectEntry, ObjectStore } from './ports.js';

/** Which shards know a chunk, by the objects that older versions wrote: `chunks/<chunk>/<shard>`. */
export interface DedupIndex {
  /** The newest ones, newest first, at most {@link MAX_SHARDS}. */
  entries(chunk: MerkleHash): Promise<readonly { shard: MerkleHash; createdMs: number }[]>;
}

/** Shards that contribute to one response; a chunk that all files share is known to many more. */
export const MAX_SHARDS = 256;

/** A folder of more entries than this is cut to the newest {@link MAX_SHARDS}: no others are used. */
const PRUNE_ABOVE = 4 * MAX_SHARDS;

/** @param background for work that nobody waits for */
export function createDedupIndex(
  store: ObjectStore,
  background: (work: Promise<unknown>) => void,
): DedupIndex {
  const prune = async (chunk: MerkleHash, old: readonly MerkleHash[]): Promise<void> => {
    for (const shard of old) await store.delete(chunkKey(chunk, shard));
  };
  return {
    async entries(chunk) {
      const prefix = chunkPrefix(chunk);
      let newest: ObjectEntry[] = [];
      const old: MerkleHash[] = [];
      const hashOf = ({ key }: ObjectEntry): MerkleHash =>
        MerkleHash.parse(key.slice(prefix.length));
      const cut = (): void => {
        newest.sort((a, b) => b.modifiedMs - a.modifiedMs || (a.key < b.key ? -1 : 1));
        for (const entry of newest.slice(MAX_SHARDS)) old.push(hashOf(entry));
        newest = newest.slice(0, MAX_SHARDS);
      };
      for await (const entry of store.list(prefix)) {
        newest.push(entry);
        if (newest.length === 2 * MAX_SHARDS) cut();
      }
      cut();
      // A store that cannot be written is read all the same.
      if (old.length + newest.length > PRUNE_ABOVE) background(prune(chunk, old));
      return newest.map((entry) => ({ shard: hashOf(entry), createdMs: entry.modifiedMs }));
    },
  };
}
