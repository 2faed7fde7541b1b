import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createSlabCopy } from '../../src/client/download/slab-copy.js';

it('copies the same bytes whatever the memory and wherever source and target lie', () => {
  const copy = createSlabCopy(100);
  const source = Uint8Array.from({ length: 200 }, (_, i) => i);
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.nat(20),
      fc.nat(50),
      fc.nat(99),
      fc.nat(100),
      (shared, base, offset, from, length) => {
        const memory = shared ? new SharedArrayBuffer(400) : new ArrayBuffer(400);
        const target = new Uint8Array(memory, base, 300);
        const bytes = source.subarray(from, from + length);
        copy(target, offset, bytes);
        const expected = new Uint8Array(300);
        expected.set(bytes, offset);
        expect(Uint8Array.from(target)).toEqual(expected);
      },
    ),
    { numRuns: 300, seed: 5 },
  );
});
