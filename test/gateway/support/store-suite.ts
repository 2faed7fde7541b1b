import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../../src/errors.js';
import type { ObjectBody, ObjectRange, ObjectStore } from '../../../src/gateway/index.js';
import { generate } from '../../support/generators.js';
import { keysOf } from './rig.js';

/** A range of an object through an open reader, in pieces. */
async function* streamOf(
  store: ObjectStore,
  key: string,
  range?: ObjectRange,
): AsyncGenerator<Uint8Array> {
  const reader = await store.open(key);
  if (reader === null) throw new OrbweaverError('NOT_FOUND', key);
  try {
    const { start, end } = range ?? { start: 0, end: reader.sizeBytes };
    for (let at = start; at < end; at += 250_000) {
      const piece = new Uint8Array(Math.min(250_000, end - at));
      await reader.readAt(piece, at);
      yield piece;
    }
  } finally {
    await reader.close();
  }
}

/** What implementations may do in one of two ways. */
export interface StoreTraits {
  /** Who reads an object that is replaced goes on reading the old one; else it is told. @default true */
  readonly readersKeepOld?: boolean | undefined;
}

/** What every object store has to do: one suite, run over each implementation. */
export function storeSuite(
  name: string,
  open: () => Promise<ObjectStore>,
  { readersKeepOld = true }: StoreTraits = {},
): void {
  const bytes = generate({ kind: 'splitmix64', seed: 1, bytes: 700_001 });
  const collect = async (source: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of source) pieces.push(piece);
    return new Uint8Array(Buffer.concat(pieces));
  };
  const same = (a: Uint8Array | null, b: Uint8Array): boolean =>
    a !== null && Buffer.from(a).equals(Buffer.from(b));

  describe(`${name} store`, () => {
    it('gives back what was put, whole and in ranges', async () => {
      const store = await open();
      expect(await store.put('xorbs/abc', bytes)).toBe(true);
      expect(same(await store.read('xorbs/abc'), bytes)).toBe(true);
      expect(same(await collect(streamOf(store, 'xorbs/abc')), bytes)).toBe(true);
      for (const [start, end] of [
        [0, 1],
        [0, 0],
        [700_001, 700_001],
        [700_000, 700_001],
        [262_143, 262_145],
        [1, 600_000],
      ] as const) {
        const part = bytes.subarray(start, end);
        expect(same(await store.read('xorbs/abc', { start, end }), part)).toBe(true);
        expect(same(await collect(streamOf(store, 'xorbs/abc', { start, end })), part)).toBe(true);
      }
    });

    it('takes bytes as one array, as several and as a stream', async () => {
      const store = await open();
      const parts = [bytes.subarray(0, 3), new Uint8Array(0), bytes.subarray(3)];
      const stream = async function* (): AsyncGenerator<Uint8Array> {
        yield* parts;
      };
      const bodies: ObjectBody[] = [bytes, parts, stream(), []];
      for (const [index, body] of bodies.entries()) {
        expect(await store.put(`files/f${index}`, body)).toBe(true);
        const expected = index === 3 ? new Uint8Array(0) : bytes;
        expect(same(await store.read(`files/f${index}`), expected)).toBe(true);
      }
    });

    it('borrows: what the caller does with its arrays afterwards changes nothing', async () => {
      const store = await open();
      const body = Buffer.from([1, 2, 3]);
      await store.put('files/a', body);
      body.fill(9);
      const read = (await store.read('files/a')) as Uint8Array;
      expect([...read]).toEqual([1, 2, 3]);
      read.fill(9);
      expect([...((await store.read('files/a')) as Uint8Array)]).toEqual([1, 2, 3]);
    });

    it('puts only if the key is free, and exactly one of many writers wins', async () => {
      const store = await open();
      const bodies = Array.from({ length: 8 }, (_, index) =>
        new Uint8Array(1000 + index).fill(index),
      );
      const won = await Promise.all(bodies.map((body) => store.put('xorbs/race', body)));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(same(await store.read('xorbs/race'), bodies[won.indexOf(true)] as Uint8Array)).toBe(
        true,
      );
      expect(await store.put('xorbs/race', bytes)).toBe(false);
      const empty = await Promise.all(
        [1, 2, 3].map(() => store.put('chunks/a/b', new Uint8Array(0))),
      );
      expect(empty.filter(Boolean)).toHaveLength(1);
    });

    it('replaces in one step: who reads the old one goes on, or is told, and sees no mixture', async () => {
      const store = await open();
      const other = bytes.slice(0, 500_000).reverse();
      await store.put('xorbs/abc', bytes);
      const before = await store.head('xorbs/abc');
      const reader = await store.open('xorbs/abc');
      expect(await store.put('xorbs/abc', other, { replace: true })).toBe(true);
      const half = new Uint8Array(350_000);
      const reading = reader?.readAt(half, 350_001);
      if (readersKeepOld) {
        await reading;
        expect(same(half, bytes.subarray(350_001))).toBe(true);
      } else await expect(reading).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      await reader?.close();
      expect(same(await store.read('xorbs/abc'), other)).toBe(true);
      expect(same(await collect(streamOf(store, 'xorbs/abc')), other)).toBe(true);
      expect((await store.head('xorbs/abc'))?.version).not.toBe(before?.version);
      expect(await store.put('xorbs/new', other, { replace: true })).toBe(true);
      expect(await store.put('chunks/a/b', new Uint8Array(0), { replace: true })).toBe(true);
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes;
        throw new Error('gone');
      };
      await expect(store.put('xorbs/abc', broken(), { replace: true })).rejects.toThrow('gone');
      expect(same(await store.read('xorbs/abc'), other)).toBe(true);
    });

    it('keeps nothing of a body that breaks off, and the key stays free', async () => {
      const store = await open();
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes;
        throw new Error('gone');
      };
      await expect(store.put('xorbs/broken', broken())).rejects.toThrow('gone');
      expect(await store.head('xorbs/broken')).toBeNull();
      expect(await keysOf(store, 'xorbs/')).toEqual([]);
      expect(await store.put('xorbs/broken', bytes)).toBe(true);
    });

    it('knows sizes and times without reading', async () => {
      const store = await open();
      expect(await store.head('files/a')).toBeNull();
      await store.put('files/a', bytes);
      const info = await store.head('files/a');
      expect(info?.sizeBytes).toBe(bytes.length);
      expect(info?.modifiedMs).toBeGreaterThan(1_500_000_000_000);
    });

    it('says null or NOT_FOUND for what is not there', async () => {
      const store = await open();
      await store.put('chunks/abc/def', new Uint8Array(0));
      for (const key of [
        'xorbs/none',
        'chunks/abc',
        'chunks/abc/ghi',
        'chunks/abc/def',
        'none/x/y',
      ]) {
        const there = key === 'chunks/abc/def';
        expect((await store.read(key)) === null, key).toBe(!there);
        expect((await store.head(key)) === null, key).toBe(!there);
        if (there) continue;
        await expect(collect(streamOf(store, key)), key).rejects.toMatchObject({
          code: 'NOT_FOUND',
        });
        expect(await store.delete(key), key).toBe(false);
      }
    });

    it('refuses ranges past the end and ranges that are none', async () => {
      const store = await open();
      await store.put('files/a', new Uint8Array(10));
      const past = { start: 5, end: 11 };
      await expect(store.read('files/a', past)).rejects.toMatchObject({ code: 'TRUNCATED' });
      await expect(collect(streamOf(store, 'files/a', past))).rejects.toMatchObject({
        code: 'TRUNCATED',
      });
      for (const range of [
        { start: -1, end: 5 },
        { start: 6, end: 5 },
        { start: 0.5, end: 2 },
        { start: 0, end: Number.NaN },
      ]) {
        await expect(store.read('files/a', range)).rejects.toThrow(RangeError);
      }
    });

    it('lists what lies below a prefix, and nothing else', async () => {
      const store = await open();
      const keys = [
        'chunks/abc/one',
        'chunks/abc/two',
        'chunks/abd/one',
        'chunks/x/one',
        'files/abc',
      ];
      for (const key of keys) await store.put(key, new Uint8Array(key.length));
      expect(await keysOf(store, 'chunks/abc/')).toEqual(['chunks/abc/one', 'chunks/abc/two']);
      expect(await keysOf(store, 'chunks/x/')).toEqual(['chunks/x/one']);
      expect(await keysOf(store, 'chunks/')).toEqual(keys.slice(0, 4).sort());
      expect(await keysOf(store, 'files/')).toEqual(['files/abc']);
      expect(await keysOf(store, 'xorbs/')).toEqual([]);
      expect(await keysOf(store, 'chunks/none/')).toEqual([]);
      for await (const entry of store.list('files/')) {
        expect(entry).toMatchObject({ key: 'files/abc', sizeBytes: 9 });
        expect(entry.modifiedMs).toBeGreaterThan(0);
      }
    });

    it('deletes once, and the key is free again', async () => {
      const store = await open();
      await store.put('files/a', new Uint8Array(1));
      expect(await store.delete('files/a')).toBe(true);
      expect(await store.delete('files/a')).toBe(false);
      expect(await store.put('files/a', new Uint8Array(2))).toBe(true);
      expect((await store.head('files/a'))?.sizeBytes).toBe(2);
    });

    it('takes no key that could be anything else than a name', async () => {
      const store = await open();
      const bad = [
        '',
        'a',
        '/a',
        'a/',
        'a//b',
        '../a',
        'a/..',
        'a/../b',
        './a',
        'a/.',
        'a/.hidden',
        'A/b',
        'a/B',
        'a/b/c/d/e/f',
        'a\\b/c',
        'a/b\0',
        'a/b\n',
        'a/ b',
        'C:/a',
        'a/b:c',
        'a/é',
        `a/${'x'.repeat(129)}`,
        '-a/b',
        'a/b\n/c',
        '%2e%2e/a',
      ];
      for (const key of bad) {
        const label = JSON.stringify(key);
        await expect(
          Promise.resolve().then(() => store.head(key)),
          label,
        ).rejects.toThrow(RangeError);
        await expect(
          Promise.resolve().then(() => store.read(key)),
          label,
        ).rejects.toThrow(RangeError);
        await expect(
          Promise.resolve().then(() => store.put(key, bytes)),
          label,
        ).rejects.toThrow(RangeError);
        await expect(
          Promise.resolve().then(() => store.delete(key)),
          label,
        ).rejects.toThrow(RangeError);
        await expect(collect(streamOf(store, key)), label).rejects.toThrow(RangeError);
      }
      for (const prefix of ['', '/', 'a', 'a/b', '../', 'a//', 'a/b/c/d/e/', 'A/']) {
        await expect(keysOf(store, prefix), JSON.stringify(prefix)).rejects.toThrow(RangeError);
      }
    });

    it('makes an object of a part of another one and what follows it', async () => {
      const store = await open();
      const { putFrom } = store;
      // Stores that could do no better than read and put have none.
      if (putFrom === undefined) return;
      const tail = Uint8Array.of(1, 2, 3);
      const part = async (from: string, endBytes: number) => {
        await store.put(from, bytes);
        const version = (await store.head(from))?.version ?? '';
        return { key: from, version, endBytes, tail };
      };
      const first = await part('incoming/a', 600_000);
      expect(await putFrom('xorbs/one', first)).toBe(true);
      const expected = new Uint8Array([...bytes.subarray(0, 600_000), ...tail]);
      expect(same(await store.read('xorbs/one'), expected)).toBe(true);
      expect((await store.head('xorbs/one'))?.intact).toBe(
        (await store.put('files/x', bytes)) && (await store.head('files/x'))?.intact,
      );
      // Taken: nothing changes, unless it is to be replaced.
      expect(await putFrom('xorbs/one', await part('incoming/b', 5))).toBe(false);
      expect(same(await store.read('xorbs/one'), expected)).toBe(true);
      const third = { ...(await part('incoming/c', 700_001)), tail: new Uint8Array(0) };
      expect(await putFrom('xorbs/one', third, { replace: true })).toBe(true);
      expect(same(await store.read('xorbs/one'), bytes)).toBe(true);
      // Not there, or another one.
      const gone = { ...first, key: 'incoming/none' };
      expect(await putFrom('xorbs/two', gone)).toBeNull();
      const old = { ...(await part('incoming/d', 5)), version: 'older' };
      expect(await putFrom('xorbs/two', old)).toBeNull();
      expect(await store.head('xorbs/two')).toBeNull();
      const both = await part('incoming/e', 700_001);
      const won = await Promise.all([putFrom('xorbs/e', both), putFrom('xorbs/e', both)]);
      expect(won.filter((one) => one === true)).toHaveLength(1);
    });

    it('reads the end of an object with what is known of it, where it can', async () => {
      const store = await open();
      await store.put('files/a', bytes);
      await store.put('files/empty', new Uint8Array(0));
      for (const count of [1, 700_000, 700_001, 900_000]) {
        const tail = await store.readTail?.('files/a', count);
        if (tail === undefined) return;
        expect(same(tail?.bytes ?? null, bytes.subarray(Math.max(0, 700_001 - count)))).toBe(true);
        expect(tail?.info).toEqual(await store.head('files/a'));
      }
      expect((await store.readTail?.('files/empty', 5))?.bytes).toEqual(new Uint8Array(0));
      expect(await store.readTail?.('files/none', 5)).toBeNull();
    });

    it('reads in any order, at the same time, and as was announced', async () => {
      const store = await open();
      await store.put('files/a', bytes);
      const reader = await store.open('files/a');
      reader?.expect?.(1000, 200_000);
      const places: readonly (readonly [number, number])[] = [
        [1000, 50_000],
        [51_000, 149_000],
        [600_000, 100_001],
        [0, 10],
        [10, 0],
        [10, 600_000],
      ];
      const readAt = async ([at, length]: readonly [number, number]): Promise<void> => {
        const into = new Uint8Array(length);
        await reader?.readAt(into, at);
        expect(same(into, bytes.subarray(at, at + length)), `${at}`).toBe(true);
      };
      for (const place of places) await readAt(place);
      await Promise.all(places.map(readAt));
      await reader?.close();
    });

    it('stores bodies of several parts, and only if the key is free', async () => {
      const store = await open();
      const large = new Uint8Array(17 * 1024 * 1024 + 5);
      for (let at = 0; at < large.length; at += bytes.length) {
        large.set(bytes.subarray(0, large.length - at), at);
      }
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < large.length; at += 999_999) yield large.subarray(at, at + 999_999);
      };
      const won = await Promise.all([
        store.put('xorbs/large', large),
        store.put('xorbs/large', pieces()),
      ]);
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(same(await collect(streamOf(store, 'xorbs/large')), large)).toBe(true);
      expect(await store.put('xorbs/large', pieces())).toBe(false);
      expect(await store.put('xorbs/large', pieces(), { replace: true })).toBe(true);
      expect(same(await store.read('xorbs/large'), large)).toBe(true);
    });

    it('leaves a stream early without trouble', async () => {
      const store = await open();
      await store.put('files/a', bytes);
      for await (const piece of streamOf(store, 'files/a')) {
        expect(piece.length).toBeGreaterThan(0);
        break;
      }
      expect(await store.delete('files/a')).toBe(true);
    });
  });
}
