import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSink, streamSink } from '../../src/io/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createComputePool } from '../../src/workers/index.js';
import { builtClient, builtWorkers } from '../workers/built.js';
import { downloadFile, fakeCas, randomFile } from './download-support.js';

const SHAPE = { xorbs: 5, chunksPerXorb: 60, chunkBytes: 30_000, runs: 40 };

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-download-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('downloadFile with the real pool', () => {
  it('rebuilds files and streams in the smallest memory, shared or not', async () => {
    for (const sharedMemory of [true, false]) {
      const pool = await createComputePool({ threads: 0, maxMemory: 4 << 20, sharedMemory });
      const { hasher } = pool.kernels;
      try {
        const { file, xorbs } = randomFile(1, SHAPE);
        const cas = fakeCas([file], xorbs, { ranges: 'joined' });
        const path = join(dir, 'out.bin');
        const common = { cas, pool, hasher, fileHash: file.hash };
        await downloadFile({ ...common, sink: fileSink(path) });
        expect(Buffer.compare(await readFile(path), file.bytes)).toBe(0);

        const parts: Buffer[] = [];
        const stream = new Writable({
          write(chunk, _encoding, callback) {
            parts.push(chunk);
            setImmediate(callback);
          },
        });
        await downloadFile({ ...common, sink: streamSink(stream) });
        expect(Buffer.compare(Buffer.concat(parts), file.bytes)).toBe(0);
        expect(pool.freeSlabs).toBe(pool.slabCount);
      } finally {
        await pool.close();
      }
    }
  });

  it('starts threads for large files only', async () => {
    const { createComputePool: createBuiltPool } = await builtWorkers();
    const built = await builtClient();
    const pool = await createBuiltPool({ threads: 2, maxMemory: 16 << 20, inThreadBytes: 8 << 20 });
    try {
      const { hasher } = pool.kernels;
      for (const [seed, shape] of [
        [3, { ...SHAPE, xorbs: 1, runs: 1 }],
        [4, SHAPE],
      ] as const) {
        const { file, xorbs } = randomFile(seed, shape);
        const isSmall = file.bytes.length <= 2 << 20;
        expect(isSmall).toBe(seed === 3);
        const cas = fakeCas([file], xorbs, { ranges: 'joined' });
        const path = join(dir, `out-${seed}`);
        const common = { cas, pool, hasher, clock: SYSTEM_CLOCK };
        await built.downloadFile({ ...common, fileHash: file.hash, sink: fileSink(path) });
        expect(Buffer.compare(await readFile(path), file.bytes)).toBe(0);
        expect(pool.liveThreads > 0).toBe(!isSmall);
      }
    } finally {
      await pool.close();
    }
  });

  it('leaves no file and no part of one when the data is wrong', async () => {
    const pool = await createComputePool({ threads: 0, maxMemory: 4 << 20 });
    try {
      const { file, xorbs } = randomFile(2, SHAPE);
      const cas = fakeCas([file], xorbs, {
        ranges: 'joined',
        onFetch: ({ index, bytes }) => {
          if (index % 2 === 1) bytes[0]?.fill(0x55, 3000, 3100);
        },
      });
      const download = downloadFile({
        cas,
        pool,
        hasher: pool.kernels.hasher,
        fileHash: file.hash,
        sink: fileSink(join(dir, 'out.bin')),
      });
      await expect(download).rejects.toMatchObject({ name: 'OrbweaverError' });
      expect(await readdir(dir)).toEqual([]);
      expect(pool.freeSlabs).toBe(pool.slabCount);
    } finally {
      await pool.close();
    }
  });
});
