import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coalesceRanges, DEFAULT_READ_PRICE, OrderedAssembler } from '../../src/plan/index.js';

const rangesArbitrary = fc
  .array(fc.tuple(fc.nat(2000), fc.integer({ min: 1, max: 100 })), { maxLength: 30 })
  .map((list) =>
    list
      .map(([start, length]) => ({ start, end: start + length }))
      .sort((a, b) => a.start - b.start),
  );

describe('coalescing ranges', () => {
  it('joins over gaps up to the limit and no further', () => {
    const ranges = [
      { start: 0, end: 10 },
      { start: 14, end: 20 },
      { start: 25, end: 30 },
    ];
    expect(coalesceRanges(ranges, { gapBytes: 4 })).toEqual([
      { start: 0, end: 20, members: [0, 1] },
      { start: 25, end: 30, members: [2] },
    ]);
    expect(coalesceRanges(ranges, { gapBytes: 0 })).toHaveLength(3);
    expect(coalesceRanges(ranges, { gapBytes: 5, maxBytes: 20 })).toHaveLength(2);
    expect(coalesceRanges([])).toEqual([]);
  });

  it('keeps every range whole in exactly one result, whatever comes in', () => {
    fc.assert(
      fc.property(
        rangesArbitrary,
        fc.nat(60),
        fc.integer({ min: 1, max: 500 }),
        (ranges, gapBytes, maxBytes) => {
          const joined = coalesceRanges(ranges, { gapBytes, maxBytes });
          expect(joined.flatMap(({ members }) => members)).toEqual(ranges.map((_, i) => i));
          for (const { start, end, members } of joined) {
            for (const member of members) {
              const range = ranges[member];
              expect(range !== undefined && range.start >= start && range.end <= end).toBe(true);
            }
            const longest = Math.max(
              ...members.map((m) => (ranges[m]?.end ?? 0) - (ranges[m]?.start ?? 0)),
            );
            expect(end - start).toBeLessThanOrEqual(Math.max(maxBytes, longest));
          }
        },
      ),
      { numRuns: 300, seed: 5 },
    );
  });

  it('never makes reading dearer under the model it takes its limits from', () => {
    const model = { ...DEFAULT_READ_PRICE, requestCostBytes: 50, maxRangeBytes: 1000 };
    fc.assert(
      fc.property(rangesArbitrary, (ranges) => {
        const bytes = (list: readonly { start: number; end: number }[]) =>
          list.reduce((sum, { start, end }) => sum + end - start, 0);
        const joined = coalesceRanges(ranges, {
          gapBytes: model.requestCostBytes,
          maxBytes: model.maxRangeBytes,
        });
        const apart = bytes(ranges) + ranges.length * model.requestCostBytes;
        const together = bytes(joined) + joined.length * model.requestCostBytes;
        expect(together).toBeLessThanOrEqual(apart);
      }),
      { numRuns: 200, seed: 6 },
    );
  });

  it('keeps the share of gaps in a joined range bounded, however cheap the gaps', () => {
    const crumbs = Array.from({ length: 40 }, (_, i) => ({ start: i * 100, end: i * 100 + 25 }));
    expect(coalesceRanges(crumbs, { gapBytes: 75, maxGapShare: 1 })).toHaveLength(1);
    // Two crumbs and the gap between them, which costs no more than a request; a third would not.
    expect(coalesceRanges(crumbs, { gapBytes: 75 })).toHaveLength(20);
    fc.assert(
      fc.property(rangesArbitrary, fc.nat(60), (ranges, gapBytes) => {
        const bytesIn = (list: readonly { start: number; end: number }[]): number => {
          let end = 0;
          let bytes = 0;
          for (const range of list) {
            bytes += Math.max(0, range.end - Math.max(range.start, end));
            end = Math.max(end, range.end);
          }
          return bytes;
        };
        for (const { start, end, members } of coalesceRanges(ranges, { gapBytes })) {
          const wanted = bytesIn(members.map((member) => ranges[member] ?? { start: 0, end: 0 }));
          expect(end - start - wanted).toBeLessThanOrEqual(Math.max(gapBytes, (end - start) / 2));
        }
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  it('refuses empty and unsorted ranges', () => {
    expect(() => coalesceRanges([{ start: 5, end: 5 }])).toThrow(RangeError);
    expect(() =>
      coalesceRanges([
        { start: 5, end: 6 },
        { start: 4, end: 9 },
      ]),
    ).toThrow(RangeError);
  });

  it('reads over a gap by default exactly when it costs no more than a request', () => {
    const gap = DEFAULT_READ_PRICE.requestCostBytes;
    const at = (start: number) => [
      { start: 0, end: 100 },
      { start, end: start + 100 },
    ];
    expect(coalesceRanges(at(100 + gap))).toHaveLength(1);
    expect(coalesceRanges(at(101 + gap))).toHaveLength(2);
  });
});

describe('the ordered assembler', () => {
  it('gives pieces back in output order whatever the order of arrival', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.infiniteStream(fc.nat(1000)),
        (data, random) => {
          const next = (limit: number) => (random.next().value as number) % limit;
          const pieces: { outputOffset: number; bytes: Uint8Array }[] = [];
          for (let at = 0; at < data.length; ) {
            const length = 1 + next(9);
            pieces.push({ outputOffset: 1000 + at, bytes: data.subarray(at, at + length) });
            at += length;
          }
          const assembler = new OrderedAssembler({ start: 1000, end: 1000 + data.length });
          const out: number[] = [];
          while (pieces.length > 0) {
            const [piece] = pieces.splice(next(pieces.length), 1);
            if (piece === undefined) break;
            for (const ready of assembler.push(piece)) {
              expect(ready.outputOffset).toBe(1000 + out.length);
              out.push(...ready.bytes);
            }
          }
          expect(out).toEqual([...data]);
          expect(assembler.nextOffset).toBe(1000 + data.length);
        },
      ),
      { numRuns: 200, seed: 9 },
    );
  });

  it('gives back the very objects it was given, so that they may carry more', () => {
    const assembler = new OrderedAssembler<{
      outputOffset: number;
      bytes: Uint8Array;
      slab: string;
    }>({ start: 0, end: 2 });
    const late = { outputOffset: 1, bytes: Uint8Array.of(2), slab: 'b' };
    expect(assembler.push(late)).toEqual([]);
    const early = { outputOffset: 0, bytes: Uint8Array.of(1), slab: 'a' };
    expect(assembler.push(early)).toEqual([early, late]);
    expect(assembler.nextOffset).toBe(2);
  });

  it('refuses pieces outside of the span and over each other', () => {
    const at = (outputOffset: number, length: number) => ({
      outputOffset,
      bytes: new Uint8Array(length),
    });
    const assembler = new OrderedAssembler({ start: 10, end: 20 });
    expect(() => assembler.push(at(9, 2))).toThrow(RangeError);
    expect(() => assembler.push(at(19, 2))).toThrow(RangeError);
    assembler.push(at(12, 3));
    for (const [start, length] of [
      [11, 2],
      [12, 3],
      [13, 1],
      [14, 4],
      [10, 10],
    ] as const) {
      expect(() => assembler.push(at(start, length))).toThrow(RangeError);
    }
    assembler.push(at(10, 2));
    expect(() => assembler.push(at(14, 1))).toThrow(RangeError);
    expect(() => new OrderedAssembler({ start: 2, end: 1 })).toThrow(RangeError);
  });
});
