import { MerkleHash } from '../../src/hash/index.js';
import type { FetchRange, Reconstruction, Term } from '../../src/plan/index.js';

/** A xorb made up of numbers: chunk lengths and data are functions of the seed. */
export interface ToyXorb {
  readonly hash: MerkleHash;
  readonly chunks: readonly Uint8Array[];
  /** End of record i in the stored bytes (a made-up record is its header and the raw chunk). */
  readonly recordEnds: readonly number[];
}

export function toyHash(seed: number): MerkleHash {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, seed + 1, true);
  return MerkleHash.from(bytes);
}

export function toyXorb(seed: number, lengths: readonly number[]): ToyXorb {
  let end = 0;
  const recordEnds: number[] = [];
  const chunks = lengths.map((length, index) => {
    end += 8 + length;
    recordEnds.push(end);
    return Uint8Array.from({ length }, (_, i) => (seed * 131 + index * 31 + i * 7) & 255);
  });
  return { hash: toyHash(seed), chunks, recordEnds };
}

export function toyRange(xorb: ToyXorb, chunkStart: number, chunkEnd: number): FetchRange {
  return {
    chunkStart,
    chunkEnd,
    byteStart: chunkStart === 0 ? 0 : (xorb.recordEnds[chunkStart - 1] as number),
    byteEnd: xorb.recordEnds[chunkEnd - 1] as number,
  };
}

export function toyTerm(xorb: ToyXorb, chunkStart: number, chunkEnd: number): Term {
  let unpackedBytes = 0;
  for (const chunk of xorb.chunks.slice(chunkStart, chunkEnd)) unpackedBytes += chunk.length;
  return { xorb: xorb.hash, unpackedBytes, chunkStart, chunkEnd };
}

/** The whole file that the terms describe. */
export function toyFile(xorbs: readonly ToyXorb[], terms: readonly Term[]): Uint8Array {
  const pieces = terms.flatMap((term) => {
    const xorb = xorbs.find(({ hash }) => hash.equals(term.xorb)) as ToyXorb;
    return xorb.chunks.slice(term.chunkStart, term.chunkEnd);
  });
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

/** A small valid answer with two xorbs and a shared range. */
export function sampleReconstruction(): Reconstruction {
  const a = toyXorb(1, [100, 200, 300, 400]);
  const b = toyXorb(2, [50, 60]);
  return {
    offsetIntoFirstTerm: 10,
    terms: [toyTerm(a, 0, 2), toyTerm(b, 0, 1), toyTerm(a, 3, 4), toyTerm(a, 0, 1)],
    fetches: [
      { xorb: a.hash, entries: [{ url: 'https://x/a', ranges: [toyRange(a, 0, 4)] }] },
      { xorb: b.hash, entries: [{ url: 'https://x/b', ranges: [toyRange(b, 0, 1)] }] },
    ],
  };
}
