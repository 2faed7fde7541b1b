import type { MerkleHash } from '../hash/index.js';
import { coalesceRanges, type FetchRange, type Term } from '../plan/index.js';
import { damaged } from './failures.js';
import { type CatalogFile, termOf } from './file-catalog.js';
import { createYielder, mapLimited } from './turns.js';
import { type CatalogXorb, endOf, rawBytesOf, type XorbCatalog } from './xorb-catalog.js';

/**
 * From a file record to what a reader has to fetch: the terms that hold the asked bytes, and for
 * each xorb the fewest ranges of its records that are worth a request of their own. One fetch range
 * may cover several terms and the gaps between them: what a gap costs is `plan`'s price model.
 */

/** The terms of a file that hold the asked bytes. */
export interface PlannedFile {
  readonly file: CatalogFile;
  readonly offsetIntoFirstTerm: number;
  readonly termCount: number;
  /** Term number `index` of the plan. */
  term(index: number): Term;
}

/** The part of a reconstruction that does not depend on URLs. */
export interface ReconstructionPlan {
  readonly files: readonly PlannedFile[];
  /** In the order in which the files first use each xorb; ranges by rising chunk number. */
  readonly fetches: readonly {
    readonly xorb: MerkleHash;
    readonly ranges: readonly FetchRange[];
  }[];
}

const TERMS_PER_TURN = 16_384;

/** Plans bytes `[start, end)` of each file; one set of fetch ranges serves all of them. */
export async function planReconstruction(
  catalog: XorbCatalog,
  parts: readonly { readonly file: CatalogFile; readonly start: number; readonly end: number }[],
): Promise<ReconstructionPlan> {
  const yieldAfter = createYielder(TERMS_PER_TURN);
  const files: PlannedFile[] = [];
  const byXorb = new Map<string, { xorb: MerkleHash; terms: Map<number, Term> }>();
  for (const { file, start, end } of parts) {
    const planned = await planFile(catalog, file, { start, end }, yieldAfter);
    files.push(planned);
    for (let index = 0; index < planned.termCount; index++) {
      const term = planned.term(index);
      const name = term.xorb.toString();
      const group = byXorb.get(name) ?? { xorb: term.xorb, terms: new Map<number, Term>() };
      byXorb.set(name, group);
      // The zeros of a disk image are one range of chunks, named thousands of times.
      group.terms.set(term.chunkStart * 2 ** 26 + term.chunkEnd, term);
      await yieldAfter(1);
    }
  }
  const fetches = await mapLimited([...byXorb.values()], CONCURRENT_FOOTERS, async (group) => ({
    xorb: group.xorb,
    ranges: fetchRanges(await storedXorb(catalog, group.xorb), [...group.terms.values()]),
  }));
  return { files, fetches };
}

/**
 * Footers that are read at a time. On S3 each is a request of its own that takes some 20 ms, so 500 xorbs
 * are 8 of those one after another; each holds 64 KiB until it is decoded.
 */
const CONCURRENT_FOOTERS = 64;

/**
 * Finds the terms, and cuts the first and the last one down to the chunks that hold asked bytes: a
 * reader of 1 MiB in the middle of a 64 MiB term should not have to fetch the term.
 */
async function planFile(
  catalog: XorbCatalog,
  file: CatalogFile,
  asked: { readonly start: number; readonly end: number },
  yieldAfter: ReturnType<typeof createYielder>,
): Promise<PlannedFile> {
  const end = Math.min(asked.end, file.sizeBytes);
  let position = 0;
  let first = 0;
  while (
    first < file.termCount &&
    position + (file.unpackedBytes[first] as number) <= asked.start
  ) {
    position += file.unpackedBytes[first++] as number;
    await yieldAfter(1);
  }
  let offset = asked.start - position;
  let last = first;
  while (last < file.termCount && position < end) {
    position += file.unpackedBytes[last++] as number;
    await yieldAfter(1);
  }
  const termCount = last - first;
  if (termCount === 0)
    return { file, offsetIntoFirstTerm: 0, termCount, term: (i) => termOf(file, i) };
  // The tail first: when head and tail are one term, chunk numbers of the head stay valid.
  const ends = new Map<number, Term>();
  const at = (index: number): Term => ends.get(index) ?? termOf(file, first + index);
  if (position > end) {
    const term = at(termCount - 1);
    const { rawEnds } = await storedXorb(catalog, term.xorb);
    ends.set(termCount - 1, dropTail(term, rawEnds, position - end));
  }
  if (offset > 0) {
    const term = at(0);
    const { rawEnds } = await storedXorb(catalog, term.xorb);
    const kept = dropHead(term, rawEnds, offset);
    offset -= term.unpackedBytes - kept.unpackedBytes;
    ends.set(0, kept);
  }
  return { file, offsetIntoFirstTerm: offset, termCount, term: at };
}

