import { expect, it } from 'vitest';
import { createMemoryStore, type ObjectStore } from '../../src/gateway/index.js';
import { createStoreIndex, type StoreIndex } from '../../src/gateway/store-index.js';
import { createTableLock } from '../../src/gateway/tables/lock.js';
import { FAN_IN } from '../../src/gateway/tables/upkeep.js';
import { MerkleHash } from '../../src/hash/index.js';
import { createFakeClock, hasher, keysOf } from './support/rig.js';

/** Merging and removing take turns, also when one of them was away for longer than its lease lasts. */

const hashOf = (number: number): MerkleHash => MerkleHash.from(new Uint8Array(32).fill(number));

it('is held by one at a time, until it is released or its time is over', async () => {
  const clock = createFakeClock();
  const { values } = createMemoryStore({ clock });
  const locks = ['one', 'two'].map((name) =>
    createTableLock({ values, clock, newOwner: () => name }),
  );
  const [one, two] = locks as [(typeof locks)[0], (typeof locks)[0]];
  const first = await one.tryTake();
  expect(first).not.toBeNull();
  expect(await one.tryTake()).toBeNull();
  expect(await two.tryTake()).toBeNull();
  await first?.release();
  const second = await two.tryTake();
  expect(second).not.toBeNull();
  // Renewed while it is used.
  clock.advance(50_000);
  await second?.check();
  clock.advance(50_000);
  expect(await one.tryTake()).toBeNull();
  clock.advance(20_000);
  const third = await one.tryTake();
  expect(third).not.toBeNull();
  await expect(second?.check()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  await second?.release();
  await third?.check();
  expect(await two.tryTake()).toBeNull();
});

it('waits for its turn, and gives up when nobody gives it back', async () => {
  const clock = createFakeClock();
  const { values } = createMemoryStore({ clock });
  const make = (name: string) => createTableLock({ values, clock, newOwner: () => name });
  const held = await make('one').take();
  const waiting = make('two').take();
  const turns = async (): Promise<void> => {
    for (let at = 0; at < 20; at++) await new Promise((go) => setImmediate(go));
  };
  await turns();
  await held.release();
  clock.advance(250);
  const next = await waiting;
  const refused = make('three').take();
  refused.catch(() => undefined);
  for (let at = 0; at < 10; at++) {
    await turns();
    clock.advance(15_000);
    await next.check();
  }
  await expect(refused).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  await next.release();
});

it('a merge that was away for too long brings back nothing that was removed meanwhile', async () => {
  const clock = createFakeClock();
  const memory = createMemoryStore({ clock });
  let go = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  let reached = (): void => undefined;
  const isWriting = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const slow: ObjectStore = {
    ...memory,
    async put(key, body, options) {
      if (!key.startsWith('index/1-')) return memory.put(key, body, options);
      // All of it is read by now, and the entry with it.
      const pieces: Uint8Array[] = [];
      for await (const piece of body as AsyncIterable<Uint8Array>) pieces.push(piece);
      reached();
      await gate;
      return memory.put(key, pieces, options);
    },
  };
  let merging: Promise<unknown> = Promise.resolve();
  const open = (store: ObjectStore): StoreIndex =>
    createStoreIndex({
      store,
      hasher,
      clock,
      background: (work) => {
        merging = work;
        work.catch(() => undefined);
      },
    });
  const [a, b] = [open(slow), open(memory)];
  for (let at = 1; at <= FAN_IN; at++) {
    const terms = [{ xorb: hashOf(99), chunkStart: 0, chunkEnd: 1, unpackedBytes: 5 }];
    const file = { hash: hashOf(at), terms, verification: null, sha256: null };
    const registration = { files: [file], chunks: [], isGood: async () => true };
    // Whoever has registered the last of sixteen merges them behind that.
    await (at < FAN_IN ? b : a).register({ shard: hashOf(100 + at), ...registration });
  }
  await isWriting;
  clock.advance(61_000);
  expect(await b.remove([hashOf(3)])).toBe(1);
  go();
  await expect(merging).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  expect(await a.file(hashOf(3))).toBeNull();
  expect(await a.file(hashOf(4))).not.toBeNull();
  expect((await keysOf(memory, 'index/')).filter((key) => key.startsWith('index/1-'))).toEqual([]);
  await b.merge();
  expect(await a.file(hashOf(3))).toBeNull();
  expect(await a.file(hashOf(16))).not.toBeNull();
});
