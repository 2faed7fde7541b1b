import { existsSync, type Stats } from 'node:fs';
import {
  appendFile,
  chmod,
  cp,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isOrbweaverError } from '../../src/errors.js';
import { createDiskStore, createMemoryStore, isObjectKey } from '../../src/gateway/index.js';
import { piecesOfObject } from '../../src/gateway/keys.js';
import { explainFull, storageError } from '../../src/gateway/stores/disk-errors.js';
import { isSealed, seal } from '../../src/gateway/stores/disk-seal.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createFakeClock } from './support/rig.js';
import { storeSuite } from './support/store-suite.js';

const folders: string[] = [];
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orbweaver-store-'));
  folders.push(path);
  return path;
}
afterAll(async () => {
  for (const path of folders) await rm(path, { recursive: true, force: true });
});

storeSuite('memory', async () => createMemoryStore());
storeSuite('disk', async () => createDiskStore(await folder(), { sync: false }));
storeSuite('disk (flushed)', async () => createDiskStore(join(await folder(), 'new', 'deep')));

describe('the disk store', () => {
  it('survives being opened again, under a path written otherwise', async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    await store.put('xorbs/abcdef', new Uint8Array([1, 2, 3]));
    await store.put('chunks/abc/def', new Uint8Array(0));
    const again = await createDiskStore(`${path}//.///`, { sync: false });
    expect(await again.read('xorbs/abcdef')).toEqual(new Uint8Array([1, 2, 3]));
    const keys: string[] = [];
    for await (const { key } of again.list('chunks/')) keys.push(key);
    expect(keys).toEqual(['chunks/abc/def']);
  });

  it('spreads objects over folders by their first two characters', async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    await store.put('xorbs/abcdef', new Uint8Array(1));
    await store.put('xorbs/x', new Uint8Array(1));
    expect((await readdir(join(path, 'xorbs'))).sort()).toEqual(['ab', 'x']);
    expect(await readdir(join(path, 'xorbs', 'ab'))).toEqual(['abcdef']);
  });

  it('leaves no temporary files, whether a put worked or not', async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    await store.put('xorbs/a1', new Uint8Array(1));
    await store.put('xorbs/a1', new Uint8Array(1));
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(1);
      throw new Error('gone');
    };
    await store.put('xorbs/a2', broken()).catch(() => undefined);
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
  });

  it('removes what crashed writers left, once it is an hour old', async () => {
    const path = await folder();
    await createDiskStore(path, { sync: false });
    const old = join(path, 'tmp', 'old');
    await writeFile(old, 'x');
    await writeFile(join(path, 'tmp', 'young'), 'x');
    const twoHoursAgo = Date.now() / 1000 - 7200;
    await utimes(old, twoHoursAgo, twoHoursAgo);
    await createDiskStore(path, { sync: false });
    expect(await readdir(join(path, 'tmp'))).toEqual(['young']);
    await createDiskStore(path, {
      sync: false,
      clock: { ...SYSTEM_CLOCK, unixMs: () => Date.now() + 3_700_000 },
    });
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
  });

  it('notices an object that got shorter while it was read', async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    await store.put('xorbs/abc', new Uint8Array(600_000));
    const read = async (): Promise<void> => {
      for await (const _piece of piecesOfObject(store, 'xorbs/abc')) {
        await truncate(join(path, 'xorbs', 'ab', 'abc'), 300_000);
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'TRUNCATED' });
  });

  it('does not take a folder or a dangling link for an object', async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    await store.put('xorbs/abc', new Uint8Array(1));
    await symlink(join(path, 'nowhere'), join(path, 'xorbs', 'ab', 'abd'));
    expect(await store.head('xorbs/abd')).toBeNull();
    expect(await store.read('xorbs/abd')).toBeNull();
  });

  it('cannot be opened where a file is', async () => {
    const path = join(await folder(), 'file');
    await writeFile(path, 'x');
    await expect(createDiskStore(path)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  it.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EIO', 'STORAGE_FAILED'],
    ['EACCES', 'STORAGE_FAILED'],
    ['EMFILE', 'STORAGE_FAILED'],
  ])('reports %s as %s', (system, code) => {
    const cause = Object.assign(new Error('x'), { code: system });
    const error = storageError(cause, 'storing "xorbs/a"');
    expect(isOrbweaverError(error) && error.code).toBe(code);
    expect(error).toMatchObject({ fields: { system }, cause });
    const bug = new TypeError('bug');
    expect(storageError(bug, 'x')).toBe(bug);
  });
});

