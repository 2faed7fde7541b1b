import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyInto } from '../../src/platform/index.js';

describe('a copy', () => {
  it('is the one of set, whatever the memory and wherever both lie', () => {
    const offset = fc.nat(20);
    fc.assert(
      fc.property(fc.boolean(), offset, offset, offset, fc.nat(5000), (shared, a, b, at, size) => {
        const buffer = shared ? new SharedArrayBuffer(6000) : new ArrayBuffer(6000);
        const target = new Uint8Array(buffer, a, 5500).fill(0xa5);
        const expected = new Uint8Array(5500).fill(0xa5);
        const piece = Uint8Array.from({ length: b + size }, (_, i) => i * 7).subarray(b);
        copyInto(target, at, piece);
        expected.set(piece, at);
        expect(Buffer.compare(Buffer.from(target), expected)).toBe(0);
      }),
      { seed: 9, numRuns: 200 },
    );
  });

  it('refuses what does not fit', () => {
    for (const buffer of [new SharedArrayBuffer(10), new ArrayBuffer(10)]) {
      const target = new Uint8Array(buffer, 1, 5);
      expect(() => copyInto(target, 3, new Uint8Array(3))).toThrow(RangeError);
    }
  });
});
