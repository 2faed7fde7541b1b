import { LRUCache } from 'lru-cache';
import { concatBytes } from '../../bytes/index.js';
import { isOrbweaverError } from '../../errors.js';
import type { Hasher } from '../../hash/ports.js';
import { damaged } from '../failures.js';
import type { ObjectStore } from '../ports.js';
import { createFlights } from '../turns.js';
import { entriesOf, type TableEntry, valuesIn } from './entries.js';
import {
  decodeFooter,
  decodeTrailer,
  filterLine,
  invalid,
  isPage,
  LINE_BYTES,
  mayHold,
  PAGE_BYTES,
  prefixOf,
  type Section,
  type SectionMap,
  type TableMap,
  TRAILER_BYTES,
} from './format.js';

/** Reads tables, and keeps of them what was read last, in all at most so many bytes. */
export interface TableReader {
  /** True: nothing has to be read to know that it does not have the key. */
  surelyLacks(table: string, section: Section, key: Uint8Array): boolean;
  /**
   * The values under a key: in pages that nobody writes to. Null: the table is gone.
   * @throws OrbweaverError `INTEGRITY` where it is damaged and the key may be
   */
  lookUp(table: string, section: Section, key: Uint8Array): Promise<Uint8Array[] | null>;
  /**
   * All entries of a section in order, a page at a time.
   * @throws OrbweaverError `INTEGRITY`; TableGone
   */
  scan(
    table: string,
    section: Section,
    options?: ScanOptions,
  ): AsyncGenerator<TableEntry[], void, undefined>;
  /** Entries of a section; null: the table is gone. @throws OrbweaverError `INTEGRITY` */
  count(table: string, section: Section): Promise<number | null>;
  /** Whether it still is as it was read. What was read of it is dropped otherwise. */
  look(table: string): Promise<'there' | 'changed' | 'gone'>;
  readonly usedBytes: number;
}

export interface ScanOptions {
  /** Begins with the page that may hold this key. @default the first page */
  readonly from?: Uint8Array | undefined;
  /** Pages that are damaged are passed over. @default false */
  readonly skipsDamage?: boolean | undefined;
}

/** Somebody deleted it, because its entries are in another one by now. */
export class TableGone extends Error {}

interface OpenTable {
  readonly version: string;
  readonly map: TableMap;
}

/** Enough for footer and all of a table of one small upload: one read then does. */
const TAIL_BYTES: number = 32 * 1024;
/** Pages that a scan reads at a time. */
const SCAN_PAGES = 16;

