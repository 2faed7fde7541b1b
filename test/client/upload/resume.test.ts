import { beforeAll, describe, expect, it } from 'vitest';
import { createUploadSession, type UploadSummary } from '../../../src/client/index.js';
import type { CasClient } from '../../../src/client/ports.js';
import { acknowledgedShard } from '../../../src/compose/upload-resume.js';
import { OrbweaverError } from '../../../src/errors.js';
import type { Kernels } from '../../../src/kernels/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { decodeShard } from '../../../src/shard/index.js';
import { createThreadKernels, type WorkerPool } from '../../../src/workers/index.js';
import { FakeCas } from './fake-cas.js';
import { MemorySource, MIB, random, sha256Of, withPool } from './support.js';

const bytes = random(77, 5 * MIB);
let kernels: Kernels;
beforeAll(async () => {
  kernels = await createThreadKernels();
});

/** A store that can say what it has. */
class TellingCas extends FakeCas {
  checks = 0;
  async hasXorb(xorb: { toString(): string }): Promise<boolean> {
    this.checks++;
    return this.xorbs.has(xorb.toString());
  }
}

interface Run {
  readonly sources: readonly MemorySource[];
  /** Of an earlier run. */
  readonly known?: readonly Uint8Array[];
  readonly trusts?: boolean;
}

/** Uploads, and adds what is acknowledged to `journal`. */
async function upload(
  pool: WorkerPool,
  cas: CasClient,
  journal: Uint8Array[],
  { sources, known = [], trusts = true }: Run,
): Promise<UploadSummary & { resumed: Awaited<ReturnType<typeof session.resume>> }> {
  const session = createUploadSession({
    ...{ cas, pool, hasher: kernels.hasher, clock: SYSTEM_CLOCK },
    journal: {
      onAcknowledged: (xorb, size, chunks) =>
        void journal.push(acknowledgedShard(xorb, size, chunks)),
    },
    options: { xorbMaxBytes: 400_000, sendConcurrency: 1, globalDedup: false },
  });
  const resumed = await session.resume(each(known), { trusts });
  for (const source of sources) session.enqueue(source);
  return { ...(await session.finish()), resumed };
}

async function* each(shards: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* shards;
}

/** An upload that ends when its store takes no more than `count` xorbs; what was acknowledged. */
async function interrupted(pool: WorkerPool, cas: FakeCas, count: number): Promise<Uint8Array[]> {
  const journal: Uint8Array[] = [];
  cas.behaviour.beforeXorb = (number) => {
    if (number >= count) throw new OrbweaverError('NETWORK', 'cut off');
  };
  const sources = [new MemorySource(bytes)];
  await expect(upload(pool, cas, journal, { sources })).rejects.toMatchObject({ code: 'NETWORK' });
  delete cas.behaviour.beforeXorb;
  expect(journal.length).toBeGreaterThan(0);
  expect(cas.shards).toHaveLength(0);
  return journal;
}

const stdin = (): MemorySource =>
  new MemorySource(bytes, { name: '-', sizeBytes: false, reopenable: false });

