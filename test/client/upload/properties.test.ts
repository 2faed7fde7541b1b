import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createUploadSession, type UploadOptions } from '../../../src/client/index.js';
import type { Source, SourceReader } from '../../../src/client/ports.js';
import { OrbweaverError } from '../../../src/errors.js';
import type { Kernels } from '../../../src/kernels/index.js';
import {
  createComputePool,
  createThreadKernels,
  type WorkerPool,
} from '../../../src/workers/index.js';
import { Scheduler } from '../../flow/scheduler.js';
import { FakeCas, type FakeCasBehaviour } from './fake-cas.js';
import { type BeforeTask, PermutingPool } from './fake-pool.js';
import { edited, MIB, random, sha256Of } from './support.js';

/**
 * What an upload promises whatever the order in which tasks, reads and requests come to their end. A
 * seed decides that order, and what goes wrong; what nobody may read any more is poisoned.
 */

/** 200 seeds, in four parts. */
const PARTS = [0, 50, 100, 150].map((first) => ({
  first,
  seeds: Array.from({ length: 50 }, (_, i) => first + i),
}));

let kernels: Kernels;
let pool: WorkerPool;
beforeAll(async () => {
  kernels = await createThreadKernels();
  pool = await createComputePool({ threads: 0, maxMemory: 6 * MIB });
});
afterAll(() => pool.close());

/** Three slabs, a copy of the first half of it with an insert, and what fits into a slab with others. */
const big = random(1, 850_000);
const FILES = [
  big,
  edited(big.subarray(0, 400_000), 300_000, random(2, 5000)),
  random(3, 30_000),
  random(4, 20_000),
  random(5, 10_000),
  random(6, 9000),
];
const DIGESTS = FILES.map(sha256Of);

/**
 * A source whose reads and ends come when the seed says, some of them seconds later; it writes into
 * its memory until then.
 */
function sourceOf(world: Scheduler, bytes: Uint8Array, name: string, failAt?: number): Source {
  const open = async (): Promise<SourceReader> => {
    await world.op(() => undefined);
    let at = 0;
    return {
      read: async (into) => {
        if (at > 0 && world.int(3) === 0) {
          await new Promise<void>((resolve) => world.clock.setTimer(3000, resolve));
        }
        return world.op(() => {
          if (failAt !== undefined && at >= failAt) throw new Error('the disk is gone');
          const count = Math.min(into.length, 200_000, bytes.length - at);
          into.set(bytes.subarray(at, at + count));
          at += count;
          return count;
        });
      },
      close: () => world.op(() => undefined),
    };
  };
  // The smallest are streams, which share no slab.
  const sizeBytes = bytes.length < 25_000 ? {} : { sizeBytes: bytes.length };
  return { name, ...sizeBytes, reopenable: true, open };
}

interface Setup {
  readonly world: Scheduler;
  readonly permuting: PermutingPool;
  readonly cas: FakeCas;
  readonly session: ReturnType<typeof createUploadSession>;
}

function setUp(
  seed: number,
  options: UploadOptions = {},
  { before, ...behaviour }: FakeCasBehaviour & { before?: BeforeTask } = {},
): Setup {
  const world = new Scheduler(seed);
  const permuting = new PermutingPool(pool, world, before);
  const cas = new FakeCas(kernels, {
    query: async () => world.op(() => null),
    beforeXorb: () => world.op(() => undefined),
    ...behaviour,
  });
  const session = createUploadSession({
    cas,
    pool: permuting,
    hasher: kernels.hasher,
    clock: world.clock,
    options: { readConcurrency: 1 + (seed % 3), xorbMaxBytes: 300_000, ...options },
  });
  return { world, permuting, cas, session };
}

/** Everything that was started comes to its end. */
async function drain(world: Scheduler): Promise<void> {
  do {
    await world.advance(10_000);
    await world.run(world.op(() => undefined));
  } while (world.pendingCount > 0);
}

