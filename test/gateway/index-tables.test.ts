import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/flow/index.js';
import { createMemoryStore, type ObjectStore, type ValueStore } from '../../src/gateway/index.js';
import { createStoreIndex, type StoreIndex } from '../../src/gateway/store-index.js';
import { FAN_IN } from '../../src/gateway/tables/upkeep.js';
import { MerkleHash } from '../../src/hash/index.js';
import type { ShardFile } from '../../src/shard/index.js';
import { fileRecord } from './support/file-record.js';
import { hasher, keysOf } from './support/rig.js';

/** The index as two gateways over one store see it: what is registered, merged and removed in any order. */

/** 32-bit numbers from a seed. */
function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function hashOf(number: number): MerkleHash {
  const out = new Uint8Array(32);
  hasher.keyed(new Uint8Array(32), Uint8Array.of(number & 255, number >> 8), out, 0);
  return MerkleHash.from(out);
}

/** A file of `terms` terms; three hundred of them do not fit into a table. */
function fileOf(number: number, terms = 1): ShardFile {
  const term = { xorb: hashOf(number + 30_000), chunkStart: 0, chunkEnd: 1, unpackedBytes: 1000 };
  return {
    hash: hashOf(number),
    terms: Array.from({ length: terms }, () => term),
    verification: null,
    sha256: null,
  };
}

/** A clock that goes on whenever it is looked at; whoever waits is called soon. */
function createTestClock(): Clock {
  let now = 0;
  const tick = (): number => ++now;
  return {
    now: tick,
    unixMs: () => 1_800_000_000_000 + tick(),
    setTimer(delayMs, run) {
      now += delayMs;
      setImmediate(run);
      return () => undefined;
    },
  };
}

function createIndex(store: ObjectStore, clock: Clock): StoreIndex {
  // Merging is a step of its own here.
  return createStoreIndex({
    store,
    hasher,
    clock,
    background: (work) => void work.catch(() => undefined),
  });
}

const register = (
  index: StoreIndex,
  shard: number,
  files: readonly ShardFile[],
  chunks: number[],
) =>
  index.register({
    shard: hashOf(shard),
    files,
    chunks: chunks.map(hashOf),
    isGood: async () => true,
  });

async function namesOf(index: StoreIndex): Promise<string[]> {
  const names: string[] = [];
  for await (const { hash } of index.files()) names.push(hash.toString());
  return names.sort();
}

/** Calls of the store wait for some turns of others, as the seed says. */
function inAnyOrder(store: ObjectStore, random: (below: number) => number): ObjectStore {
  const wait = async (): Promise<void> => {
    for (let turns = random(4); turns > 0; turns--) await new Promise((go) => setImmediate(go));
  };
  const values = store.values as ValueStore;
  return {
    ...store,
    values: {
      ...values,
      async read(key) {
        await wait();
        return values.read(key);
      },
      async write(key, bytes, expected) {
        await wait();
        return values.write(key, bytes, expected);
      },
    },
    async head(key) {
      await wait();
      return store.head(key);
    },
    async read(key, range) {
      await wait();
      return store.read(key, range);
    },
    async put(key, body, options) {
      await wait();
      return store.put(key, body, options);
    },
    async delete(key) {
      await wait();
      return store.delete(key);
    },
    async *list(prefix) {
      await wait();
      for await (const entry of store.list(prefix)) {
        if (random(3) === 0) await wait();
        yield entry;
      }
    },
  };
}

describe('registering, merging, removing and asking in any order', () => {
  it.each([1, 2, 3])(
    'by two gateways (seed %i) never loses a file and never brings one back',
    async (seed) => {
      const random = createRandom(seed * 77 + 5);
      const clock = createTestClock();
      const memory = createMemoryStore({ clock });
      const indexes = [0, 1].map(() => createIndex(inAnyOrder(memory, random), clock));
      const pick = (): StoreIndex => indexes[random(2)] as StoreIndex;
      const known = new Map<number, ShardFile>();
      let next = 0;
      // Nearly enough to be merged.
      const first = createIndex(memory, clock);
      for (; next < FAN_IN - 3; next++) {
        await register(first, 10_000 + next, [fileOf(next)], [20_000]);
        known.set(next, fileOf(next));
      }
      for (let round = 0; round < 8; round++) {
        const taken = new Set<number>();
        const steps = Array.from({ length: 1 + random(4) }, async () => {
          const what = random(8);
          if (what < 4) {
            const files = Array.from({ length: 1 + random(3) }, () =>
              fileOf(next++, random(6) === 0 ? 300 : 1),
            );
            const first = next - files.length;
            await register(pick(), 10_000 + first, files, [20_000, 20_000 + first]);
            for (const [at, file] of files.entries()) known.set(first + at, file);
          } else if (what < 5) await pick().merge();
          else if (known.size > 0) {
            const number = [...known.keys()][random(known.size)] as number;
            if (taken.has(number)) return;
            taken.add(number);
            const file = known.get(number) as ShardFile;
            if (what < 7) expect(await pick().file(file.hash)).toEqual(file);
            else {
              expect(await pick().remove([file.hash, hashOf(40_000)])).toBe(1);
              known.delete(number);
              expect(await pick().file(file.hash)).toBeNull();
            }
          }
        });
        await Promise.all(steps);
      }
      const expected = [...known.values()].map(({ hash }) => hash.toString()).sort();
      for (const index of [...indexes, createIndex(memory, clock)]) {
        await index.merge();
        expect(await namesOf(index)).toEqual(expected);
        for (const file of known.values()) expect(await index.file(file.hash)).toEqual(file);
        expect(await index.file(hashOf(40_001))).toBeNull();
      }
      expect((await keysOf(memory, 'index/')).length).toBeLessThan(2 * FAN_IN);
    },
  );
});