export function createTableReader(parts: {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly cacheBytes: number;
  /** Told of every damage that is found. */
  readonly onDamage?: (() => void) | undefined;
}): TableReader {
  const { store, hasher, cacheBytes } = parts;
  const isDamaged = (table: string, cause?: unknown): Error => {
    parts.onDamage?.();
    return damaged(`the table "${table}" of the index`, cause);
  };
  const opened = new LRUCache<string, OpenTable>({
    maxSize: Math.ceil(cacheBytes / 4),
    sizeCalculation: ({ map }) => map.reduce((sum, section) => sum + mapBytes(section), 512),
  });
  const pages = new LRUCache<string, Uint8Array>({
    maxSize: Math.ceil((3 * cacheBytes) / 4),
    sizeCalculation: ({ length }) => length + 256,
  });
  const opening = createFlights<OpenTable | null>();
  const loading = createFlights<Uint8Array | null>();

  /** What the bytes of a table make fail is damage of the table; a failing store is not. */
  async function guardedRead<Result>(table: string, run: () => Promise<Result>): Promise<Result> {
    try {
      return await run();
    } catch (error) {
      const isBytes = isOrbweaverError(error)
        ? ['FORMAT_INVALID', 'TRUNCATED', 'LIMIT_EXCEEDED'].includes(error.code)
        : error instanceof RangeError;
      throw isBytes ? isDamaged(table, error) : error;
    }
  }

  async function open(table: string): Promise<OpenTable | null> {
    const known = opened.get(table);
    if (known !== undefined) return known;
    return opening(table, async () => {
      const info = await store.head(table);
      if (info === null) return null;
      const { sizeBytes, version } = info;
      const map = await guardedRead(table, () => readMap(table, version, sizeBytes));
      if (map === null) return null;
      const entry = { version, map };
      opened.set(table, entry);
      return entry;
    });
  }

  /** The end of the table; the pages that came with it are kept. */
  async function readMap(table: string, version: string, end: number): Promise<TableMap | null> {
    if (end < TRAILER_BYTES) throw invalid('it is too short');
    let start = Math.max(0, end - TAIL_BYTES);
    let tail = await store.read(table, { start, end });
    if (tail === null) return null;
    const footerBytes = decodeTrailer(tail.subarray(-TRAILER_BYTES), end) + TRAILER_BYTES;
    if (footerBytes > tail.length) {
      const missing = await store.read(table, { start: end - footerBytes, end: start });
      if (missing === null) return null;
      tail = concatBytes([missing, tail]);
      start = end - footerBytes;
    }
    const map = decodeFooter(hasher, tail.subarray(-footerBytes), end);
    for (const section of map) keepPages(section, table, { version, map }, tail, start);
    return map;
  }

  function keepPages(
    section: SectionMap,
    table: string,
    entry: OpenTable,
    tail: Uint8Array,
    start: number,
  ): void {
    for (const part of partsOf(section)) {
      if (part.start < start) continue;
      const page = tail.slice(part.start - start, part.end - start);
      if (isPage(hasher, page, part.sums, part.index))
        pages.set(pageName(table, entry, part.start), page);
    }
  }

  /** A page or a part of the filter, checked. Null: the table is gone. */
  async function load(table: string, entry: OpenTable, part: Part): Promise<Uint8Array | null> {
    const name = pageName(table, entry, part.start);
    const known = pages.get(name);
    if (known !== undefined) return known;
    return loading(name, async () => {
      const page = await guardedRead(table, () =>
        store.read(table, { start: part.start, end: part.end }),
      );
      if (page === null) return null;
      if (!isPage(hasher, page, part.sums, part.index)) throw isDamaged(table);
      pages.set(name, page);
      return page;
    });
  }

  function surelyLacks(table: string, section: Section, key: Uint8Array): boolean {
    const entry = opened.get(table);
    if (entry === undefined) return false;
    const map = entry.map[section];
    if (map.pageCount === 0) return true;
    const line = filterLine(key, map.filterLines) * LINE_BYTES;
    const start = map.filterStart + line - (line % PAGE_BYTES);
    const filter = pages.get(pageName(table, entry, start));
    return filter !== undefined && !mayHold(filter, line % PAGE_BYTES, key);
  }

  async function lookUp(
    table: string,
    section: Section,
    key: Uint8Array,
  ): Promise<Uint8Array[] | null> {
    const entry = await open(table);
    if (entry === null) return null;
    const map = entry.map[section];
    if (map.pageCount === 0) return [];
    const line = filterLine(key, map.filterLines) * LINE_BYTES;
    const part = filterPart(map, Math.floor(line / PAGE_BYTES));
    const filter = await load(table, entry, part).catch(unlessDamaged);
    if (filter === null) return null;
    // A filter that cannot be read costs time, not an answer.
    if (filter !== undefined && !mayHold(filter, line % PAGE_BYTES, key)) return [];
    const found: Uint8Array[] = [];
    for (const index of pagesFor(map, prefixOf(key))) {
      const page = await load(table, entry, entryPart(map, index));
      if (page === null) return null;
      found.push(...(await guardedRead(table, async () => valuesIn(page, key))));
    }
    return found;
  }

  async function* scan(
    table: string,
    section: Section,
    { from, skipsDamage = false }: ScanOptions = {},
  ): AsyncGenerator<TableEntry[], void, undefined> {
    const entry = await open(table);
    if (entry === null) throw new TableGone(table);
    const map = entry.map[section];
    const skipped = from === undefined ? 0 : firstPageFor(map, prefixOf(from));
    for (let first = skipped; first < map.pageCount; first += SCAN_PAGES) {
      const end = Math.min(map.pageCount, first + SCAN_PAGES);
      const start = map.pageStarts[first] as number;
      const bytes = await guardedRead(table, () =>
        store.read(table, { start, end: map.pageStarts[end] as number }),
      );
      if (bytes === null) throw new TableGone(table);
      for (let index = first; index < end; index++) {
        const part = entryPart(map, index);
        const page = bytes.subarray(part.start - start, part.end - start);
        if (!isPage(hasher, page, part.sums, index)) {
          if (skipsDamage) continue;
          throw isDamaged(table);
        }
        yield await guardedRead(table, async () => [...entriesOf(page)]);
      }
    }
  }

  return {
    surelyLacks,
    lookUp,
    scan,
    async count(table, section) {
      return (await open(table))?.map[section].entryCount ?? null;
    },
    async look(table) {
      const info = await store.head(table);
      const known = opened.get(table);
      if (known === undefined || known.version === info?.version) {
        return info === null ? 'gone' : 'there';
      }
      // Its pages go by the version too: nobody finds them any more.
      opened.delete(table);
      return info === null ? 'gone' : 'changed';
    },
    get usedBytes() {
      return opened.calculatedSize + pages.calculatedSize;
    },
  };
}

function pageName(table: string, { version }: OpenTable, start: number): string {
  return `${start} ${version} ${table}`;
}

/** Bytes of a table that have a check sum of their own. */
interface Part {
  readonly start: number;
  readonly end: number;
  readonly sums: Uint8Array;
  readonly index: number;
}

function entryPart({ pageStarts, pageSums }: SectionMap, index: number): Part {
  const start = pageStarts[index] as number;
  return { start, end: pageStarts[index + 1] as number, sums: pageSums, index };
}

function filterPart({ filterStart, filterLines, filterSums }: SectionMap, index: number): Part {
  const start = filterStart + index * PAGE_BYTES;
  const end = Math.min(start + PAGE_BYTES, filterStart + filterLines * LINE_BYTES);
  return { start, end, sums: filterSums, index };
}

function* partsOf(map: SectionMap): Generator<Part> {
  for (let index = 0; index < map.pageCount; index++) yield entryPart(map, index);
  for (let index = 0; index * PAGE_BYTES < map.filterLines * LINE_BYTES; index++) {
    yield filterPart(map, index);
  }
}

/** Index of the first page that may hold a key with this prefix. */
function firstPageFor({ firstPrefixes, pageCount }: SectionMap, prefix: number): number {
  let low = 0;
  let high = pageCount;
  // The first page that begins with this prefix or a later one: the key can be in the one before.
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((firstPrefixes[middle] as number) < prefix) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** Indexes of the pages that may hold a key with this prefix. */
function* pagesFor(map: SectionMap, prefix: number): Generator<number> {
  for (let page = firstPageFor(map, prefix); page < map.pageCount; page++) {
    if ((map.firstPrefixes[page] as number) > prefix) return;
    yield page;
  }
}

function mapBytes({ pageStarts, pageSums, firstPrefixes, filterSums }: SectionMap): number {
  return (
    256 + pageStarts.byteLength + pageSums.length + firstPrefixes.byteLength + filterSums.length
  );
}

function unlessDamaged(error: unknown): undefined {
  if (isOrbweaverError(error) && error.code === 'INTEGRITY') return undefined;
  throw error;
}
