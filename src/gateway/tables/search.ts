import { isOrbweaverError } from '../../errors.js';
import type { MerkleHash } from '../../hash/index.js';
import { mapLimited } from '../turns.js';
import { compareBytes, type TableEntry } from './entries.js';
import { FILES, type Section } from './format.js';
import type { TableList, TableName } from './list.js';
import { groupByKey, latest } from './merge.js';
import { TableGone, type TableReader } from './read.js';

/** What all tables together say. */

/** A value, and where it was found. */
export interface FoundValue {
  readonly value: Uint8Array;
  readonly table: TableName;
}

export interface Found {
  readonly values: readonly FoundValue[];
  /** A table was deleted meanwhile: its entries are in one that is not known yet. */
  readonly isStale: boolean;
  /** Something that may have held the key cannot be read. */
  readonly damage: unknown;
}

const CONCURRENT_TABLES = 8;

/** Everything under a key in `tables`. */
export async function searchTables(
  reader: TableReader,
  tables: readonly TableName[],
  section: Section,
  key: MerkleHash,
): Promise<Found> {
  let isStale = false;
  let damage: unknown = null;
  const values: FoundValue[] = [];
  // A dense question is thousands of these, and hardly any has to wait for something.
  const possible = tables.filter((table) => !reader.surelyLacks(table.key, section, key.bytes));
  await mapLimited(possible, CONCURRENT_TABLES, async (table) => {
    try {
      const found = await reader.lookUp(table.key, section, key.bytes);
      if (found === null) isStale = true;
      for (const value of found ?? []) values.push({ value, table });
    } catch (error) {
      if (!isOrbweaverError(error) || error.code !== 'INTEGRITY') throw error;
      damage = error;
    }
  });
  return { values, isStale, damage };
}

/** What another process registers is seen after this at the latest, in answers that something else was there for. */
export const FILES_AGE_MS = 5000;
const MAX_ATTEMPTS = 8;

/**
 * The entry of a file as the store has it now; null when there is none.
 * @throws OrbweaverError `INTEGRITY` when a table that may have it is damaged, and no other has it
 */
export async function findFile(
  reader: TableReader,
  list: TableList,
  hash: MerkleHash,
): Promise<Uint8Array | null> {
  let tables = await list.known(FILES_AGE_MS);
  for (let attempt = 0; ; attempt++) {
    const { values, isStale, damage } = await searchTables(reader, tables, FILES, hash);
    if (values.length > 0) {
      const value = latest(values.map((found) => found.value));
      const holder = values.find((found) => found.value === value) as FoundValue;
      if ((await reader.look(holder.table.key)) === 'there' || attempt >= MAX_ATTEMPTS)
        return value;
    } else if (attempt > 0 && !(isStale && attempt < MAX_ATTEMPTS)) {
      if (damage !== null) throw damage;
      return null;
    }
    tables = await list.refresh();
  }
}

/**
 * Everything under many keys, each once, by one listing. What is damaged is told where nothing else has the key.
 */
export async function valuesThere(
  reader: TableReader,
  list: TableList,
  section: Section,
  keys: readonly MerkleHash[],
): Promise<ReadonlyMap<string, Pick<Found, 'damage'> & { readonly values: Uint8Array[] }>> {
  const there = new Map<string, { values: Uint8Array[]; damage: unknown }>();
  if (keys.length === 0) return there;
  // In the order of the tables, so that each page is read once.
  const inOrder = [...keys].sort((a, b) => compareBytes(a.bytes, b.bytes));
  for (let attempt = 0; ; attempt++) {
    const tables = await list.refresh();
    let isStale = false;
    await mapLimited(inOrder, CONCURRENT_TABLES, async (key) => {
      const found = await searchTables(reader, tables, section, key);
      isStale ||= found.isStale;
      const values = found.values.map(({ value }) => value);
      const damage = values.length === 0 && !found.isStale ? found.damage : null;
      if (values.length > 0 || damage !== null) there.set(key.toString(), { values, damage });
    });
    // A table that went may have been read from memory: it counts what is there now.
    const states = await mapLimited(tables, CONCURRENT_TABLES, ({ key }) => reader.look(key));
    if (attempt === MAX_ATTEMPTS) return there;
    if (!isStale && states.every((state) => state === 'there')) return there;
    there.clear();
  }
}

/**
 * Which of many files there are, by one listing.
 * @throws OrbweaverError `INTEGRITY` when a table that may have one is damaged, and no other has it
 */
export async function filesThere(
  reader: TableReader,
  list: TableList,
  hashes: readonly MerkleHash[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const there = new Map<string, Uint8Array>();
  for (const [name, { values, damage }] of await valuesThere(reader, list, FILES, hashes)) {
    if (damage !== null) throw damage;
    there.set(name, latest(values));
  }
  return there;
}

/**
 * The newest entry of every file, in the order of the keys. When a table goes, because another one has
 * its entries now, it goes on with that one.
 */
export async function* allFiles(
  reader: TableReader,
  list: TableList,
): AsyncGenerator<TableEntry, void, undefined> {
  let last: Uint8Array | undefined;
  for (let attempt = 0; ; attempt++) {
    const tables = await list.refresh();
    try {
      for await (const entry of newestFiles(reader, tables, last)) {
        last = entry.key;
        yield entry;
      }
      return;
    } catch (error) {
      if (!(error instanceof TableGone) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function* newestFiles(
  reader: TableReader,
  tables: readonly TableName[],
  after: Uint8Array | undefined,
): AsyncGenerator<TableEntry, void, undefined> {
  const sources = tables.map(({ key }) => reader.scan(key, FILES, { from: after }));
  for await (const { key, values } of groupByKey(sources)) {
    if (after !== undefined && compareBytes(key, after) <= 0) continue;
    yield { key, value: latest(values) };
  }
}
