import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReadableScanner, GEAR_TABLE } from '../../src/chunker/index.js';
import { findCandidates } from '../support/candidates.js';
import { generate } from '../support/generators.js';

const scanner = createReadableScanner();

/** Candidates by the definition: BigInt over the 64 bytes before each position. */
function bigIntCandidates(
  data: Uint8Array,
  start: number,
  end: number,
  maskBits: number,
): number[] {
  const found: number[] = [];
  let hash = 0n;
  for (let i = Math.max(0, start - 63); i < end; i++) {
    hash = BigInt.asUintN(64, (hash << 1n) + (GEAR_TABLE[data[i] as number] as bigint));
    if (i >= start && hash >> BigInt(64 - maskBits) === 0n) found.push(i + 1);
  }
  return found;
}

describe('readable scanner', () => {
  it('finds what BigInt finds for every number of mask bits', () => {
    const data = generate({ kind: 'splitmix64', seed: 31, bytes: 60_000 });
    for (let maskBits = 1; maskBits <= 32; maskBits++) {
      const out = new Uint32Array(60_000);
      const count = scanner.scan(data, 0, data.length, maskBits, out);
      expect([...out.subarray(0, count)], `${maskBits} bits`).toEqual(
        bigIntCandidates(data, 0, data.length, maskBits),
      );
    }
  });

  it('finds the same in any range of any data', () => {
    const kinds = fc.constantFrom<'splitmix64' | 'words' | 'floats'>(
      'splitmix64',
      'words',
      'floats',
    );
    fc.assert(
      fc.property(
        kinds,
        fc.nat(),
        fc.nat(3000),
        fc.nat(3000),
        fc.integer({ min: 1, max: 12 }),
        (kind, seed, a, b, maskBits) => {
          const data = generate({ kind, seed, bytes: 3000 });
          const [start, end] = [Math.min(a, b), Math.max(a, b)];
          expect([...findCandidates(scanner, data, start, end, maskBits)]).toEqual(
            bigIntCandidates(data, start, end, maskBits),
          );
        },
      ),
      { seed: 5, numRuns: 100 },
    );
  });

  it('goes on from the last position when the list was full', () => {
    const data = generate({ kind: 'splitmix64', seed: 32, bytes: 20_000 });
    const all = bigIntCandidates(data, 100, data.length, 4);
    for (const room of [1, 2, 7, all.length - 1, all.length, all.length + 1]) {
      const out = new Uint32Array(room);
      const found: number[] = [];
      let start = 100;
      for (;;) {
        const count = scanner.scan(data, start, data.length, 4, out);
        found.push(...out.subarray(0, count));
        if (count < room) break;
        start = out[count - 1] as number;
      }
      expect(found).toEqual(all);
    }
  });

  it('never finds a candidate in constant data', () => {
    for (let value = 0; value < 256; value++) {
      const data = generate({ kind: 'constant', value, bytes: 300 });
      // The first 63 positions have a shorter window and never matter (the minimum is 128).
      expect(findCandidates(scanner, data, 64, data.length)).toHaveLength(0);
    }
  });

  it('lists very many candidates of crafted data', () => {
    const unit = denseUnit();
    const data = generate({ kind: 'repeat', unit, bytes: 400_000 });
    const found = findCandidates(scanner, data, 0, data.length);
    expect(found.length).toBeGreaterThan(5000);
    expect([...found.subarray(0, 300)]).toEqual(
      bigIntCandidates(data, 0, (found[299] as number) + 1, 16).slice(0, 300),
    );
  });

  it('refuses ranges outside of the data, no room and impossible masks', () => {
    const data = new Uint8Array(10);
    const out = new Uint32Array(1);
    expect(() => scanner.scan(data, 0, 11, 16, out)).toThrow(RangeError);
    expect(() => scanner.scan(data, -1, 10, 16, out)).toThrow(RangeError);
    expect(() => scanner.scan(data, 0, 10, 16, new Uint32Array(0))).toThrow(RangeError);
    for (const maskBits of [0, 33, 1.5]) {
      expect(() => scanner.scan(data, 0, 10, maskBits, out)).toThrow(RangeError);
    }
  });
});

/** A 64-byte unit of which every repetition holds a hash match. */
function denseUnit(): number[] {
  const data = generate({ kind: 'splitmix64', seed: 33, bytes: 400_000 });
  const [position] = findCandidates(scanner, data, 64, data.length);
  return [...data.subarray((position as number) - 64, position)];
}
