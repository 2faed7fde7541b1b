import { appendFile, mkdtemp, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileIdentity } from '../../src/io/file-identity.js';
import { pathSource } from '../../src/io/index.js';
import type { FileVersion } from '../../src/io/input-size.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-identity-'));
});
afterAll(() => rm(dir, { recursive: true }));

const later = (): number => Date.now() + 60_000;
const of = async (path: string): Promise<string> => {
  const identity = fileIdentity(await stat(path), later());
  expect(identity).toHaveLength(40);
  return Buffer.from(identity ?? []).toString('hex');
};

describe('what tells a file again', () => {
  it('stays while nobody touches it, and differs between files', async () => {
    const [a, b] = [join(dir, 'a'), join(dir, 'b')];
    for (const path of [a, b]) await writeFile(path, 'same');
    expect(await of(a)).toBe(await of(a));
    expect(await of(a)).not.toBe(await of(b));
  });

  it('changes with its bytes, also where size and time are put back', async () => {
    const path = join(dir, 'changed');
    await writeFile(path, 'before');
    const { mtime } = await stat(path);
    const before = await of(path);
    // The clock of the file system has to move on.
    await new Promise((resolve) => setTimeout(resolve, 30));
    await writeFile(path, 'behind');
    await utimes(path, mtime, mtime);
    expect(await of(path)).not.toBe(before);
    const now = await of(path);
    await appendFile(path, '!');
    expect(await of(path)).not.toBe(now);
    const other = join(dir, 'other');
    await writeFile(other, 'behind!');
    await rename(other, path);
    expect(await of(path)).not.toBe(now);
  });

  it('is not told of a file that was changed a moment ago, or in the future', () => {
    const nowMs = 1_800_000_000_000;
    const stats = (mtimeMs: number, ctimeMs: number): FileVersion => ({
      ...{ dev: 1, ino: 2, size: 3, mtimeMs, ctimeMs },
    });
    const old = nowMs - 3_600_000.5;
    expect(fileIdentity(stats(old, old), nowMs)).toHaveLength(40);
    for (const recent of [nowMs - 5.25, nowMs, nowMs + 1000.5, nowMs - 1000, nowMs - 1001 + 1]) {
      expect(fileIdentity(stats(recent, old), nowMs), `${recent}`).toBeNull();
      expect(fileIdentity(stats(old, recent), nowMs), `${recent}`).toBeNull();
    }
    expect(fileIdentity(stats(old, nowMs - 30.5), nowMs)).toHaveLength(40);
  });

  it('is told by a source that was asked to, of a file that is not empty', async () => {
    const path = join(dir, 'source');
    await writeFile(path, 'text');
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect((await pathSource(path)).identity).toBeUndefined();
    const source = await pathSource(path, { identify: true });
    expect(source).toMatchObject({ sizeBytes: 4, reopenable: true });
    expect(Buffer.from(source.identity ?? []).toString('hex')).toBe(await of(path));
    await writeFile(path, '');
    expect((await pathSource(path, { identify: true })).identity).toBeUndefined();
  });
});
