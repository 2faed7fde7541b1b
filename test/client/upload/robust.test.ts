import { beforeAll, describe, expect, it } from 'vitest';
import { createUploadSession, type UploadOptions } from '../../../src/client/index.js';
import type {
  CasClient,
  ComputePool,
  Source,
  UploadDestination,
  UploadJournal,
} from '../../../src/client/ports.js';
import { Batch } from '../../../src/client/upload/batch.js';
import { FileTask } from '../../../src/client/upload/file-task.js';
import { placeBatch } from '../../../src/client/upload/placing.js';
import { uploadSizes } from '../../../src/client/upload/sizes.js';
import { createDedupSession, createStoreLeastPlacement } from '../../../src/dedup/index.js';
import { OrbweaverError } from '../../../src/errors.js';
import type { Kernels } from '../../../src/kernels/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { decodeShard, encodeShard } from '../../../src/shard/index.js';
import { createThreadKernels, type WorkerPool } from '../../../src/workers/index.js';
import { Scheduler } from '../../flow/scheduler.js';
import { slabOf } from '../../support/slab.js';
import { FakeCas } from './fake-cas.js';
import { PermutingPool } from './fake-pool.js';
import { MemorySource, MIB, random, sha256Of, withPool } from './support.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createThreadKernels();
});

interface Extras {
  readonly destination?: UploadDestination;
  readonly journal?: UploadJournal;
}

function sessionOn(
  pool: WorkerPool,
  cas: CasClient | null,
  options: UploadOptions = {},
  extras: Extras = {},
) {
  const { hasher } = kernels;
  return createUploadSession({ cas, pool, hasher, clock: SYSTEM_CLOCK, options, ...extras });
}

/** A response that tells of all xorbs of `bytes`, as some server has them, or says so. */
async function responseFor(pool: WorkerPool, bytes: Uint8Array): Promise<Uint8Array> {
  const shards: Uint8Array[] = [];
  const session = sessionOn(pool, new FakeCas(kernels), { onShard: (shard) => shards.push(shard) });
  await session.add(new MemorySource(bytes));
  await session.finish();
  const { xorbs } = decodeShard(shards[0] as Uint8Array);
  return encodeShard({ files: [], xorbs, footer: null }, { variant: 'upload' });
}

describe('a file that fails', () => {
  it('is not read any further', async () => {
    await withPool({}, async (pool) => {
      const world = new Scheduler(3);
      let dead = false;
      const permuting = new PermutingPool(pool, world, ({ kind }) => {
        if (kind === 'chunk' && !dead) throw new Error('the worker is gone');
      });
      const { hasher } = kernels;
      const { clock } = world;
      const cas = new FakeCas(kernels);
      const session = createUploadSession({ cas, pool: permuting, hasher, clock });
      let reads = 0;
      const source: Source = {
        name: 'endless',
        reopenable: false,
        open: async () => ({
          read: (into) => {
            reads++;
            return world.op(() => {
              into.fill(reads);
              return into.length;
            });
          },
          close: async () => undefined,
        }),
      };
      const failing = session.add(source);
      await expect(world.run(failing)).rejects.toMatchObject({ code: 'WORKER_FAILED' });
      dead = true;
      const fine = session.add(new MemorySource(random(1, 1000)));
      const { files } = await world.run(session.finish());
      await fine;
      expect(files).toHaveLength(1);
      // It would never end: so it was stopped, within the slabs that were on their way.
      expect(reads).toBeLessThan(10);
    });
  });

  it('when it is closed, after all its chunks have their place, fails alone', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas);
      const changed = new OrbweaverError('INPUT_CHANGED', '"log" changed while it was read');
      const bytes = random(1, 2 * MIB);
      const source = new MemorySource(bytes, { name: 'log' });
      const open = source.open.bind(source);
      source.open = async () => ({
        ...(await open()),
        close: async () => {
          await new Promise((resolve) => setTimeout(resolve, 30));
          throw changed;
        },
      });
      const added = session.add(source, { sha256: true });
      const other = session.add(new MemorySource(random(2, MIB), { name: 'other' }));
      await expect(added).rejects.toBe(changed);
      await other;
      const { files, failed } = await session.finish();
      expect(failed).toEqual([{ name: 'log', error: changed }]);
      expect(files.map(({ name }) => name)).toEqual(['other']);
      expect(cas.files.size).toBe(1);
    });
  });

  it('because no shard can hold it fails alone, when its chunks are placed', () => {
    const sizes = uploadSizes(
      { slabBytes: 512 * 1024, slabCount: 16, threads: 0 },
      { readConcurrency: 1, xorbMaxBytes: undefined },
    );
    const file = new FileTask(
      0,
      new MemorySource(random(1, 10), { name: 'shreds' }),
      { kind: 'none' },
      () => undefined,
    );
    const batch = new Batch(slabOf(new Uint8Array(0)), sizes);
    batch.seal(batch.open(file, 0), false);
    batch.hashes = new Uint8Array(32);
    batch.lengths = Uint32Array.of(9000);
    (batch.segments[0] as { chunkEnd: number }).chunkEnd = 1;
    const dedup = createDedupSession({ hasher: kernels.hasher });
    const place: typeof dedup.place = (...call) => ({
      ...dedup.place(...call),
      tooManyTerms: true,
    });
    expect(placeBatch({ ...dedup, place }, batch).failure).toBeUndefined();
    expect(file.error).toMatchObject({ code: 'TOO_MANY_TERMS', fields: { name: 'shreds' } });
  });
});

