import { describe, expect, it } from 'vitest';
import { chunkerParams, createReadableScanner, findCuts } from '../../src/chunker/index.js';
import { generate, SplitMix64 } from '../support/generators.js';
import { dirtyWindows, nextStableBoundary } from '../support/windows.js';

const scanner = createReadableScanner();

describe('stable boundaries', () => {
  it('keep all cuts behind them, whatever happens before', () => {
    const params = chunkerParams(1024);
    const random = new SplitMix64(61);
    let proven = 0;
    for (let run = 0; run < 150; run++) {
      const data = generate({ kind: 'splitmix64', seed: 600 + run, bytes: 30_000 });
      const cuts = findCuts(scanner, data, params);
      const position = 1 + random.below(15_000);
      const boundary = nextStableBoundary(position, cuts, params);
      if (boundary === null) continue;
      proven++;
      // Overwrite, and also shift everything: insert or remove bytes before the position.
      const removed = random.below(Math.min(position, 3000));
      const inserted = generate({ kind: 'splitmix64', seed: run, bytes: random.below(3000) });
      const edited = new Uint8Array([
        ...data.subarray(0, position - removed),
        ...inserted,
        ...data.subarray(position),
      ]);
      const shift = edited.length - data.length;
      const after = [...findCuts(scanner, edited, params)].filter((cut) => cut >= boundary + shift);
      expect(after).toEqual([...cuts].filter((cut) => cut >= boundary).map((cut) => cut + shift));
    }
    expect(proven).toBeGreaterThan(50);
  });

  it('do not exist in constant data, nor without cuts', () => {
    expect(nextStableBoundary(0, [131_072, 262_144, 393_216, 524_288])).toBe(null);
    expect(nextStableBoundary(0, [])).toBe(null);
  });
});

describe('dirty windows', () => {
  const lengths = Array<number>(20).fill(16_384);

  it('take ranges in any order, overlapping and touching', () => {
    const expected = [
      { start: 0, end: 49_152 },
      { start: 229_376, end: 278_528 },
    ];
    expect(
      dirtyWindows(lengths, [
        { start: 229_376, end: 230_000 },
        { start: 5, end: 16_384 },
        { start: 229_500, end: 245_760 },
        { start: 0, end: 5 },
        { start: 2, end: 3 },
      ]),
    ).toEqual(expected);
  });

  it('ignore empty ranges and what lies past the end', () => {
    expect(dirtyWindows(lengths, [{ start: 7, end: 7 }])).toEqual([]);
    expect(dirtyWindows(lengths, [{ start: 327_680, end: 400_000 }])).toEqual([]);
    expect(dirtyWindows(lengths, [{ start: 327_679, end: 400_000 }])).toEqual([
      { start: 311_296, end: 327_680 },
    ]);
    expect(dirtyWindows([], [{ start: 0, end: 1 }])).toEqual([]);
  });

  it('go on over chunks that prove nothing', () => {
    const mixed = [131_072, 131_072, 16_384, 131_072, 16_384, 16_383, 122_880, 122_879, 16_384, 9];
    expect(dirtyWindows(mixed, [{ start: 0, end: 1 }])).toEqual([
      { start: 0, end: mixed.slice(0, 9).reduce((sum, length) => sum + length, 0) },
    ]);
  });

  it('refuse ranges that are none', () => {
    expect(() => dirtyWindows(lengths, [{ start: 2, end: 1 }])).toThrow(RangeError);
    expect(() => dirtyWindows(lengths, [{ start: -1, end: 1 }])).toThrow(RangeError);
    expect(() => dirtyWindows(lengths, [{ start: Number.NaN, end: 1 }])).toThrow(RangeError);
  });
});
