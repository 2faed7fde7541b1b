import { ByteReader, ByteWriter, bytesEqual } from '../../bytes/index.js';
import { OrbweaverError } from '../../errors.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';

/**
 * The layout of an index table: an immutable list of entries in the order of their keys, which are
 * hashes. All numbers are little-endian but for the prefixes, which are compared as they lie.
 *
 *   for each of the two sections (files, chunks):
 *     pages     entries one after another, at most 16 KiB each; an entry is in one page
 *     filter    lines of 64 bytes: which keys are certainly not in the section
 *   footer      for each section: where its pages are, the first key of each, a check sum of each
 *   trailer     length and check sum of the footer
 *
 * Keys are as good as random, so the first bytes of one say which line of the filter and, by the footer,
 * which page to look at: with the footer in memory a question costs one small read, and mostly none.
 */

/** Entries of a page; with the key of the next one it says how long a read is. */
export const PAGE_BYTES: number = 16 * 1024;
export const FILES = 0;
export const CHUNKS = 1;
export type Section = typeof FILES | typeof CHUNKS;

export const LINE_BYTES = 64;
/** With {@link PROBES}: one key in a hundred passes that is not there. */
const BITS_PER_ENTRY = 12;
const PROBES = 6;

/** First bytes of a key that are compared as a number. */
export const PREFIX_BYTES = 6;
/** Of a page: its length, the prefix of its first key, its check sum. */
const SUM_BYTES = 8;
const PAGE_LINE_BYTES: number = 4 + PREFIX_BYTES + SUM_BYTES;
const FOOTER_SUM_BYTES = 16;
const MAGIC: Uint8Array = new TextEncoder().encode('orbweaver index1');
export const TRAILER_BYTES: number = 4 + FOOTER_SUM_BYTES + MAGIC.length;
/** Of a table of 256 MiB, the largest that is made, it is 300 KiB. */
const FOOTER_MAX_BYTES: number = 64 * 1024 * 1024;

/** Where things are in a section. */
export interface SectionMap {
  readonly entryCount: number;
  readonly pageCount: number;
  /** Page i is `[pageStarts[i], pageStarts[i + 1])` of the table. */
  readonly pageStarts: Float64Array;
  readonly firstPrefixes: Float64Array;
  readonly pageSums: Uint8Array;
  readonly filterStart: number;
  readonly filterLines: number;
  /** Of each 16 KiB of the filter. */
  readonly filterSums: Uint8Array;
}

export type TableMap = readonly [files: SectionMap, chunks: SectionMap];

const KEY: Uint8Array = new TextEncoder().encode('orbweaver gateway: index table 1');

function sumOf(hasher: Hasher, bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(HASH_BYTES);
  hasher.keyed(KEY, bytes, out, 0);
  // Not subarray(), which would give these few bytes a buffer of their own outside of the heap.
  return out.slice(0, length);
}

export function pageSum(hasher: Hasher, page: Uint8Array): Uint8Array {
  return sumOf(hasher, page, SUM_BYTES);
}

/** Whether check sum number `index` of `sums` is that of `page`. */
export function isPage(hasher: Hasher, page: Uint8Array, sums: Uint8Array, index: number): boolean {
  const expected = sums.subarray(index * SUM_BYTES, (index + 1) * SUM_BYTES);
  return bytesEqual(pageSum(hasher, page), expected);
}

/** The first bytes of a key as a number that orders as the bytes do. */
export function prefixOf(bytes: Uint8Array, offset = 0): number {
  let value = 0;
  for (let at = offset; at < offset + PREFIX_BYTES; at++)
    value = value * 256 + (bytes[at] as number);
  return value;
}

export const filterPages = (lines: number): number => Math.ceil((lines * LINE_BYTES) / PAGE_BYTES);

export function filterLinesFor(entryCount: number): number {
  return Math.ceil((entryCount * BITS_PER_ENTRY) / (8 * LINE_BYTES));
}

/** The line of the filter in which a key has its bits. */
export function filterLine(key: Uint8Array, lines: number): number {
  return Math.floor((prefixOf(key) / 2 ** (8 * PREFIX_BYTES)) * lines);
}

/** Nine bits of the key for each probe, from behind the prefix. */
function probeOf(key: Uint8Array, probe: number): number {
  const at = PREFIX_BYTES + 2 * probe;
  return (key[at] as number) + 256 * ((key[at + 1] as number) & 1);
}

/** @param start of the line in `filter` */
export function markInFilter(filter: Uint8Array, start: number, key: Uint8Array): void {
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = probeOf(key, probe);
    const at = start + (bit >>> 3);
    filter[at] = (filter[at] as number) | (1 << (bit & 7));
  }
}