describe('slabs', () => {
  it('are not given back before a read that was cancelled has certainly ended', async () => {
    await withPool({}, async (pool) => {
      const session = sessionOn(pool, new FakeCas(kernels));
      let into: Uint8Array = new Uint8Array(0);
      let end: (count: number) => void = () => undefined;
      const reading = new Promise<void>((started) => {
        session.enqueue({
          name: 'stuck',
          sizeBytes: MIB,
          reopenable: true,
          open: async () => ({
            read: (memory) => {
              into = memory;
              started();
              return new Promise((resolve) => {
                end = resolve;
              });
            },
            // It says that it is closed, and reads on.
            close: async () => undefined,
          }),
        });
      });
      await reading;
      session.abort();
      await new Promise((resolve) => setImmediate(resolve));
      expect(pool.freeSlabs).toBe(pool.slabCount - 1);
      into.fill(1);
      end(into.length);
      await new Promise((resolve) => setImmediate(resolve));
      expect(pool.freeSlabs).toBe(pool.slabCount);
    });
  });

  it('are all given back when placing throws, which ends the session', async () => {
    await withPool({}, async (pool) => {
      const bytes = random(1, 2 * MIB);
      const cas = new FakeCas(kernels);
      const response = await responseFor(pool, bytes);
      cas.behaviour.query = async () => response;
      const policy = createStoreLeastPlacement();
      const session = sessionOn(pool, cas, {
        placement: {
          ...policy,
          openFile: () => ({
            ...policy.openFile(),
            choose: () => {
              throw new Error('undecided');
            },
          }),
        },
      });
      session.enqueue(new MemorySource(bytes));
      await expect(session.finish()).rejects.toMatchObject({
        code: 'INTERNAL',
        message: expect.stringContaining('undecided'),
      });
    });
  });
});

describe('a listener that throws', () => {
  it.each(['onProgress', 'onShard', 'onFile'] as const)('(%s) is its own problem', async (name) => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      let calls = 0;
      const session = sessionOn(pool, cas, {
        [name]: () => {
          calls++;
          throw new Error('no window');
        },
      });
      session.enqueue(new MemorySource(random(1, MIB), { now: 'reads' }));
      session.enqueue(new MemorySource(random(2, MIB)));
      const { files, failed, listenerError } = await session.finish();
      expect(failed).toEqual([]);
      expect(files).toHaveLength(2);
      expect(cas.files.size).toBe(2);
      expect(listenerError?.message).toBe('no window');
      expect(calls).toBe(1);
    });
  });

  it('(async onProgress) may reject: nothing is left unhandled', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      await withPool({}, async (pool) => {
        const onProgress = async (): Promise<void> => Promise.reject(new Error('no window'));
        const session = sessionOn(pool, new FakeCas(kernels), { onProgress });
        session.enqueue(new MemorySource(random(1, MIB)));
        const { failed, listenerError } = await session.finish();
        expect(failed).toEqual([]);
        expect(listenerError?.message).toBe('no window');
      });
      await new Promise(setImmediate);
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(unhandled).toEqual([]);
  });
});

