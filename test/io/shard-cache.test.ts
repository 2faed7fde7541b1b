import { chmod, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ShardCache } from '../../src/client/ports.js';
import { createShardCache } from '../../src/io/index.js';
import { Scheduler } from '../flow/scheduler.js';
import { generate } from '../support/generators.js';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-cache-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const ENDPOINT = 'https://cas.example.com/';
const world = new Scheduler(1);
const now = (): number => Math.floor(world.clock.unixMs() / 1000);
const shard = (seed: number, bytes = 1000): Uint8Array =>
  generate({ kind: 'splitmix64', seed, bytes });
const keys = (...numbers: number[]): Uint8Array => {
  const bytes = new Uint8Array(8 * numbers.length);
  numbers.forEach((number, i) => {
    new DataView(bytes.buffer).setUint32(8 * i, number, true);
    new DataView(bytes.buffer).setUint32(8 * i + 4, 7 * number, true);
  });
  return bytes;
};

const open = (maxBytes?: number, endpoint = ENDPOINT): Promise<ShardCache> =>
  createShardCache({ dir, endpoint, maxBytes, clock: world.clock });

async function found(cache: ShardCache, ...numbers: number[]): Promise<Uint8Array[]> {
  const shards: Uint8Array[] = [];
  for (const cached of await cache.find(keys(...numbers))) {
    const bytes = await cached.read();
    if (bytes === null) continue;
    expect(bytes.length).toBe(cached.sizeBytes);
    shards.push(Uint8Array.from(bytes));
  }
  return shards;
}

async function shardFiles(): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  return names.filter((name) => name.endsWith('.shard')).map((name) => join(dir, name));
}

async function usedBytes(): Promise<number> {
  let total = 0;
  for (const path of await shardFiles()) total += (await stat(path)).size;
  return total;
}

