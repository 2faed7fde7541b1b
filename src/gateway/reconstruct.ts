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

/** Plans bytes `[start, end)` of each file; one set of fetch ranges serves all of them. */
export async function planReconstruction(
  catalog: XorbCatalog,
  parts: readonly { readonly file: CatalogFile; readonly start: number; readonly end: number }[],
): Promise<ReconstructionPlan> {
  const yieldAfter = createYielder();
  const files: PlannedFile[] = [];
  const used = createUsedChunks();
  for (const { file, start, end } of parts) {
    const planned = await planFile(catalog, file, { start, end }, yieldAfter);
    files.push(planned);
    for (let index = 0; index < planned.termCount; index++) {
      used.add(planned.term(index));
      const others = yieldAfter(1);
      if (others !== undefined) await others;
    }
  }
  const fetches: { xorb: MerkleHash; ranges: FetchRange[] }[] = [];
  const xorbs = used.xorbs();
  for (let at = 0; at < xorbs.length; at += CONCURRENT_FOOTERS) {
    const some = xorbs.slice(at, at + CONCURRENT_FOOTERS);
    const stored = await mapLimited(some, CONCURRENT_FOOTERS, ({ xorb }) =>
      storedXorb(catalog, xorb),
    );
    for (const [index, { xorb, farthest }] of some.entries()) {
      fetches.push({ xorb, ranges: fetchRanges(stored[index] as CatalogXorb, farthest) });
      const others = yieldAfter(farthest.size);
      if (others !== undefined) await others;
    }
  }
  return { files, fetches };
}

/** What is used of a xorb: for each chunk with which a term begins, the farthest end of one. */
export interface UsedChunks {
  readonly xorb: MerkleHash;
  readonly farthest: Map<number, number>;
}

/**
 * Of the terms that begin with a chunk only the longest decides what is fetched: that is as many as the
 * xorb has chunks, where the terms may be a million different ones.
 */
export function createUsedChunks(): { add(term: Term): void; xorbs(): UsedChunks[] } {
  const byXorb = new Map<string, UsedChunks>();
  let latest: UsedChunks | undefined;
  const of = (xorb: MerkleHash): UsedChunks => {
    // Runs of terms of one xorb are the rule.
    if (latest?.xorb.equals(xorb) === true) return latest;
    const name = xorb.toString();
    latest = byXorb.get(name) ?? { xorb, farthest: new Map() };
    byXorb.set(name, latest);
    return latest;
  };
  return {
    add({ xorb, chunkStart, chunkEnd }) {
      if (chunkStart >= chunkEnd)
        throw damaged(`a file record has a term of xorb ${xorb} without chunks`);
      const { farthest } = of(xorb);
      if (chunkEnd > (farthest.get(chunkStart) ?? -1)) farthest.set(chunkStart, chunkEnd);
    },
    xorbs: () => [...byXorb.values()],
  };
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
    const others = yieldAfter(1);
    if (others !== undefined) await others;
  }
  let offset = asked.start - position;
  let last = first;
  while (last < file.termCount && position < end) {
    position += file.unpackedBytes[last++] as number;
    const others = yieldAfter(1);
    if (others !== undefined) await others;
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

/**
 * Ranges of one xorb's records that cover all that is used of it.
 *
 * @param farthest for each chunk with which a term begins, the farthest end of one
 */
export function fetchRanges(
  xorb: Pick<CatalogXorb, 'recordEnds' | 'chunkCount' | 'hash'>,
  farthest: ReadonlyMap<number, number>,
): FetchRange[] {
  const { recordEnds, chunkCount } = xorb;
  const starts = Uint32Array.from(farthest.keys()).sort();
  const ends = starts.map((start) => farthest.get(start) as number);
  if (ends.some((end) => end > chunkCount)) {
    throw damaged(`a file record names chunks that xorb ${xorb.hash} does not have`);
  }
  const spans = Array.from(starts, (start, index) => ({
    start: endOf(recordEnds, start),
    end: endOf(recordEnds, ends[index] as number),
  }));
  return coalesceRanges(spans).map(({ start, end, members }): FetchRange => {
    let chunkEnd = 0;
    for (const member of members) chunkEnd = Math.max(chunkEnd, ends[member] as number);
    return {
      chunkStart: starts[members[0] as number] as number,
      chunkEnd,
      byteStart: start,
      byteEnd: end,
    };
  });
}

/** @throws OrbweaverError `INTEGRITY` when it is missing */
export async function storedXorb(catalog: XorbCatalog, hash: MerkleHash): Promise<CatalogXorb> {
  const xorb = await catalog.get(hash);
  if (xorb === null) throw damaged(`xorb ${hash} of a registered file is missing`);
  return xorb;
}

/** The same of many, read together. */
export async function storedXorbs(
  catalog: XorbCatalog,
  hashes: Iterable<MerkleHash>,
): Promise<ReadonlyMap<string, CatalogXorb>> {
  const found = await mapLimited([...hashes], CONCURRENT_FOOTERS, (hash) =>
    storedXorb(catalog, hash),
  );
  return new Map(found.map((xorb) => [xorb.hash.toString(), xorb]));
}
