import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DownloadProgress, DownloadSummary } from '../../src/client/index.js';
import type { RandomAccess } from '../../src/client/ports.js';
import { OrbweaverError } from '../../src/errors.js';
import { bytesRandomAccess, fileSink, inputError } from '../../src/io/index.js';
import { createComputePool } from '../../src/workers/index.js';
import { generate } from '../support/generators.js';
import { naiveCuts } from '../support/naive-chunker.js';
import { downloadFile, fakeCas, plainFile } from './download-support.js';

/** Seeds that lie, change and vanish. The file is its own old version, cut as an upload cuts it. */

const BYTES = generate({ kind: 'splitmix64', seed: 7, bytes: 6_000_000 });

let dir = '';
let pool: Awaited<ReturnType<typeof createComputePool>>;
let stored: ReturnType<typeof plainFile>;

beforeAll(async () => {
  pool = await createComputePool({ threads: 0, maxMemory: 4 << 20 });
  let start = 0;
  const chunks = naiveCuts(BYTES).map((end) => {
    const chunk = BYTES.subarray(start, end);
    start = end;
    return chunk;
  });
  stored = plainFile(chunks);
});
afterAll(() => pool.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-seeds-'));
});
afterEach(async () => {
  expect(pool.freeSlabs).toBe(pool.slabCount);
  expect(await readdir(dir)).toEqual(['out']);
  await rm(dir, { recursive: true });
});

async function download(
  seed: RandomAccess,
  cas = {},
  onProgress?: (progress: DownloadProgress) => void,
): Promise<DownloadSummary> {
  const { file, xorbs } = stored;
  const summary = await downloadFile({
    cas: { ...fakeCas([file], xorbs), ...cas },
    pool,
    hasher: pool.kernels.hasher,
    fileHash: file.hash,
    sink: fileSink(join(dir, 'out'), { keepAs: file.hash.toString() }),
    seeds: [seed],
    onProgress,
  });
  expect(Buffer.compare(await readFile(join(dir, 'out')), BYTES)).toBe(0);
  return summary;
}

/** The bytes, of which something else is read after so many reads. */
function moody(
  readCount: number,
  change: (into: Uint8Array, offset: number) => void,
): RandomAccess {
  const access = bytesRandomAccess(BYTES, 'seed');
  let reads = 0;
  return {
    ...access,
    async readAt(into, offset) {
      await access.readAt(into, offset);
      if (++reads > readCount) change(into, offset);
    },
  };
}

describe('a seed', () => {
  it('that is the file leaves nothing to fetch', async () => {
    const seen: DownloadProgress[] = [];
    const sizeBytes = BYTES.length;
    const cas = { getFileSize: async () => sizeBytes };
    const summary = await download(bytesRandomAccess(BYTES, 'seed'), cas, (each) => {
      seen.push(each);
    });
    expect(summary).toMatchObject({ fetchedBytes: 0, seededBytes: sizeBytes, seedNote: null });
    expect([...new Set(seen.map(({ phase }) => phase))]).toEqual(['seeding', 'verifying', 'done']);
    const cut = seen.flatMap(({ file }) => (file === null ? [] : [file]));
    expect(cut.length).toBeGreaterThan(1);
    expect(cut.at(-1)).toEqual({ name: 'seed', readBytes: sizeBytes, sizeBytes });
    const whole = { totalBytes: sizeBytes, writtenBytes: sizeBytes, seededBytes: sizeBytes };
    expect(seen.find(({ file }) => file !== null)).toMatchObject({ totalBytes: sizeBytes });
    expect(seen.at(-1)).toMatchObject(whole);
  });

  it('that changes after it was cut is noticed by its hashes', async () => {
    let seen = 0;
    const count = moody(Number.POSITIVE_INFINITY, () => {});
    await download({
      ...count,
      readAt: (into, offset) => {
        seen++;
        return count.readAt(into, offset);
      },
    });
    // The last reads are those of the copy.
    const summary = await download(moody(seen - 4, (into) => into.fill(1, 1000, 2000)));
    expect(summary.seededBytes).toBeGreaterThan(0);
    expect(summary.seededBytes).toBeLessThan(BYTES.length);
    expect(summary.fetchedBytes).toBeGreaterThan(0);
    expect(summary.verified).toBe(true);
  });

  it('that becomes shorter, or cannot be read, is none', async () => {
    const shorter = moody(3, (into, offset) => {
      throw new OrbweaverError('INPUT_CHANGED', `"seed" ended at ${offset + into.length}`);
    });
    expect(await download(shorter)).toMatchObject({
      seededBytes: 0,
      seedNote: expect.stringContaining('could not be read'),
    });
    const broken = moody(0, () => {
      throw inputError(Object.assign(new Error('bad disk'), { code: 'EIO' }), 'seed');
    });
    expect((await download(broken)).seededBytes).toBe(0);
  });

  it('of which the store says nothing, or nothing right, costs nothing but that', async () => {
    const other = BYTES.slice();
    other[0] = (other[0] as number) ^ 1;
    for (const cas of [
      { queryDedup: async () => null },
      { queryDedup: async () => new Uint8Array(5000).fill(3) },
      { queryDedup: async () => Promise.reject(new OrbweaverError('NETWORK', 'gone')) },
      { queryDedup: undefined },
    ]) {
      const summary = await download(bytesRandomAccess(other, 'seed'), cas);
      expect(summary).toMatchObject({ seededBytes: 0, seedNote: expect.any(String) });
    }
  });

  it('that the store places wrongly is found out in the end', async () => {
    const { file, xorbs } = stored;
    const real = fakeCas([file], xorbs);
    const half = BYTES.slice(0, 3_000_000);
    let asked = 0;
    const summary = await download(bytesRandomAccess(half, 'seed'), {
      // What it says of the seed are terms of the same lengths from elsewhere in the xorb.
      getReconstruction: async (...call: Parameters<typeof real.getReconstruction>) => {
        if (call[0].equals(file.hash)) return real.getReconstruction(...call);
        asked++;
        const reply = await real.getReconstruction(file.hash, { start: 0, end: 1000 });
        return reply === null ? null : { ...reply, terms: reply.terms.slice(0, 1) };
      },
      queryDedup: undefined,
    });
    expect(asked).toBeGreaterThan(0);
    expect(summary.verified).toBe(true);
  });
});
