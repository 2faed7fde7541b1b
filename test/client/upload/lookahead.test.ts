import { beforeAll, describe, expect, it } from 'vitest';
import { createUploadSession, type UploadOptions } from '../../../src/client/index.js';
import { Batch } from '../../../src/client/upload/batch.js';
import { FileTask } from '../../../src/client/upload/file-task.js';
import { Lookahead } from '../../../src/client/upload/lookahead.js';
import { uploadSizes } from '../../../src/client/upload/sizes.js';
import { MerkleHash } from '../../../src/hash/index.js';
import type { Kernels } from '../../../src/kernels/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { decodeShard, encodeShard } from '../../../src/shard/index.js';
import { createThreadKernels, type WorkerPool } from '../../../src/workers/index.js';
import { slabOf } from '../../support/slab.js';
import { FakeCas } from './fake-cas.js';
import { edited, MemorySource, MIB, random, sha256Of, withPool } from './support.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createThreadKernels();
});

function sessionOn(pool: WorkerPool, cas: FakeCas, options: UploadOptions = {}) {
  return createUploadSession({ cas, pool, hasher: kernels.hasher, clock: SYSTEM_CLOCK, options });
}

describe('looking ahead', () => {
  const sizes = {
    ...uploadSizes(
      { slabBytes: 512 * 1024, slabCount: 16, threads: 0 },
      { readConcurrency: 1, xorbMaxBytes: undefined },
    ),
    lookaheadBytes: 1000,
  };

  function newFile(): FileTask {
    return new FileTask(0, new MemorySource(new Uint8Array(0)), { kind: 'none' }, () => undefined);
  }

  /** A batch of the next `bytes` of `file`. */
  function batchOf(file: FileTask, bytes: number, isLast = false): Batch {
    const batch = new Batch(slabOf(new Uint8Array(0)), sizes);
    const segment = batch.open(file, 0);
    batch.fill += bytes;
    file.readBytes += bytes;
    batch.seal(segment, isLast);
    return batch;
  }

  /** Asks for batches of 400 bytes; tells which of them may be placed. */
  function watch(lookahead: Lookahead): {
    ask: (batch: Batch) => void;
    free: () => Promise<number[]>;
  } {
    const free: number[] = [];
    let count = 0;
    return {
      ask(batch) {
        const number = count++;
        lookahead.asked(batch);
        void Promise.resolve(lookahead.turn(batch)).then(() => free.push(number));
      },
      async free() {
        await new Promise((resolve) => setImmediate(resolve));
        return free;
      },
    };
  }

  it('places a batch when enough of what follows it was asked for, and all at the end', async () => {
    const { ask, free } = watch(new Lookahead({ waiting: 0 }, sizes));
    const file = newFile();
    for (let i = 0; i < 3; i++) ask(batchOf(file, 400));
    expect(await free()).toEqual([]);
    ask(batchOf(file, 400));
    expect(await free()).toEqual([0]);
    ask(batchOf(file, 400));
    expect(await free()).toEqual([0, 1]);
    ask(batchOf(file, 1, true));
    expect(await free()).toEqual([0, 1, 5, 2, 3, 4].sort());
  });

  it('ends with the first find', async () => {
    const lookahead = new Lookahead({ waiting: 0 }, sizes);
    const { ask, free } = watch(lookahead);
    const file = newFile();
    ask(batchOf(file, 400));
    ask(batchOf(file, 400));
    lookahead.found(file);
    expect(await free()).toEqual([0, 1]);
    ask(batchOf(file, 400));
    expect(await free()).toEqual([0, 1, 2]);
  });

  it('ends after four windows without a find', async () => {
    const { ask, free } = watch(new Lookahead({ waiting: 0 }, sizes));
    const file = newFile();
    for (let i = 0; i < 9; i++) ask(batchOf(file, 400));
    expect(await free()).toHaveLength(6);
    ask(batchOf(file, 400));
    ask(batchOf(file, 400));
    expect(await free()).toHaveLength(11);
  });

  it('ends when somebody wants memory, or when the file fails', async () => {
    const pool = { waiting: 0 };
    const lookahead = new Lookahead(pool, sizes);
    const { ask, free } = watch(lookahead);
    const file = newFile();
    ask(batchOf(file, 400));
    lookahead.releaseAll();
    expect(await free()).toEqual([0]);
    pool.waiting = 1;
    ask(batchOf(file, 400));
    expect(await free()).toEqual([0, 1]);
    pool.waiting = 0;
    ask(batchOf(file, 400));
    expect(await free()).toEqual([0, 1]);
    file.fail(new Error('gone'));
    expect(await free()).toEqual([0, 1, 2]);
  });
});