describe('an upload that goes on', () => {
  for (const [what, Cas] of [
    ['a store that tells what it has', TellingCas],
    ['one that does not', FakeCas],
  ] as const) {
    it(`sends nothing again that was acknowledged, to ${what}`, async () => {
      await withPool({}, async (pool) => {
        for (const count of [1, 5, 11]) {
          const cas = new Cas(kernels);
          const known = await interrupted(pool, cas, count);
          const journal: Uint8Array[] = [];
          const { files, resumed } = await upload(pool, cas, journal, {
            sources: [new MemorySource(bytes)],
            known,
          });
          expect(resumed.xorbCount).toBe(known.length);
          expect(resumed.lostCount).toBe(0);
          // No chunk is there twice: what was sent in all is what there is.
          expect(cas.storedBytes).toBe(bytes.length);
          expect(files[0]).toMatchObject({ newBytes: bytes.length - (files[0]?.localBytes ?? 0) });
          expect(files[0]?.localBytes).toBeGreaterThan(0);
          const fileHash = files[0]?.fileHash.toString() ?? '';
          expect(sha256Of(cas.rebuild(fileHash))).toBe(sha256Of(bytes));
          // All of it is listed, also what the interrupted run has stored and no shard has named.
          const listed = cas.shards.flatMap((shard) => decodeShard(shard).xorbs);
          expect(listed).toHaveLength(cas.xorbs.size);
          expect(listed.every(({ serializedBytes }) => serializedBytes > 0)).toBe(true);
          expect(journal.length + known.length).toBe(cas.xorbs.size);
        }
      });
    });
  }

  it('sends again what the store has lost, and only that', async () => {
    await withPool({}, async (pool) => {
      const cas = new TellingCas(kernels);
      const known = await interrupted(pool, cas, 6);
      const [lost] = decodeShard(known[2] as Uint8Array).xorbs;
      cas.xorbs.delete(lost?.hash.toString() ?? '');
      const sources = [new MemorySource(bytes)];
      const { files, resumed } = await upload(pool, cas, [], { sources, known });
      expect(resumed).toMatchObject({ xorbCount: known.length - 1, lostCount: 1 });
      expect(cas.storedBytes).toBe(bytes.length);
      expect(sha256Of(cas.rebuild(files[0]?.fileHash.toString() ?? ''))).toBe(sha256Of(bytes));
      expect(sources[0]?.openCount).toBe(1);
    });
  });

  it('reads again what a store refuses that does not tell what it has', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const known = await interrupted(pool, cas, 6);
      const [lost] = decodeShard(known[0] as Uint8Array).xorbs;
      cas.xorbs.delete(lost?.hash.toString() ?? '');
      const sources = [new MemorySource(bytes)];
      const { files, failed } = await upload(pool, cas, [], { sources, known });
      expect(failed).toEqual([]);
      expect(sha256Of(cas.rebuild(files[0]?.fileHash.toString() ?? ''))).toBe(sha256Of(bytes));
      expect(sources[0]?.openCount).toBe(2);
    });
  });

  it('asks a store that denies everything no further, and believes its own journal', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const known = await interrupted(pool, cas, 6);
      // As a server that does not know the question does.
      const denying = Object.assign(cas, { hasXorb: async () => false });
      const sources = [new MemorySource(bytes)];
      const { resumed } = await upload(pool, denying, [], { sources, known });
      expect(resumed).toMatchObject({ xorbCount: known.length, lostCount: 0 });
      expect(cas.storedBytes).toBe(bytes.length);
    });
  });

  it('takes standard input: what is certain is used, what is not is sent again', async () => {
    await withPool({}, async (pool) => {
      for (const Cas of [TellingCas, FakeCas]) {
        const cas = new Cas(kernels);
        const known = await interrupted(pool, cas, 6);
        const run = { sources: [stdin()], known, trusts: false };
        const { files, resumed } = await upload(pool, cas, [], run);
        expect(resumed.xorbCount).toBe(Cas === TellingCas ? known.length : 0);
        expect(sha256Of(cas.rebuild(files[0]?.fileHash.toString() ?? ''))).toBe(sha256Of(bytes));
        if (Cas === TellingCas) expect(cas.storedBytes).toBe(bytes.length);
      }
    });
  });

  it('uses what is left of a file that has changed', async () => {
    await withPool({}, async (pool) => {
      const cas = new TellingCas(kernels);
      const known = await interrupted(pool, cas, 8);
      const changed = bytes.slice();
      changed.fill(7, 100_000, 100_100);
      const sources = [new MemorySource(changed)];
      const { files } = await upload(pool, cas, [], { sources, known });
      expect(files[0]?.localBytes).toBeGreaterThan(0);
      expect(sha256Of(cas.rebuild(files[0]?.fileHash.toString() ?? ''))).toBe(sha256Of(changed));
    });
  });

  it('leaves out what is no shard of one xorb', async () => {
    await withPool({}, async (pool) => {
      const cas = new TellingCas(kernels);
      const junk = [new Uint8Array(0), random(1, 500)];
      const sources = [new MemorySource(bytes)];
      const { resumed } = await upload(pool, cas, [], { sources, known: junk });
      expect(resumed).toEqual({ xorbCount: 0, xorbBytes: 0, lostCount: 0 });
    });
  });
});
