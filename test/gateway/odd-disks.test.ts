import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { createDiskStore, keptSecrets } from '../../src/gateway/index.js';

/** File systems that cannot do everything: what they refuse is done in another way, or said. */

const refused = vi.hoisted(() => ({ link: '', folderSync: '', write: '' }));

vi.mock('node:fs/promises', async (original) => {
  const fs = await original<typeof import('node:fs/promises')>();
  const refuse = (code: string, path: unknown): never => {
    throw Object.assign(new Error(`${code}: refused, '${String(path)}'`), { code });
  };
  return {
    ...fs,
    link: async (from: string, to: string) =>
      refused.link === '' ? fs.link(from, to) : refuse(refused.link, to),
    open: async (path: string, flags?: string, mode?: number) => {
      if (refused.write !== '' && flags !== undefined && flags !== 'r') refuse(refused.write, path);
      const file = await fs.open(path, flags, mode);
      if (refused.folderSync !== '' && (await file.stat()).isDirectory()) {
        file.sync = async () => refuse(refused.folderSync, path);
      }
      return file;
    },
  };
});

const folders: string[] = [];
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orbweaver-odd-'));
  folders.push(path);
  return path;
}
afterEach(() => {
  Object.assign(refused, { link: '', folderSync: '', write: '' });
});
afterAll(async () => {
  for (const path of folders) await rm(path, { recursive: true, force: true });
});

const BYTES = new Uint8Array([1, 2, 3]);
const NO_LINKS = [
  'EACCES',
  'EXDEV',
  'EINVAL',
  'EPERM',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EMLINK',
];

describe('without hard links', () => {
  it.each(NO_LINKS)('(%s) objects are stored once, under a whole name', async (code) => {
    refused.link = code;
    const path = await folder();
    const store = await createDiskStore(path);
    expect(await store.put('xorbs/abc', BYTES)).toBe(true);
    expect(await store.put('xorbs/abc', new Uint8Array(1))).toBe(false);
    expect(await store.read('xorbs/abc')).toEqual(BYTES);
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
    await store.close?.();
  });

  it.each(NO_LINKS)('(%s) gateways that start at once share their secrets', async (code) => {
    refused.link = code;
    const path = await folder();
    const kept = await Promise.all(Array.from({ length: 8 }, () => keptSecrets(path)));
    for (const each of kept) expect(each).toEqual(kept[0]);
    expect((await stat(join(path, 'secrets.json'))).mode & 0o077).toBe(0);
    expect(await readdir(path)).toEqual(['secrets.json']);
  });

  it.each(['EIO', 'EROFS'])('%s is a fault all the same', async (code) => {
    const store = await createDiskStore(await folder());
    refused.link = code;
    await expect(store.put('xorbs/abc', BYTES)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});

describe('folders that cannot be flushed', () => {
  it.each(['EINVAL', 'EPERM', 'ENOTSUP', 'EBADF', 'EISDIR', 'EACCES', 'ENOSYS'])(
    '(%s) keep objects as well as they can',
    async (code) => {
      refused.folderSync = code;
      const store = await createDiskStore(join(await folder(), 'new'));
      expect(await store.put('xorbs/abc', BYTES)).toBe(true);
      await store.close?.();
    },
  );

  it('because the disk fails are a fault', async () => {
    const store = await createDiskStore(await folder());
    refused.folderSync = 'EIO';
    await expect(store.put('xorbs/abc', BYTES)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});

describe('a store that can only be read', () => {
  it.each(['EROFS', 'EACCES', 'EPERM'])('(%s) is read, and says so', async (code) => {
    const path = await folder();
    await (await createDiskStore(path)).put('xorbs/abc', BYTES);
    await rm(join(path, 'tmp'), { recursive: true });
    refused.write = code;
    const store = await createDiskStore(path);
    expect(await store.read('xorbs/abc')).toEqual(BYTES);
    expect(await store.check?.()).toMatchObject({ state: 'read-only' });
    await expect(store.put('xorbs/def', BYTES)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    const { warning, readToken } = await keptSecrets(path);
    expect(warning).toContain(`cannot be written (${code})`);
    expect(readToken).toMatch(/^orb_/);
  });
});
