import { expect, it } from 'vitest';
import { HashTable } from '../../src/shard/index.js';
import { generate } from '../support/generators.js';

it('a table of hashes numbers them in their order, also while it grows', () => {
  const count = 5000;
  const hashes = generate({ kind: 'splitmix64', seed: 8, bytes: 32 * count });
  const table = new HashTable();
  const wrong: number[] = [];
  for (let at = 0; at < count; at++) {
    const wasThere = table.indexOf(hashes, 32 * at) !== -1;
    const isTwice = [1, 2].some(() => table.add(hashes, 32 * at) !== at);
    // An early one, a middle one, the last one: in the old table or the new one.
    const isLost = [0, at >> 1, at].some((known) => table.indexOf(hashes, 32 * known) !== known);
    if (wasThere || isTwice || isLost) wrong.push(at);
  }
  expect(wrong).toEqual([]);
  expect(table.count).toBe(count);
  expect(table.at(4321)).toEqual(hashes.subarray(32 * 4321, 32 * 4322));
});
