import { throwIfAborted } from '../../flow/index.js';
import type { Hasher } from '../../hash/ports.js';
import { checkOptions, is } from '../../options/index.js';
import { isDamage } from '../failures.js';
import { CLAIMS_PREFIX } from '../hub/claim-tables.js';
import { LFS_PREFIX } from '../hub/lfs-files.js';
import { COMMITS_PREFIX, TREES_PREFIX } from '../hub/objects.js';
import { INCOMING_PREFIX, TABLES_PREFIX } from '../keys.js';
import type { ObjectEntry, ObjectStore } from '../ports.js';
import { createStoreIndex } from '../store-index.js';
import { mapAhead } from '../turns.js';
import { createXorbCatalog, endOf } from '../xorb-catalog.js';
import { hashOfKey } from './reach.js';

/** What a store holds. */
export interface StoreStats {
  /** Registered files. */
  readonly files: number;
  /** Bytes of those files. */
  readonly logicalBytes: number;
  /** Uncompressed bytes of all stored xorbs: what is left of the files when nothing is there twice. */
  readonly uniqueBytes: number;
  /** Bytes of all objects, as they are stored. */
  readonly storedBytes: number;
  readonly objects: number;
}

/** Where objects lie, besides those of tenants. */
const OBJECT_PREFIXES: readonly string[] = [
  ...['xorbs/', 'shards/', TABLES_PREFIX, 'chunks/', 'files/', INCOMING_PREFIX],
  ...[TREES_PREFIX, COMMITS_PREFIX, CLAIMS_PREFIX, LFS_PREFIX],
];

const CONCURRENT_FOOTERS = 16;

/** Counts all of it, and reads the footer of every xorb and the record of every file. */
export async function storeStats(
  store: ObjectStore,
  options: { readonly hasher: Hasher; readonly signal?: AbortSignal | undefined },
): Promise<StoreStats> {
  const rules = { hasher: is.required(is.object), signal: is.signal };
  const { hasher, signal } = checkOptions('storeStats', options, rules);
  const stats = { files: 0, logicalBytes: 0, uniqueBytes: 0, storedBytes: 0, objects: 0 };
  const xorbs = createXorbCatalog({ store, hasher, cacheBytes: 1024 * 1024 });
  const count = async ({ key, sizeBytes }: ObjectEntry): Promise<void> => {
    throwIfAborted(signal, 'the count');
    stats.objects++;
    stats.storedBytes += sizeBytes;
    const hash = key.startsWith('xorbs/') ? hashOfKey(key) : null;
    const xorb = hash === null ? null : await xorbs.get(hash).catch(unlessDamaged);
    if (xorb !== null) stats.uniqueBytes += endOf(xorb.rawEnds, xorb.chunkCount);
  };
  for (const prefix of OBJECT_PREFIXES) {
    for await (const _ of mapAhead(store.list(prefix), CONCURRENT_FOOTERS, count));
  }
  for await (const { sizeBytes } of createStoreIndex({ store, hasher }).files()) {
    throwIfAborted(signal, 'the count');
    stats.files++;
    stats.logicalBytes += sizeBytes ?? 0;
  }
  return stats;
}

function unlessDamaged(error: unknown): null {
  if (isDamage(error)) return null;
  throw error;
}