describe('dedup responses', () => {
  it('that lie about a part leave no xorb of ours unlisted', async () => {
    await withPool({}, async (pool) => {
      const lied = random(1, MIB);
      const response = await responseFor(pool, lied);
      const cas = new FakeCas(kernels, { query: async () => response });
      const session = sessionOn(pool, cas, { xorbMaxBytes: 400_000 });
      const bytes = new Uint8Array(2 * MIB);
      bytes.set(lied);
      bytes.set(random(2, MIB), MIB);
      session.enqueue(new MemorySource(bytes, { name: 'half' }));
      const { files, failed } = await session.finish();
      expect(failed).toEqual([]);
      expect(sha256Of(cas.rebuild(String(files[0]?.fileHash)))).toBe(sha256Of(bytes));
      const listed = cas.shards.flatMap((shard) =>
        decodeShard(shard).xorbs.map((x) => `${x.hash}`),
      );
      expect(listed.sort()).toEqual([...cas.xorbs.keys()].sort());
    });
  });

  it('that stall now and then hold an upload up for seconds in all, however long it is', async () => {
    await withPool({}, async (pool) => {
      const world = new Scheduler(1);
      let questions = 0;
      const cas = new FakeCas(kernels, {
        query: () => (questions++ % 2 === 0 ? new Promise(() => {}) : world.op(() => null)),
      });
      const { hasher } = kernels;
      const { clock } = world;
      const session = createUploadSession({
        cas,
        pool: new PermutingPool(pool, world),
        hasher,
        clock,
        options: { readConcurrency: 1 },
      });
      // Each a slab, and a question, of its own, which the next one waits for.
      const work = async () => {
        for (let i = 0; i < 24; i++) {
          await session.add(new MemorySource(random(i, 10_000), { sizeBytes: false }));
        }
        return session.finish();
      };
      const { files } = await world.run(work());
      expect(files).toHaveLength(24);
      expect(questions).toBeGreaterThanOrEqual(24);
      expect(clock.now()).toBeLessThanOrEqual(3 * 2000);
    });
  });

  it('are left out when there is no memory for them, and counted when there is', async () => {
    await withPool({ maxMemory: 16 * MIB }, async (pool) => {
      const bytes = random(1, 4 * MIB);
      const response = await responseFor(pool, bytes);
      const capacities = [response.length, 100 * response.length + MIB];
      const results = [];
      for (const knowledgeMaxBytes of capacities) {
        const cas = new FakeCas(kernels);
        await (async () => {
          const first = sessionOn(pool, cas);
          await first.add(new MemorySource(bytes));
          await first.finish();
        })();
        const admitted: boolean[] = [];
        const queryDedup: CasClient['queryDedup'] = async (_chunk, _signal, admit) => {
          admitted.push(admit?.(response.length) ?? true);
          // A transport that does not heed it.
          return response;
        };
        const client = Object.assign(cas, { queryDedup });
        const session = sessionOn(pool, client, { knowledgeMaxBytes });
        const file = await session.add(new MemorySource(bytes));
        const { knowledgePeakBytes } = await session.finish();
        expect(knowledgePeakBytes).toBeLessThanOrEqual(knowledgeMaxBytes);
        expect(knowledgePeakBytes).toBeGreaterThan(0);
        results.push([admitted[0] ?? null, file.newBytes]);
      }
      // Without memory nothing is even asked, or what comes is dropped.
      expect(results[0]?.[0]).not.toBe(true);
      expect(results[0]?.[1]).toBe(bytes.length);
      expect(results[1]).toEqual([true, 0]);
    });
  });

  it('make way for what has to be remembered', async () => {
    await withPool({ maxMemory: 16 * MIB }, async (pool) => {
      const cas = new FakeCas(kernels);
      const known = await responseFor(pool, random(1, 6 * MIB));
      const session = sessionOn(pool, cas, { knowledgeMaxBytes: 400_000, globalDedup: false });
      expect(session.addKnownShard(known).xorbs).toBeGreaterThan(0);
      const bytes = random(2, 6 * MIB);
      await session.add(new MemorySource(bytes));
      const { knowledgePeakBytes, files } = await session.finish();
      expect(knowledgePeakBytes).toBeLessThanOrEqual(400_000);
      expect(sha256Of(cas.rebuild(String(files[0]?.fileHash)))).toBe(sha256Of(bytes));
    });
  });
});

