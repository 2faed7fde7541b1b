import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, pairedRatio, quantile, relativeNoise } from '../../src/bench/index.js';

const values = fc.array(fc.double({ min: 1e-3, max: 1e6, noNaN: true }), { minLength: 1 });

describe('statistics of the harness', () => {
  it('takes the middle value, or the mean of the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  it('interpolates quantiles and leaves the list as it was', () => {
    const list = [10, 30, 20, 40, 50];
    expect(quantile(list, 0)).toBe(10);
    expect(quantile(list, 0.25)).toBe(20);
    expect(quantile(list, 0.9)).toBe(46);
    expect(quantile(list, 1)).toBe(50);
    expect(list).toEqual([10, 30, 20, 40, 50]);
  });

  it('keeps quantiles between the extremes and in order', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
        const value = quantile(list, q);
        expect(value).toBeGreaterThanOrEqual(Math.min(...list));
        expect(value).toBeLessThanOrEqual(Math.max(...list));
        expect(quantile(list, q / 2)).toBeLessThanOrEqual(value);
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  it('calls noise half the distance between the quartiles, relative to the median', () => {
    expect(relativeNoise([10, 20, 30, 40, 50])).toBeCloseTo(1 / 3);
    expect(relativeNoise([5])).toBe(0);
    expect(relativeNoise([0, 0, 0])).toBe(0);
  });

  it('finds the same noise whatever the unit', () => {
    fc.assert(
      fc.property(values, (list) => {
        const scaled = relativeNoise(list.map((value) => value * 1024));
        expect(scaled).toBeCloseTo(relativeNoise(list), 9);
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  it('pairs what ran side by side, so that drift of the machine cancels', () => {
    expect(pairedRatio([1, 2, 4], [2, 4, 8])).toBe(2);
    // Their medians alone would say 1.
    expect(pairedRatio([1, 10, 100], [10, 100, 10])).toBe(10);
    expect(pairedRatio([1, 2], [3])).toBe(3);
    expect(pairedRatio([], [1])).toBeNaN();
  });
});
