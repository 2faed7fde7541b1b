import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bytesEqualInSteps,
  createStepMeter,
  ENTRIES_PER_STEP,
  runSteps,
  sortInSteps,
} from '../../src/bytes/index.js';

/** Work in steps gives what the same work at once gives, and no step is long. */

/** What it gives, and the largest `count()` grew between two yields. */
function measured<Result>(
  steps: Generator<void, Result>,
  count: () => number,
): { result: Result; longest: number } {
  let longest = 0;
  for (;;) {
    const before = count();
    const step = steps.next();
    longest = Math.max(longest, count() - before);
    if (step.done === true) return { result: step.value, longest };
  }
}

describe('sorting in steps', () => {
  it('gives what the built-in sort gives, equal ones in their order', () => {
    const item = fc.record({ key: fc.nat(20), id: fc.nat() });
    fc.assert(
      fc.property(fc.array(item, { maxLength: 5000, size: 'max' }), (items) => {
        const compare = (a: { key: number }, b: { key: number }): number => a.key - b.key;
        expect(runSteps(sortInSteps(items, compare))).toEqual([...items].sort(compare));
      }),
      { numRuns: 20, seed: 5 },
    );
  });

  it('compares a bounded number of times between two yields', () => {
    let compared = 0;
    const items = Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 100_003);
    const compare = (a: number, b: number): number => {
      compared++;
      return a - b;
    };
    const { result, longest } = measured(sortInSteps(items, compare), () => compared);
    expect(result).toEqual([...items].sort((a, b) => a - b));
    // A block of 1024 is sorted by some 10,000 comparisons.
    expect(longest).toBeLessThan(12_000);
    expect(compared).toBeGreaterThan(1_000_000);
  });
});

it('comparing in steps gives what comparing gives, also for the last byte', () => {
  const bytes = new Uint8Array(3_000_000).fill(7);
  const other = bytes.slice();
  expect(runSteps(bytesEqualInSteps(bytes, other))).toBe(true);
  other[other.length - 1] = 8;
  expect(runSteps(bytesEqualInSteps(bytes, other))).toBe(false);
  expect(runSteps(bytesEqualInSteps(bytes, bytes.subarray(1)))).toBe(false);
  expect([...bytesEqualInSteps(bytes, bytes)].length).toBeGreaterThan(3);
});

it('a meter is due once for each step of work, however it is told', () => {
  const isDue = createStepMeter();
  let due = 0;
  for (let entry = 0; entry < 10 * ENTRIES_PER_STEP; entry++) if (isDue(1)) due++;
  expect(due).toBe(10);
  expect(isDue(5 * ENTRIES_PER_STEP)).toBe(true);
  expect(isDue(1)).toBe(false);
});
