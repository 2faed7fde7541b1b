import { mkdtemp, open, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createDiskStore,
  createMemoryStore,
  forgetScrub,
  type ObjectStore,
  scrubStore,
} from '../../src/gateway/index.js';
import type { ShardFile } from '../../src/shard/index.js';
import type { BuiltXorb } from '../../src/xorb/index.js';
import { download } from './support/reader.js';
import {
  buildXorb,
  codec,
  createFakeClock,
  createRig,
  fileOf,
  hasher,
  keysOf,
  publish,
  putXorb,
  type Rig,
  randomChunks,
} from './support/rig.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-scrub-'));
  folders.push(folder);
  return folder;
}

const CHUNKS = [500, 300, 400, 200];

/** An upload: two files of one xorb, and one that also uses the xorb of the upload before. */
interface Upload {
  readonly xorb: BuiltXorb;
  readonly files: readonly ShardFile[];
  readonly bytes: readonly Uint8Array[];
}

function uploadsOf(count: number): Upload[] {
  const chunks = Array.from({ length: count }, (_, i) => randomChunks(i + 1, CHUNKS));
  const xorbs = chunks.map((own) => buildXorb(own));
  return xorbs.map((xorb, i) => {
    const before = (i + count - 1) % count;
    const parts = [
      [[i, 0, 2]],
      [[i, 2, 4]],
      [
        [i, 1, 3],
        [i === 0 ? 0 : before, 0, 1],
      ],
    ] as const;
    return {
      xorb,
      files: parts.map((terms) =>
        fileOf(terms.map(([at, start, end]) => [xorbs[at] as BuiltXorb, start, end] as const)),
      ),
      bytes: parts.map((terms) =>
        Buffer.concat(
          terms.flatMap(([at, start, end]) => (chunks[at] as Uint8Array[]).slice(start, end)),
        ),
      ),
    };
  });
}

async function isWhole(rig: Rig, file: ShardFile, bytes: Uint8Array): Promise<boolean> {
  try {
    return Buffer.from(await download(rig, file.hash.toString())).equals(bytes);
  } catch {
    return false;
  }
}

async function broken(rig: Rig, uploads: readonly Upload[]): Promise<string[]> {
  const found: string[] = [];
  for (const { files, bytes } of uploads) {
    for (const [i, file] of files.entries()) {
      if (!(await isWhole(rig, file, bytes[i] as Uint8Array))) found.push(file.hash.toString());
    }
  }
  return found.sort();
}

/** Turns a bit without any trace in the times, as a disk does it. */
async function flip(path: string, at: number): Promise<void> {
  const { atime, mtime, size } = await stat(path);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at % size);
  await file.write(Buffer.from([(byte[0] as number) ^ 0x10]), 0, 1, at % size);
  await file.close();
  await utimes(path, atime, mtime);
}

const scrub = (store: ObjectStore, more: Partial<Parameters<typeof scrubStore>[1]> = {}) =>
  scrubStore(store, { hasher, codec, ...more });