describe('createShardCache', () => {
  it('gives a shard to the next run that asks for one of its chunks', async () => {
    const cache = await open();
    expect(await cache.put(shard(1), keys(1, 2, 3), now() + 10)).toBe(true);
    expect(await cache.put(shard(2), keys(4), now() + 10)).toBe(true);
    expect(await found(cache, 1)).toEqual([shard(1)]);
    const next = await open();
    expect(await found(next, 9, 10)).toEqual([]);
    expect(await found(next, 9, 3, 2)).toEqual([shard(1)]);
    const [first, ...more] = await next.find(keys(1));
    expect([first?.id, more]).toEqual([(await next.find(keys(2)))[0]?.id, []]);
    expect(await found(next, 4)).toEqual([shard(2)]);
  });

  it('keeps endpoints apart', async () => {
    await (await open()).put(shard(1), keys(1), now() + 10);
    expect(await found(await open(undefined, 'https://other.example.com/'), 1)).toEqual([]);
    expect(await found(await open(), 1)).toEqual([shard(1)]);
  });

  it('sees what another process puts meanwhile, with its next run', async () => {
    const one = await open();
    const two = await open();
    expect(await found(one, 1)).toEqual([]);
    await Promise.all([
      one.put(shard(1), keys(1), now() + 9),
      two.put(shard(2), keys(2), now() + 9),
    ]);
    expect(await found(await open(), 1, 2)).toHaveLength(2);
  });

  it('never holds more than its limit over all endpoints, whoever puts, and drops what was not used for longest', async () => {
    const caches = [await open(3500), await open(3500, 'https://other.example.com/')] as const;
    for (let round = 0; round < 8; round++) {
      for (const cache of caches) {
        await Promise.all(
          [0, 1].map((i) => cache.put(shard(10 * round + i), keys(10 * round + i), now() + 9)),
        );
        expect(await usedBytes()).toBeLessThanOrEqual(3500);
      }
    }
    expect(await caches[0].put(shard(5, 3501), keys(1), now() + 9)).toBe(false);
    expect(await shardFiles()).toHaveLength(3);
  });

  it('keeps what is used when something has to go', async () => {
    const first = await open(3500);
    for (const seed of [1, 2, 3]) {
      await first.put(shard(seed), keys(seed), now() + 1000);
      await world.advance(2000);
    }
    // The files carry the time of the machine; their order is what the clock of the test says.
    const next = await open(3500);
    for (const seed of [1, 2, 3]) {
      await found(next, seed);
      await world.advance(2000);
    }
    expect(await found(await open(3500), 1)).toEqual([shard(1)]);
    await world.advance(2000);
    await (await open(3500)).put(shard(4), keys(4), now() + 1000);
    const last = await open(3500);
    expect(await found(last, 1)).toEqual([shard(1)]);
    expect(await found(last, 2)).toEqual([]);
  });

  it('forgets what has expired', async () => {
    const cache = await open();
    expect(await cache.put(shard(1), keys(1), now())).toBe(false);
    await cache.put(shard(2), keys(2), now() + 5);
    await world.advance(5000);
    expect(await found(await open(), 2)).toEqual([]);
    expect(await shardFiles()).toEqual([]);
  });

  it('removes what is damaged or dropped, and leaves strange files alone', async () => {
    const cache = await open();
    await cache.put(shard(1), keys(1), now() + 5);
    await cache.put(shard(2), keys(2), now() + 5);
    for (const path of await shardFiles()) {
      if ((await stat(path)).size === 1000) await truncate(path, 999);
      break;
    }
    await writeFile(join(dir, 'notes.txt'), 'mine');
    const next = await open();
    const both = await next.find(keys(1, 2));
    const read = await Promise.all(both.map((cached) => cached.read()));
    expect(read.filter((bytes) => bytes === null)).toHaveLength(1);
    expect(await shardFiles()).toHaveLength(1);
    await both[read.findIndex((bytes) => bytes !== null)]?.drop();
    expect(await shardFiles()).toEqual([]);
    expect(await readdir(dir)).toContain('notes.txt');
    expect(await found(await open(), 1, 2)).toEqual([]);
  });

  it('does without an index that is gone, torn or too long', async () => {
    const cache = await open();
    await cache.put(shard(1), keys(1, 2, 3), now() + 50);
    const [path] = (await shardFiles()) as [string];
    const index = join(path, '..', 'index');
    await truncate(index, 20);
    expect(await found(await open(), 1)).toEqual([shard(1)]);
    expect(await found(await open(), 3)).toEqual([]);
    await writeFile(index, generate({ kind: 'splitmix64', seed: 3, bytes: 160_003 }));
    expect(await found(await open(), 1)).toEqual([]);
    expect((await stat(index)).size).toBe(0);
    await rm(index);
    expect(await found(await open(), 1)).toEqual([]);
  });

  it('is private to its user', async () => {
    await (await open()).put(shard(1), keys(1), now() + 5);
    const [path] = (await shardFiles()) as [string];
    expect((await stat(path)).mode & 0o077).toBe(0);
    expect((await stat(join(path, '..'))).mode & 0o077).toBe(0);
  });

  it('is a miss, never a failure, when the folder goes away or cannot be written', async () => {
    const cache = await open();
    await rm(dir, { recursive: true });
    expect(await cache.put(shard(1), keys(1), now() + 5)).toBe(false);
    expect(await found(cache, 1)).toEqual([]);
    const again = await open();
    if (process.getuid?.() !== 0) {
      await chmod(dir, 0o500);
      expect(await again.put(shard(1), keys(1), now() + 5)).toBe(false);
      await chmod(dir, 0o700);
    }
  });

  it('finds any key among many, and nothing under others', async () => {
    const cache = await open();
    for (let i = 0; i < 20; i++) {
      const numbers = Array.from({ length: 1000 }, (_, j) => 1000 * i + j);
      await cache.put(shard(i), keys(...numbers), now() + 50);
    }
    const next = await open();
    expect(await found(next, 20_000, 123_456)).toEqual([]);
    expect(await found(next, 19_999)).toEqual([shard(19)]);
    expect(await found(next, 7_500, 7_501, 3_000)).toHaveLength(2);
  });
});
