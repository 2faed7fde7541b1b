import type { MerkleHash } from '../hash/index.js';
import { coalesceRanges, type FetchRange, sliceTerms, type Term } from '../plan/index.js';
import { damaged } from './failures.js';
import { type CatalogXorb, endOf, rawBytesOf, type XorbCatalog } from './xorb-catalog.js';

/**
 * From a file record to what a reader has to fetch: the terms that hold the asked bytes, and for
 * each xorb the fewest ranges of its records that are worth a request of their own. One fetch range
 * may cover several terms and the gaps between them: what a gap costs is `plan`'s price model.
 */

/** The part of a reconstruction that does not depend on URLs. */
export interface ReconstructionPlan {
  readonly offsetIntoFirstTerm: number;
  readonly terms: readonly Term[];
  /** In the order in which the file first uses each xorb; ranges by rising chunk number. */
  readonly fetches: readonly {
    readonly xorb: MerkleHash;
    readonly ranges: readonly FetchRange[];
  }[];
}

/** Plans bytes `[start, end)` of a file. `end` may be past its end. */
export async function planReconstruction(
  catalog: XorbCatalog,
  file: { readonly terms: readonly Term[] },
  range: { readonly start: number; readonly end: number },
): Promise<ReconstructionPlan> {
  const sliced = sliceTerms(file.terms, range.start, range.end);
  const trimmed = await trimEnds(catalog, sliced, range.end - range.start);
  const fetches = [];
  for (const { xorb, terms } of termsByXorb(trimmed.terms)) {
    fetches.push({ xorb, ranges: fetchRanges(await storedXorb(catalog, xorb), terms) });
  }
  return { ...trimmed, fetches };
}

/**
 * Cuts the first and the last term down to the chunks that hold asked bytes: a reader of 1 MiB in
 * the middle of a 64 MiB term should not have to fetch the term.
 */
async function trimEnds(
  catalog: XorbCatalog,
  sliced: { readonly offsetIntoFirstTerm: number; readonly terms: readonly Term[] },
  wantedBytes: number,
): Promise<{ offsetIntoFirstTerm: number; terms: readonly Term[] }> {
  const terms = [...sliced.terms];
  let offset = sliced.offsetIntoFirstTerm;
  const total = terms.reduce((sum, term) => sum + term.unpackedBytes, 0);
  const spare = total - offset - wantedBytes;
  // The tail first: when head and tail are one term, chunk numbers of the head stay valid.
  const last = terms.at(-1);
  if (last !== undefined && spare > 0) {
    const { rawEnds } = await storedXorb(catalog, last.xorb);
    terms[terms.length - 1] = dropTail(last, rawEnds, spare);
  }
  const first = terms[0];
  if (first !== undefined && offset > 0) {
    const { rawEnds } = await storedXorb(catalog, first.xorb);
    const kept = dropHead(first, rawEnds, offset);
    offset -= first.unpackedBytes - kept.unpackedBytes;
    terms[0] = kept;
  }
  return { offsetIntoFirstTerm: offset, terms };
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

function termsByXorb(terms: readonly Term[]): Iterable<{ xorb: MerkleHash; terms: Term[] }> {
  const groups = new Map<string, { xorb: MerkleHash; terms: Term[] }>();
  for (const term of terms) {
    const name = term.xorb.toString();
    const group = groups.get(name);
    if (group === undefined) groups.set(name, { xorb: term.xorb, terms: [term] });
    else group.terms.push(term);
  }
  return groups.values();
}

async function storedXorb(catalog: XorbCatalog, hash: MerkleHash): Promise<CatalogXorb> {
  const xorb = await catalog.get(hash);
  if (xorb === null) throw damaged(`xorb ${hash} of a registered file is missing`);
  return xorb;
}
