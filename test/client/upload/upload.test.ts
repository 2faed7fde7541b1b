import fc from 'fast-check';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { createReadableScanner, findCuts } from '../../../src/chunker/index.js';
import {
  createUploadSession,
  type UploadOptions,
  type UploadProgress,
} from '../../../src/client/index.js';
import type { CasClient } from '../../../src/client/ports.js';
import { Deferred } from '../../../src/flow/index.js';
import { createMerkleTree, DATA_KEY } from '../../../src/hash/index.js';
import type { Kernels } from '../../../src/kernels/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { createThreadKernels, type WorkerPool } from '../../../src/workers/index.js';
import { generate } from '../../support/generators.js';
import { FakeCas } from './fake-cas.js';
import { edited, MemorySource, MIB, random, sha256Of, withPool } from './support.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createThreadKernels();
});

function sessionOn(pool: WorkerPool, cas: FakeCas | null, options: UploadOptions = {}) {
  return createUploadSession({ cas, pool, hasher: kernels.hasher, clock: SYSTEM_CLOCK, options });
}

/** The file hash by the serial definition. */
function hashOf(bytes: Uint8Array): string {
  const tree = createMerkleTree(kernels.hasher);
  const hash = new Uint8Array(32);
  let start = 0;
  for (const end of findCuts(createReadableScanner(), bytes)) {
    kernels.hasher.keyed(DATA_KEY, bytes.subarray(start, end), hash, 0);
    tree.push(hash, 0, end - start);
    start = end;
  }
  return tree.fileHash().toString();
}

