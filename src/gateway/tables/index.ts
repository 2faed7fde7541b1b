import { isOrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { damaged } from '../failures.js';
import type { ObjectStore } from '../ports.js';
import type { IndexRegistration } from '../store-index.js';
import { type ChunkEntry, decodeFileEntry, decodeStamp, type FileEntry } from './entries.js';
import { CHUNKS, FILES } from './format.js';
import { createTableList, type TableList } from './list.js';
import { createTableLock } from './lock.js';
import { newestShards } from './merge.js';
import { createTableReader, TableGone } from './read.js';
import { registerInTables } from './register.js';
import { allFiles, filesThere, findFile, searchTables } from './search.js';
import {
  dropFromTables,
  filesIn,
  isReadable,
  mergeIfDue,
  namesShard,
  salvageTable,
  type UpkeepParts,
} from './upkeep.js';

/** A table of which something cannot be read. */
export interface DamagedTable {
  readonly key: string;
  /** Whether it is known which hashes the damage may hide. Otherwise it may be any. */
  readonly isMapped: boolean;
}

/**
 * The packed part of the index. Each registration writes one table (`format.ts`); sixteen of a level
 * become one of the next, so that a store of a million registrations has some tens of them.
 */
export interface IndexTables {
  /** @throws OrbweaverError `INTEGRITY` */
  file(hash: MerkleHash): Promise<FileEntry | null>;
  files(): AsyncIterable<readonly [hash: MerkleHash, entry: FileEntry]>;
  /** Newest first. */
  shards(chunk: MerkleHash): Promise<readonly ChunkEntry[]>;
  register(registration: IndexRegistration): Promise<boolean>;
  /** @param options `isFresh`: looks which tables there are before it decides that there is nothing to do */
  merge(options: { readonly isFresh: boolean }): Promise<void>;
  /** Which of them are registered, by one listing. @throws OrbweaverError `INTEGRITY` */
  filesThere(hashes: readonly MerkleHash[]): Promise<ReadonlyMap<string, FileEntry>>;
  /** Which of them were there. */
  remove(hashes: readonly MerkleHash[]): Promise<ReadonlySet<string>>;
  forgetShards(shards: ReadonlySet<string>): Promise<void>;
  /** Keys of tables with something that cannot be read; all of them are read for it. */
  damaged(): Promise<readonly DamagedTable[]>;
  /** Which of these may have had the file where they cannot be read. */
  damagedFor(tables: readonly string[], hash: MerkleHash): Promise<readonly string[]>;
  /** Writes them again with what can be read; what else they had, and no other has, is lost. */
  salvage(tables: readonly string[]): Promise<void>;
  readonly usedBytes: number;
}

/** What another process registers shows in dedup responses after this at the latest. */
const CHUNKS_AGE_MS = 2000;
const MAX_ATTEMPTS = 8;

export function createIndexTables(parts: {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly cacheBytes: number;
  readonly onDamage?: (() => void) | undefined;
  /** 64 hexadecimal digits that nobody else has. */
  readonly newName: () => string;
}): IndexTables {
  const { store, hasher, clock, newName } = parts;
  const reader = createTableReader(parts);
  const list: TableList = createTableList(store, clock);
  const lock = createTableLock({ values: store.values, clock, newOwner: newName });
  const upkeep: UpkeepParts = { store, hasher, reader, list, newName };
  /** Tables that cannot be merged. */
  const bad = new Set<string>();

  async function shards(chunk: MerkleHash): Promise<ChunkEntry[]> {
    let tables = await list.known(CHUNKS_AGE_MS);
    for (let attempt = 0; ; attempt++) {
      const { values, isStale } = await searchTables(reader, tables, CHUNKS, chunk);
      // What is damaged is left out: dedup is an optimisation.
      if (!isStale || attempt === MAX_ATTEMPTS) {
        return newestShards(values.map(({ value }) => value)).map(decodeStamp);
      }
      tables = await list.refresh();
    }
  }

  return {
    async file(hash) {
      const value = await findFile(reader, list, hash);
      return value === null ? null : decoded(hash, value);
    },
    async *files() {
      for await (const { key, value } of allFiles(reader, list)) {
        const hash = MerkleHash.from(key);
        yield [hash, decoded(hash, value)] as const;
      }
    },
    shards,
    register: (registration) =>
      registerInTables({ store, hasher, clock, reader, list, shards }, registration),
    async merge({ isFresh }) {
      const tables = isFresh ? await list.refresh() : await list.known(Number.POSITIVE_INFINITY);
      await mergeIfDue(upkeep, lock, bad, tables);
    },
    async remove(hashes) {
      const found = new Set<string>();
      await dropFromTables(upkeep, lock, async (table) => {
        const files = new Set(await filesIn(upkeep, table, hashes));
        for (const name of files) found.add(name);
        return files.size === 0
          ? null
          : { file: ({ key }) => files.has(textOf(key)), chunk: () => false };
      });
      return found;
    },
    async filesThere(hashes) {
      const there = await filesThere(reader, list, hashes);
      const entries = new Map<string, FileEntry>();
      for (const hash of hashes) {
        const value = there.get(hash.toString());
        if (value !== undefined) entries.set(hash.toString(), decoded(hash, value));
      }
      return entries;
    },
    async damaged() {
      const found: DamagedTable[] = [];
      for (const table of await list.refresh()) {
        // Not what memory has of it.
        await reader.look(table.key);
        const isBad = await isReadable(upkeep, table).then((isGood) => !isGood, unlessGone);
        if (!isBad) continue;
        const isMapped = await reader.count(table.key, FILES).then(() => true, unlessDamaged);
        found.push({ key: table.key, isMapped });
      }
      return found;
    },
    async salvage(keys) {
      const held = await lock.take();
      try {
        for (const table of await list.refresh()) {
          if (!keys.includes(table.key)) continue;
          await held.check();
          await salvageTable(upkeep, held, table).catch(unlessGone);
        }
      } finally {
        await held.release();
      }
    },
    forgetShards: (names) =>
      dropFromTables(upkeep, lock, async (table) => {
        if (!(await namesShard(upkeep, table, names))) return null;
        return {
          file: () => false,
          chunk: ({ value }) => names.has(decodeStamp(value).shard.toString()),
        };
      }),
    async damagedFor(tables, hash) {
      const found: string[] = [];
      for (const key of tables) {
        try {
          await reader.lookUp(key, FILES, hash.bytes);
        } catch (error) {
          if (!isOrbweaverError(error) || error.code !== 'INTEGRITY') throw error;
          found.push(key);
        }
      }
      return found;
    },
    get usedBytes() {
      return reader.usedBytes;
    },
  };
}

function unlessDamaged(error: unknown): false {
  if (isOrbweaverError(error) && error.code === 'INTEGRITY') return false;
  throw error;
}

function unlessGone(error: unknown): false {
  if (error instanceof TableGone) return false;
  throw error;
}

function textOf(key: Uint8Array): string {
  return MerkleHash.from(key).toString();
}

function decoded(hash: MerkleHash, value: Uint8Array): FileEntry {
  try {
    return decodeFileEntry(hash, value);
  } catch (error) {
    throw damaged(`the record of file ${hash} cannot be read`, error);
  }
}