/** False: the key is not in the section. @param start of the line in `filter` */
export function mayHold(filter: Uint8Array, start: number, key: Uint8Array): boolean {
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = probeOf(key, probe);
    if (((filter[start + (bit >>> 3)] as number) & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

/** What the writer knows of a section when it is written. */
export interface SectionLines {
  readonly entryCount: number;
  readonly pages: readonly {
    readonly sizeBytes: number;
    readonly prefix: Uint8Array;
    readonly sum: Uint8Array;
  }[];
  readonly filterLines: number;
  readonly filterSums: readonly Uint8Array[];
}

/** Footer and trailer. */
export function encodeFooter(hasher: Hasher, sections: readonly SectionLines[]): Uint8Array {
  const writer = new ByteWriter(1024);
  for (const { entryCount, pages, filterLines, filterSums } of sections) {
    writer.u64(entryCount).u32(pages.length).u32(filterLines);
    for (const { sizeBytes, prefix, sum } of pages) writer.u32(sizeBytes).bytes(prefix).bytes(sum);
    for (const sum of filterSums) writer.bytes(sum);
  }
  const footerBytes = writer.length;
  const sum = sumOf(hasher, writer.finish(), FOOTER_SUM_BYTES);
  writer.u32(footerBytes).bytes(sum).bytes(MAGIC);
  return writer.finish();
}

/**
 * Length of the footer, from the last {@link TRAILER_BYTES} of a table of `tableBytes`.
 * @throws OrbweaverError `FORMAT_INVALID`
 */
export function decodeTrailer(trailer: Uint8Array, tableBytes: number): number {
  const reader = new ByteReader(trailer);
  const footerBytes = reader.u32('footer length');
  reader.skip(FOOTER_SUM_BYTES, 'footer check sum');
  if (!bytesEqual(reader.view(MAGIC.length, 'magic'), MAGIC)) throw invalid('it has another end');
  if (footerBytes > Math.min(FOOTER_MAX_BYTES, tableBytes - TRAILER_BYTES)) {
    throw invalid(`its footer claims ${footerBytes} of ${tableBytes} bytes`);
  }
  return footerBytes;
}

/**
 * Footer and trailer as {@link encodeFooter} wrote them, of a table of `tableBytes`.
 * @throws OrbweaverError `FORMAT_INVALID`, `TRUNCATED`, `LIMIT_EXCEEDED`
 */
export function decodeFooter(hasher: Hasher, bytes: Uint8Array, tableBytes: number): TableMap {
  const footer = bytes.subarray(0, bytes.length - TRAILER_BYTES);
  const sumAt = footer.length + 4;
  const claimed = bytes.subarray(sumAt, sumAt + FOOTER_SUM_BYTES);
  if (!bytesEqual(sumOf(hasher, footer, FOOTER_SUM_BYTES), claimed)) {
    throw invalid('its footer has another check sum');
  }
  const reader = new ByteReader(footer);
  const files = readSection(reader, 0);
  const chunks = readSection(reader, endOfSection(files));
  if (reader.remaining > 0) throw invalid('its footer is too long');
  if (endOfSection(chunks) !== tableBytes - bytes.length) {
    throw invalid('its footer is that of another table');
  }
  return [files, chunks];
}

function readSection(reader: ByteReader, start: number): SectionMap {
  const entryCount = reader.u64Number('entries');
  const pageCount = reader.u32('pages');
  const filterLines = reader.u32('filter lines');
  const filterSumBytes = SUM_BYTES * filterPages(filterLines);
  // Before anything of that length is made.
  if (pageCount * PAGE_LINE_BYTES + filterSumBytes > reader.remaining) {
    throw invalid(`its footer claims ${pageCount} pages`);
  }
  if (pageCount > 0 && filterLines === 0) throw invalid('it has no filter');
  const pageStarts = new Float64Array(pageCount + 1);
  const firstPrefixes = new Float64Array(pageCount);
  const pageSums = new Uint8Array(SUM_BYTES * pageCount);
  let at = start;
  for (let page = 0; page < pageCount; page++) {
    const sizeBytes = reader.u32('page length');
    if (sizeBytes === 0 || sizeBytes > PAGE_BYTES) throw invalid(`a page has ${sizeBytes} bytes`);
    const prefix = prefixOf(reader.view(PREFIX_BYTES, 'first key'));
    if (page > 0 && prefix < (firstPrefixes[page - 1] as number)) throw invalid('it is not sorted');
    pageStarts[page] = at;
    firstPrefixes[page] = prefix;
    pageSums.set(reader.view(SUM_BYTES, 'check sum'), SUM_BYTES * page);
    at += sizeBytes;
  }
  pageStarts[pageCount] = at;
  const filterSums = reader.view(filterSumBytes, 'check sums of the filter').slice();
  return {
    entryCount,
    pageCount,
    pageStarts,
    firstPrefixes,
    pageSums,
    filterStart: at,
    filterLines,
    filterSums,
  };
}

function endOfSection({ filterStart, filterLines }: SectionMap): number {
  return filterStart + filterLines * LINE_BYTES;
}

export function invalid(what: string): OrbweaverError {
  return new OrbweaverError('FORMAT_INVALID', `index table: ${what}`);
}
