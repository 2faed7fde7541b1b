import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ChunkerParams,
  CutResolver,
  chunkerParams,
  createReadableScanner,
  DEFAULT_PARAMS,
  findCuts,
} from '../../src/chunker/index.js';
import { findCandidates } from '../support/candidates.js';
import { type GeneratorSpec, generate, SplitMix64 } from '../support/generators.js';
import { naiveCuts } from '../support/naive-chunker.js';
import { specOf, vectorsOf } from '../support/vectors.js';

const scanner = createReadableScanner();

/** Cuts the parallel way: candidates per segment, in any order of work, then one resolver. */
function resolvedCuts(
  data: Uint8Array,
  borders: readonly number[],
  params: ChunkerParams,
): number[] {
  const resolver = new CutResolver(params);
  return borders.slice(1).flatMap((end, i) => {
    const start = borders[i] as number;
    const found = findCandidates(scanner, data, start, end, params.maskBits);
    return resolver.resolve(start, end, found, 0, i + 2 === borders.length);
  });
}

const TRIGGER = vectorsOf('chunking_trigger')[1]?.input;

/** Random, constant and structured data. */
const SHAPES: readonly (readonly [string, GeneratorSpec])[] = [
  ['random', { kind: 'splitmix64', seed: 41, bytes: 700_000 }],
  ['random of another seed', { kind: 'splitmix64', seed: 42, bytes: 699_999 }],
  ['constant', { kind: 'constant', value: 17, bytes: 400_000 }],
  ['text', { kind: 'words', seed: 43, bytes: 500_000 }],
  ['floats', { kind: 'floats', seed: 44, bytes: 500_001 }],
  ['period 256', { kind: 'affine', a: 7, b: 3, bytes: 300_000 }],
  [
    'period 129 with matches',
    { ...(specOf(TRIGGER) as GeneratorSpec & { kind: 'repeat' }), bytes: 300_000 },
  ],
  [
    'period 4099',
    {
      kind: 'repeat',
      unit: [...generate({ kind: 'words', seed: 3, bytes: 4099 })],
      bytes: 300_000,
    },
  ],
  [
    'zeros inside random',
    {
      kind: 'concat',
      parts: [
        { kind: 'splitmix64', seed: 45, bytes: 100_001 },
        { kind: 'constant', value: 0, bytes: 150_000 },
        { kind: 'splitmix64', seed: 46, bytes: 100_001 },
      ],
    },
  ],
];

describe('cuts', () => {
  it.each(SHAPES)('of %s data are those of the definition without skipping', (_, spec) => {
    const data = generate(spec);
    const expected = naiveCuts(data);
    expect([...findCuts(scanner, data)]).toEqual(expected);
    expect(resolvedCuts(data, [0, data.length], DEFAULT_PARAMS)).toEqual(expected);
  });

  it.each([1024, 2048, 4096, 16384, 32768, 131072])(
    'follow the definition for a target of %i bytes',
    (target) => {
      const params = chunkerParams(target);
      for (const [name, spec] of SHAPES) {
        const data = generate(spec).subarray(0, 200_000);
        const expected = naiveCuts(data, target);
        expect([...findCuts(scanner, data, params)], name).toEqual(expected);
        expect(resolvedCuts(data, [0, 60_000, 60_001, data.length], params), name).toEqual(
          expected,
        );
      }
    },
  );

  it('follow the definition at every length around minimum, maximum and window', () => {
    const params = chunkerParams(1024);
    const data = generate({ kind: 'splitmix64', seed: 47, bytes: 5000 });
    for (let length = 0; length <= 2200; length += length < 300 || length > 1900 ? 1 : 37) {
      const input = data.subarray(0, length);
      expect([...findCuts(scanner, input, params)]).toEqual(naiveCuts(input, 1024));
    }
  });

  it('are the same for any segments, also of one byte', () => {
    const data = generate({ kind: 'splitmix64', seed: 48, bytes: 200_000 });
    const periodic = generate({ kind: 'repeat', unit: [...data.subarray(0, 700)], bytes: 200_000 });
    const params = chunkerParams(4096);
    const border = fc.nat(200_000);
    for (const input of [data, periodic]) {
      const expected = [...findCuts(scanner, input, params)];
      fc.assert(
        fc.property(fc.array(border, { maxLength: 40 }), border, (inner, single) => {
          const borders = [0, ...inner, single, Math.min(single + 1, 200_000), 200_000];
          borders.sort((a, b) => a - b);
          expect(resolvedCuts(input, borders, params)).toEqual(expected);
        }),
        { seed: 6, numRuns: 40 },
      );
    }
  });

  it('are the same for 1, 2, 3, 5, 8, 16 and 64 equal segments', () => {
    const data = generate({ kind: 'splitmix64', seed: 0, bytes: 1_000_000 });
    const expected = [...findCuts(scanner, data)];
    for (const count of [1, 2, 3, 5, 8, 16, 64]) {
      const borders = Array.from({ length: count + 1 }, (_, i) =>
        Math.round((data.length * i) / count),
      );
      expect(resolvedCuts(data, borders, DEFAULT_PARAMS)).toEqual(expected);
    }
  });
});

