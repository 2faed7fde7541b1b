import type { Sequence } from '../bytes/index.js';
import { throwIfAborted } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { createShardReader, type ShardFile } from '../shard/index.js';
import { MAX_SHARDS } from './dedup-index.js';
import { isDamage } from './failures.js';
import { piecesOfObject, SHARDS_PREFIX, shardObjectKey } from './keys.js';
import { GATEWAY_DEFAULTS } from './options.js';
import type { ObjectStore } from './ports.js';
import { allIndexedChunks, createShardOutlines } from './shard-outline.js';
import type { StoreIndex } from './store-index.js';
import { createXorbCatalog } from './xorb-catalog.js';

/** What repairing did. */
export interface IndexRepair {
  /** Parts of the index that were damaged. */
  readonly parts: number;
  /** Files that are registered again. */
  readonly files: number;
  /** Shards that dedup queries find again. */
  readonly shards: number;
}

const CACHE_BYTES: number = 4 * 1024 * 1024;

/**
 * The index is made from shards, and so it is mended: where a part is damaged, every shard is read again,
 * and what it says of files that may have been in there is registered anew, if their xorbs are still there.
 * Nothing is done, and no shard read, when the index is whole. Gateways may go on meanwhile.
 *
 * A file that was removed, and whose shard and xorbs are still there, comes back if its entry could have
 * been where the damage is: on a page of a hundred, or anywhere, when it is not known where pages begin.
 */
export async function repairIndex(parts: {
  readonly store: ObjectStore;
  readonly index: StoreIndex;
  readonly hasher: Hasher;
  /** One chunk in so many is listed. @default that of the gateway */
  readonly oneIn?: number | undefined;
  /** Does nothing where damage may hide any file at all. @default false */
  readonly onlyMapped?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<IndexRepair> {
  const {
    store,
    index,
    hasher,
    signal,
    onlyMapped = false,
    oneIn = GATEWAY_DEFAULTS.dedupOneIn,
  } = parts;
  const damage = await index.damage();
  const done = { parts: 0, files: 0, shards: 0 };
  if (damage === null || (onlyMapped && !damage.isMapped)) return done;
  done.parts = damage.keys.length;
  const xorbs = createXorbCatalog({ store, hasher, cacheBytes: CACHE_BYTES });
  const outlines = createShardOutlines({ store, hasher, xorbs, cacheBytes: CACHE_BYTES, oneIn });
  let isComplete = true;
  /** Every xorb is there. Where one is damaged the file stays what it is: damaged. */
  async function canBeBuilt({ terms }: ShardFile): Promise<boolean> {
    try {
      for (const { xorb, chunkEnd } of terms) {
        const known = await xorbs.get(xorb);
        if (known === null || chunkEnd > known.chunkCount) return false;
      }
      return true;
    } catch (error) {
      if (!isDamage(error)) throw error;
      isComplete = false;
      return false;
    }
  }
  for await (const { key } of store.list(SHARDS_PREFIX)) {
    throwIfAborted(signal, 'the repair of the index');
    const shard = MerkleHash.parse(key.slice(SHARDS_PREFIX.length));
    try {
      const outline = await outlines.get(shard);
      if (outline === null) continue;
      const chunks = await allIndexedChunks(outline);
      const files = await lostFiles(shard, { store, index, canBeBuilt });
      const isUnlisted = !(await isListed(index, shard, chunks));
      if (files.length === 0 && !isUnlisted) continue;
      await index.register({ shard, chunks, files, relist: true, isGood: async () => true });
      done.files += files.length;
      if (isUnlisted) done.shards++;
    } catch (error) {
      // Damaged itself: what it names stays in doubt until it is uploaded again.
      if (!isDamage(error)) throw error;
      isComplete = false;
    }
  }
  if (isComplete) await damage.salvage();
  return done;
}

/** Files of a shard that may have been in what is damaged, and that can be built. */
async function lostFiles(
  shard: MerkleHash,
  {
    store,
    index,
    canBeBuilt,
  }: {
    store: ObjectStore;
    index: StoreIndex;
    canBeBuilt: (file: ShardFile) => Promise<boolean>;
  },
): Promise<ShardFile[]> {
  const reader = createShardReader();
  const lost: ShardFile[] = [];
  for await (const piece of piecesOfObject(store, shardObjectKey(shard))) {
    for (const event of reader.push(piece)) {
      if (event.type !== 'file') continue;
      if ((await isLost(index, event.file)) && (await canBeBuilt(event.file)))
        lost.push(event.file);
    }
  }
  return lost;
}

/** Whether nobody can tell if the file is registered. */
async function isLost(index: StoreIndex, { hash }: ShardFile): Promise<boolean> {
  try {
    await index.find(hash);
    return false;
  } catch (error) {
    if (isDamage(error)) return true;
    throw error;
  }
}

/** False: one of its chunks does not lead to the shard, though it would be among the newest. */
async function isListed(
  index: StoreIndex,
  shard: MerkleHash,
  chunks: Sequence<MerkleHash>,
): Promise<boolean> {
  for (const chunk of chunks) {
    const known = await index.shards(chunk);
    if (known.length < MAX_SHARDS && !known.some((each) => each.equals(shard))) return false;
  }
  return true;
}