describe('where an upload ends', () => {
  it('can be anything that takes xorbs and shards', async () => {
    await withPool({}, async (pool) => {
      const taken: { hash: string; bytes: number; chunks: number }[] = [];
      const shards: Uint8Array[] = [];
      const destination: UploadDestination = {
        xorbs: {
          take: async ({ hash, body, chunkCount, rawBytes }, { onSent }) => {
            expect(rawBytes).toBeGreaterThan(0);
            expect(body.pieces.reduce((sum, piece) => sum + piece.length, 0)).toBe(body.sizeBytes);
            onSent(body.sizeBytes);
            taken.push({ hash: `${hash}`, bytes: body.sizeBytes, chunks: chunkCount });
            return { inserted: true };
          },
        },
        shards: { register: async (shard) => shards.push(shard.slice()) },
      };
      const session = sessionOn(pool, null, { xorbMaxBytes: 400_000 }, { destination });
      const file = await session.add(new MemorySource(random(1, MIB)));
      const { xorbCount, xorbBytes } = await session.finish();
      expect(taken).toHaveLength(xorbCount);
      expect(taken.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(xorbBytes);
      expect(taken.reduce((sum, { chunks }) => sum + chunks, 0)).toBe(file.chunkCount);
      expect(shards.flatMap((shard) => decodeShard(shard).files)).toHaveLength(1);
    });
  });

  it('a journal is told of everything acknowledged before its memory goes on', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const journal: string[] = [];
      let writing = 0;
      const session = sessionOn(
        pool,
        cas,
        { xorbMaxBytes: 400_000, sendConcurrency: 2 },
        {
          journal: {
            onAcknowledged: async (xorb, bytes) => {
              writing++;
              // The server has it, and nothing is registered before it is written down.
              expect(cas.xorbs.has(`${xorb}`)).toBe(true);
              expect(cas.shardPuts).toBe(0);
              expect(pool.freeSlabs).toBeLessThan(pool.slabCount);
              await new Promise((resolve) => setTimeout(resolve, 3));
              journal.push(`${xorb} ${bytes}`);
              writing--;
            },
            onRegistered: (shard) => {
              expect(writing).toBe(0);
              journal.push(`shard ${shard.length}`);
            },
          },
        },
      );
      session.enqueue(new MemorySource(random(1, 2 * MIB)));
      const { xorbCount, shardBytes } = await session.finish();
      expect(journal).toHaveLength(xorbCount + 1);
      expect(journal.at(-1)).toBe(`shard ${shardBytes}`);
    });
  });

  it('a journal that cannot be written ends the upload', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const full = new OrbweaverError('DISK_FULL', 'the journal cannot be written');
      const onAcknowledged = (): Promise<void> => Promise.reject(full);
      const session = sessionOn(pool, cas, {}, { journal: { onAcknowledged } });
      session.enqueue(new MemorySource(random(1, MIB)));
      await expect(session.finish()).rejects.toBe(full);
      expect(cas.shardPuts).toBe(0);
    });
  });
});

