import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createUploadSession, type UploadOptions } from '../../../src/client/index.js';
import { OrbweaverError } from '../../../src/errors.js';
import { Deferred } from '../../../src/flow/index.js';
import type { Kernels } from '../../../src/kernels/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { decodeShard, encodeShard } from '../../../src/shard/index.js';
import { createThreadKernels, type WorkerPool } from '../../../src/workers/index.js';
import { FakeCas, rejected } from './fake-cas.js';
import { MemorySource, MIB, random, sha256Of, slabsHome, withPool } from './support.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createThreadKernels();
});

const unhandled: unknown[] = [];
const note = (reason: unknown): unknown => unhandled.push(reason);
beforeEach(() => process.on('unhandledRejection', note));
afterEach(() => {
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

function sessionOn(pool: WorkerPool, cas: FakeCas | null, options: UploadOptions = {}) {
  return createUploadSession({ cas, pool, hasher: kernels.hasher, clock: SYSTEM_CLOCK, options });
}

const never = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(new OrbweaverError('ABORTED', 'aborted')));
  });

describe('one file', () => {
  it('is cancelled by its own signal, whenever that fires, and the others go on', async () => {
    const good = random(1, 500_000);
    await withPool({}, async (pool) => {
      for (const readConcurrency of [1, 3]) {
        const sending = new Deferred<void>();
        const cas = new FakeCas(kernels, { beforeXorb: () => sending.promise });
        const session = sessionOn(pool, cas, { readConcurrency });
        const [before, during, after] = [1, 2, 3].map(() => new AbortController());
        before?.abort();
        const hanging = new MemorySource(random(2, MIB), { step: 100_000, hangAt: 300_000 });
        const placed = new MemorySource(random(3, 400_000), { name: 'placed' });
        const early = session.add(new MemorySource(good), { signal: before?.signal });
        const read = session.add(hanging, { signal: during?.signal });
        setTimeout(() => during?.abort(), 10);
        for (const each of [early, read]) {
          await expect(each).rejects.toMatchObject({ code: 'ABORTED' });
        }
        const kept = session.add(new MemorySource(good), { signal: new AbortController().signal });
        const { fileHash } = await session.add(placed, { signal: after?.signal });
        after?.abort();
        sending.resolve();
        const summary = await session.finish();
        expect(summary.failed.map(({ error }) => (error as OrbweaverError).code)).toEqual([
          'ABORTED',
          'ABORTED',
          'ABORTED',
        ]);
        expect(summary.failed[2]?.error.message).toBe('"placed" was cancelled');
        expect(summary.files).toHaveLength(1);
        expect([...cas.files.keys()]).toEqual([(await kept).fileHash.toString()]);
        expect(cas.files.has(fileHash.toString())).toBe(false);
        expect(hanging.closeCount).toBe(1);
      }
    });
  });
});

describe('one bad file', () => {
  it.each([
    ['throws while it is read', { failAt: 400_000 }, 'INPUT_UNREADABLE'],
    ['throws at once', { failAt: 0 }, 'INPUT_UNREADABLE'],
    ['is shorter than promised', { sizeBytes: MIB + 1 }, 'INPUT_CHANGED'],
    ['is longer than promised', { sizeBytes: 600_000 }, 'INPUT_CHANGED'],
    ['is longer than an empty promise', { sizeBytes: 0 }, 'INPUT_CHANGED'],
  ] as const)('that %s leaves the others alone', async (_, fault, code) => {
    const good = [random(1, 500_000), random(2, 900_000), random(3, 10)];
    await withPool({}, async (pool) => {
      for (const readConcurrency of [1, 2, 3]) {
        const cas = new FakeCas(kernels);
        const session = sessionOn(pool, cas, { readConcurrency });
        const bad = new MemorySource(random(9, MIB), { ...fault, step: 100_000, name: 'bad' });
        const added = [
          session.add(new MemorySource(good[0] as Uint8Array)),
          session.add(bad, { sha256: true }),
          session.add(new MemorySource(good[1] as Uint8Array), { sha256: true }),
          session.add(new MemorySource(good[2] as Uint8Array)),
        ];
        await expect(added[1]).rejects.toMatchObject({ code });
        const summary = await session.finish();
        expect(summary.files).toHaveLength(3);
        expect(summary.failed).toEqual([
          { name: 'bad', error: expect.objectContaining({ code }) as Error },
        ]);
        expect(cas.files.size).toBe(3);
        for (const [i, file] of summary.files.entries()) {
          const rebuilt = cas.rebuild(file.fileHash.toString());
          expect(sha256Of(rebuilt)).toBe(sha256Of(good[i] as Uint8Array));
        }
        expect(bad.closeCount).toBe(1);
      }
    });
  });

  it('that cannot be opened keeps its error', async () => {
    await withPool({}, async (pool) => {
      const session = sessionOn(pool, new FakeCas(kernels));
      const missing = new OrbweaverError('INPUT_NOT_FOUND', '"x" is not there');
      const open = (): Promise<never> => Promise.reject(missing);
      const added = session.add({ name: 'x', reopenable: true, open });
      const fine = session.add(new MemorySource(random(1, 5)));
      await expect(added).rejects.toBe(missing);
      await fine;
      expect((await session.finish()).failed).toEqual([{ name: 'x', error: missing }]);
    });
  });
});