describe('what the disk store vouches for', () => {
  const key = 'xorbs/abc';
  const stored = async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    await store.put(key, new Uint8Array(5000).fill(7));
    return { store, path, file: join(path, 'xorbs', 'ab', 'abc') };
  };

  it('is what nothing has written to since, over restarts and copies that keep times', async () => {
    const { store, path, file } = await stored();
    expect((await store.head(key))?.intact).toBe(true);
    expect((await (await createDiskStore(path)).head(key))?.intact).toBe(true);
    const copy = await folder();
    await cp(path, copy, { recursive: true, preserveTimestamps: true });
    // `cp` of Node keeps milliseconds only: set them as tools do that keep all of it.
    const { atimeMs, mtimeMs } = await stat(file);
    const micros = (Math.floor(mtimeMs * 1000 + 0.25) + 0.25) / 1e6;
    await utimes(join(copy, 'xorbs', 'ab', 'abc'), atimeMs / 1000, micros);
    expect((await (await createDiskStore(copy)).head(key))?.intact).toBe(true);
  });

  it.each([
    ['a byte', async (file: string) => writeFile(file, new Uint8Array(5000).fill(8))],
    ['the same bytes again', async (file: string) => writeFile(file, new Uint8Array(5000).fill(7))],
    ['a cut', async (file: string) => truncate(file, 4999)],
    ['a tail', async (file: string) => appendFile(file, 'x')],
    ['a whole second', async (file: string) => utimes(file, 1_700_000_000, 1_700_000_000)],
    [
      'another file moved there',
      async (file: string) => {
        await writeFile(`${file}.new`, new Uint8Array(5000));
        await rename(`${file}.new`, file);
      },
    ],
  ])('is nothing that has met %s', async (_name, change) => {
    const { store, file } = await stored();
    const before = await store.head(key);
    await change(file);
    const after = await store.head(key);
    expect(after?.intact).toBe(false);
    expect(after?.version).not.toBe(before?.version);
    // Whoever has read it may say so, if it is still what was read.
    await store.seal?.(key, before?.version ?? '');
    expect((await store.head(key))?.intact).toBe(false);
    await store.seal?.(key, after?.version ?? '');
    expect((await store.head(key))?.intact).toBe(true);
  });

  // Node to 22 stores microseconds, Node from 24 nanoseconds: one seal in nine came back wrong there.
  it('is what it has sealed, whatever the name, the length and the second', async () => {
    const file = await open(join(await folder(), 'abc'), 'w');
    const broken: string[] = [];
    for (let i = 0; i < 3000; i++) {
      const name = `abc${i}`;
      await seal(file, name, 0, 1_800_000_000_000 + i * 7_919_013);
      if (!isSealed(name, await file.stat())) broken.push(name);
    }
    await file.close();
    expect(broken).toEqual([]);
  });

  it('is by chance what it should not be once in a million', async () => {
    const found = Array.from({ length: 20_000 }, (_, i) =>
      isSealed('abc', { size: 5000, mtimeMs: 1_700_000_000_000 + i * 7.919 } as Stats),
    ).filter(Boolean);
    expect(found.length).toBeLessThanOrEqual(1);
  });
});