describe('a scrub', () => {
  it.each([
    ['xorbs and shards', /xorbs|shards/, 20, 1],
    ['xorbs and shards, others', /xorbs|shards/, 20, 2],
    ['the index', /index/, 1, 3],
  ] as const)(
    'names exactly the files that damage of %s hits; uploading again heals; it is clean after',
    async (_, where, flips, seed) => {
      const folder = await newFolder();
      const clock = createFakeClock();
      const uploads = uploadsOf(16);
      const open = async (): Promise<Rig> =>
        createRig({ clock, store: await createDiskStore(folder, { sync: false, clock }) });
      const first = await open();
      for (const { xorb, files } of uploads) await publish(first, [xorb], files);
      expect((await scrub(first.store)).damaged).toEqual([]);

      const paths = (await readdir(folder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile() && where.test(entry.parentPath))
        .map((entry) => join(entry.parentPath, entry.name))
        .sort();
      let state = seed * 7919;
      const next = (): number => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 1;
        return state;
      };
      for (let count = 0; count < flips; count++) {
        const [path] = paths.splice(next() % paths.length, 1);
        await flip(path as string, next());
      }
      // Another process: it has read nothing yet. It cannot write, or it would repair its index by itself.
      const { store } = await open();
      const put = (): Promise<never> => Promise.reject(new Error('read-only'));
      const rig = createRig({ clock, store: { ...store, put } });
      const hit = await broken(rig, uploads);
      expect(hit.length).toBeGreaterThan(3);
      await rig.gateway.close();
      const found = await scrub(store);
      const named = [...new Set(found.damaged.flatMap(({ files }) => files))].sort();
      expect(named).toEqual(hit);
      expect(found.checkedObjects).toBeGreaterThan(16 * 2);

      const healer = await open();
      // Files name xorbs of other uploads: those first.
      for (const { xorb } of uploads) await putXorb(healer, xorb);
      for (const { xorb, files } of uploads) await publish(healer, [xorb], files);
      expect(await broken(await open(), uploads)).toEqual([]);
      expect((await scrub((await open()).store)).damaged).toEqual([]);
      expect(await broken(await open(), uploads)).toEqual([]);
    },
  );

  /** A store of many objects, and one over it that says which are read. */
  async function manyObjects(): Promise<{
    readonly store: ObjectStore;
    readonly keys: readonly string[];
    watched(onOpen?: (count: number) => void): ObjectStore & { readonly opened: string[] };
  }> {
    const store = createMemoryStore();
    const rig = createRig({ store });
    const [upload] = uploadsOf(1) as [Upload];
    await publish(rig, [upload.xorb], upload.files);
    for (let seed = 2; seed < 60; seed++) await putXorb(rig, buildXorb(randomChunks(seed, CHUNKS)));
    const keys = [...(await keysOf(store, 'shards/')), ...(await keysOf(store, 'xorbs/'))];
    return {
      store,
      keys,
      watched(onOpen = () => undefined) {
        const opened: string[] = [];
        const open: ObjectStore['open'] = (key) => {
          // Tables of the index are read in another way.
          opened.push(key);
          onOpen(opened.length);
          return store.open(key);
        };
        return { ...store, open, opened };
      },
    };
  }

  it('that was ended goes on where it stopped', async () => {
    const { keys, watched } = await manyObjects();
    const stop = new AbortController();
    const first = watched((count) => {
      if (count === 40) stop.abort(new Error('enough'));
    });
    await expect(scrub(first, { signal: stop.signal })).rejects.toThrow('cancelled');
    expect(first.opened.length).toBeLessThan(keys.length);
    const second = watched();
    const { checkedObjects } = await scrub(second, { resume: true });
    // What was being read at the end is read again, and nothing of what was done.
    expect(second.opened.length).toBeLessThan(40);
    expect([...new Set([...first.opened, ...second.opened])].sort()).toEqual([...keys].sort());
    const whole = watched();
    expect(await scrub(whole, { resume: true })).toMatchObject({ checkedObjects });
    expect(whole.opened.length).toBe(keys.length);
  });

  it('of one of several stores is not made again when the others are gone on with', async () => {
    const { store, keys, watched } = await manyObjects();
    const result = await scrub(store, { keepResult: true });
    const again = watched();
    expect(await scrub(again, { resume: true })).toEqual(result);
    expect(again.opened).toEqual([]);
    await forgetScrub(store);
    await scrub(again, { resume: true });
    expect(again.opened.length).toBe(keys.length);
  });

  it('reads no faster than it may', async () => {
    const { store } = await manyObjects();
    const clock = createFakeClock();
    let isOver = false;
    const rate = 1000;
    const done = scrub(store, { rate, clock }).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      clock.advance(50);
      await new Promise(setImmediate);
    }
    const { checkedBytes } = await done;
    expect(checkedBytes).toBeGreaterThan(60_000);
    expect(clock.now()).toBeGreaterThan((900 * checkedBytes) / rate);
  });

  it('of a sample reads a part, and what was damaged in any case', async () => {
    const { store, keys, watched } = await manyObjects();
    const half = watched();
    const { checkedObjects } = await scrub(half, { sample: 0.5 });
    expect(half.opened.length).toBeGreaterThan(0);
    expect(half.opened.length).toBeLessThan(keys.length);
    expect(checkedObjects).toBe(half.opened.length + 3);
    const [key] = keys.slice(-1) as [string];
    const bytes = (await store.read(key)) as Uint8Array;
    bytes[20] = (bytes[20] as number) ^ 1;
    await store.put(key, bytes, { replace: true });
    expect((await scrub(store)).damaged.map((each) => each.key)).toEqual([key]);
    const little = watched();
    const { damaged } = await scrub(little, { sample: 1e-9 });
    // It is read twice, and gateways go on to trust it no more.
    expect(little.opened).toEqual([key, key]);
    expect(damaged.map((each) => each.key)).toEqual([key]);
    const list = await store.values?.read('scrub/damaged');
    expect(new TextDecoder().decode(list?.bytes)).toContain(key);
    await expect(scrub(store, { sample: Number.NaN })).rejects.toThrow(TypeError);
    for (const sample of [0, 1.1]) {
      await expect(scrub(store, { sample })).rejects.toThrow(RangeError);
    }
  });

  it('puts good bytes from elsewhere in place of damaged ones, and no others', async () => {
    const store = createMemoryStore();
    const rig = createRig({ store });
    const [upload] = uploadsOf(1) as [Upload];
    await publish(rig, [upload.xorb], upload.files);
    const key = `xorbs/${upload.xorb.hash}`;
    const good = (await store.read(key)) as Uint8Array;
    const bad = good.slice();
    bad[20] = (bad[20] as number) ^ 1;
    await store.put(key, bad, { replace: true });
    const refused = await scrub(store, { repair: async () => bad });
    expect(refused.repaired).toEqual([]);
    expect(refused.damaged.map((each) => each.key)).toEqual([key]);
    // No gateway refers to it any more, whatever the store says of it.
    rig.clock.advance(6000);
    const answer = await rig.send('HEAD', `/v1/xorbs/default/${upload.xorb.hash}`);
    expect(answer.status).toBe(404);
    const { repaired, damaged } = await scrub(store, { repair: async () => good });
    expect({ repaired, damaged }).toEqual({ repaired: [key], damaged: [] });
  });
});
