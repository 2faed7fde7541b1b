import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PlacedChunks, placeChunks } from '../../src/dedup/index.js';
import { HASH_BYTES, MerkleHash } from '../../src/hash/index.js';
import type { Term } from '../../src/plan/index.js';

const xorbs = [1, 2, 3].map((byte) => MerkleHash.from(new Uint8Array(HASH_BYTES).fill(byte)));

/** Terms over three xorbs, and the chunks of the file that they make: a chunk is what its place says. */
const files = fc
  .array(fc.record({ xorb: fc.nat(2), start: fc.nat(20), count: fc.integer({ min: 1, max: 6 }) }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((drawn) => {
    const lengths: number[] = [];
    const places: string[] = [];
    const terms = drawn.map(({ xorb, start, count }): Term => {
      let unpackedBytes = 0;
      for (let chunk = start; chunk < start + count; chunk++) {
        const length = 1000 * (xorb + 1) + chunk;
        lengths.push(length);
        places.push(`${xorb} ${chunk}`);
        unpackedBytes += length;
      }
      const hash = xorbs[xorb] as MerkleHash;
      return { xorb: hash, unpackedBytes, chunkStart: start, chunkEnd: start + count };
    });
    const hashes = new Uint8Array(HASH_BYTES * lengths.length);
    places.forEach((place, i) => {
      const [xorb, chunk] = place.split(' ').map(Number);
      hashes.set([xorb as number, chunk as number], HASH_BYTES * i);
    });
    return { terms, places, chunks: { hashes, lengths: Uint32Array.from(lengths) } };
  });

function placesOf(placed: PlacedChunks | null): string[] {
  return (placed?.runs ?? []).flatMap(({ xorb, chunkStart, hashes, lengths }) =>
    Array.from(lengths, (length, i) => {
      const number = xorbs.indexOf(xorb);
      expect([...hashes.subarray(HASH_BYTES * i, HASH_BYTES * i + 2)]).toEqual([
        number,
        chunkStart + i,
      ]);
      expect(length).toBe(1000 * (number + 1) + chunkStart + i);
      return `${number} ${chunkStart + i}`;
    }),
  );
}

describe('where the chunks of a file lie', () => {
  it('is told for each once, with the hash and the length that are there', () => {
    fc.assert(
      fc.property(files, ({ terms, places, chunks }) => {
        const told = placesOf(placeChunks(terms, chunks));
        expect(new Set(told).size).toBe(told.length);
        expect(new Set(told)).toEqual(new Set(places));
      }),
    );
  });

  it('is told as far as the chunks of whole terms are known', () => {
    fc.assert(
      fc.property(files, fc.nat(30), ({ terms, places, chunks }, count) => {
        const known = Math.min(count, places.length);
        const part = {
          hashes: chunks.hashes.subarray(0, HASH_BYTES * known),
          lengths: chunks.lengths.subarray(0, known),
        };
        const placed = placeChunks(terms, part) as PlacedChunks;
        expect(placed.chunkCount).toBeLessThanOrEqual(known);
        expect(placed.isWhole).toBe(known === places.length);
        const told = placesOf(placed);
        expect(new Set(told)).toEqual(new Set(places.slice(0, placed.chunkCount)));
      }),
    );
  });

  it('is not told when a term has other bytes than its chunks', () => {
    fc.assert(
      fc.property(files, fc.nat(), ({ terms, chunks }, at) => {
        const wrong = terms.map((term, i) =>
          i === at % terms.length ? { ...term, unpackedBytes: term.unpackedBytes + 1 } : term,
        );
        expect(placeChunks(wrong, chunks)).toBeNull();
      }),
    );
  });
});
