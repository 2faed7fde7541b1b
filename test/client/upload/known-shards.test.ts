import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createUploadSession,
  type UploadOptions,
  type UploadSummary,
} from '../../../src/client/index.js';
import type { CasClient, ShardCache } from '../../../src/client/ports.js';
import { createShardCache } from '../../../src/io/index.js';
import type { Kernels } from '../../../src/kernels/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { createThreadKernels, type WorkerPool } from '../../../src/workers/index.js';
import { Scheduler } from '../../flow/scheduler.js';
import { FakeCas } from './fake-cas.js';
import { MemorySource, MIB, random, sha256Of, withPool } from './support.js';

const opened = vi.hoisted((): string[] => []);

vi.mock('node:fs/promises', async (load) => {
  const real = await load<typeof import('node:fs/promises')>();
  const noting =
    <A extends [unknown, ...unknown[]], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      opened.push(String(args[0]));
      return call(...args);
    };
  return {
    ...real,
    open: noting(real.open),
    readFile: noting(real.readFile as (path: string) => Promise<Buffer>),
    appendFile: noting(real.appendFile),
  };
});

let kernels: Kernels;
let dir = '';
beforeAll(async () => {
  kernels = await createThreadKernels();
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-known-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const openCache = (): Promise<ShardCache> => createShardCache({ dir, endpoint: 'https://a' });

/** A store that can say what it has. */
class TellingCas extends FakeCas {
  checks = 0;
  async hasXorb(xorb: { toString(): string }): Promise<boolean> {
    this.checks++;
    return this.xorbs.has(xorb.toString());
  }
}

interface Run {
  readonly cas: CasClient;
  readonly cache: ShardCache | null;
  readonly sources: readonly MemorySource[];
  readonly options?: UploadOptions;
}

async function upload(pool: WorkerPool, run: Run): Promise<UploadSummary> {
  const { cas, cache, options } = run;
  const { hasher } = kernels;
  const session = createUploadSession({ cas, cache, pool, hasher, clock: SYSTEM_CLOCK, options });
  for (const source of run.sources) session.enqueue(source);
  return session.finish();
}

async function shardFiles(): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  return names.filter((name) => name.endsWith('.shard')).map((name) => join(dir, name));
}

const stdin = (bytes: Uint8Array): MemorySource =>
  new MemorySource(bytes, { name: '-', sizeBytes: false, reopenable: false });

describe('what an earlier upload left in the cache', () => {
  const bytes = random(1, 3 * MIB);

  it('is found by the next one, which asks the store nothing about chunks', async () => {
    await withPool({}, async (pool) => {
      const cas = new TellingCas(kernels);
      await upload(pool, { cas, cache: await openCache(), sources: [new MemorySource(bytes)] });
      const asked = cas.queries;
      expect(asked).toBeGreaterThan(0);
      cas.checks = 0;
      const summary = await upload(pool, {
        cas,
        cache: await openCache(),
        sources: [stdin(bytes)],
      });
      expect(summary.failed).toEqual([]);
      expect(summary.files[0]).toMatchObject({ newBytes: 0, localBytes: bytes.length });
      expect(cas.queries).toBe(asked);
      // Each xorb once, however many batches it is found by.
      expect(cas.checks).toBe(cas.xorbs.size);
      expect(summary.xorbCount).toBe(0);
    });
  });

  it('is found in the middle of a new version, and by a second upload over one cache', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const cache = await openCache();
      await upload(pool, { cas, cache, sources: [new MemorySource(bytes)] });
      const edited = Uint8Array.from(bytes);
      edited.set(random(9, 100), 50);
      for (let i = 0; i < 2; i++) {
        const sources = [new MemorySource(i === 0 ? edited : bytes)];
        const summary = await upload(pool, { cas, cache, sources });
        expect(summary.files[0]?.newBytes).toBeLessThan(bytes.length);
      }
    });
  });

  it('is dropped when a xorb of it is gone: standard input is stored again', async () => {
    await withPool({}, async (pool) => {
      const cas = new TellingCas(kernels);
      await upload(pool, { cas, cache: await openCache(), sources: [new MemorySource(bytes)] });
      cas.xorbs.clear();
      for (let i = 0; i < 2; i++) {
        const sources = [stdin(bytes)];
        const summary = await upload(pool, { cas, cache: await openCache(), sources });
        expect(summary.failed).toEqual([]);
        expect(summary.files[0]?.newBytes).toBe(i === 0 ? bytes.length : 0);
      }
      expect(sha256Of(cas.rebuild([...cas.files.keys()][0] as string))).toBe(sha256Of(bytes));
    });
  });

  it('is dropped when the store refuses what it vouched for, so that only one upload suffers', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      await upload(pool, { cas, cache: await openCache(), sources: [new MemorySource(bytes)] });
      cas.xorbs.clear();
      const first = await upload(pool, { cas, cache: await openCache(), sources: [stdin(bytes)] });
      expect(first.failed[0]?.error).toMatchObject({ code: 'REJECTED' });
      expect(await shardFiles()).toEqual([]);
      const second = await upload(pool, { cas, cache: await openCache(), sources: [stdin(bytes)] });
      expect(second.failed).toEqual([]);
      expect(second.files[0]?.newBytes).toBe(bytes.length);
    });
  });

  it('stays when the store did not say, and is not used', async () => {
    await withPool({}, async (pool) => {
      const cas = new TellingCas(kernels);
      await upload(pool, { cas, cache: await openCache(), sources: [new MemorySource(bytes)] });
      cas.hasXorb = () => Promise.reject(new Error('gone'));
      const sources = [new MemorySource(bytes)];
      const summary = await upload(pool, { cas, cache: await openCache(), sources });
      expect(summary.files[0]?.newBytes).toBe(bytes.length);
      expect(await shardFiles()).toHaveLength(1);
    });
  });

  it('has to fit into the memory for what is learnt', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      await upload(pool, { cas, cache: await openCache(), sources: [new MemorySource(bytes)] });
      const options = { knowledgeMaxBytes: 1000, globalDedup: false };
      const sources = [new MemorySource(bytes)];
      const summary = await upload(pool, { cas, cache: await openCache(), sources, options });
      expect(summary.files[0]?.localBytes).toBe(0);
    });
  });

  it('is not written by a dry run, which may read it', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const options = { dryRun: true };
      const cache = await openCache();
      await upload(pool, { cas, cache, sources: [new MemorySource(bytes)], options });
      expect(await shardFiles()).toEqual([]);
      await upload(pool, { cas, cache, sources: [new MemorySource(bytes)] });
      const again = await upload(pool, { cas, cache, sources: [new MemorySource(bytes)], options });
      expect(again.files[0]?.localBytes).toBe(bytes.length);
    });
  });
});

