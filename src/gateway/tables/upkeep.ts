import { isOrbweaverError } from '../../errors.js';
import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { ObjectStore } from '../ports.js';
import { decodeStamp, type TableEntry } from './entries.js';
import { CHUNKS, FILES, type Section } from './format.js';
import { MAX_LEVEL, type TableList, type TableName, tableKey } from './list.js';
import type { HeldLock, TableLock } from './lock.js';
import { groupByKey, mergedChunks, mergedFiles } from './merge.js';
import { TableGone, type TableReader } from './read.js';
import { writeTable } from './write.js';

/** What makes tables of tables. All of it under the lock; the new one is there before the old ones go. */

export interface UpkeepParts {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly reader: TableReader;
  readonly list: TableList;
  /** A text that nobody else has: whoever gives up deletes what he put, and must not hit another's. */
  readonly newName: () => string;
}

/** So many tables of a level become one of the next. */
export const FAN_IN = 16;
/** What is larger is not merged any more: one more table in so much, and no work without end. */
const MERGED_MAX_BYTES: number = 256 * 1024 * 1024;

/** The tables that are to be merged now; null: there is nothing to do. `bad` ones stay as they are. */
function pickTables(
  tables: readonly TableName[],
  bad: ReadonlySet<string>,
): readonly TableName[] | null {
  for (let level = 0; level < MAX_LEVEL; level++) {
    const all = tables.filter((table) => table.level === level && !bad.has(table.key));
    if (all.length < FAN_IN) continue;
    // The smallest first: what is left over is what is too large anyway.
    const sorted = all.sort((a, b) => a.sizeBytes - b.sizeBytes || (a.key < b.key ? -1 : 1));
    let sizeBytes = 0;
    const picked = sorted.slice(0, FAN_IN).filter((table) => {
      sizeBytes += table.sizeBytes;
      return sizeBytes <= MERGED_MAX_BYTES;
    });
    if (picked.length > 1) return picked;
  }
  return null;
}

/** Merges while there is something to merge. @param bad learns what is damaged */
async function mergeTables(parts: UpkeepParts, lock: HeldLock, bad: Set<string>): Promise<void> {
  for (;;) {
    const inputs = pickTables(await parts.list.refresh(), bad);
    if (inputs === null) return;
    try {
      await mergeOnce(parts, lock, inputs);
    } catch (error) {
      if (error instanceof TableGone) continue;
      if (!isOrbweaverError(error) || error.code !== 'INTEGRITY') throw error;
      await findDamaged(parts, inputs, bad);
    }
  }
}

async function mergeOnce(
  parts: UpkeepParts,
  lock: HeldLock,
  inputs: readonly TableName[],
): Promise<void> {
  const level = (inputs[0] as TableName).level + 1;
  await replaceTables(parts, lock, inputs, level, {
    files: mergedFiles(groupByKey(sourcesOf(parts, lock, inputs, FILES))),
    chunks: mergedChunks(groupByKey(sourcesOf(parts, lock, inputs, CHUNKS))),
  });
}

function sourcesOf(
  { reader }: UpkeepParts,
  lock: HeldLock,
  tables: readonly TableName[],
  section: Section,
): AsyncGenerator<TableEntry[], void, undefined>[] {
  return tables.map(async function* ({ key }) {
    for await (const page of reader.scan(key, section)) {
      await lock.check();
      yield page;
    }
  });
}

/** Puts a table of what is left of `inputs`, and then deletes them. */
async function replaceTables(
  parts: UpkeepParts,
  lock: HeldLock,
  inputs: readonly TableName[],
  level: number,
  entries: {
    readonly files: AsyncIterable<TableEntry>;
    readonly chunks: AsyncIterable<TableEntry>;
  },
): Promise<void> {
  const { store, hasher, list } = parts;
  const key = tableKey(level, parts.newName(), list.prefix);
  const body = writeTable(hasher, [
    { maxCount: await countOf(parts, inputs, FILES), entries: entries.files },
    { maxCount: await countOf(parts, inputs, CHUNKS), entries: entries.chunks },
  ]);
  let sizeBytes = 0;
  let failed: { readonly reason: unknown } | null = null;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of body) {
        sizeBytes += piece.length;
        yield piece;
      }
    } catch (reason) {
      failed = { reason };
      throw reason;
    }
  };
  try {
    await store.put(key, counted());
  } catch (error) {
    // Not in the words of the store: what was being read failed.
    throw (failed as { readonly reason: unknown } | null)?.reason ?? error;
  }
  try {
    await lock.check();
  } catch (error) {
    // Somebody may have removed entries that are in here again.
    await store.delete(key);
    throw error;
  }
  list.change([{ key, level, sizeBytes }], []);
  for (const input of inputs) await store.delete(input.key);
  list.change([], inputs);
}

async function countOf(
  { reader }: UpkeepParts,
  tables: readonly TableName[],
  section: Section,
): Promise<number> {
  let sum = 0;
  for (const { key } of tables) {
    const count = await reader.count(key, section);
    if (count === null) throw new TableGone(key);
    sum += count;
  }
  return sum;
}