describe('little memory', () => {
  it('never locks up: 4 MiB, many lanes, a slow server, xorbs larger than memory', async () => {
    const files = Array.from({ length: 10 }, (_, i) => random(50 + i, 700_000 + i * 99_999));
    await withPool({ maxMemory: 4 * MIB }, async (pool) => {
      const cas = new FakeCas(kernels, {
        beforeXorb: () => new Promise((resolve) => setTimeout(resolve, 5)),
      });
      const session = sessionOn(pool, cas, { readConcurrency: 16, xorbMaxBytes: 64 * MIB });
      const added = files.map((bytes) => session.add(new MemorySource(bytes), { sha256: true }));
      const summary = await session.finish();
      expect(summary.files).toHaveLength(10);
      for (const [i, result] of (await Promise.all(added)).entries()) {
        const rebuilt = cas.rebuild(result.fileHash.toString());
        expect(sha256Of(rebuilt)).toBe(sha256Of(files[i] as Uint8Array));
      }
    });
  });

  it('is shared by two sessions that both want all of it', async () => {
    const bytes = random(70, 6 * MIB);
    await withPool({ maxMemory: 4 * MIB }, async (pool) => {
      const hashes = await Promise.all(
        [bytes, bytes.subarray(1)].map(async (content) => {
          const session = sessionOn(pool, new FakeCas(kernels), { xorbMaxBytes: 64 * MIB });
          const file = await session.add(new MemorySource(content));
          await session.finish();
          return file.fileHash.toString();
        }),
      );
      expect(new Set(hashes).size).toBe(2);
    });
  });

  it('is given to somebody else who waits while a xorb is open', async () => {
    await withPool({ maxMemory: 4 * MIB }, async (pool) => {
      const session = sessionOn(pool, new FakeCas(kernels), { xorbMaxBytes: 64 * MIB });
      await session.add(new MemorySource(random(1, 2 * MIB)));
      const slabs = await pool.acquire(pool.slabCount);
      for (const slab of slabs) slab.release();
      await session.finish();
    });
  });
});

describe('a failing server', () => {
  it('ends the session with its error, and nothing is registered', async () => {
    for (const failAt of [0, 1, 3]) {
      await withPool({}, async (pool) => {
        const failure = new OrbweaverError('SERVER_ERROR', 'status 500');
        const cas = new FakeCas(kernels, {
          beforeXorb: (count) => {
            if (count >= failAt) throw failure;
          },
        });
        const session = sessionOn(pool, cas, { xorbMaxBytes: 400_000 });
        const added = [1, 2, 3].map((seed) => session.add(new MemorySource(random(seed, MIB))));
        await expect(session.finish()).rejects.toBe(failure);
        const results = await Promise.allSettled(added);
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toBe(failure);
        }
        expect(cas.shardPuts).toBe(0);
        await expect(session.add(new MemorySource(random(1, 1)))).rejects.toBe(failure);
        await slabsHome(pool);
      });
    }
  });

  it('that refuses a shard for no reason ends the session', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels, { beforeShard: () => Promise.reject(rejected('no')) });
      const session = sessionOn(pool, cas);
      await session.add(new MemorySource(random(1, MIB)));
      await expect(session.finish()).rejects.toMatchObject({ code: 'REJECTED', message: 'no' });
    });
  });
});

