import { expect, it } from 'vitest';
import { fuzzParsers } from '../support/parser-fuzz.js';

/** A short run; `scripts/fuzz.mjs` goes on for as long as it is asked, under a heap limit. */
it('damaged xorbs, shards, reconstructions and multipart bodies are refused by typed errors', async () => {
  const result = await fuzzParsers(7, (inputs) => inputs >= 4000);
  expect(result.troubles).toEqual([]);
  expect(result.inputs).toBe(4000);
  // The damage is neither harmless nor hopeless: each parser takes some of it and refuses some.
  for (const [parser, { taken = 0, ...refused }] of Object.entries(result.outcomes)) {
    const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0);
    expect([parser, taken > 10, refusals > 50]).toEqual([parser, true, true]);
  }
});
