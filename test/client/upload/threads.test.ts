import { beforeAll, describe, expect, it } from 'vitest';
import type { Kernels } from '../../../src/kernels/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { createThreadKernels } from '../../../src/workers/index.js';
import { generate } from '../../support/generators.js';
import { builtClient, builtWorkers } from '../../workers/built.js';
import { FakeCas } from './fake-cas.js';
import { edited, MemorySource, MIB, random, sha256Of, slabsHome } from './support.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createThreadKernels();
});

/** Every way in which the pool may run. */
const WAYS = [
  { threads: 0, sharedMemory: true },
  { threads: 1, sharedMemory: true },
  { threads: 2, sharedMemory: true },
  { threads: 0, sharedMemory: false },
  { threads: 2, sharedMemory: false },
] as const;

describe('an upload on the compiled pool', () => {
  it('makes the same files, chunks and digests whatever the threads and the memory', async () => {
    const { createComputePool } = await builtWorkers();
    const { createUploadSession } = await builtClient();
    const base = random(1, 5 * MIB);
    const files = [
      base,
      edited(base, 3 * MIB, random(2, 100)),
      generate({ kind: 'words', seed: 3, bytes: 2 * MIB }),
      generate({ kind: 'floats', seed: 4, bytes: MIB }),
      new Uint8Array(300_000),
      new Uint8Array(0),
      ...Array.from({ length: 20 }, (_, i) => random(100 + i, i * 3000)),
    ];
    const outcomes: string[] = [];
    for (const way of WAYS) {
      const pool = await createComputePool({ ...way, maxMemory: 8 * MIB });
      const cas = new FakeCas(kernels);
      // One lane: then also the xorbs are the same.
      const options = { readConcurrency: 1, xorbMaxBytes: MIB };
      const session = createUploadSession({
        cas,
        pool,
        hasher: pool.kernels.hasher,
        clock: SYSTEM_CLOCK,
        options,
      });
      for (const [i, bytes] of files.entries()) {
        const source = new MemorySource(bytes, { name: String(i), step: 333_333 });
        void session.add(source, { sha256: i % 2 === 0 });
      }
      const summary = await session.finish();
      expect(summary.failed).toEqual([]);
      for (const [i, file] of summary.files.entries()) {
        const rebuilt = cas.rebuild(file.fileHash.toString());
        expect(sha256Of(rebuilt)).toBe(sha256Of(files[i] as Uint8Array));
        if (file.sha256 !== null) expect(file.sha256).toBe(sha256Of(files[i] as Uint8Array));
      }
      await slabsHome(pool);
      await pool.close();
      outcomes.push(
        JSON.stringify(summary.files.map((file) => [file.fileHash.toString(), file.newBytes])) +
          [...cas.xorbs.keys()].sort().join(),
      );
    }
    expect(new Set(outcomes).size).toBe(1);
  }, 120_000);

  it('can be cancelled at any moment, with workers in the middle of it', async () => {
    const { createComputePool } = await builtWorkers();
    const { createUploadSession } = await builtClient();
    for (const sharedMemory of [true, false]) {
      const pool = await createComputePool({ threads: 2, maxMemory: 8 * MIB, sharedMemory });
      for (let delayMs = 0; delayMs < 60; delayMs += 6) {
        const cas = new FakeCas(kernels);
        const session = createUploadSession({
          cas,
          pool,
          hasher: pool.kernels.hasher,
          clock: SYSTEM_CLOCK,
        });
        const added = [1, 2, 3].map((seed) =>
          session.add(new MemorySource(random(seed, 2 * MIB)), { sha256: true }),
        );
        const finished = session.finish();
        finished.catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        session.abort();
        for (const result of await Promise.allSettled([...added, finished])) {
          if (result.status === 'fulfilled') continue;
          expect(result.reason).toMatchObject({ code: 'ABORTED' });
        }
        await slabsHome(pool);
      }
      await pool.close();
    }
  }, 120_000);
});