describe('many registrations', () => {
  it('are few tables, whose chunks are known to the newest shards', async () => {
    const clock = createTestClock();
    const store = createMemoryStore({ clock });
    const index = createIndex(store, clock);
    const count = 17 * FAN_IN;
    for (let at = 0; at < count; at++) {
      await register(index, at, [fileOf(at)], [20_000, 20_000 + at]);
      await index.merge();
    }
    expect((await keysOf(store, 'index/')).length).toBeLessThanOrEqual(2 * FAN_IN);
    const other = createIndex(store, clock);
    for (const each of [index, other]) {
      const shards = await each.shards(hashOf(20_000));
      expect(shards).toHaveLength(256);
      expect(shards[0]?.equals(hashOf(count - 1))).toBe(true);
      expect(shards[255]?.equals(hashOf(count - 256))).toBe(true);
      expect((await each.shards(hashOf(20_005))).join()).toBe(hashOf(5).toString());
    }
    await other.forgetShards([hashOf(5), hashOf(count - 1)]);
    expect(await other.shards(hashOf(20_005))).toEqual([]);
    expect((await index.shards(hashOf(20_000)))[0]?.equals(hashOf(count - 2))).toBe(true);
    expect(await namesOf(other)).toHaveLength(count);
  });
});

describe('a process that is stopped', () => {
  /** Every call that changes the store, up to `allowed`; then it fails for ever. */
  function stopping(store: ObjectStore, allowed: number): ObjectStore {
    let left = allowed;
    const step = (): void => {
      if (left-- <= 0) throw new Error('stopped');
    };
    return {
      ...store,
      values: undefined,
      async put(key: string, body: never, options: never) {
        step();
        return store.put(key, body, options);
      },
      async delete(key: string) {
        step();
        return store.delete(key);
      },
    } as ObjectStore;
  }

  it('while it merges leaves every file, and the next one goes on', async () => {
    for (const allowed of [0, 1, 2, 7, FAN_IN, FAN_IN + 1]) {
      const clock = createTestClock();
      const store = createMemoryStore({ clock });
      const writer = createStoreIndex({ store, hasher, clock, background: () => undefined });
      const files = Array.from({ length: FAN_IN - 1 }, (_, at) => fileOf(at));
      for (const [at, file] of files.entries()) await register(writer, at, [file], [20_000 + at]);
      const stopped = createIndex(stopping(store, allowed), clock);
      await register(createIndex(store, clock), 500, [fileOf(500)], []).then(() => undefined);
      await namesOf(stopped);
      await stopped.merge().catch(() => undefined);
      const next = createIndex(store, clock);
      expect(await namesOf(next)).toHaveLength(FAN_IN);
      await next.merge();
      expect(await namesOf(next)).toHaveLength(FAN_IN);
      for (const [at, file] of files.entries()) {
        expect(await next.file(file.hash)).toEqual(file);
        expect((await next.shards(hashOf(20_000 + at))).join()).toBe(hashOf(at).toString());
      }
    }
  });

  it('while it removes has removed the file or not, and the same again completes it', async () => {
    for (let allowed = 0; allowed < 4; allowed++) {
      const clock = createTestClock();
      const store = createMemoryStore({ clock });
      const index = createIndex(store, clock);
      await register(index, 1, [fileOf(1), fileOf(2)], []);
      await register(index, 2, [fileOf(3, 300)], []);
      const gone = [hashOf(1), hashOf(3)];
      await createIndex(stopping(store, allowed), clock)
        .remove(gone)
        .catch(() => undefined);
      expect(await index.file(hashOf(2))).toEqual(fileOf(2));
      await index.remove(gone);
      expect(await namesOf(index)).toEqual([hashOf(2).toString()]);
      expect(await createIndex(store, clock).file(hashOf(3))).toBeNull();
      expect(await keysOf(store, 'files/')).toEqual([]);
    }
  });
});

describe('a store of an older version', () => {
  it('is read, and what is registered again lies in tables', async () => {
    const clock = createTestClock();
    const store = createMemoryStore({ clock });
    const [one, two] = [fileOf(1), fileOf(2)];
    for (const file of [one, two]) await store.put(`files/${file.hash}`, fileRecord(file));
    await store.put(`chunks/${hashOf(20_000)}/${hashOf(9)}`, new Uint8Array(0));
    const index = createIndex(store, clock);
    expect(await index.file(one.hash)).toEqual(one);
    await register(index, 10, [one], [20_000]);
    expect(await namesOf(index)).toEqual([one.hash.toString(), two.hash.toString()].sort());
    expect((await index.shards(hashOf(20_000))).map(String)).toEqual(
      [hashOf(10), hashOf(9)].map(String),
    );
    expect(await index.remove([one.hash, two.hash])).toBe(2);
    expect(await namesOf(index)).toEqual([]);
    await index.forgetShards([hashOf(9), hashOf(10)]);
    expect(await index.shards(hashOf(20_000))).toEqual([]);
    expect(await keysOf(store, 'chunks/')).toEqual([]);
  });
});