describe('dedup answers', () => {
  /** A shard that says where the chunks of `bytes` are, made by a session of its own. */
  async function answerFor(pool: WorkerPool, bytes: Uint8Array): Promise<Uint8Array> {
    const shards: Uint8Array[] = [];
    const session = sessionOn(pool, new FakeCas(kernels), {
      onShard: (shard) => shards.push(shard),
    });
    await session.add(new MemorySource(bytes));
    await session.finish();
    const { xorbs } = decodeShard(shards[0] as Uint8Array);
    return encodeShard({ files: [], xorbs, footer: null }, { variant: 'upload' });
  }

  it('that are true save the upload', async () => {
    await withPool({}, async (pool) => {
      const bytes = random(1, 2 * MIB);
      const cas = new FakeCas(kernels);
      const first = sessionOn(pool, cas);
      await first.add(new MemorySource(bytes));
      await first.finish();
      const { xorbs } = decodeShard(cas.shards[0] as Uint8Array);
      const answer = encodeShard({ files: [], xorbs, footer: null }, { variant: 'upload' });
      cas.behaviour.query = async () => answer;
      const puts = cas.xorbPuts;
      const second = sessionOn(pool, cas);
      const file = await second.add(new MemorySource(bytes));
      const summary = await second.finish();
      expect(file).toMatchObject({ newBytes: 0, globalBytes: bytes.length });
      expect(summary).toMatchObject({ xorbCount: 0, responseCount: 1 });
      expect(cas.xorbPuts).toBe(puts);
    });
  });

  it('that lie cost a second reading and nothing else', async () => {
    await withPool({}, async (pool) => {
      const lied = random(1, 2 * MIB);
      const honest = random(2, MIB);
      const answer = await answerFor(pool, lied);
      const cas = new FakeCas(kernels, { query: async () => answer });
      const session = sessionOn(pool, cas);
      const source = new MemorySource(lied, { name: 'lied' });
      const other = new MemorySource(honest, { name: 'honest' });
      void session.add(source, { sha256: true });
      void session.add(other);
      const summary = await session.finish();
      expect(summary.failed).toEqual([]);
      expect(summary.files.map(({ name }) => name)).toEqual(['lied', 'honest']);
      expect(summary.files[0]).toMatchObject({
        newBytes: lied.length,
        globalBytes: 0,
        localBytes: 0,
        sha256: sha256Of(lied),
      });
      expect(source.openCount).toBe(2);
      expect(other.openCount).toBe(1);
      for (const [i, bytes] of [lied, honest].entries()) {
        const rebuilt = cas.rebuild(String(summary.files[i]?.fileHash));
        expect(sha256Of(rebuilt)).toBe(sha256Of(bytes));
      }
    });
  });

  it('that lie fail a stream, which cannot be read again, and only that', async () => {
    await withPool({}, async (pool) => {
      const lied = random(1, MIB);
      const answer = await answerFor(pool, lied);
      const cas = new FakeCas(kernels, { query: async () => answer });
      const session = sessionOn(pool, cas);
      void session.add(new MemorySource(lied, { name: 'stream', reopenable: false }));
      void session.add(new MemorySource(random(2, MIB), { name: 'file' }));
      const summary = await session.finish();
      expect(summary.failed).toMatchObject([{ name: 'stream', error: { code: 'REJECTED' } }]);
      expect(summary.files.map(({ name }) => name)).toEqual(['file']);
    });
  });

  it.each([
    ['never come', (signal?: AbortSignal) => never(signal)],
    ['are garbage', async () => random(1, 1000)],
    ['are errors', () => Promise.reject(new OrbweaverError('SERVER_ERROR', '500'))],
  ] as const)('that %s do no harm', async (_, query) => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels, { query: (_hash, signal) => query(signal) });
      const session = sessionOn(pool, cas, { queryTimeoutMs: 5 });
      for (let i = 0; i < 8; i++) void session.add(new MemorySource(random(i, 50_000)));
      expect((await session.finish()).files).toHaveLength(8);
      expect(cas.queries).toBeGreaterThan(0);
    });
  });
});

describe('a cancelled upload', () => {
  it('stops at once, wherever it is', async () => {
    const setup = fc.record({
      after: fc.nat(25),
      hang: fc.constantFrom('server', 'source', 'query', 'nothing'),
      bySignal: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(setup, async ({ after, hang, bySignal }) => {
        await withPool({ maxMemory: 4 * MIB }, async (pool) => {
          const controller = new AbortController();
          const cas = new FakeCas(kernels, {
            ...(hang === 'server' ? { beforeXorb: (_count, signal) => never(signal) } : {}),
            ...(hang === 'query' ? { query: (_hash, signal) => never(signal) } : {}),
          });
          const session = sessionOn(pool, cas, {
            xorbMaxBytes: 300_000,
            signal: controller.signal,
          });
          const added = [1, 2, 3, 4].map((seed) =>
            session.add(
              new MemorySource(random(seed, MIB), {
                step: 200_000,
                ...(hang === 'source' ? { hangAt: 600_000 } : {}),
              }),
              { sha256: true },
            ),
          );
          const finished = session.finish();
          finished.catch(() => undefined);
          await new Promise((resolve) => setTimeout(resolve, after));
          if (bySignal) controller.abort();
          else session.abort();
          const results = await Promise.allSettled([...added, finished]);
          for (const result of results) {
            if (result.status === 'rejected') {
              expect(result.reason).toMatchObject({ code: expect.stringMatching(/ABORTED/) });
            }
          }
          if (hang === 'server' || hang === 'source') {
            expect(results.at(-1)?.status).toBe('rejected');
          }
          await slabsHome(pool);
        });
      }),
      { numRuns: 30, seed: 4 },
    );
  }, 120_000);

  it('does not start when the signal has fired before', async () => {
    await withPool({}, async (pool) => {
      const source = new MemorySource(random(1, 10));
      const session = sessionOn(pool, new FakeCas(kernels), { signal: AbortSignal.abort() });
      await expect(session.add(source)).rejects.toMatchObject({ code: 'ABORTED' });
      await expect(session.finish()).rejects.toMatchObject({ code: 'ABORTED' });
      expect(source.openCount).toBe(0);
    });
  });
});
