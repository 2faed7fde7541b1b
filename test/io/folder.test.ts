import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createShardCache, makeFolder } from '../../src/io/index.js';
import { checkUnchanged } from '../../src/io/input-size.js';

describe('a folder that is needed', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'orbweaver-folder-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('is made with those above it, and may be there', async () => {
    for (let i = 0; i < 2; i++) await makeFolder(join(dir, 'a/b/c'));
    expect((await stat(join(dir, 'a/b/c'))).isDirectory()).toBe(true);
    await Promise.all(Array.from({ length: 8 }, () => makeFolder(join(dir, 'x/y/z'))));
    await makeFolder('/');
  });

  it('is an error where a file is in the way', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(makeFolder(join(dir, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeFolder(join(dir, 'file/x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it.skipIf(process.platform !== 'linux')(
    'is an error below /proc, where nothing can be made (skipped without /proc)',
    async () => {
      await expect(makeFolder('/proc/x/y')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(createShardCache({ dir: '/proc/x/y', endpoint: 'x' })).rejects.toMatchObject({
        code: 'OUTPUT_UNWRITABLE',
      });
    },
  );
});

describe('whether a file is what it was', () => {
  it('is told by size, times, inode and device, and by less when it may grow', async () => {
    const before = await stat(import.meta.filename, { bigint: true });
    const input = { name: 'x', sizeBytes: Number(before.size), mayGrow: false };
    checkUnchanged(input, before, before);
    for (const field of ['size', 'mtimeNs', 'ctimeNs', 'ino', 'dev'] as const) {
      const after = Object.assign(Object.create(before), { [field]: before[field] + 1n });
      const check = (mayGrow: boolean) => () =>
        checkUnchanged({ ...input, mayGrow }, before, after as typeof before);
      expect(check(false), field).toThrow(expect.objectContaining({ code: 'INPUT_CHANGED' }));
      if (field === 'ino' || field === 'dev') expect(check(true)).toThrow();
      else check(true)();
    }
  });
});