describe('a store that can tell what it has', () => {
  const bytes = random(1, 6 * MIB);

  /** A store that counts questions; `hasXorb` may be slow or fail. */
  function storeWith(has: 'answers' | 'fails' | 'hangs') {
    const asked: string[] = [];
    const cas = new FakeCas(kernels);
    const client: CasClient = Object.assign(cas, {
      hasXorb: async (xorb: { toString(): string }) => {
        asked.push(`${xorb}`);
        if (has === 'fails') throw new OrbweaverError('NETWORK', 'gone');
        if (has === 'hangs') await new Promise(() => {});
        return cas.xorbs.has(`${xorb}`);
      },
    });
    return { cas, client, asked };
  }

  async function upload(pool: ComputePool, client: CasClient, clock = SYSTEM_CLOCK) {
    const session = createUploadSession({
      cas: client,
      pool,
      hasher: kernels.hasher,
      clock,
      options: { xorbMaxBytes: 1_500_000, sendConcurrency: 1, globalDedup: false },
    });
    session.enqueue(new MemorySource(bytes));
    return session.finish();
  }

  it('gets no xorb twice after an upload that was interrupted, and one question for new data', async () => {
    await withPool({}, async (pool) => {
      const { cas, client, asked } = storeWith('answers');
      // The first run ends before anything is registered.
      cas.behaviour.beforeShard = () => Promise.reject(new OrbweaverError('NETWORK', 'cut'));
      await expect(upload(pool, client)).rejects.toMatchObject({ code: 'NETWORK' });
      expect(asked).toHaveLength(1);
      const { xorbPuts } = cas;
      expect(xorbPuts).toBeGreaterThan(3);
      delete cas.behaviour.beforeShard;
      const { knownXorbCount, xorbCount, files } = await upload(pool, client);
      // The last one is small; sending costs no more than asking.
      expect(cas.xorbPuts - xorbPuts).toBeLessThanOrEqual(1);
      expect(knownXorbCount).toBe(xorbCount);
      expect(sha256Of(cas.rebuild(String(files[0]?.fileHash)))).toBe(sha256Of(bytes));
    });
  });

  it('is sent everything when it cannot say, in bounded time', async () => {
    await withPool({}, async (pool) => {
      const failing = storeWith('fails');
      expect((await upload(pool, failing.client)).files).toHaveLength(1);
      const hanging = storeWith('hangs');
      const world = new Scheduler(1);
      const uploading = upload(new PermutingPool(pool, world), hanging.client, world.clock);
      expect((await world.run(uploading)).files).toHaveLength(1);
      expect(world.clock.now()).toBeLessThanOrEqual(5000);
      expect(hanging.asked).toHaveLength(1);
    });
  });
});

describe('very many files', () => {
  it('do not pile up: whoever adds them is told to wait, and results come one by one', async () => {
    await withPool({}, async (pool) => {
      const names: string[] = [];
      const session = sessionOn(pool, new FakeCas(kernels), {
        globalDedup: false,
        onFile: ({ name }) => names.push(name),
      });
      let waits = 0;
      let mostWaiting = 0;
      let started = 0;
      for (let i = 0; i < 5000; i++) {
        const wait = session.ready();
        if (wait !== null) {
          waits++;
          await wait;
        }
        const source = new MemorySource(new Uint8Array(i % 3), { name: `${i}` });
        const open = source.open.bind(source);
        source.open = () => {
          started++;
          return open();
        };
        session.enqueue(source);
        mostWaiting = Math.max(mostWaiting, i + 1 - started);
      }
      await session.finish();
      expect(waits).toBeGreaterThan(0);
      expect(mostWaiting).toBeLessThanOrEqual(1030);
      expect(names).toEqual(Array.from({ length: 5000 }, (_, i) => `${i}`));
    });
  });
});

describe('a dry run', () => {
  it('says of each file what is new in it, whatever the timing: the first one counts', async () => {
    await withPool({}, async (pool) => {
      const rows = new Set<string>();
      const [a, b] = [random(1, MIB), random(2, 700_000)];
      for (let seed = 0; seed < 20; seed++) {
        const world = new Scheduler(seed);
        const session = createUploadSession({
          cas: null,
          pool: new PermutingPool(pool, world),
          hasher: kernels.hasher,
          clock: world.clock,
          options: { dryRun: true },
        });
        for (const [i, bytes] of [a, b, a, b].entries()) {
          const source = new MemorySource(bytes, { name: `${i}` });
          const open = source.open.bind(source);
          source.open = () => world.op(open);
          session.enqueue(source);
        }
        const { files } = await world.run(session.finish());
        rows.add(files.map(({ newBytes }) => newBytes).join());
      }
      expect([...rows]).toEqual([[a.length, b.length, 0, 0].join()]);
    });
  });
});

describe('a disk image', () => {
  it('of zeros is few terms, few bytes, and exact', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas);
      const bytes = new Uint8Array(48 * MIB + 12_345);
      bytes.set(random(1, 100_000), 24 * MIB);
      const file = await session.add(new MemorySource(bytes), { sha256: true });
      const { xorbBytes } = await session.finish();
      expect(file.chunkCount).toBeGreaterThan(380);
      expect(file.termCount).toBeLessThan(270);
      expect(xorbBytes).toBeLessThan(110_000);
      expect(file.sha256).toBe(sha256Of(bytes));
      expect(sha256Of(cas.rebuild(file.fileHash.toString()))).toBe(sha256Of(bytes));
    });
  });
});
