import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MerkleHash } from '../../src/hash/index.js';
import { checkTerms, outputBytesOf, type Term } from '../../src/plan/index.js';
import { sliceTerms } from '../support/slice-terms.js';

const XORBS = [1, 2, 3].map((n) => MerkleHash.from(new Uint8Array(32).fill(n)));

/** Terms of one to three chunks of 1000 bytes. */
function termsOf(choices: readonly { xorb: number; chunkStart: number; count: number }[]): Term[] {
  return choices.map(({ xorb, chunkStart, count }) => ({
    xorb: XORBS[xorb] as MerkleHash,
    chunkStart,
    chunkEnd: chunkStart + count,
    unpackedBytes: 1000 * count,
  }));
}

const files = fc.array(
  fc.record({
    xorb: fc.nat(2),
    chunkStart: fc.nat(4),
    count: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 1, maxLength: 12 },
);

describe('checkTerms', () => {
  it('takes what is right, for any range and block after block', () => {
    fc.assert(
      fc.property(files, fc.nat(30_000), fc.integer({ min: 1, max: 9000 }), (choices, at, step) => {
        const terms = termsOf(choices);
        const sizeBytes = outputBytesOf({ offsetIntoFirstTerm: 0, terms, fetches: [] });
        const start = at % sizeBytes;
        const first = { ...sliceTerms(terms, start, start + step), fetches: [] };
        checkTerms(first, { start, end: start + step });
        const previous = {
          term: first.terms.at(-1) as Term,
          fileStart: start + outputBytesOf(first) - (first.terms.at(-1) as Term).unpackedBytes,
        };
        const next = start + outputBytesOf(first);
        const second = { ...sliceTerms(terms, next, next + step), fetches: [] };
        checkTerms(second, { start: next, end: next + step, previous });
        // A server may cut its responses anywhere: the same term comes again.
        const inside = Math.min(next - 1, start + step);
        const third = { ...sliceTerms(terms, inside, inside + step), fetches: [] };
        if (inside > start && inside >= previous.fileStart) {
          checkTerms(third, { start: inside, end: inside + step, previous });
        }
      }),
      { numRuns: 500, seed: 3 },
    );
  });

  it('refuses a flipped offset at the start of a file, whichever bit it is', () => {
    const terms = termsOf([{ xorb: 0, chunkStart: 0, count: 3 }]);
    for (let bit = 0; bit < 31; bit++) {
      const flipped = { offsetIntoFirstTerm: 2 ** bit, terms, fetches: [] };
      expect(() => checkTerms(flipped, { start: 0, end: 3000 })).toThrow(
        expect.objectContaining({ code: 'PROTOCOL' }),
      );
    }
  });

  it('refuses an offset that leaves the first or the last term without a byte that was asked for', () => {
    const terms = termsOf([
      { xorb: 0, chunkStart: 0, count: 3 },
      { xorb: 1, chunkStart: 0, count: 2 },
    ]);
    const asked = { start: 2500, end: 3200 };
    checkTerms({ offsetIntoFirstTerm: 2500, terms, fetches: [] }, asked);
    for (const offsetIntoFirstTerm of [3000, 2500 + 1024, 2500 - 2048, 0]) {
      const wrong = { offsetIntoFirstTerm, terms, fetches: [] };
      expect(() => checkTerms(wrong, asked)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }));
    }
    // Too small a shift for the lengths to tell: only a proof finds it.
    checkTerms({ offsetIntoFirstTerm: 2500 ^ 4, terms, fetches: [] }, asked);
  });

  it('refuses an offset that is another than the block before says', () => {
    const [one, two, three] = termsOf([
      { xorb: 0, chunkStart: 0, count: 3 },
      { xorb: 1, chunkStart: 4, count: 2 },
      { xorb: 0, chunkStart: 0, count: 3 },
    ]) as [Term, Term, Term];
    const end = 90_000;
    for (const [start, first, previous, right] of [
      // The same term again, of which 1000 bytes are there.
      [1000, one, { term: one, fileStart: 0 }, 1000],
      // The next one.
      [3000, two, { term: one, fileStart: 0 }, 0],
      [5000, three, { term: two, fileStart: 3000 }, 0],
    ] as const) {
      checkTerms(
        { offsetIntoFirstTerm: right, terms: [first], fetches: [] },
        { start, end, previous },
      );
      const wrong = { offsetIntoFirstTerm: right ^ 512, terms: [first], fetches: [] };
      expect(() => checkTerms(wrong, { start, end, previous })).toThrow(
        expect.objectContaining({ code: 'PROTOCOL' }),
      );
    }
  });
});