describe('parameters', () => {
  it('derive from the target', () => {
    expect(DEFAULT_PARAMS).toEqual({
      targetBytes: 65536,
      minBytes: 8192,
      maxBytes: 131072,
      maskBits: 16,
    });
    expect(chunkerParams(1024)).toEqual({
      targetBytes: 1024,
      minBytes: 128,
      maxBytes: 2048,
      maskBits: 10,
    });
    expect(chunkerParams(2 ** 31).maxBytes).toBe(2 ** 32);
  });

  it.each([0, -1024, 512, 1000, 65537, 2 ** 32, 1536, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuse a target of %d',
    (target) => {
      expect(() => chunkerParams(target)).toThrow(RangeError);
    },
  );
});

describe('CutResolver', () => {
  it('is exact far beyond 2^32', () => {
    const base = 2 ** 53 - 400_000;
    const resolver = new CutResolver(chunkerParams(2 ** 31));
    // Constant data up to there: only maximum cuts, which are multiples of 2^32.
    const cuts = resolver.resolve(0, base, [], 0, false);
    expect(cuts).toHaveLength(2 ** 21 - 1);
    expect(cuts.at(-1)).toBe((2 ** 21 - 1) * 2 ** 32);
    const end = 2 ** 53 - 1;
    expect(resolver.resolve(base, end, Uint32Array.of(1, 399_999), base, true)).toEqual([
      base + 1,
      end,
    ]);
  });

  it('resolves relative candidates of a slab', () => {
    const resolver = new CutResolver();
    expect(resolver.resolve(0, 100_000, [], 0, false)).toEqual([]);
    // The slab holds the file from 99,937 on: 63 bytes of window before the segment.
    expect(resolver.resolve(100_000, 200_000, Uint32Array.of(1063, 2063), 99_937, false)).toEqual([
      101_000,
    ]);
    expect(resolver.chunkStart).toBe(101_000);
    expect(resolver.resolve(200_000, 200_000, [], 0, true)).toEqual([200_000]);
  });

  it('makes no chunk of nothing and no empty last chunk', () => {
    expect(new CutResolver().resolve(0, 0, [], 0, true)).toEqual([]);
    const resolver = new CutResolver();
    expect(resolver.resolve(0, 131_072, [131_072], 0, false)).toEqual([131_072]);
    expect(resolver.resolve(131_072, 131_072, [], 0, true)).toEqual([]);
  });

  it('works through a candidate at every position in one pass and keeps none of them', () => {
    const resolver = new CutResolver();
    const length = 1_000_000;
    const everywhere = Uint32Array.from({ length }, (_, i) => i + 1);
    const cuts: number[] = [];
    for (let start = 0; start < 8 * length; start += length) {
      cuts.push(...resolver.resolve(start, start + length, everywhere, start, false));
    }
    expect(cuts).toEqual(
      Array.from({ length: Math.floor((8 * length) / 8192) }, (_, i) => 8192 * (i + 1)),
    );
  });

  it('refuses gaps, overlaps, candidates out of place and segments behind the end', () => {
    const resolver = new CutResolver();
    expect(() => resolver.resolve(1, 10, [], 0, false)).toThrow(RangeError);
    expect(() => resolver.resolve(0, -1, [], 0, false)).toThrow(RangeError);
    expect(() => resolver.resolve(0, 2 ** 53, [], 0, false)).toThrow(RangeError);
    expect(() => resolver.resolve(0, 10, [11], 0, false)).toThrow(RangeError);
    expect(() => resolver.resolve(0, 10, [0], 0, false)).toThrow(RangeError);
    expect(() => resolver.resolve(0, 10, [4, 4], 0, false)).toThrow(RangeError);
    expect(() => resolver.resolve(0, 10, [Number.NaN], 0, false)).toThrow(RangeError);
    resolver.resolve(0, 10, [], 0, true);
    expect(() => resolver.resolve(10, 20, [], 0, false)).toThrow(RangeError);
  });

  it('equals the definition on candidates of every density', () => {
    const random = new SplitMix64(7);
    const params = chunkerParams(1024);
    for (let run = 0; run < 200; run++) {
      const length = random.below(20_000);
      const share = 1 / (1 + random.below(3000));
      const isCandidate = Array.from({ length: length + 1 }, () => random.below(1e6) < share * 1e6);
      const expected: number[] = [];
      let start = 0;
      for (let end = 1; end <= length; end++) {
        const size = end - start;
        if (end === length || size >= 2048 || (size >= 128 && isCandidate[end] === true)) {
          expected.push(end);
          start = end;
        }
      }
      const middle = random.below(length + 1);
      const list = isCandidate.flatMap((yes, i) => (yes && i > 0 ? [i] : []));
      const resolver = new CutResolver(params);
      const first = list.filter((position) => position <= middle);
      const cuts = [
        ...resolver.resolve(0, middle, first, 0, false),
        ...resolver.resolve(middle, length, list.slice(first.length), 0, true),
      ];
      expect(cuts).toEqual(expected);
    }
  });
});
