import { HASH_BYTES, type MerkleHash } from '../hash/index.js';
import type { Term } from '../plan/index.js';

/** Consecutive chunks of a stored xorb of which nothing else need be known. */
export interface KnownXorbRun {
  readonly xorb: MerkleHash;
  /** Number in the xorb of the first one. */
  readonly chunkStart: number;
  /** Uncompressed bytes before it, about: what lies between two runs is not known. */
  readonly rawStart: number;
  /** 32 bytes per chunk. */
  readonly hashes: Uint8Array;
  readonly lengths: Uint32Array;
}

/** Chunks of a file, in order. */
export interface FileChunks {
  /** 32 bytes per chunk. */
  readonly hashes: Uint8Array;
  /** Uncompressed bytes of each. */
  readonly lengths: Uint32Array;
}

/** Mean bytes of a chunk, for the chunks of a xorb that are not of this file. */
const MEAN_CHUNK_BYTES = 65_536;

/** What the terms of a file say of its chunks. */
export interface PlacedChunks {
  /** Each chunk of a xorb once. */
  readonly runs: readonly KnownXorbRun[];
  /** Chunks of the file that these are. */
  readonly chunkCount: number;
  /** False: a term goes on behind the last chunk, so nothing can be said of it and what follows. */
  readonly isWhole: boolean;
}

/**
 * Where the chunks of a file lie, from the terms that it is made of, which begin with the first of
 * `chunks`.
 *
 * @returns null when they do not fit together: these are not the terms of these chunks
 * @example
 * const placed = placeChunks(reconstruction.terms, { hashes, lengths });
 */
export function placeChunks(
  terms: readonly Term[],
  { hashes, lengths }: FileChunks,
): PlacedChunks | null {
  const byXorb = new Map<string, { readonly term: Term; readonly first: number }[]>();
  let first = 0;
  let isWhole = true;
  for (const term of terms) {
    const count = term.chunkEnd - term.chunkStart;
    isWhole = first + count <= lengths.length;
    if (!isWhole) break;
    let bytes = 0;
    for (let i = first; i < first + count; i++) bytes += lengths[i] as number;
    if (bytes !== term.unpackedBytes) return null;
    const name = term.xorb.toString();
    const placed = byXorb.get(name);
    if (placed === undefined) byXorb.set(name, [{ term, first }]);
    else placed.push({ term, first });
    first += count;
  }
  const runs: KnownXorbRun[] = [];
  for (const placed of byXorb.values()) {
    placed.sort((a, b) => a.term.chunkStart - b.term.chunkStart);
    let toldUntil = 0;
    let rawStart = 0;
    for (const { term, first: begin } of placed) {
      const chunkStart = Math.max(term.chunkStart, toldUntil);
      if (chunkStart >= term.chunkEnd) continue;
      const from = begin + chunkStart - term.chunkStart;
      const to = begin + term.chunkEnd - term.chunkStart;
      rawStart += (chunkStart - toldUntil) * MEAN_CHUNK_BYTES;
      runs.push({
        xorb: term.xorb,
        chunkStart,
        rawStart,
        hashes: hashes.slice(HASH_BYTES * from, HASH_BYTES * to),
        lengths: lengths.slice(from, to),
      });
      for (let i = from; i < to; i++) rawStart += lengths[i] as number;
      toldUntil = term.chunkEnd;
    }
  }
  return { runs, chunkCount: first, isWhole };
}