describe.each(PARTS)('whatever the order in which things end, seeds from $first:', ({ seeds }) => {
  it('placing keeps the order of the lane: every file is rebuilt, with its hashes', async () => {
    const hashes = new Set<string>();
    for (const seed of seeds) {
      // Half of the servers never answer: then nobody waits for answers any more, in the middle of it.
      const silent = seed % 2 === 0 ? {} : { query: () => new Promise<null>(() => {}) };
      const { world, permuting, cas, session } = setUp(seed, {}, silent);
      for (const [i, bytes] of FILES.entries()) session.enqueue(sourceOf(world, bytes, `${i}`));
      const { files, failed } = await world.run(session.finish());
      expect(failed, `seed ${seed}`).toEqual([]);
      for (const [i, file] of files.entries()) {
        const rebuilt = sha256Of(cas.rebuild(file.fileHash.toString()));
        expect(rebuilt, `seed ${seed}, file ${i}`).toBe(DIGESTS[i]);
      }
      hashes.add(files.map((file) => file.fileHash.toString()).join());
      await drain(world);
      expect(permuting.outCount, `seed ${seed}`).toBe(0);
    }
    expect(hashes.size).toBe(1);
  }, 120_000);

  it('a SHA-256 is done before packing writes over the slab', async () => {
    for (const seed of seeds) {
      const { world, cas, session } = setUp(seed, { readConcurrency: 2 });
      for (const i of [1, 2]) {
        session.enqueue(sourceOf(world, FILES[i] as Uint8Array, `${i}`), { sha256: true });
      }
      const { files, failed } = await world.run(session.finish());
      expect(failed, `seed ${seed}`).toEqual([]);
      expect(files.map(({ sha256 }) => sha256, `seed ${seed}`)).toEqual([DIGESTS[1], DIGESTS[2]]);
      for (const { fileHash, sha256 } of files) {
        expect(sha256Of(cas.rebuild(fileHash.toString())), `seed ${seed}`).toBe(sha256);
      }
    }
  }, 120_000);

  it('all slabs are back at the end, whatever fails', async () => {
    const codes = new Set<string>();
    for (const seed of seeds) {
      const kind = (['read', 'task', 'send', 'abort', 'query', 'shard'] as const)[seed % 6];
      let tasks = 0;
      let xorbs = 0;
      const at = seed % 13;
      const { world, permuting, session } = setUp(
        seed,
        {},
        {
          before: () => {
            if (kind === 'task' && tasks++ % 17 === at) throw new Error('the worker is gone');
          },
          beforeXorb: (_count, signal) =>
            world.op(() => {
              if (kind === 'send' && xorbs++ === at % 4) {
                throw new OrbweaverError('SERVER_ERROR', '500');
              }
              if (signal?.aborted === true) throw new OrbweaverError('ABORTED', 'aborted');
            }),
          ...(kind === 'query' ? { query: () => new Promise(() => {}) } : {}),
          beforeShard: () =>
            world.op(() => {
              if (kind === 'shard') throw new OrbweaverError('REJECTED', 'no');
            }),
        },
      );
      const added = FILES.slice(1).map((bytes, i) => {
        const failAt = kind === 'read' && i % 2 === 0 ? at * 40_000 : undefined;
        return session.add(sourceOf(world, bytes, `${i}`, failAt), { sha256: i % 2 === 0 });
      });
      const finished = session.finish();
      const all = Promise.allSettled([...added, finished]);
      if (kind === 'abort') {
        for (let step = 0; step < 3 * at; step++) await world.run(world.op(() => undefined));
        session.abort();
      }
      for (const result of await world.run(all)) {
        if (result.status === 'rejected') codes.add((result.reason as OrbweaverError).code);
      }
      await drain(world);
      expect(permuting.outCount, `seed ${seed}, ${kind}`).toBe(0);
      expect(pool.freeSlabs, `seed ${seed}, ${kind}`).toBe(pool.slabCount);
    }
    expect([...codes].sort()).toEqual([
      'ABORTED',
      'INPUT_UNREADABLE',
      'REJECTED',
      'SERVER_ERROR',
      'WORKER_FAILED',
    ]);
  }, 120_000);
});
