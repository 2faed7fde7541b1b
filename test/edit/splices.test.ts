import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ByteSpan } from '../../src/chunker/index.js';
import { dirtyBytes, orderSplices, regionsOf, type Splice } from '../../src/edit/index.js';

/** Splices that fit into a file of `sizeBytes`, in any order. */
function splicesOf(sizeBytes: number, draws: readonly (readonly [number, number])[]): Splice[] {
  let position = 0;
  const splices: Splice[] = [];
  for (const [skip, deleted] of draws) {
    const offset = position + (skip % (sizeBytes - position + 1));
    const deleteBytes = deleted % (sizeBytes - offset + 1);
    splices.push({ offset, deleteBytes });
    position = offset + deleteBytes;
  }
  return splices;
}

/** Windows as a store may choose them: any that lie around the dirty bytes. */
function windowsAround(dirty: readonly ByteSpan[], sizeBytes: number, wide: number): ByteSpan[] {
  const windows: { start: number; end: number }[] = [];
  for (const { start, end } of dirty) {
    const from = Math.max(0, start - (start % 7));
    const to = Math.min(sizeBytes, end + wide);
    const last = windows.at(-1);
    if (last !== undefined && from < last.end) last.end = Math.max(last.end, to);
    else windows.push({ start: from, end: to });
  }
  return windows;
}

describe('splices', () => {
  const draw = fc.tuple(fc.nat(60), fc.nat(40));

  it('make, with the bytes outside of the regions, the edited file', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.array(draw, { minLength: 1, maxLength: 6 }),
        fc.nat(12),
        fc.integer({ min: 1, max: 20 }),
        (sizeBytes, draws, wide, limit) => {
          const old = Array.from({ length: sizeBytes }, (_, i) => i);
          const splices = splicesOf(sizeBytes, draws);
          const expected = [...old] as (number | string)[];
          for (const [index, { offset, deleteBytes }] of [...splices.entries()].reverse()) {
            expected.splice(offset, deleteBytes, `insert ${index}`);
          }
          const ordered = orderSplices(splices, sizeBytes);
          const dirty = dirtyBytes(splices, sizeBytes, limit);
          expect(dirty.length).toBeLessThanOrEqual(limit);
          const windows = windowsAround(dirty, sizeBytes, wide);
          const made: (number | string)[] = [];
          const read = new Set<number>();
          let position = 0;
          for (const region of regionsOf(windows, ordered, sizeBytes)) {
            made.push(...old.slice(position, region.start));
            position = region.end;
            const places = windows.map(({ start }) => start);
            for (const step of region.steps) {
              if (step.kind === 'insert') {
                made.push(`insert ${step.index}`);
                continue;
              }
              const at = places[step.window] as number;
              places[step.window] = at + step.bytes;
              for (let i = at; i < at + step.bytes; i++) read.add(i);
              if (step.kind === 'copy') made.push(...old.slice(at, at + step.bytes));
            }
            // Every byte of its windows is read, so that all of them are proved.
            for (let w = region.firstWindow; w < region.endWindow; w++) {
              expect(places[w]).toBe(windows[w]?.end);
            }
          }
          made.push(...old.slice(position));
          expect(made).toEqual(expected);
          expect(read.size).toBe(windows.reduce((sum, { start, end }) => sum + end - start, 0));
        },
      ),
      { numRuns: 1000, seed: 3 },
    );
  });

  it('are sorted, and keep their order at one place', () => {
    const splices = [
      { offset: 9, deleteBytes: 1 },
      { offset: 4, deleteBytes: 0 },
      { offset: 4, deleteBytes: 0 },
      { offset: 4, deleteBytes: 5 },
    ];
    expect(orderSplices(splices, 10).map(({ index }) => index)).toEqual([1, 2, 3, 0]);
  });

  it.each([
    ['reach behind the end', [{ offset: 9, deleteBytes: 2 }]],
    ['begin behind the end', [{ offset: 11, deleteBytes: 0 }]],
    [
      'overlap',
      [
        { offset: 2, deleteBytes: 3 },
        { offset: 4, deleteBytes: 0 },
      ],
    ],
  ])('that %s are RANGE_INVALID', (_name, splices) => {
    expect(() => orderSplices(splices, 10)).toThrowError(
      expect.objectContaining({ code: 'RANGE_INVALID' }),
    );
  });

  it('refuse windows that do not lie around them', () => {
    const ordered = orderSplices([{ offset: 50, deleteBytes: 10 }], 100);
    for (const windows of [
      [],
      [{ start: 0, end: 50 }],
      [{ start: 50, end: 59 }],
      [{ start: 55, end: 100 }],
    ]) {
      expect(() => regionsOf(windows, ordered, 100)).toThrowError(
        expect.objectContaining({ code: 'PROTOCOL' }),
      );
    }
  });

  it('of very many places become few ranges, the nearest joined first', () => {
    const splices = [0, 10, 12, 40, 41].map((offset) => ({ offset, deleteBytes: 0 }));
    expect(dirtyBytes(splices, 100, 3)).toEqual([
      { start: 0, end: 1 },
      { start: 10, end: 13 },
      { start: 40, end: 42 },
    ]);
  });
});
