import type { Hasher } from '../../hash/ports.js';
import { createYielder } from '../turns.js';
import { entryBytes, type TableEntry, writeEntry } from './entries.js';
import {
  encodeFooter,
  filterLine,
  filterLinesFor,
  filterPages,
  LINE_BYTES,
  markInFilter,
  PAGE_BYTES,
  PREFIX_BYTES,
  pageSum,
  type SectionLines,
} from './format.js';

/** Entries of a section in their order, and how many at most: that decides the length of the filter. */
export interface SectionSource {
  readonly maxCount: number;
  readonly entries: AsyncIterable<TableEntry> | Iterable<TableEntry>;
}

/** Pages that are allocated at once: the collector is asked for each, and a large table has thousands. */
const PAGES_PER_BLOCK = 16;

/** The bytes of a table in pieces that are the reader's own. What it holds meanwhile is a page and the filter. */
export async function* writeTable(
  hasher: Hasher,
  sources: readonly [files: SectionSource, chunks: SectionSource],
): AsyncGenerator<Uint8Array, void, undefined> {
  const sections: SectionLines[] = [];
  for (const source of sources) sections.push(yield* writeSection(hasher, source));
  yield encodeFooter(hasher, sections);
}

async function* writeSection(
  hasher: Hasher,
  { maxCount, entries }: SectionSource,
): AsyncGenerator<Uint8Array, SectionLines, undefined> {
  const yieldAfter = createYielder();
  const filterLines = filterLinesFor(maxCount);
  const filter = new Uint8Array(filterLines * LINE_BYTES);
  const pages: { sizeBytes: number; prefix: Uint8Array; sum: Uint8Array }[] = [];
  let block = new Uint8Array(0);
  const newPage = (): Uint8Array => {
    if (block.length === 0) block = new Uint8Array(PAGES_PER_BLOCK * PAGE_BYTES);
    const first = block.subarray(0, PAGE_BYTES);
    block = block.subarray(PAGE_BYTES);
    return first;
  };
  let page = newPage();
  let used = 0;
  let entryCount = 0;
  const closePage = (): Uint8Array => {
    const bytes = page.subarray(0, used);
    pages.push({
      sizeBytes: used,
      prefix: bytes.slice(0, PREFIX_BYTES),
      sum: pageSum(hasher, bytes),
    });
    page = newPage();
    used = 0;
    return bytes;
  };
  for await (const entry of entries) {
    const needed = entryBytes(entry);
    if (used + needed > PAGE_BYTES) yield closePage();
    writeEntry(page, used, entry);
    used += needed;
    entryCount++;
    markInFilter(filter, LINE_BYTES * filterLine(entry.key, filterLines), entry.key);
    const others = yieldAfter(1);
    if (others !== undefined) await others;
  }
  if (used > 0) yield closePage();
  const filterSums: Uint8Array[] = [];
  for (let at = 0; at < filterPages(filterLines); at++) {
    const part = filter.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES);
    filterSums.push(pageSum(hasher, part));
    yield part;
  }
  return { entryCount, pages, filterLines, filterSums };
}
