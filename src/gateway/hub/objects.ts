import { LRUCache } from 'lru-cache';
import type { Clock } from '../../flow/index.js';
import { damaged, rejected } from '../failures.js';
import type { ObjectStore } from '../ports.js';
import {
  type Commit,
  decodeCommit,
  decodeTree,
  encodeCommit,
  encodeTree,
  type Tree,
  type TreeEntry,
} from './formats.js';
import { objectId } from './ids.js';

/** Trees and commits in the store, by name; what was read or written last is kept in memory. */
export interface HubObjects {
  /** @throws OrbweaverError `INTEGRITY` when it is damaged or gone */
  tree(id: string): Promise<Tree>;
  /** @throws OrbweaverError 400 for a folder of more than some 200,000 files */
  putTree(entries: Iterable<readonly [string, TreeEntry]>): Promise<string>;
  /** Null: there is none of that name. */
  findCommit(id: string): Promise<Commit | null>;
  /** @throws OrbweaverError `INTEGRITY` when it is damaged or gone */
  commit(id: string): Promise<Commit>;
  putCommit(commit: Commit): Promise<string>;
}

export const TREES_PREFIX = 'hub-trees/';
export const COMMITS_PREFIX = 'hub-commits/';

/** About 40,000 files of the trees that are in use. */
const CACHE_BYTES = 16 * 1024 * 1024;
/** A tree of a folder with some 200,000 files: it is read as one, so a larger one is not written. */
const MAX_TREE_BYTES: number = 64 * 1024 * 1024;
/**
 * An object of this age that is stored again is written again, so that it counts as new: what removes
 * objects that nothing refers to passes over new ones.
 */
const RENEW_AFTER_MS = 6 * 60 * 60 * 1000;

export function createHubObjects(
  store: ObjectStore,
  clock: Clock,
  maxTreeBytes: number = MAX_TREE_BYTES,
): HubObjects {
  const trees = new LRUCache<string, { readonly tree: Tree; readonly bytes: number }>({
    maxSize: CACHE_BYTES,
    sizeCalculation: ({ bytes }) => bytes + 256,
  });
  const commits = new LRUCache<string, Commit>({ max: 2048 });

  async function read(key: string, id: string): Promise<Uint8Array | null> {
    const bytes = await store.read(key);
    if (bytes !== null && objectId(bytes) !== id) throw damaged(`"${key}" has other bytes`);
    return bytes;
  }
  async function write(key: string, bytes: Uint8Array): Promise<void> {
    if (await store.put(key, bytes)) return;
    const info = await store.head(key);
    const isNew = info !== null && clock.unixMs() - info.modifiedMs < RENEW_AFTER_MS;
    if (!isNew || info.sizeBytes !== bytes.length) await store.put(key, bytes, { replace: true });
  }

  const hub: HubObjects = {
    async tree(id) {
      const known = trees.get(id);
      if (known !== undefined) return known.tree;
      const bytes = await read(TREES_PREFIX + id, id);
      if (bytes === null) throw damaged(`tree ${id} is gone`);
      const tree = decodeTree(id, bytes);
      trees.set(id, { tree, bytes: bytes.length });
      return tree;
    },
    async putTree(entries) {
      const bytes = encodeTree(entries);
      if (bytes.length > maxTreeBytes) {
        const text = `a folder expected an entry of at most ${maxTreeBytes} bytes for all that lies in it, got ${bytes.length}: spread it over several folders`;
        throw rejected(text);
      }
      const id = objectId(bytes);
      await write(TREES_PREFIX + id, bytes);
      return id;
    },
    async findCommit(id) {
      const known = commits.get(id);
      if (known !== undefined) return known;
      const bytes = await read(COMMITS_PREFIX + id, id);
      if (bytes === null) return null;
      const commit = decodeCommit(id, bytes);
      commits.set(id, commit);
      return commit;
    },
    async commit(id) {
      const commit = await hub.findCommit(id);
      if (commit === null) throw damaged(`commit ${id} is gone`);
      return commit;
    },
    async putCommit(commit) {
      const bytes = encodeCommit(commit);
      const id = objectId(bytes);
      await write(COMMITS_PREFIX + id, bytes);
      return id;
    },
  };
  return hub;
}
