import {
  appendFile,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UploadProgress } from '../../src/client/index.js';
import type { ClientUploadOptions, UploadResult } from '../../src/compose/client-types.js';
import { runFolderUpload } from '../../src/compose/folder-upload.js';
import { runUpload, type UploadState } from '../../src/compose/upload.js';
import { OrbweaverError } from '../../src/errors.js';
import type { Kernels } from '../../src/kernels/index.js';
import { createThreadKernels } from '../../src/workers/index.js';
import { FakeCas } from '../client/upload/fake-cas.js';
import { MIB, random, sha256Of, withPool } from '../client/upload/support.js';

let kernels: Kernels;
let dir: string;
let number = 0;
beforeAll(async () => {
  kernels = await createThreadKernels();
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-unchanged-'));
});
afterAll(() => rm(dir, { recursive: true }));

type Result = UploadResult & { readonly readBytes: number; readonly skippedBytes: number };

describe('a file that is unchanged since it was uploaded', () => {
  let cas: FakeCas;
  let state: UploadState;
  let path: string;
  const bytes = random(11, 700_000);
  /** Times move in steps: a file is known again when it is older than one. */
  const settle = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 50));
  beforeEach(async () => {
    number++;
    cas = new FakeCas(kernels);
    path = join(dir, `file-${number}`);
    await writeFile(path, bytes);
    await settle();
    const stateFolder = join(dir, `state-${number}`);
    state = {
      ...{ stateFolder, endpoint: 'https://a' },
      onProblem: (error) => {
        throw error;
      },
    };
  });

  const upload = async (
    paths: readonly string[],
    options: ClientUploadOptions & { readonly endpoint?: string } = {},
  ): Promise<Result> => {
    const { endpoint = 'https://a', ...rest } = options;
    const read = { readBytes: 0, skippedBytes: 0 };
    return withPool({ maxMemory: 4 * MIB }, async (pool) => {
      const parts = { cas, pool, cache: null, placement: 'balanced' as const };
      const result = await runUpload({ ...parts, state: { ...state, endpoint } }, paths, {
        ...rest,
        onProgress: ({ readBytes, skippedBytes, totalBytes }) => {
          Object.assign(read, { readBytes, skippedBytes });
          expect(readBytes + skippedBytes).toBeLessThanOrEqual(totalBytes ?? Infinity);
        },
      });
      return { ...result, ...read };
    });
  };
  const rebuilt = ({ files: [file] }: UploadResult): string =>
    sha256Of(cas.rebuild(file?.fileHash ?? ''));

  it('is not read, and registered again', async () => {
    const first = await upload([path]);
    expect(first).toMatchObject({ readBytes: bytes.length, skippedBytes: 0 });
    expect(first.files[0]).toMatchObject({ unchanged: false, newBytes: bytes.length });
    cas.files.clear();
    const second = await upload([path]);
    expect(second).toMatchObject({ readBytes: 0, skippedBytes: bytes.length, xorbCount: 0 });
    expect(second.files).toEqual([
      {
        ...first.files[0],
        ...{ unchanged: true, newBytes: 0, dedupedBytes: bytes.length },
        ...{ sessionBytes: 0, localBytes: bytes.length },
      },
    ]);
    expect(rebuilt(second)).toBe(sha256Of(bytes));
  });

  it('is read with rehash, on another endpoint, and when nothing is remembered', async () => {
    await upload([path]);
    expect((await upload([path], { rehash: true })).readBytes).toBe(bytes.length);
    expect((await upload([path], { endpoint: 'https://b' })).readBytes).toBe(bytes.length);
    await rm(state.stateFolder, { recursive: true });
    expect((await upload([path])).readBytes).toBe(bytes.length);
    expect((await upload([path])).readBytes).toBe(0);
  });

  it('is one no longer when it has changed, whatever its size and time say', async () => {
    await upload([path]);
    const { mtime } = await stat(path);
    const changed = bytes.slice();
    changed[5] = (changed[5] as number) ^ 1;
    await writeFile(path, changed);
    await utimes(path, mtime, mtime);
    const second = await upload([path]);
    expect(second.readBytes).toBe(bytes.length);
    expect(rebuilt(second)).toBe(sha256Of(changed));
    await appendFile(path, 'more');
    expect(rebuilt(await upload([path]))).toBe(sha256Of(await readFile(path)));
  });

  it('that was written a moment before it was uploaded is read once more', async () => {
    await writeFile(path, bytes);
    const now = new Date(Date.now() + 3600_000);
    await utimes(path, now, now);
    await upload([path]);
    expect((await upload([path])).readBytes).toBe(bytes.length);
  });

  it('is read again when the store has lost what it is made of, and known again after that', async () => {
    await upload([path]);
    cas.xorbs.clear();
    const second = await upload([path]);
    expect(second.failed).toEqual([]);
    expect(second.files[0]).toMatchObject({ unchanged: false, newBytes: bytes.length });
    expect(rebuilt(second)).toBe(sha256Of(bytes));
    // What was remembered last counts.
    expect((await upload([path])).readBytes).toBe(0);
  });

  it('is read for a SHA-256 that nobody computed, and not for one that is known', async () => {
    await upload([path]);
    const second = await upload([path], { sha256: true });
    expect(second).toMatchObject({ readBytes: bytes.length });
    await settle();
    const third = await upload([path], { sha256: true });
    expect(third.readBytes).toBe(0);
    expect(third.files[0]?.sha256).toBe(sha256Of(bytes));
    expect((await upload([path])).files[0]?.sha256).toBeNull();
  });

  it('costs no request of its own among many', async () => {
    const paths = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const small = join(dir, `small-${number}-${i}`);
        await writeFile(small, random(1000 + i, 3000 + i));
        return small;
      }),
    );
    await settle();
    const first = await upload(paths);
    const shardCount = cas.shards.length;
    await writeFile(paths[7] as string, 'changed');
    const second = await upload(paths);
    expect(second.files.filter(({ unchanged }) => unchanged)).toHaveLength(299);
    expect(second.readBytes).toBe(7);
    expect(cas.shards).toHaveLength(shardCount + 1);
    expect(second.files.map((file) => file.path)).toEqual(paths);
    for (const [i, { fileHash }] of second.files.entries()) {
      if (i !== 7) expect(fileHash).toBe(first.files[i]?.fileHash);
    }
  });

  it('is not read either when the upload was cut off after it', async () => {
    const large = join(dir, `large-${number}`);
    await writeFile(large, random(12, 6 * MIB));
    await settle();
    cas.behaviour.beforeXorb = (count) => {
      if (count >= 3) throw new OrbweaverError('NETWORK', 'cut off');
    };
    await expect(upload([path, large])).rejects.toMatchObject({ code: 'NETWORK' });
    delete cas.behaviour.beforeXorb;
    expect(cas.files.size).toBe(0);
    const second = await upload([path, large]);
    expect(second.files.map(({ unchanged }) => unchanged)).toEqual([true, false]);
    expect(second.readBytes).toBe(6 * MIB);
    expect(cas.storedBytes).toBe(bytes.length + 6 * MIB);
    for (const file of second.files) {
      expect(sha256Of(cas.rebuild(file.fileHash))).toBe(sha256Of(await readFile(file.path)));
    }
    expect((await upload([path, large])).readBytes).toBe(0);
  });
});

