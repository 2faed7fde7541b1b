import { createMerkleTree, HASH_BYTES, type MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { createShardReader, type ShardFile } from '../../shard/index.js';
import { isDamage } from '../failures.js';
import { fileKey, piecesOfObject, xorbKey } from '../keys.js';
import type { ObjectStore } from '../ports.js';
import { createStoreIndex, type StoreIndex } from '../store-index.js';
import { createYielder, mapAhead } from '../turns.js';
import { createXorbCatalog, rawBytesOf, type XorbCatalog } from '../xorb-catalog.js';
import { CONCURRENT_READS } from './reach.js';
import type { XorbDamage } from './scrub-xorb.js';

const CACHE_BYTES = 32 * 1024 * 1024;
const CHUNKS_PER_TURN = 8192;

/** Damaged objects with the files that they hit, and how many records were checked. */
export interface HitFiles {
  readonly hit: ReadonlyMap<string, ReadonlySet<string>>;
  readonly checkedCount: number;
}

/**
 * Goes through all file records: each has to build its file of what the footers of xorbs say, and is hit by
 * every damaged chunk that it names.
 */
export async function findHitFiles(
  damage: ReadonlyMap<string, XorbDamage>,
  parts: {
    readonly store: ObjectStore;
    readonly hasher: Hasher;
    readonly scope: { readonly ended: boolean; readonly reason: Error };
  },
): Promise<HitFiles> {
  const { store, hasher, scope } = parts;
  const index = createStoreIndex({ store, hasher });
  const xorbs = createXorbCatalog({ store, hasher, cacheBytes: CACHE_BYTES });
  const hit = new Map<string, Set<string>>([...damage.keys()].map((key) => [key, new Set()]));
  const add = (key: string, file: MerkleHash): void => {
    const files = hit.get(key) ?? new Set();
    hit.set(key, files.add(file.toString()));
  };
  let checkedCount = 0;
  const broken = await index.damage();
  let isNeeded = false;
  const known = { store, index, hasher, xorbs };
  const check = async (hash: MerkleHash): Promise<void> => {
    if (scope.ended) throw scope.reason;
    const record = await index.file(hash).catch(nullIfDamaged);
    if (record === undefined) {
      const keys = (await broken?.keysOf(hash)) ?? [];
      isNeeded ||= keys.length > 0;
      for (const key of keys.length > 0 ? keys : [fileKey(hash)]) add(key, hash);
    }
    if (!record) return;
    const keys = await recordDamage(record, { damage, xorbs, hasher });
    for (const key of keys) add(key, hash);
  };
  const files = registeredFiles(known, new Set(damage.keys()));
  for await (const _ of mapAhead(files, CONCURRENT_READS, check)) checkedCount++;
  // All that the damaged part said is known elsewhere, or was dedup: nothing is lost with it.
  if (broken !== null && !isNeeded) await broken.salvage();
  return { hit, checkedCount };
}

/** What of a store keeps a file from being read. */
export async function recordDamage(
  record: ShardFile,
  parts: {
    readonly damage: ReadonlyMap<string, XorbDamage>;
    readonly xorbs: XorbCatalog;
    readonly hasher: Hasher;
  },
): Promise<ReadonlySet<string>> {
  const { damage, xorbs, hasher } = parts;
  const found = new Set<string>();
  const tree = createMerkleTree(hasher);
  const yieldAfter = createYielder(CHUNKS_PER_TURN);
  let isWhole = true;
  for (const { xorb, chunkStart, chunkEnd } of record.terms) {
    const key = xorbKey(xorb);
    if (isHit(damage.get(key), chunkStart, chunkEnd)) found.add(key);
    const known = await xorbs.get(xorb).catch(nullIfDamaged);
    if (!known) {
      found.add(key);
      isWhole = false;
      continue;
    }
    if (chunkStart >= chunkEnd || chunkEnd > known.chunkCount) {
      found.add(fileKey(record.hash));
      isWhole = false;
      continue;
    }
    for (let chunk = chunkStart; isWhole && chunk < chunkEnd; chunk++) {
      tree.push(known.chunkHashes, chunk * HASH_BYTES, rawBytesOf(known.rawEnds, chunk, chunk + 1));
    }
    await yieldAfter(chunkEnd - chunkStart);
  }
  if (isWhole && !tree.fileHash().equals(record.hash)) found.add(fileKey(record.hash));
  return found;
}

function isHit(damage: XorbDamage | undefined, start: number, end: number): boolean {
  if (damage === undefined || damage === 'none') return false;
  if (damage === 'all') return true;
  for (const chunk of damage) if (chunk >= start && chunk < end) return true;
  return false;
}

/** Undefined for what is damaged. */
function nullIfDamaged(error: unknown): undefined {
  if (isDamage(error)) return undefined;
  throw error;
}

/**
 * All registered files. Where the index itself is damaged it cannot list them: then those that shards
 * name, as far as the index does not say that they are not registered.
 */
async function* registeredFiles(
  parts: {
    readonly store: ObjectStore;
    readonly index: StoreIndex;
    readonly hasher: Hasher;
    readonly xorbs: XorbCatalog;
  },
  damaged: ReadonlySet<string>,
): AsyncGenerator<MerkleHash, void, undefined> {
  const { store, index } = parts;
  const seen = new Set<string>();
  try {
    for await (const { hash } of index.files()) {
      seen.add(hash.toString());
      yield hash;
    }
    return;
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  for await (const { key } of store.list('shards/')) {
    for (const file of await filesOf(store, key)) {
      if (seen.has(file.hash.toString())) continue;
      // Of a damaged shard a file is believed that its terms build: the damage is not in its name.
      if (damaged.has(key) && (await recordDamage(file, { ...parts, damage: new Map() })).size > 0)
        continue;
      seen.add(file.hash.toString());
      yield file.hash;
    }
  }
}

/** Files that a shard registers, up to where it cannot be read. */
export async function filesOf(store: ObjectStore, key: string): Promise<readonly ShardFile[]> {
  const files: ShardFile[] = [];
  const reader = createShardReader();
  try {
    for await (const piece of piecesOfObject(store, key)) {
      for (const event of reader.push(piece)) if (event.type === 'file') files.push(event.file);
    }
  } catch {
    // What was read before the damage counts.
  }
  return files;
}
