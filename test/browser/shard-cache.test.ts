import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/browser/indexed-db.js';
import { createPageShardCache } from '../../src/browser/shard-cache.js';
import type { Clock } from '../../src/flow/index.js';

const FOREVER = 4_000_000_000;

/** A clock that stands until it is moved. */
class StoppedClock implements Clock {
  #ms = 1_800_000_000_000;
  now = (): number => this.#ms;
  unixMs = (): number => this.#ms;
  setTimer = (): (() => void) => () => {};
  advance(ms: number): void {
    this.#ms += ms;
  }
}

/** Keys of eight bytes each. */
function keys(...numbers: number[]): Uint8Array {
  const bytes = new Uint8Array(8 * numbers.length);
  numbers.forEach((number, i) => {
    bytes[8 * i] = number;
  });
  return bytes;
}

let database: Database;
let count = 0;
beforeEach(async () => {
  database = await openDatabase(`shards-${++count}`);
});
afterEach(() => database.close());

describe('the shard cache of a page', () => {
  it('finds shards by any of their keys, oldest first, of one endpoint', async () => {
    const cache = createPageShardCache(database, { endpoint: 'https://a.example' });
    expect(await cache.put(new Uint8Array([1]), keys(1, 2), FOREVER)).toBe(true);
    expect(await cache.put(new Uint8Array([2, 2]), keys(2, 3), FOREVER)).toBe(true);
    const found = await cache.find(keys(2, 9));
    expect(found.map(({ sizeBytes }) => sizeBytes)).toEqual([1, 2]);
    expect(await found[1]?.read()).toEqual(new Uint8Array([2, 2]));
    expect(await cache.find(keys(9))).toEqual([]);
    const other = createPageShardCache(database, { endpoint: 'https://b.example' });
    expect(await other.find(keys(1, 2, 3))).toEqual([]);
    await found[0]?.drop();
    expect(await found[0]?.read()).toBeNull();
    expect(await cache.find(keys(1))).toEqual([]);
  });

  it('forgets what has expired, and what was not used for longest', async () => {
    const clock = new StoppedClock();
    const cache = createPageShardCache(database, { endpoint: 'e', maxBytes: 25, clock });
    const expires = clock.unixMs() / 1000 + 100;
    const shard = (byte: number): Uint8Array => new Uint8Array(10).fill(byte);
    await cache.put(shard(1), keys(1), expires);
    clock.advance(1000);
    await cache.put(shard(2), keys(2), expires);
    clock.advance(1000);
    const [first] = await cache.find(keys(1));
    await first?.read();
    clock.advance(1000);
    await cache.put(shard(3), keys(3), expires);
    const left = await Promise.all(
      [1, 2, 3].map(async (key) => (await cache.find(keys(key))).length),
    );
    expect(left).toEqual([1, 0, 1]);
    expect(await cache.put(new Uint8Array(26), keys(4), expires)).toBe(false);
    clock.advance(200_000);
    expect(await cache.find(keys(1, 2, 3))).toEqual([]);
    expect(await cache.put(shard(5), keys(5), expires)).toBe(false);
  });

  it('is a miss when the database is of no use', async () => {
    const cache = createPageShardCache(database, { endpoint: 'e' });
    database.close();
    expect(await cache.find(keys(1))).toEqual([]);
    expect(await cache.put(new Uint8Array(1), keys(1), FOREVER)).toBe(false);
  });
});