describe('a folder of more entries than one session takes', () => {
  it('knows its total before its end, tells of no more than that, and ends at all of it', async () => {
    const top = join(dir, 'many');
    await mkdir(top);
    for (let i = 0; i < 9; i++) await writeFile(join(top, `f${i}`), random(20 + i, 100_000));
    const cas = new FakeCas(kernels);
    await withPool({ maxMemory: 4 * MIB }, async (pool) => {
      const parts = { cas, pool, cache: null, placement: 'balanced' as const, state: null };
      const told: UploadProgress[] = [];
      const onProgress = (each: UploadProgress): unknown => told.push(each);
      const dry = await runFolderUpload(parts, [top], { dryRun: true, onProgress }, 4);
      expect(cas.xorbPuts + cas.shardPuts).toBe(0);
      const { length } = told;
      const real = await runFolderUpload(parts, [top], { onProgress }, 4);
      expect({ ...real, wallMs: 0 }).toEqual({ ...dry, wallMs: 0 });
      expect(cas.files.has(dry.manifestHash)).toBe(true);
      for (const run of [told.slice(0, length), told.slice(length)]) {
        const known = run.filter(({ totalBytes }) => totalBytes !== undefined);
        expect(known.some(({ phase }) => phase === 'reading')).toBe(true);
        expect(new Set(known.map(({ totalBytes }) => totalBytes))).toEqual(new Set([900_000]));
        for (const [i, { doneBytes, fileCount }] of run.entries()) {
          expect(doneBytes).toBeGreaterThanOrEqual(run[i - 1]?.doneBytes ?? 0);
          expect(fileCount).toBeLessThanOrEqual(9);
        }
        expect(run.filter(({ phase }) => phase === 'done')).toHaveLength(1);
        expect(run.at(-1)).toMatchObject({
          ...{ phase: 'done', doneBytes: 900_000, totalBytes: 900_000 },
          ...{ doneFileCount: 9, fileCount: 9 },
        });
      }
    });
  });
});
