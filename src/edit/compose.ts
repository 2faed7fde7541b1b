import type { ByteSpan } from '../chunker/index.js';
import { OrbweaverError } from '../errors.js';
import {
  fileHashOfRoot,
  HASH_BYTES,
  type Hasher,
  type MerkleHash,
  type MerkleSubtree,
  mergeSubtrees,
  rangeHash,
  subtreeRoot,
} from '../hash/index.js';
import type { FileChunkHashes, Term } from '../plan/index.js';
import type { ShardTerm } from '../shard/index.js';
import type { ChunkMap, ListedChunk } from './chunk-map.js';

/** A term of the old file and where it lies. */
export interface OldTerm extends ByteSpan {
  readonly term: Term;
  /** The range hash that the store told; null when it lies in a window, at least in part. */
  readonly rangeHash: MerkleHash | null;
}

/** What a region became. */
export interface NewRegion extends ByteSpan {
  readonly terms: readonly ShardTerm[];
  readonly verification: readonly MerkleHash[];
  /** All of its chunks; null when there are none. */
  readonly tree: MerkleSubtree | null;
}

/** Terms and their range hashes. */
export interface ComposedTerms {
  readonly terms: readonly ShardTerm[];
  readonly verification: readonly MerkleHash[];
}

/**
 * Places the terms of a file and gives each its range hash, as far as the store told it.
 *
 * @returns null when the range hashes do not fit the terms: the file has none
 */
export function placeTerms(
  terms: readonly Term[],
  { windows, gapVerification }: Pick<FileChunkHashes, 'windows' | 'gapVerification'>,
): OldTerm[] | null {
  let position = 0;
  let nextHash = 0;
  let nextWindow = 0;
  const placed = terms.map((term): OldTerm => {
    const start = position;
    const end = position + term.unpackedBytes;
    position = end;
    while ((windows[nextWindow]?.end ?? Number.POSITIVE_INFINITY) <= start) nextWindow++;
    const isOutside = (windows[nextWindow]?.start ?? Number.POSITIVE_INFINITY) >= end;
    const rangeHash = isOutside ? (gapVerification[nextHash++] ?? null) : null;
    return { term, start, end, rangeHash };
  });
  return nextHash === gapVerification.length ? placed : null;
}

/** Terms of which a part stays: their chunks have to be known one by one. */
export function splitTerms(terms: readonly OldTerm[], regions: readonly ByteSpan[]): OldTerm[] {
  const kept = keptSpans(regions, terms.at(-1)?.end ?? 0);
  return terms.filter(({ start, end }) =>
    kept.some(
      (span) => start < span.end && end > span.start && !(start >= span.start && end <= span.end),
    ),
  );
}

/** What lies outside of all regions. */
function keptSpans(regions: readonly ByteSpan[], sizeBytes: number): ByteSpan[] {
  const spans: ByteSpan[] = [];
  let position = 0;
  for (const { start, end } of regions) {
    if (start > position) spans.push({ start: position, end: start });
    position = end;
  }
  if (sizeBytes > position) spans.push({ start: position, end: sizeBytes });
  return spans;
}

/**
 * The terms of the new file: old ones before, between and behind the regions, whole or split between two
 * chunks, and what the regions became.
 *
 * @param chunks knows all chunks of {@link splitTerms}.
 * @throws OrbweaverError `PROTOCOL` when a region does not lie between two chunks of a term
 */
export function composeTerms(
  hasher: Hasher,
  {
    terms,
    regions,
    chunks,
  }: {
    readonly terms: readonly OldTerm[];
    readonly regions: readonly NewRegion[];
    readonly chunks: ChunkMap;
  },
): ComposedTerms {
  const all: ShardTerm[] = [];
  const verification: MerkleHash[] = [];
  let next = 0;
  /** Old terms of `[start, end)`, of which a term may be split over several calls. */
  const keep = (start: number, end: number): void => {
    while ((terms[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next++;
    for (let at = next; at < terms.length; at++) {
      const old = terms[at] as OldTerm;
      if (old.start >= end) break;
      const from = Math.max(start, old.start);
      const to = Math.min(end, old.end);
      if (old.rangeHash !== null && from === old.start && to === old.end) {
        all.push(shardTerm(old.term));
        verification.push(old.rangeHash);
        continue;
      }
      const part = partOf(hasher, old, { start: from, end: to }, chunks);
      all.push(part.term);
      verification.push(part.rangeHash);
    }
  };
  let position = 0;
  for (const region of regions) {
    if (region.start > position) keep(position, region.start);
    all.push(...region.terms);
    verification.push(...region.verification);
    position = region.end;
  }
  const sizeBytes = terms.at(-1)?.end ?? 0;
  if (sizeBytes > position) keep(position, sizeBytes);
  return { terms: all, verification };
}

function shardTerm({ xorb, chunkStart, chunkEnd, unpackedBytes }: Term): ShardTerm {
  return { xorb, chunkStart, chunkEnd, unpackedBytes };
}

/** A part of a term: which of its chunks, and their range hash. */
function partOf(
  hasher: Hasher,
  old: OldTerm,
  part: ByteSpan,
  chunks: ChunkMap,
): { term: ShardTerm; rangeHash: MerkleHash } {
  const { term } = old;
  const list = chunks.list(old.start, old.end);
  if (list === null) throw new TypeError('"chunks" expected all chunks of a split term');
  const isCount = list.length === term.chunkEnd - term.chunkStart;
  const first = list.findIndex(({ start }) => start === part.start);
  const inside = list.filter(({ start }) => start >= part.start && start < part.end);
  const last = inside.at(-1);
  const fits = last !== undefined && last.start + last.sizeBytes === part.end;
  if (!isCount || first < 0 || !fits) {
    throw new OrbweaverError(
      'PROTOCOL',
      `the chunks of xorb ${term.xorb} expected to be those that file-chunk-hashes lists, are others`,
      { xorb: term.xorb.toString() },
    );
  }
  const chunkStart = term.chunkStart + first;
  return {
    term: {
      xorb: term.xorb,
      chunkStart,
      chunkEnd: chunkStart + inside.length,
      unpackedBytes: part.end - part.start,
    },
    rangeHash: rangeHash(hasher, packed(inside), 0, inside.length),
  };
}

function packed(chunks: readonly ListedChunk[]): Uint8Array {
  const hashes = new Uint8Array(HASH_BYTES * chunks.length);
  for (const [i, { hash }] of chunks.entries()) hashes.set(hash.bytes, HASH_BYTES * i);
  return hashes;
}

/**
 * The hash of the file that adjacent parts make, in order; null stands for no chunks.
 *
 * @throws OrbweaverError `FORMAT_INVALID`, RangeError for parts that do not fit together
 */
export function hashOfParts(hasher: Hasher, parts: readonly (MerkleSubtree | null)[]): MerkleHash {
  const closed = parts.filter((part) => part !== null);
  // A part that was folded as an open one is closed by what has no chunks.
  if (closed[0]?.atStart !== true) closed.unshift({ levels: [], atStart: true, atEnd: false });
  if (closed.at(-1)?.atEnd !== true) closed.push({ levels: [], atStart: false, atEnd: true });
  return fileHashOfRoot(hasher, subtreeRoot(mergeSubtrees(hasher, closed)));
}