async function findDamaged(
  parts: UpkeepParts,
  tables: readonly TableName[],
  bad: Set<string>,
): Promise<void> {
  const before = bad.size;
  for (const table of tables) {
    try {
      if (!(await isReadable(parts, table))) bad.add(table.key);
    } catch (error) {
      if (error instanceof TableGone) return;
      throw error;
    }
  }
  // It was healed meanwhile, or a disk cannot make up its mind: not for ever.
  if (bad.size === before) for (const { key } of tables) bad.add(key);
}

/** Which entries of the sections are to be left out. */
export interface Unwanted {
  readonly file: (entry: TableEntry) => boolean;
  readonly chunk: (entry: TableEntry) => boolean;
}

/**
 * Writes the table again without some entries. @throws OrbweaverError `INTEGRITY`; TableGone
 */
async function rewriteTable(
  parts: UpkeepParts,
  lock: HeldLock,
  table: TableName,
  unwanted: Unwanted,
): Promise<void> {
  const kept = async function* (
    section: Section,
    isUnwanted: (entry: TableEntry) => boolean,
  ): AsyncGenerator<TableEntry> {
    for (const pages of sourcesOf(parts, lock, [table], section)) {
      for await (const page of pages) yield* page.filter((entry) => !isUnwanted(entry));
    }
  };
  await replaceTables(parts, lock, [table], table.level, {
    files: kept(FILES, unwanted.file),
    chunks: kept(CHUNKS, unwanted.chunk),
  });
}

/**
 * Rewrites every table of which `look` wants something gone, until none is left. What is damaged stays as it
 * is, and is thrown when all others are done.
 */
export async function dropFromTables(
  parts: UpkeepParts,
  lock: TableLock,
  look: (table: TableName) => Promise<Unwanted | null>,
): Promise<void> {
  const held = await lock.take();
  try {
    const done = new Set<string>();
    let damage: unknown = null;
    for (;;) {
      await held.check();
      const table = (await parts.list.refresh()).find(({ key }) => !done.has(key));
      if (table === undefined) break;
      done.add(table.key);
      try {
        const unwanted = await look(table);
        if (unwanted !== null) await rewriteTable(parts, held, table, unwanted);
      } catch (error) {
        if (error instanceof TableGone) continue;
        if (!isOrbweaverError(error) || error.code !== 'INTEGRITY') throw error;
        damage = error;
      }
    }
    if (damage !== null) throw damage;
  } finally {
    await held.release();
  }
}

/** Merges where there are enough tables and nobody else does. @param bad learns what is damaged */
export async function mergeIfDue(
  parts: UpkeepParts,
  lock: TableLock,
  bad: Set<string>,
  tables: readonly TableName[],
): Promise<void> {
  if (pickTables(tables, bad) === null) return;
  const held = await lock.tryTake();
  if (held === null) return;
  try {
    await mergeTables(parts, held, bad);
  } finally {
    await held.release();
  }
}

/** Whether all of a table can be read. @throws TableGone */
export async function isReadable({ reader }: UpkeepParts, { key }: TableName): Promise<boolean> {
  try {
    for (const section of [FILES, CHUNKS] as const) {
      for await (const _ of reader.scan(key, section));
    }
    return true;
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'INTEGRITY') throw error;
    return false;
  }
}

/** Writes what can be read of a damaged table again, and deletes it. */
export async function salvageTable(
  parts: UpkeepParts,
  lock: HeldLock,
  table: TableName,
): Promise<void> {
  const { reader, store, list } = parts;
  const readable = async function* (section: Section): AsyncGenerator<TableEntry> {
    for await (const page of reader.scan(table.key, section, { skipsDamage: true })) {
      await lock.check();
      yield* page;
    }
  };
  try {
    await replaceTables(parts, lock, [table], table.level, {
      files: readable(FILES),
      chunks: readable(CHUNKS),
    });
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'INTEGRITY') throw error;
    // Nobody can tell where its pages begin.
    await store.delete(table.key);
    list.change([], [table]);
  }
}

/** Whether a table has an entry of one of the shards. */
export async function namesShard(
  { reader }: UpkeepParts,
  { key }: TableName,
  shards: ReadonlySet<string>,
): Promise<boolean> {
  for await (const page of reader.scan(key, CHUNKS)) {
    if (page.some(({ value }) => shards.has(decodeStamp(value).shard.toString()))) return true;
  }
  return false;
}

/** Which of the files a table has. */
export async function filesIn(
  { reader }: UpkeepParts,
  { key }: TableName,
  hashes: readonly MerkleHash[],
): Promise<string[]> {
  const found: string[] = [];
  for (const hash of hashes) {
    const values = await reader.lookUp(key, FILES, hash.bytes);
    if (values === null) throw new TableGone(key);
    if (values.length > 0) found.push(hash.toString());
  }
  return found;
}