describe('a place for a disk store', () => {
  it.each(['/proc/foo', '/proc/x/y', '/dev/null/x'])(
    'that is none (%s) fails at once',
    async (path) => {
      if (!existsSync('/proc/self')) return;
      await expect(createDiskStore(path)).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
        message: expect.stringContaining(path),
      });
    },
  );

  it('says whether it can be written to', async () => {
    const path = await folder();
    const store = await createDiskStore(path, { sync: false });
    const state = await store.check?.();
    expect(state?.state === 'ok' || state?.state === 'full').toBe(true);
    expect(state?.freeBytes).toBeGreaterThan(0);
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
    await rm(join(path, 'tmp'), { recursive: true });
    expect(await store.check?.()).toMatchObject({ state: 'failing', detail: /ENOENT/ });
  });

  it.skipIf(process.getuid?.() === 0)(
    'that can only be read is read (root may write anywhere)',
    async () => {
      const path = await folder();
      const writer = await createDiskStore(path, { sync: false });
      await writer.put('files/a', new Uint8Array(3));
      await chmod(join(path, 'tmp'), 0o555);
      await chmod(path, 0o555);
      const store = await createDiskStore(path);
      expect((await store.read('files/a'))?.length).toBe(3);
      expect(await store.check?.()).toMatchObject({ state: 'read-only' });
      await expect(store.put('files/b', new Uint8Array(1))).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
      });
      await chmod(path, 0o755);
    },
  );

  it('that has no inodes left is not said to be full of bytes', () => {
    const cause = Object.assign(new Error('x'), { code: 'ENOSPC' });
    const full = storageError(cause, 'storing "files/a"');
    const explain = (freeBytes: number, freeFiles: number | null): string =>
      (explainFull(full, { freeBytes, freeFiles }, 'storing "files/a"') as Error).message;
    expect(explain(5_000_000, 0)).toMatch(/no inodes left .* 5000000 bytes free/);
    expect(explain(0, 0)).toMatch(/no space left/);
    expect(explain(0, 1000)).toMatch(/no space left/);
    expect(explain(100, null)).toMatch(/no space left/);
    expect((explainFull(full, null, 'x') as Error).message).toMatch(/no space left/);
  });
});

describe('temporary files', () => {
  const nameOf = async (path: string): Promise<string> => {
    const store = await createDiskStore(path, { sync: false });
    let name = '';
    const body = async function* (): AsyncGenerator<Uint8Array> {
      [name] = (await readdir(join(path, 'tmp'))) as [string];
      yield new Uint8Array(1);
    };
    await store.put('files/a', body());
    return name;
  };

  it.skipIf(!existsSync('/proc/self/ns/pid'))(
    'of a process that is dead go at the next start (Linux only), and no others',
    async () => {
      const path = await folder();
      const name = await nameOf(path);
      const [machine, , started] = name.split('-') as [string, string, string];
      // A process number above what the system gives, and our own of an earlier life.
      const dead = [`${machine}-4194999-${started}-a`, `${machine}-${process.pid}-1-b`];
      const alive = [
        `${machine}-${process.ppid}-${started}-c`,
        `${machine}-${process.pid}-${started}-d`,
        '0.1-4194999-5-e',
        'f',
      ];
      for (const each of [...dead, ...alive]) await writeFile(join(path, 'tmp', each), 'x');
      await createDiskStore(path, { sync: false });
      expect((await readdir(join(path, 'tmp'))).sort()).toEqual(alive.sort());
    },
  );

  it('that are old go while the store is in use', async () => {
    const path = await folder();
    const clock = createFakeClock(Date.now());
    const store = await createDiskStore(path, { sync: false, clock });
    await writeFile(join(path, 'tmp', 'left'), 'x');
    await store.put('files/a', new Uint8Array(1));
    clock.advance(3_500_000);
    await store.put('files/b', new Uint8Array(1));
    expect(await readdir(join(path, 'tmp'))).toEqual(['left']);
    clock.advance(700_000);
    await store.put('files/c', new Uint8Array(1));
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
  });
});

describe('object keys', () => {
  it('are two or three plain segments', () => {
    expect(isObjectKey(`xorbs/${'ab'.repeat(32)}`)).toBe(true);
    expect(isObjectKey(`chunks/${'ab'.repeat(32)}/${'cd'.repeat(32)}`)).toBe(true);
    expect(isObjectKey('incoming/0190-a.b_c')).toBe(true);
    expect(isObjectKey('a')).toBe(false);
    expect(isObjectKey('a/../b')).toBe(false);
  });
});
