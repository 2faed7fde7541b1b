import { xxhash32 } from 'hash-wasm';
import { expect, test } from 'vitest';
import { xxHash32 } from '../../src/compress/index.js';
import { content } from './contents.js';

test('XXH32 equals hash-wasm for every length up to 80, a long one, and a seed', async () => {
  const bytes = content('random', 100_001);
  for (const length of [...Array(81).keys(), 65_536, 100_001]) {
    for (const seed of [0, 0x9e3779b1]) {
      const part = bytes.subarray(0, length);
      const expected = Number.parseInt(await xxhash32(part, seed), 16);
      expect(xxHash32(part, seed), `length ${length}, seed ${seed}`).toBe(expected);
    }
  }
});
