import { throwIfAborted } from '../../flow/index.js';
import { MerkleHash } from '../../hash/index.js';
import { createShardReader, type ShardFile } from '../../shard/index.js';
import { isDamage } from '../failures.js';
import { piecesOfObject } from '../keys.js';
import type { ObjectStore } from '../ports.js';
import type { IndexedFile, StoreIndex } from '../store-index.js';
import { mapAhead } from '../turns.js';
import { LiveSet } from './live-set.js';

/**
 * What the registered files need: their xorbs, and the shards that register one of them or list one of
 * their xorbs. Nothing else of xorbs and shards is needed by anybody.
 */
export async function reachableXorbs(
  index: StoreIndex,
  options: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<LiveSet> {
  const live = new LiveSet(options.maxBytes);
  const read = ({ hash }: IndexedFile): Promise<ShardFile | null> => {
    throwIfAborted(options.signal, 'the collection');
    return index.file(hash);
  };
  for await (const record of mapAhead(index.files(), CONCURRENT_READS, read)) {
    // Null: removed since it was listed.
    let last: MerkleHash | null = null;
    for (const { xorb } of record?.terms ?? []) {
      if (last === null || !xorb.equals(last)) live.add(xorb);
      last = xorb;
    }
  }
  return live;
}

/** A store that is far away takes as long for sixteen as for one. */
export const CONCURRENT_READS = 16;

/** Asked for together: the first files of a shard are as good as any to find out that it is needed. */
const FILES_AT_A_TIME = 256;

/** Whether the shard `key` is needed. One that cannot be read says nothing to anybody: no. */
export async function isShardReachable(
  key: string,
  parts: { readonly store: ObjectStore; readonly index: StoreIndex; readonly live: LiveSet },
): Promise<boolean> {
  const { store, index, live } = parts;
  const files: MerkleHash[] = [];
  try {
    const reader = createShardReader();
    for await (const piece of piecesOfObject(store, key)) {
      for (const event of reader.push(piece)) {
        if (event.type === 'xorb' && live.has(event.xorb.hash)) return true;
        if (event.type === 'file') files.push(event.file.hash);
      }
    }
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return false;
  }
  for (let at = 0; at < files.length; at += FILES_AT_A_TIME) {
    if ((await index.registered(files.slice(at, at + FILES_AT_A_TIME))).size > 0) return true;
  }
  return false;
}

const UNREADABLE = ['NOT_FOUND', 'TRUNCATED', 'FORMAT_INVALID', 'LIMIT_EXCEEDED', 'UNSUPPORTED'];

function isUnreadable(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return isDamage(error) || UNREADABLE.includes(String(code));
}

/** Hash in a key of two segments; null for anything else. */
export function hashOfKey(key: string): MerkleHash | null {
  const name = key.slice(key.indexOf('/') + 1);
  return /^[0-9a-f]{64}$/.test(name) ? MerkleHash.parse(name) : null;
}