/** Drops whole chunks from the start of a term, `atMostBytes` in all; one chunk always stays. */
export function dropHead(term: Term, rawEnds: Uint32Array, atMostBytes: number): Term {
  let chunkStart = term.chunkStart;
  while (
    chunkStart + 1 < term.chunkEnd &&
    rawBytesOf(rawEnds, term.chunkStart, chunkStart + 1) <= atMostBytes
  ) {
    chunkStart++;
  }
  return { ...term, chunkStart, unpackedBytes: rawBytesOf(rawEnds, chunkStart, term.chunkEnd) };
}

/** Drops whole chunks from the end of a term, `atMostBytes` in all; one chunk always stays. */
export function dropTail(term: Term, rawEnds: Uint32Array, atMostBytes: number): Term {
  let chunkEnd = term.chunkEnd;
  while (
    chunkEnd - 1 > term.chunkStart &&
    rawBytesOf(rawEnds, chunkEnd - 1, term.chunkEnd) <= atMostBytes
  ) {
    chunkEnd--;
  }
  return { ...term, chunkEnd, unpackedBytes: rawBytesOf(rawEnds, term.chunkStart, chunkEnd) };
}

/** Ranges of one xorb's records that cover all `terms` of it. */
export function fetchRanges(
  xorb: Pick<CatalogXorb, 'recordEnds' | 'chunkCount' | 'hash'>,
  terms: readonly Term[],
): FetchRange[] {
  const { recordEnds, chunkCount } = xorb;
  if (terms.some((term) => term.chunkEnd > chunkCount || term.chunkStart >= term.chunkEnd)) {
    throw damaged(`a file record names chunks that xorb ${xorb.hash} does not have`);
  }
  const sorted = [...terms].sort((a, b) => a.chunkStart - b.chunkStart || a.chunkEnd - b.chunkEnd);
  const spans = sorted.map((term) => ({
    start: endOf(recordEnds, term.chunkStart),
    end: endOf(recordEnds, term.chunkEnd),
  }));
  return coalesceRanges(spans).map(({ start, end, members }): FetchRange => {
    let chunkEnd = 0;
    for (const member of members) chunkEnd = Math.max(chunkEnd, (sorted[member] as Term).chunkEnd);
    const { chunkStart } = sorted[members[0] as number] as Term;
    return { chunkStart, chunkEnd, byteStart: start, byteEnd: end };
  });
}

/** @throws OrbweaverError `INTEGRITY` when it is missing */
export async function storedXorb(catalog: XorbCatalog, hash: MerkleHash): Promise<CatalogXorb> {
  const xorb = await catalog.get(hash);
  if (xorb === null) throw damaged(`xorb ${hash} of a registered file is missing`);
  return xorb;
}

/** The same of many, each once: in their order, and read together. */
export async function storedXorbs(
  catalog: XorbCatalog,
  hashes: readonly MerkleHash[],
): Promise<ReadonlyMap<string, CatalogXorb>> {
  const distinct = new Map(hashes.map((hash) => [hash.toString(), hash]));
  const found = await mapLimited([...distinct.values()], CONCURRENT_FOOTERS, (hash) =>
    storedXorb(catalog, hash),
  );
  return new Map(found.map((xorb) => [xorb.hash.toString(), xorb]));
}
