import { mkdtemp, readdir, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isOrbweaverError } from '../../src/errors.js';
import { createDiskStore, createMemoryStore, isObjectKey } from '../../src/gateway/index.js';
import { piecesOfObject } from '../../src/gateway/keys.js';
import { storageError } from '../../src/gateway/stores/disk-errors.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
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

describe('object keys', () => {
  it('are two or three plain segments', () => {
    expect(isObjectKey(`xorbs/${'ab'.repeat(32)}`)).toBe(true);
    expect(isObjectKey(`chunks/${'ab'.repeat(32)}/${'cd'.repeat(32)}`)).toBe(true);
    expect(isObjectKey('incoming/0190-a.b_c')).toBe(true);
    expect(isObjectKey('a')).toBe(false);
    expect(isObjectKey('a/../b')).toBe(false);
  });
});