describe('many small files', () => {
  const files = Array.from({ length: 300 }, (_, i) => random(2000 + i, 9000 + i));

  async function upload(pool: WorkerPool, cas: FakeCas, options: UploadOptions = {}) {
    const session = sessionOn(pool, cas, options);
    for (const bytes of files) void session.add(new MemorySource(bytes));
    return session.finish();
  }

  it('that are new cost a few questions, not one each', async () => {
    await withPool({ maxMemory: 16 * MIB }, async (pool) => {
      const cas = new FakeCas(kernels, {
        query: () => new Promise((resolve) => setTimeout(() => resolve(null), 5)),
      });
      const { files: done, queryCount } = await upload(pool, cas);
      expect(done).toHaveLength(300);
      expect(queryCount).toBe(cas.queries);
      // 32, and one for each 4 MiB at most; a chunk may be asked for by chance, too.
      expect(queryCount).toBeGreaterThanOrEqual(32);
      expect(queryCount).toBeLessThanOrEqual(35);
    });
  });

  it('that are known are all found, also those that were put off', async () => {
    await withPool({ maxMemory: 16 * MIB }, async (pool) => {
      const cas = new FakeCas(kernels);
      await upload(pool, cas, { xorbMaxBytes: 150_000 });
      // An answer tells of one xorb only, not of all that lies beside it.
      const answers = new Map<string, Uint8Array>();
      for (const { xorbs } of cas.shards.map((shard) => decodeShard(shard))) {
        for (const xorb of xorbs) {
          const shard = encodeShard(
            { files: [], xorbs: [xorb], footer: null },
            { variant: 'upload' },
          );
          for (let i = 0; i < xorb.chunkLengths.length; i++) {
            answers.set(MerkleHash.from(xorb.chunkHashes, 32 * i).toString(), shard);
          }
        }
      }
      cas.behaviour.query = async (hash) => answers.get(hash) ?? null;
      const { files: done, responseCount } = await upload(pool, cas);
      expect(responseCount).toBeGreaterThan(0);
      expect(done.reduce((sum, { newBytes }) => sum + newBytes, 0)).toBe(0);
    });
  });
});

describe('a new version whose first chunk is new', () => {
  // 23 chunks, 1.2 MB, come before the first one that may be asked for: it was searched for.
  const old = random(63, 2 * MIB);
  const changed = edited(old, 0, random(99, 30_000));

  /** A server that has `old` and knows it by chunks that anybody may ask for, but not the first. */
  async function serverWithOld(pool: WorkerPool): Promise<FakeCas> {
    const cas = new FakeCas(kernels);
    const session = sessionOn(pool, cas);
    await session.add(new MemorySource(old));
    await session.finish();
    const { xorbs } = decodeShard(cas.shards[0] as Uint8Array);
    const answer = encodeShard({ files: [], xorbs, footer: null }, { variant: 'upload' });
    const first = new Set<string>();
    cas.behaviour.query = async (hash) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (first.size === 0) first.add(hash);
      return first.has(hash) ? null : answer;
    };
    return cas;
  }

  it('is found whole, what comes before the chunk that was asked for included', async () => {
    await withPool({ maxMemory: 16 * MIB }, async (pool) => {
      const cas = await serverWithOld(pool);
      const session = sessionOn(pool, cas);
      const file = await session.add(new MemorySource(changed), { sha256: true });
      const summary = await session.finish();
      expect(summary).toMatchObject({ queryCount: 2, responseCount: 1 });
      // The insert, and what the old chunk around it had.
      expect(file.newBytes).toBeLessThan(30_000 + 2 * 131_072);
      expect(file.globalBytes).toBe(changed.length - file.newBytes);
      expect(sha256Of(cas.rebuild(file.fileHash.toString()))).toBe(sha256Of(changed));
    });
  });

  it('is found from there on where memory holds no more', async () => {
    await withPool({ maxMemory: 4 * MIB }, async (pool) => {
      const cas = await serverWithOld(pool);
      // Somebody else has most of the memory, so that a reader soon waits for some.
      const others = await pool.acquire(pool.slabCount - 2);
      const session = sessionOn(pool, cas);
      const adding = session.add(new MemorySource(changed));
      const file = await adding;
      await session.finish();
      for (const slab of others) slab.release();
      expect(file.globalBytes).toBeGreaterThan(0);
      expect(file.newBytes).toBeGreaterThan(30_000 + 2 * 131_072);
      expect(sha256Of(cas.rebuild(file.fileHash.toString()))).toBe(sha256Of(changed));
    });
  });

  it('is stored when the server does not answer in time', async () => {
    await withPool({ maxMemory: 16 * MIB }, async (pool) => {
      const cas = await serverWithOld(pool);
      cas.behaviour.query = (_hash, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason));
        });
      const session = sessionOn(pool, cas, { queryTimeoutMs: 10 });
      const file = await session.add(new MemorySource(changed));
      await session.finish();
      expect(file.newBytes).toBe(changed.length);
    });
  });
});