describe('a cache that misbehaves', () => {
  const bytes = random(2, 2 * MIB);

  it('that hangs holds no upload up for longer than a question may', async () => {
    await withPool({}, async (pool) => {
      const world = new Scheduler(5);
      const cache: ShardCache = {
        find: () => new Promise(() => {}),
        put: () => new Promise(() => {}),
      };
      const { hasher } = kernels;
      const cas = new FakeCas(kernels);
      const session = createUploadSession({ cas, cache, pool, hasher, clock: world.clock });
      session.enqueue(new MemorySource(bytes));
      const finished = session.finish();
      let over = false;
      void finished.then(() => {
        over = true;
      });
      while (!over) {
        await new Promise((resolve) => setImmediate(resolve));
        await world.advance(500);
      }
      expect((await finished).files[0]?.newBytes).toBe(bytes.length);
    });
  });

  it('that holds rubbish or throws costs nothing but the rubbish', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      let drops = 0;
      const rubbish = {
        id: 'x',
        sizeBytes: 100,
        read: async () => random(3, 100),
        drop: async () => {
          drops++;
        },
      };
      const cache: ShardCache = {
        find: async () => [rubbish],
        put: () => Promise.reject(new Error('no')),
      };
      const sources = [new MemorySource(bytes), new MemorySource(random(4, MIB))];
      const summary = await upload(pool, { cas, cache, sources });
      expect(summary.files).toHaveLength(2);
      expect(drops).toBe(1);
    });
  });
});

describe('what a big cache costs', () => {
  it('an upload of a small file opens the index and its own shard, none of a thousand others', async () => {
    await withPool({}, async (pool) => {
      const filling = await openCache();
      const puts = Array.from({ length: 1000 }, (_, i) =>
        filling.put(random(5000 + i, 64), random(100 + i, 8), Date.now() / 1000 + 1000),
      );
      await Promise.all(puts);
      const cas = new FakeCas(kernels);
      const sources = [new MemorySource(random(3, 1000))];
      opened.length = 0;
      await upload(pool, { cas, cache: await openCache(), sources });
      const kinds = opened.map((path) => path.replace(/^.*[/.]/, ''));
      expect(kinds.sort()).toEqual(['index', 'index', 'orbweaver-part']);
      expect(await shardFiles()).toHaveLength(1001);
    });
  });
});
