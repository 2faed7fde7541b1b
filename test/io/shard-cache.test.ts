import { mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ShardCache } from '../../src/client/ports.js';
import { createShardCache } from '../../src/io/index.js';
import { generate } from '../support/generators.js';

const NOW = 1_800_000_000;

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-cache-'));
});
afterEach(() => rm(dir, { recursive: true }));

const shard = (seed: number, bytes = 1000): Uint8Array =>
  generate({ kind: 'splitmix64', seed, bytes });

const open = (maxBytes?: number): Promise<ShardCache> =>
  createShardCache({ dir, maxBytes, now: () => NOW * 1000 });

async function loadAll(cache: ShardCache, now = NOW): Promise<string[]> {
  const found: string[] = [];
  for await (const { bytes } of cache.load(now)) found.push(Buffer.from(bytes).toString('hex'));
  return found;
}

async function usedBytes(): Promise<number> {
  let total = 0;
  for (const name of await readdir(dir)) total += (await stat(join(dir, name))).size;
  return total;
}

describe('createShardCache', () => {
  it('gives back what was put, in this run and the next, once each', async () => {
    const cache = await open();
    for (const seed of [1, 2, 1]) expect(await cache.put(shard(seed), NOW + 10)).toBe(true);
    const expected = [1, 2].map((seed) => Buffer.from(shard(seed)).toString('hex')).sort();
    expect((await loadAll(cache)).sort()).toEqual(expected);
    expect((await loadAll(await open())).sort()).toEqual(expected);
  });

  it('never holds more than its limit, whoever puts at the same time', async () => {
    const caches = [await open(3500), await open(3500)];
    for (let round = 0; round < 10; round++) {
      await Promise.all([0, 1, 2].map((i) => caches[0]?.put(shard(10 * round + i), NOW + 10)));
      expect(await usedBytes()).toBeLessThanOrEqual(3500);
      await caches[1]?.put(shard(1000 + round), NOW + 10);
      expect(await usedBytes()).toBeLessThanOrEqual(3500);
    }
    expect(await caches[0]?.put(shard(5, 3501), NOW + 10)).toBe(false);
    expect((await loadAll(await open())).length).toBe(3);
  });

  it('forgets what has expired', async () => {
    const cache = await open();
    expect(await cache.put(shard(1), NOW)).toBe(false);
    await cache.put(shard(2), NOW + 5);
    expect((await loadAll(cache, NOW + 4)).length).toBe(1);
    expect(await loadAll(cache, NOW + 5)).toEqual([]);
    expect(await readdir(dir)).toEqual([]);
  });

  it('ignores and removes what is damaged or dropped, and leaves strange files alone', async () => {
    const cache = await open();
    await cache.put(shard(1), NOW + 5);
    const [name] = (await readdir(dir)) as [string];
    await truncate(join(dir, name), 999);
    await writeFile(join(dir, 'notes.txt'), 'mine');
    expect(await loadAll(cache)).toEqual([]);
    expect(await readdir(dir)).toEqual(['notes.txt']);
    await cache.put(shard(2), NOW + 5);
    for await (const cached of cache.load(NOW)) await cached.drop();
    expect(await loadAll(cache)).toEqual([]);
  });

  it('is a miss, never a failure, when the folder goes away', async () => {
    const cache = await open();
    await rm(dir, { recursive: true });
    expect(await cache.put(shard(1), NOW + 5)).toBe(false);
    expect(await loadAll(cache)).toEqual([]);
    await open();
  });
});
