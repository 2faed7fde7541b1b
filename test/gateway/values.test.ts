import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  createDiskStore,
  createMemoryStore,
  prefixedStore,
  type ValueStore,
} from '../../src/gateway/index.js';
import { SUPERSEDED_MS } from '../../src/gateway/stores/disk-values.js';
import { createFakeClock, keysOf } from './support/rig.js';
import { storeSuite } from './support/store-suite.js';
import { valueSuite } from './support/value-suite.js';

const folders: string[] = [];
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orbweaver-values-'));
  folders.push(path);
  return path;
}
afterAll(async () => {
  for (const path of folders) await rm(path, { recursive: true, force: true });
});

const openDisk = async (path: string, clock = createFakeClock(Date.now())): Promise<ValueStore> =>
  (await createDiskStore(path, { sync: false, clock })).values as ValueStore;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

valueSuite('memory', async () => createMemoryStore().values);
valueSuite('disk', async () => (await createDiskStore(await folder(), { sync: false })).values);
valueSuite('disk (flushed)', async () => (await createDiskStore(await folder())).values);
valueSuite('prefixed memory', async () => prefixedStore(createMemoryStore(), 'part/').values);

describe('a part of a store', () => {
  storeSuite('prefixed disk', async () =>
    prefixedStore(await createDiskStore(await folder(), { sync: false }), 'tenants/north/'),
  );

  it('sees nothing of what lies beside it, and nobody sees it under another name', async () => {
    const store = createMemoryStore();
    const north = prefixedStore(store, 'tenants/north/');
    const south = prefixedStore(store, 'tenants/south/');
    await north.put('files/a', bytesOf('n'));
    await north.values?.write('hub/a', bytesOf('n'), null);
    expect(await south.read('files/a')).toBeNull();
    expect(await south.values?.read('hub/a')).toBeNull();
    expect(await keysOf(south, 'files/')).toEqual([]);
    expect(await keysOf(store, 'tenants/')).toEqual(['tenants/north/files/a']);
  });

  it('needs a prefix that leaves room for a key', () => {
    const store = createMemoryStore();
    for (const prefix of ['', 'a', '/', 'a/b', '../', 'a/b/c/d/']) {
      expect(() => prefixedStore(store, prefix), prefix).toThrow(RangeError);
    }
  });
});

describe('values on a disk', () => {
  it('are no objects, and objects are no values', async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    await store.values?.write('files/a', bytesOf('value'), null);
    expect(await store.read('files/a')).toBeNull();
    await store.put('files/a', bytesOf('object'));
    expect(await keysOf(store, 'files/')).toEqual(['files/a']);
    expect((await store.values?.read('files/a'))?.bytes).toEqual(bytesOf('value'));
  });

  it('are there after the store is opened again, and deleted ones are not', async () => {
    const path = await folder();
    const values = await openDisk(path);
    const first = await values.write('hub/a', bytesOf('one'), null);
    const gone = (await values.write('hub/b', bytesOf('x'), null)) ?? '';
    await values.delete('hub/b', gone);
    const again = await openDisk(path);
    expect(await again.read('hub/a')).toEqual({ bytes: bytesOf('one'), version: first });
    expect(await again.read('hub/b')).toBeNull();
    expect(await again.write('hub/b', bytesOf('y'), gone)).toBeNull();
  });

  it('drop old versions some minutes after they were superseded, and not before', async () => {
    const path = await folder();
    const clock = createFakeClock(Date.now());
    const values = await openDisk(path, clock);
    const versions = async (): Promise<string[]> =>
      (await readdir(join(path, '_values', 'hub', 'a'))).sort();
    let version = await values.write('hub/a', bytesOf('1'), null);
    for (const text of ['2', '3', '4']) {
      version = await values.write('hub/a', bytesOf(text), version);
    }
    expect(await versions()).toEqual(['=1', '=2', '=3', '=4']);
    clock.advance(SUPERSEDED_MS + 60_000);
    version = await values.write('hub/a', bytesOf('5'), version);
    // Times of files are those of the machine: the fifth looks as old as the others.
    expect(await versions()).toEqual(['=5']);
    expect((await values.read('hub/a'))?.version).toBe(version);
  });

  it('say that they do not know when a writer slept while others may have written', async () => {
    const path = await folder();
    const now = Date.now();
    const asked: number[] = [];
    const sleepy = { ...createFakeClock(now), unixMs: () => now + SUPERSEDED_MS * asked.push(0) };
    const values = await openDisk(path, sleepy);
    // Nobody wrote in between: the version that it wrote is the highest, and that proves it.
    const first = await values.write('hub/a', bytesOf('1'), null);
    expect(first).not.toBeNull();
    const other = await openDisk(path);
    expect(await other.write('hub/a', bytesOf('2'), first)).not.toBeNull();
  });

  it('are not held up by what a writer left that was killed at any point', async () => {
    const path = await folder();
    const values = await openDisk(path);
    const first = await values.write('hub/a', bytesOf('one'), null);
    // Killed before it renamed: folders under temporary names, whole or not. Killed while it cleaned:
    // an empty folder of an old version. Killed when it had made the folder of a new key.
    await mkdir(join(path, 'tmp', 'left'));
    await mkdir(join(path, 'tmp', 'left-too'));
    await writeFile(join(path, 'tmp', 'left-too', 'half'), 'tw');
    const second = await values.write('hub/a', bytesOf('two'), first);
    await rm(join(path, '_values', 'hub', 'a', '=1'), { recursive: true });
    await mkdir(join(path, '_values', 'hub', 'a', '=1'));
    await mkdir(join(path, '_values', 'hub', 'b'), { recursive: true });
    const again = await openDisk(path, createFakeClock(Date.now() + 2 * 3_600_000));
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
    expect(await again.write('hub/a', bytesOf('three'), second)).not.toBeNull();
    expect(await again.write('hub/b', bytesOf('x'), null)).not.toBeNull();
  });

  it('count right over two processes, one of which is killed while it counts', async () => {
    const path = await folder();
    const values = await openDisk(path);
    const child = fork(join(import.meta.dirname, 'support', 'value-counter.mjs'), [path], {
      stdio: 'inherit',
    });
    const exited = once(child, 'exit');
    let childSteps = 0;
    child.on('message', () => childSteps++);
    await once(child, 'message');
    let steps = 0;
    const count = async (): Promise<number> => {
      const seen = await values.read('hub/n');
      return Number(new TextDecoder().decode(seen?.bytes));
    };
    for (let tries = 0; steps < 40; tries++) {
      const seen = await values.read('hub/n');
      const next = Number(new TextDecoder().decode(seen?.bytes)) + 1;
      if ((await values.write('hub/n', bytesOf(String(next)), seen?.version ?? null)) !== null) {
        steps++;
      }
      if (tries === 10) child.kill('SIGKILL');
    }
    await exited;
    const before = await count();
    // What it had been told is counted; the one step that it was at may be, too.
    expect(before - steps - childSteps).toBeGreaterThanOrEqual(0);
    expect(before - steps - childSteps).toBeLessThanOrEqual(1);
    const seen = await values.read('hub/n');
    expect(await values.write('hub/n', bytesOf('0'), seen?.version ?? null)).not.toBeNull();
  });
});
