import { describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../src/gateway/index.js';
import { repairIndex } from '../../src/gateway/index-repair.js';
import { createStoreIndex, type StoreIndex } from '../../src/gateway/store-index.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  buildXorb,
  createRig,
  fileOf,
  hasher,
  keysOf,
  publish,
  type Rig,
  randomChunks,
} from './support/rig.js';

/** What is damaged in the index is made again from the shards. */

const uploads = Array.from({ length: 4 }, (_, at) => {
  const xorb = buildXorb(randomChunks(700 + at, [100, 200, 300]));
  return { xorb, files: [fileOf([[xorb, 0, 2]]), fileOf([[xorb, 1, 3]])] };
});
const all = uploads.flatMap(({ files }) => files);
const unknown = MerkleHash.parse('ab'.repeat(32));

async function published(): Promise<Rig> {
  const rig = createRig();
  for (const { xorb, files } of uploads) await publish(rig, [xorb], files);
  return rig;
}

const open = (store: ObjectStore): StoreIndex => createStoreIndex({ store, hasher });

async function spoil(store: ObjectStore, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  for (const key of (await keysOf(store, 'index/')).slice(0, 2)) {
    const bytes = (await store.read(key)) as Uint8Array;
    await store.put(key, change(bytes), { replace: true });
  }
}

describe('repairing the index', () => {
  it.each([
    ['a byte of the files', (bytes: Uint8Array) => bytes.fill(~(bytes[40] as number), 40, 41)],
    ['the end', (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['everything', (bytes: Uint8Array) => bytes.fill(0)],
    ['nothing left', () => new Uint8Array(0)],
  ])('(%s) brings back every file and every chunk', async (_name, change) => {
    const { store } = await published();
    await spoil(store, change);
    const index = open(store);
    const states = await Promise.all(
      all.map(({ hash }) => index.find(hash).catch(() => 'damaged')),
    );
    expect(states.filter((state) => state === 'damaged')).toHaveLength(4);

    const repair = await repairIndex({ store, index, hasher });
    expect(repair).toMatchObject({ parts: 2, files: 4 });
    for (const each of [index, open(store)]) {
      for (const file of all) expect(await each.file(file.hash)).toEqual(file);
      for (const { xorb } of uploads) {
        expect(await each.shards(MerkleHash.from(xorb.chunkHashes, 0))).toHaveLength(1);
      }
      expect(await each.file(unknown)).toBeNull();
      expect(await each.damage()).toBeNull();
    }
    expect(await repairIndex({ store, index, hasher })).toEqual({ parts: 0, files: 0, shards: 0 });
  });

  it('leaves out what was removed and what cannot be built', async () => {
    const { store } = await published();
    const index = open(store);
    const [first, , third] = all as [(typeof all)[0], unknown, (typeof all)[0]];
    // Of the uploads that stay whole, and so nobody doubts that it is gone.
    const keys = await keysOf(store, 'index/');
    const holds = async (key: string, hash: MerkleHash): Promise<boolean> => {
      const bytes = Buffer.from((await store.read(key)) as Uint8Array);
      return bytes.includes(Buffer.from(hash.bytes));
    };
    await index.remove([first.hash]);
    for (const key of keys) {
      if (!(await store.head(key)) || !(await holds(key, third.hash))) continue;
      const bytes = (await store.read(key)) as Uint8Array;
      await store.put(key, bytes.fill(1, 0, 8), { replace: true });
    }
    await store.delete(`xorbs/${uploads[1]?.xorb.hash}`);
    const again = open(store);
    expect(await repairIndex({ store, index: again, hasher })).toMatchObject({
      parts: 1,
      files: 0,
    });
    expect(await again.file(first.hash)).toBeNull();
    expect(await again.file(third.hash)).toBeNull();
    expect(await again.registered(all.map(({ hash }) => hash))).toEqual(
      new Set([1, 4, 5, 6, 7].map((at) => String(all[at]?.hash))),
    );
  });
});

it('a gateway repairs a damaged page by itself, and leaves what may have held any file', async () => {
  for (const [change, isRepaired] of [
    [(bytes: Uint8Array) => bytes.fill(~(bytes[40] as number), 40, 41), true],
    [(bytes: Uint8Array) => bytes.fill(0), false],
  ] as const) {
    const { store } = await published();
    await spoil(store, change);
    const rig = createRig({ store });
    const ask = async (): Promise<number[]> => {
      const asked = all.map(({ hash }) => rig.send('HEAD', `/v1/files/${hash}`));
      return (await Promise.all(asked)).map(({ status }) => status);
    };
    expect((await ask()).filter((status) => status === 410)).toHaveLength(4);
    for (let turn = 0; turn < 500 && isRepaired && (await ask()).includes(410); turn++) {
      await new Promise((go) => setImmediate(go));
    }
    expect((await ask()).filter((status) => status === 410)).toHaveLength(isRepaired ? 0 : 4);
    await rig.gateway.close();
    expect((await open(store).damage())?.keys.length ?? 0).toBe(isRepaired ? 0 : 2);
  }
});

it('says which of many files are registered, also long ones and those of an older version', async () => {
  const { store } = await published();
  const index = open(store);
  const file = all[0] as (typeof all)[0];
  const term = file.terms[0] as (typeof file.terms)[0];
  const long = { ...file, hash: unknown, terms: Array.from({ length: 200 }, () => term) };
  await index.register({
    shard: MerkleHash.ZERO,
    files: [{ ...long, verification: null }],
    chunks: [],
    isGood: async () => true,
  });
  expect(await keysOf(store, 'files/')).toEqual([`files/${unknown}`]);
  const old = MerkleHash.parse('cd'.repeat(32));
  await store.put(`files/${old}`, new Uint8Array(1));
  const missing = MerkleHash.parse('ef'.repeat(32));
  const asked = [old, unknown, missing, ...all.map(({ hash }) => hash)];
  const expected = asked.filter((hash) => hash !== missing).map(String);
  expect(await open(store).registered(asked)).toEqual(new Set(expected));
  await store.delete(`files/${unknown}`);
  expect((await index.registered(asked)).has(String(unknown))).toBe(false);
});