describe('an upload', () => {
  it.each([
    0,
    1,
    8191,
    8192,
    131072,
    131073,
    350_000,
    391_167,
    391_168,
    391_169,
    2 * 391_168,
    3 * MIB + 17,
  ])('stores a file of %i bytes that can be rebuilt', async (size) => {
    const bytes = random(size, size);
    await withPool({}, async (pool) => {
      for (const sizeBytes of [size, false] as const) {
        const cas = new FakeCas(kernels);
        const session = sessionOn(pool, cas);
        const source = new MemorySource(bytes, { sizeBytes, name: 'a' });
        const file = await session.add(source, { sha256: true });
        const summary = await session.finish();
        expect(file.fileHash.toString()).toBe(hashOf(bytes));
        expect(file).toMatchObject({ name: 'a', sizeBytes: size, sha256: sha256Of(bytes) });
        expect(file.newBytes + file.dedupedBytes).toBe(size);
        expect(summary.files).toEqual([file]);
        expect(summary.failed).toEqual([]);
        expect(summary.xorbCount).toBe(cas.xorbs.size);
        expect(summary.xorbBytes).toBe(cas.sentBytes);
        expect(summary.shardCount).toBe(cas.shardPuts);
        expect(sha256Of(cas.rebuild(file.fileHash.toString()))).toBe(sha256Of(bytes));
        expect(source).toMatchObject({ openCount: 1, closeCount: 1, readBytes: size });
        const [registered] = [...cas.files.values()];
        expect(Buffer.from(registered?.sha256 ?? []).toString('hex')).toBe(sha256Of(bytes));
      }
    });
  });

  it('gives the same hashes whatever the pieces that a source hands out', async () => {
    const bytes = generate({ kind: 'words', seed: 5, bytes: 1_500_000 });
    await withPool({}, async (pool) => {
      const hashes = new Set<string>();
      for (const step of [bytes.length, 65536, 10_007, 4096]) {
        const cas = new FakeCas(kernels);
        const session = sessionOn(pool, cas);
        const file = await session.add(new MemorySource(bytes, { step, sizeBytes: false }));
        await session.finish();
        hashes.add(file.fileHash.toString());
        expect(sha256Of(cas.rebuild(file.fileHash.toString()))).toBe(sha256Of(bytes));
      }
      expect([...hashes]).toEqual([hashOf(bytes)]);
    });
  });

  it('stores what files of one session share once, also the xorb still being filled', async () => {
    const first = random(1, 2 * MIB);
    const second = edited(first, MIB, random(2, 1000));
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas);
      const results = await Promise.all(
        [first, first, second, first].map((bytes) => session.add(new MemorySource(bytes))),
      );
      const summary = await session.finish();
      expect(new Set(cas.chunkTexts()).size).toBe(cas.chunkTexts().length);
      expect(cas.storedBytes).toBeLessThan(first.length + 300_000);
      expect(results[0]?.fileHash.toString()).toBe(results[1]?.fileHash.toString());
      const newBytes = results.reduce((sum, { newBytes }) => sum + newBytes, 0);
      expect(newBytes).toBe(cas.storedBytes);
      expect(summary.files).toHaveLength(4);
      expect(sha256Of(cas.rebuild(String(results[2]?.fileHash)))).toBe(sha256Of(second));
    });
  });

  it('puts many small files into few xorbs', async () => {
    const files = Array.from({ length: 300 }, (_, i) =>
      random(1000 + i, 1 + ((i * 7919) % 60_000)),
    );
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas);
      const added = files.map((bytes, i) =>
        session.add(new MemorySource(bytes, { name: String(i) }), { sha256: i % 3 === 0 }),
      );
      const summary = await session.finish();
      const results = await Promise.all(added);
      expect(summary.files.map(({ name }) => name)).toEqual(files.map((_, i) => String(i)));
      for (const [i, result] of results.entries()) {
        const bytes = files[i] as Uint8Array;
        expect(result.sha256).toBe(i % 3 === 0 ? sha256Of(bytes) : null);
        expect(sha256Of(cas.rebuild(result.fileHash.toString()))).toBe(sha256Of(bytes));
      }
      const total = files.reduce((sum, { length }) => sum + length, 0);
      expect(cas.xorbs.size).toBeLessThan(2 + total / MIB);
    });
  });

  it('reads small files at once where the source can, and a bad one fails alone', async () => {
    const kinds = ['reads', 'declines', 'fails', undefined] as const;
    const sources = Array.from({ length: 200 }, (_, i) => {
      const now = kinds[i % 4];
      // Some are as large as a slab, which has no room for the byte that shows the end.
      const bytes = random(i, i % 50 === 0 ? 391_168 : 1 + ((i * 7919) % 60_000));
      return { bytes, source: new MemorySource(bytes, { name: `${i}`, ...(now && { now }) }) };
    });
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas);
      const added = sources.map(({ source }) => session.add(source, { sha256: true }));
      const results = await Promise.allSettled(added);
      const summary = await session.finish();
      // The two that fill a slab are opened, which works.
      expect(summary.failed).toHaveLength(48);
      expect(summary.files).toHaveLength(152);
      for (const [i, { bytes, source }] of sources.entries()) {
        const result = results[i];
        if (result?.status !== 'fulfilled') {
          expect(i % 4).toBe(2);
          expect(result?.reason).toMatchObject({ message: expect.stringContaining('gone') });
          continue;
        }
        expect(result.value.sha256).toBe(sha256Of(bytes));
        expect(sha256Of(cas.rebuild(result.value.fileHash.toString()))).toBe(sha256Of(bytes));
        if (i % 50 !== 0) expect(source.openCount).toBe(i % 4 === 0 ? 0 : 1);
      }
    });
  });

  it('tells of files that nobody waits for in the summary, in the order they came', async () => {
    await withPool({}, async (pool) => {
      const session = sessionOn(pool, new FakeCas(kernels));
      const bad = new MemorySource(random(1, 100), { name: 'bad' });
      bad.open = () => Promise.reject(new Error('gone'));
      const names = ['a', 'b', 'c'];
      for (const name of names) {
        session.enqueue(new MemorySource(random(1, 2 * MIB), { name }), { sha256: true });
        if (name === 'b') session.enqueue(bad);
      }
      expect(() => session.enqueue(bad, { sha256: 'no' })).toThrow(TypeError);
      const { files, failed } = await session.finish();
      expect(files.map(({ name }) => name)).toEqual(names);
      expect(failed).toMatchObject([{ name: 'bad', error: { code: 'INPUT_UNREADABLE' } }]);
      expect(() => session.enqueue(bad)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    });
  });

  it('packs files that are added one after the other as densely', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas);
      for (let i = 0; i < 60; i++) await session.add(new MemorySource(random(i, 9000)));
      await session.finish();
      expect(cas.xorbs.size).toBe(1);
      expect(cas.files.size).toBe(60);
    });
  });

  it('takes a given SHA-256 as it is', async () => {
    const bytes = random(3, 1000);
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas);
      const file = await session.add(new MemorySource(bytes), { sha256: sha256Of(bytes) });
      expect(() => session.add(new MemorySource(bytes), { sha256: 'abc' })).toThrow(TypeError);
      await session.finish();
      expect(file.sha256).toBe(sha256Of(bytes));
    });
  });

  it('sends nothing in a dry run and counts the same', async () => {
    const files = [random(4, MIB), generate({ kind: 'words', seed: 4, bytes: MIB })];
    await withPool({}, async (pool) => {
      const summaries = [];
      for (const dryRun of [false, true]) {
        const cas = new FakeCas(kernels);
        const session = sessionOn(pool, cas, { dryRun, readConcurrency: 1 });
        for (const bytes of files) await session.add(new MemorySource(bytes));
        const { files: results, xorbBytes, shardBytes } = await session.finish();
        summaries.push({ hashes: results.map((r) => String(r.fileHash)), xorbBytes, shardBytes });
        expect(cas.xorbPuts + cas.shardPuts > 0).toBe(!dryRun);
        expect(cas.queries).toBeGreaterThan(0);
      }
      expect(summaries[1]).toEqual(summaries[0]);
      const alone = sessionOn(pool, null);
      await alone.add(new MemorySource(files[0] as Uint8Array));
      expect((await alone.finish()).files).toHaveLength(1);
    });
  });

  it('asks for every small file until the server seems to know none, then for some', async () => {
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const session = sessionOn(pool, cas, { readConcurrency: 1 });
      const queriesAfter = async (first: number, count: number): Promise<number> => {
        for (let i = first; i < first + count; i++) {
          await session.add(new MemorySource(random(1000 + i, 30_000)));
        }
        return cas.queries;
      };
      expect(await queriesAfter(0, 32)).toBe(32);
      const turns = (await queriesAfter(32, 300)) - 32;
      // 300 x 30,000 bytes are twice 4 MiB and a bit; a chunk may be asked for by chance, too.
      expect(turns).toBeGreaterThan(0);
      expect(turns).toBeLessThan(8);
      // A large file is always worth a question.
      await session.add(new MemorySource(random(7, 2 * MIB)));
      expect(cas.queries).toBeGreaterThan(32 + turns);
      await session.finish();
    });
  });

  it('knows the chunks of shards from this machine', async () => {
    const bytes = random(6, MIB);
    await withPool({}, async (pool) => {
      const cas = new FakeCas(kernels);
      const shards: Uint8Array[] = [];
      const first = sessionOn(pool, cas, { onShard: (shard) => shards.push(shard) });
      await first.add(new MemorySource(bytes));
      await first.finish();
      const puts = cas.xorbPuts;
      const second = sessionOn(pool, cas);
      for (const shard of shards) expect(second.addKnownShard(shard).chunks).toBeGreaterThan(0);
      const file = await second.add(new MemorySource(bytes));
      await second.finish();
      expect(file).toMatchObject({ newBytes: 0, localBytes: MIB, dedupedBytes: MIB });
      expect(cas.xorbPuts).toBe(puts);
    });
  });

  it('tells progress that only grows and ends at the whole', async () => {
    const bytes = random(7, 2 * MIB);
    await withPool({}, async (pool) => {
      const seen: UploadProgress[] = [];
      const session = sessionOn(pool, new FakeCas(kernels), {
        onProgress: (progress) => seen.push({ ...progress }),
      });
      void session.add(new MemorySource(bytes));
      void session.add(new MemorySource(bytes.subarray(5), { sizeBytes: false }));
      const { xorbBytes } = await session.finish();
      for (let i = 1; i < seen.length; i++) {
        expect(seen[i]?.readBytes).toBeGreaterThanOrEqual(seen[i - 1]?.readBytes ?? 0);
        expect(seen[i]?.sentBytes).toBeGreaterThanOrEqual(seen[i - 1]?.sentBytes ?? 0);
        expect(seen[i]?.doneBytes).toBeGreaterThanOrEqual(seen[i - 1]?.doneBytes ?? 0);
      }
      expect(seen.some(({ totalBytes }) => totalBytes === undefined)).toBe(true);
      expect(seen.at(-1)).toMatchObject({
        readBytes: 2 * bytes.length - 5,
        totalBytes: 2 * bytes.length - 5,
        sentBytes: xorbBytes,
        toSendBytes: xorbBytes,
        doneFileCount: 2,
        doneBytes: 2 * bytes.length - 5,
        secondsLeft: 0,
        phase: 'done',
      });
    });
  });

  it('counts as done what the store has, and not what was read', async () => {
    const bytes = random(8, 3 * MIB);
    const [half, rest, answer] = [new Deferred<void>(), new Deferred<void>(), new Deferred<void>()];
    class Link extends FakeCas {
      override async putXorb(...[hash, body, options]: Parameters<FakeCas['putXorb']>) {
        options?.onSent?.(body.sizeBytes / 2);
        await half.promise;
        options?.onSent?.(body.sizeBytes / 2);
        await rest.promise;
        return super.putXorb(hash, body);
      }
      override async putShard(
        shard: Uint8Array,
        options?: Parameters<NonNullable<CasClient['putShard']>>[1],
      ) {
        options?.onProgress?.(3, 8);
        await answer.promise;
        return super.putShard(shard);
      }
    }
    await withPool({ maxMemory: 32 * MIB }, async (pool) => {
      let last: UploadProgress | undefined;
      const until = (what: Partial<UploadProgress>): Promise<unknown> =>
        vi.waitFor(() => expect(last).toMatchObject(what));
      const session = sessionOn(pool, new Link(kernels), { onProgress: (each) => (last = each) });
      // A stretch that comes twice is sent once, and done when it is known.
      const twice = bytes.subarray(0, MIB);
      void session.add(new MemorySource(bytes));
      void session.add(new MemorySource(twice));
      const finishing = session.finish();
      await until({ phase: 'sending', readBytes: 4 * MIB, totalBytes: 4 * MIB });
      const { newBytes = 0, dedupedBytes = 0 } = last ?? {};
      expect(newBytes).toBeGreaterThanOrEqual(3 * MIB);
      expect(newBytes + dedupedBytes).toBe(4 * MIB);
      await until({ doneBytes: dedupedBytes + Math.floor(newBytes / 2) });
      half.resolve();
      await until({ doneBytes: 4 * MIB - 1, phase: 'sending' });
      rest.resolve();
      const finalization = { verified: 3, total: 8 };
      await until({ doneBytes: 4 * MIB, phase: 'registering', finalization });
      answer.resolve();
      await finishing;
      expect(last).toMatchObject({ phase: 'done', finalization: null });
    });
  });

  it('of a dry run is done with what has its place', async () => {
    await withPool({}, async (pool) => {
      let last: UploadProgress | undefined;
      const options = { dryRun: true, onProgress: (each: UploadProgress) => (last = each) };
      const session = sessionOn(pool, null, options);
      await session.add(new MemorySource(random(9, MIB)));
      expect(last).toMatchObject({ doneBytes: MIB, sentBytes: 0, phase: 'reading' });
      await session.finish();
    });
  });

  it('rebuilds any set of files with any memory and concurrency', async () => {
    const content = fc.record({
      kind: fc.constantFrom('random', 'words', 'constant', 'edited'),
      seed: fc.integer({ min: 1, max: 4 }),
      size: fc.oneof(fc.nat(300_000), fc.constantFrom(0, 1, 131_072, 391_168, 900_001)),
      known: fc.boolean(),
    });
    const setup = fc.record({
      files: fc.array(content, { minLength: 1, maxLength: 8 }),
      maxMemory: fc.constantFrom(4 * MIB, 6 * MIB, 16 * MIB),
      readConcurrency: fc.integer({ min: 1, max: 6 }),
      sendConcurrency: fc.integer({ min: 1, max: 3 }),
      step: fc.constantFrom(undefined, 50_000, 7_777),
    });
    await fc.assert(
      fc.asyncProperty(setup, async ({ files, maxMemory, step, ...options }) => {
        await withPool({ maxMemory }, async (pool) => {
          const cas = new FakeCas(kernels);
          const session = sessionOn(pool, cas, { ...options, xorbMaxBytes: 500_000 });
          const all = files.map(({ kind, seed, size, known }, i) => {
            const bytes =
              kind === 'words'
                ? generate({ kind: 'words', seed, bytes: size })
                : kind === 'constant'
                  ? new Uint8Array(size).fill(seed)
                  : kind === 'edited'
                    ? edited(random(seed, size), Math.floor(size / 2), random(99, 100))
                    : random(seed, size);
            const source = new MemorySource(bytes, {
              name: String(i),
              ...(known ? {} : { sizeBytes: false as const }),
              ...(step === undefined ? {} : { step }),
            });
            return { bytes, added: session.add(source, { sha256: i % 2 === 0 }) };
          });
          const summary = await session.finish();
          expect(summary.failed).toEqual([]);
          for (const { bytes, added } of all) {
            const { fileHash, sha256 } = await added;
            expect(sha256 ?? sha256Of(bytes)).toBe(sha256Of(bytes));
            expect(fileHash.toString()).toBe(hashOf(bytes));
            expect(sha256Of(cas.rebuild(fileHash.toString()))).toBe(sha256Of(bytes));
          }
          expect(new Set(cas.chunkTexts()).size).toBe(cas.chunkTexts().length);
        });
      }),
      { numRuns: 12, seed: 20260722 },
    );
  }, 120_000);
});
