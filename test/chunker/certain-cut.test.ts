import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ChunkerParams,
  CutResolver,
  chunkerParams,
  createReadableScanner,
  DEFAULT_PARAMS,
  findCertainCut,
  findCuts,
  nextCut,
} from '../../src/chunker/index.js';
import type { GearScanner } from '../../src/chunker/ports.js';
import { findCandidates } from '../support/candidates.js';
import { generate, SplitMix64 } from '../support/generators.js';
import { naiveCuts } from '../support/naive-chunker.js';

const readable = createReadableScanner();
const PARAMS = chunkerParams(1024);

/** Candidates where a test wants them, whatever the data. */
function listScanner(positions: readonly number[]): GearScanner {
  return {
    scan(_data, start, end, _maskBits, out) {
      const found = positions.filter((position) => position > start && position <= end);
      const count = Math.min(found.length, out.length);
      out.set(found.slice(0, count));
      return count;
    },
  };
}

/** Each segment on its own as far as it goes, then one resolver, as an upload does it. */
function joinedCuts(
  scanner: GearScanner,
  data: Uint8Array,
  borders: readonly number[],
  params: ChunkerParams,
): { cuts: number[]; certainCount: number } {
  const resolver = new CutResolver(params);
  let certainCount = 0;
  const cuts = borders.slice(1).flatMap((end, i) => {
    const start = borders[i] as number;
    const isLast = i + 2 === borders.length;
    const part = data.subarray(0, end);
    const found: number[] = [];
    let chunkStart: number | null = 0;
    if (start > 0) {
      const { candidates, position } = findCertainCut(scanner, part, start, end, params);
      found.push(...candidates);
      chunkStart = position;
    }
    const own: number[] = [];
    while (chunkStart !== null && chunkStart < end) {
      chunkStart = nextCut(scanner, part, chunkStart, params);
      if (chunkStart !== null) own.push(chunkStart);
      else if (isLast) own.push(end);
    }
    certainCount += own.length;
    const resolved = resolver.resolve(start, end, [...found, ...own], 0, isLast);
    // What a segment says of its own are cuts, all of them, and no others follow.
    expect(resolved.slice(resolved.length - own.length)).toEqual(own);
    return resolved;
  });
  return { cuts, certainCount };
}

describe('a certain cut', () => {
  it('is a cut wherever the chunk before it began, and no candidate before it is missing', () => {
    const random = new SplitMix64(11);
    let found = 0;
    for (let run = 0; run < 300; run++) {
      const start = 3000;
      const end = start + random.below(9000);
      const gap = 2 + random.below([40, 400, 1600, 5000][run % 4] as number);
      const positions: number[] = [];
      for (let at = 1 + random.below(gap); at <= end; at += 1 + random.below(gap))
        positions.push(at);
      const scanner = listScanner(positions);
      const data = new Uint8Array(end);
      const { candidates, position } = findCertainCut(scanner, data, start, end, PARAMS);
      expect(candidates).toEqual(positions.filter((at) => at > start && at <= (position ?? end)));
      if (position === null) continue;
      found++;
      for (let began = start - PARAMS.maxBytes + 1; began <= start; began++) {
        let cut: number | null = began;
        // The chunk that is open at `start` has no cut before it.
        while (cut !== null && cut < position) {
          const next: number | null = nextCut(scanner, data, cut, PARAMS);
          if (next !== null && next <= start) break;
          cut = next;
        }
        if (cut !== null && cut >= start) expect(cut).toBe(position);
      }
    }
    expect(found).toBeGreaterThan(100);
  });

  it('does not exist in constant data', () => {
    const data = generate({ kind: 'constant', value: 0, bytes: 50_000 });
    expect(findCertainCut(readable, data, 4000, 50_000, PARAMS)).toEqual({
      candidates: [],
      position: null,
    });
  });

  it('comes after a few chunks of random data', () => {
    const data = generate({ kind: 'splitmix64', seed: 12, bytes: 4_000_000 });
    let sum = 0;
    let count = 0;
    for (let start = 100_000; start < 3_000_000; start += 97_003) {
      const { position } = findCertainCut(readable, data, start, data.length);
      if (position === null) throw new Error('there is one');
      expect([...findCuts(readable, data)]).toContain(position);
      sum += position - start;
      count++;
    }
    expect(sum / count).toBeLessThan(4 * DEFAULT_PARAMS.targetBytes);
  });

  it('is looked for in one pass however many candidates there are', () => {
    const positions = Array.from({ length: 40_000 }, (_, i) => i + 1);
    let calls = 0;
    const inner = listScanner(positions);
    const counting: GearScanner = {
      scan: (...args) => {
        calls++;
        return inner.scan(...args);
      },
    };
    const { candidates, position } = findCertainCut(
      counting,
      new Uint8Array(40_000),
      3000,
      40_000,
      PARAMS,
    );
    expect(position).toBe(null);
    expect(candidates).toHaveLength(37_000);
    expect(calls).toBeLessThan(40);
  });
});

describe('segments cut on their own', () => {
  it('give the cuts of the definition for any borders', () => {
    const random = generate({ kind: 'splitmix64', seed: 13, bytes: 200_000 });
    const periodic = generate({
      kind: 'repeat',
      unit: [...random.subarray(0, 1700)],
      bytes: 200_000,
    });
    const mixed = random.slice();
    mixed.fill(0, 60_000, 140_000);
    const border = fc.nat(200_000);
    for (const input of [random, periodic, mixed]) {
      const expected = naiveCuts(input, 1024);
      fc.assert(
        fc.property(fc.array(border, { maxLength: 12 }), border, (inner, single) => {
          const borders = [0, ...inner, single, Math.min(single + 1, 200_000), 200_000];
          borders.sort((a, b) => a - b);
          expect(joinedCuts(readable, input, borders, PARAMS).cuts).toEqual(expected);
        }),
        { seed: 8, numRuns: 40 },
      );
    }
  });

  it('give them for candidates of any density', () => {
    const density = fc.record({
      gaps: fc.array(
        fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 100, max: 5000 })),
        { minLength: 1, maxLength: 80 },
      ),
      borders: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(density, ({ gaps, borders: shares }) => {
        const positions: number[] = [];
        let length = 0;
        for (const gap of gaps) {
          length += gap;
          positions.push(length);
        }
        length += 777;
        const scanner = listScanner(positions);
        const borders = [0, ...shares.map((share) => Math.round(share * length)), length];
        borders.sort((a, b) => a - b);
        const data = new Uint8Array(length);
        const { cuts } = joinedCuts(scanner, data, borders, PARAMS);
        expect(cuts).toEqual([...findCuts(scanner, data, PARAMS)]);
      }),
      { seed: 9, numRuns: 400 },
    );
  });

  it('find most chunks of random data without knowing what came before', () => {
    const data = generate({ kind: 'splitmix64', seed: 14, bytes: 8_000_000 });
    const borders = [0, 2_000_000, 4_000_000, 6_000_000, 8_000_000];
    const { cuts, certainCount } = joinedCuts(readable, data, borders, DEFAULT_PARAMS);
    expect(cuts).toEqual([...findCuts(readable, data)]);
    expect(certainCount).toBeGreaterThan(0.8 * cuts.length);
    expect(findCandidates(readable, data, 0, data.length).length).toBeGreaterThan(100);
  });
});
