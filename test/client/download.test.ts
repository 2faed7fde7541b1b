import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DownloadOptions, DownloadProgress } from '../../src/client/index.js';
import type { ByteRange } from '../../src/client/ports.js';
import { OrbweaverError } from '../../src/errors.js';
import { MerkleHash } from '../../src/hash/index.js';
import type { Reconstruction } from '../../src/plan/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import type { BuiltXorb } from '../../src/xorb/index.js';
import {
  createDice,
  downloadFile,
  fakeCas,
  hasher,
  plainFile,
  randomFile,
  testPool,
  testSink,
} from './download-support.js';

const SMALLEST = { slabBytes: 131_088, slabCount: 2 };

const shapes = fc.record({
  xorbs: fc.integer({ min: 1, max: 4 }),
  chunksPerXorb: fc.integer({ min: 1, max: 40 }),
  chunkBytes: fc.constantFrom(40, 900, 9000),
  runs: fc.integer({ min: 1, max: 25 }),
});

const pools = fc.record({
  slabBytes: fc.constantFrom(131_088, 200_000, 400_000),
  slabCount: fc.constantFrom(2, 3, 5, 8, 24),
});

function chunksOf(count: number, bytes: number, seed = 1): Uint8Array[] {
  const dice = createDice(seed);
  return Array.from({ length: count }, () => {
    const chunk = new Uint8Array(bytes);
    for (let i = 0; i < bytes; i++) chunk[i] = dice(256);
    return chunk;
  });
}

/** Cuts the last term behind the chunk in which the asked bytes end, as the Hub does. */
function trimToChunks(
  answer: Reconstruction,
  xorbs: readonly BuiltXorb[],
  asked: ByteRange | undefined,
): Reconstruction {
  const last = answer.terms.at(-1);
  const xorb = xorbs.find((each) => last !== undefined && each.hash.equals(last.xorb));
  if (last === undefined || xorb === undefined || asked === undefined) return answer;
  const total = answer.terms.reduce((sum, term) => sum + term.unpackedBytes, 0);
  let spare = total - answer.offsetIntoFirstTerm - (asked.end - asked.start);
  let { chunkEnd, unpackedBytes } = last;
  for (;;) {
    const chunkBytes = (xorb.rawEnds[chunkEnd - 1] as number) - (xorb.rawEnds[chunkEnd - 2] ?? 0);
    if (chunkBytes > spare || chunkEnd - 1 === last.chunkStart) break;
    chunkEnd--;
    spare -= chunkBytes;
    unpackedBytes -= chunkBytes;
  }
  return { ...answer, terms: [...answer.terms.slice(0, -1), { ...last, chunkEnd, unpackedBytes }] };
}

describe('downloadFile', () => {
  it('rebuilds any file with any pool, range style, piece size and sink', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1e9 }),
        shapes,
        pools,
        fc.constantFrom('exact' as const, 'joined' as const, 'whole' as const),
        fc.constantFrom(700, 10_000, 65_536, 1 << 20),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        async (seed, shape, poolShape, ranges, pieceBytes, positional, concurrency) => {
          const { file, xorbs } = randomFile(seed, shape);
          const pool = testPool(poolShape);
          const sink = testSink(positional);
          const cas = fakeCas([file], xorbs, { ranges, pieceBytes });
          const fileHash = file.hash;
          const summary = await downloadFile({ cas, pool, hasher, fileHash, sink, concurrency });
          expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
          expect(sink.state).toBe('committed');
          expect(summary.sizeBytes).toBe(file.bytes.length);
          expect(summary.requestCount).toBe(cas.fetches.length + cas.reconstructions.length);
          expect(pool.freeSlabs).toBe(pool.slabCount);
        },
      ),
      { numRuns: 60, seed: 42 },
    );
  });

  it('gives the exact bytes of any range, with any sink', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1e9 }),
        shapes,
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.option(fc.double({ min: 0, max: 1.5, noNaN: true }), { nil: undefined }),
        fc.boolean(),
        async (seed, shape, from, part, positional) => {
          const { file, xorbs } = randomFile(seed, shape);
          const offset = Math.floor(from * file.bytes.length);
          const length = part === undefined ? undefined : Math.floor(part * file.bytes.length);
          const pool = testPool(SMALLEST);
          const sink = testSink(positional);
          const cas = fakeCas([file], xorbs, { ranges: 'joined' });
          const range = { offset, length };
          await downloadFile({ cas, pool, hasher, fileHash: file.hash, sink, range });
          const end = length === undefined ? file.bytes.length : offset + length;
          expect(Buffer.compare(sink.bytes(), file.bytes.subarray(offset, end))).toBe(0);
          expect(sink.state).toBe('committed');
          expect(pool.freeSlabs).toBe(2);
        },
      ),
      { numRuns: 60, seed: 43 },
    );
  });

  it('fetches each range once and writes its chunks to every place they are used', async () => {
    const [zero, other] = [new Uint8Array(100_000), new Uint8Array(5000).fill(7)];
    const { file, xorbs } = plainFile([zero, other]);
    const [term] = file.terms;
    if (term === undefined) throw new Error('no term');
    const zeroTerm = { ...term, chunkEnd: 1, unpackedBytes: zero.length };
    const terms = Array.from({ length: 60 }, () => zeroTerm);
    for (const positional of [true, false]) {
      const cas = fakeCas([{ ...file, terms, bytes: new Uint8Array(6_000_000) }], xorbs);
      const sink = testSink(positional);
      const pool = testPool({ slabBytes: 200_000, slabCount: 4 });
      const range = { offset: 0, length: 6_000_000 };
      await downloadFile({ cas, pool, hasher, fileHash: file.hash, sink, range });
      expect(sink.bytes().length).toBe(6_000_000);
      // In order, a window holds at most half of the pool: four of these chunks.
      expect(cas.fetches.length).toBe(positional ? 1 : 15);
    }
  });

  it('asks for large files block by block, whether answers end with a term or with a chunk', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1e9 }),
        shapes,
        fc.double({ min: 0.05, max: 1.2, noNaN: true }),
        fc.boolean(),
        fc.boolean(),
        async (seed, shape, share, trimmed, positional) => {
          const { file, xorbs } = randomFile(seed, shape);
          const blockBytes = Math.max(1, Math.ceil(share * file.bytes.length));
          const cas = fakeCas([file], xorbs, {
            onReconstruction: (answer) =>
              trimmed ? trimToChunks(answer, xorbs, cas.reconstructions.at(-1)) : answer,
          });
          for (const range of [undefined, { offset: Math.floor(file.bytes.length / 3) }]) {
            const pool = testPool(SMALLEST);
            const sink = testSink(positional);
            const common = { cas, pool, hasher, fileHash: file.hash, sink };
            await downloadFile({ ...common, blockBytes, range });
            const expected = file.bytes.subarray(range?.offset ?? 0);
            expect(Buffer.compare(sink.bytes(), expected)).toBe(0);
            expect(sink.state).toBe('committed');
            expect(pool.freeSlabs).toBe(2);
          }
        },
      ),
      { numRuns: 50, seed: 44 },
    );
  });

  it('asks nothing and writes nothing for the empty file', async () => {
    const cas = fakeCas([], []);
    const sink = testSink(true);
    const pool = testPool(SMALLEST);
    const fileHash = MerkleHash.ZERO;
    const summary = await downloadFile({ cas, pool, hasher, fileHash, sink });
    expect(summary).toEqual({
      sizeBytes: 0,
      fetchedBytes: 0,
      resumedBytes: 0,
      seededBytes: 0,
      seedNote: null,
      requestCount: 0,
      verified: true,
    });
    expect(sink.state).toBe('committed');
    expect(sink.prepared).toEqual([0]);
    expect(cas.reconstructions).toEqual([]);
  });

  it('refuses a range that starts at or behind the end', async () => {
    const { file, xorbs } = plainFile(chunksOf(3, 1000));
    const pool = testPool(SMALLEST);
    for (const [fileHash, offset] of [
      [file.hash, 3000],
      [file.hash, 4000],
      [MerkleHash.ZERO, 1],
    ] as const) {
      const sink = testSink(true);
      const cas = fakeCas([file], xorbs);
      const download = downloadFile({ cas, pool, hasher, fileHash, sink, range: { offset } });
      await expect(download).rejects.toMatchObject({ code: 'RANGE_INVALID', fields: { offset } });
      expect(sink.state).toBe('aborted');
    }
  });

  it('refuses options that are not whole numbers, and a pool that cannot decode a chunk', async () => {
    const { file, xorbs } = plainFile(chunksOf(1, 10));
    const base = { cas: fakeCas([file], xorbs), hasher, fileHash: file.hash };
    const pool = testPool(SMALLEST);
    const sink = testSink(true);
    for (const wrong of [
      { range: { offset: -1 } },
      { range: { offset: 0.5 } },
      { range: { offset: 0, length: Number.NaN } },
      { concurrency: 0 },
    ]) {
      await expect(downloadFile({ ...base, pool, sink, ...wrong })).rejects.toThrow(RangeError);
    }
    const small = testPool({ slabBytes: 1000, slabCount: 9 });
    await expect(downloadFile({ ...base, pool: small, sink })).rejects.toThrow(RangeError);
  });

  it('tells a sink and a listener what is coming before the first write', async () => {
    const { file, xorbs } = plainFile(chunksOf(30, 60_000));
    const pool = testPool(SMALLEST);
    const seen: DownloadProgress[] = [];
    const sink = testSink(true, () => {
      expect(sink.prepared).toEqual([file.bytes.length]);
    });
    const cas = fakeCas([file], xorbs);
    const onProgress = (progress: DownloadProgress): void => void seen.push(progress);
    await downloadFile({ cas, pool, hasher, fileHash: file.hash, sink, onProgress });
    expect(seen.at(-1)).toMatchObject({
      phase: 'done',
      writtenBytes: file.bytes.length,
      fetchedBytes: xorbs[0]?.bytes.length,
      totalBytes: file.bytes.length,
      secondsLeft: 0,
    });
    const phases = new Set(seen.map(({ phase }) => phase));
    expect([...phases]).toEqual(['fetching', 'verifying', 'done']);
    for (const [i, progress] of seen.entries()) {
      expect(progress.writtenBytes).toBeGreaterThanOrEqual(seen[i - 1]?.writtenBytes ?? 0);
    }
  });

  it('of many blocks asks the store for the size beside the first, and for nothing else', async () => {
    const { file, xorbs } = plainFile(chunksOf(30, 60_000));
    const sizeBytes = file.bytes.length;
    let asked = 0;
    const getFileSize = async (): Promise<number> => {
      asked++;
      return sizeBytes;
    };
    const run = async (options: Partial<DownloadOptions>): Promise<DownloadProgress[]> => {
      const seen: DownloadProgress[] = [];
      const cas = { ...fakeCas([file], xorbs), getFileSize, ...options.cas };
      const sink = options.sink ?? testSink(true);
      const onProgress = (each: DownloadProgress): unknown => seen.push(each);
      const rest = { pool: testPool(SMALLEST), hasher, fileHash: file.hash, sink, onProgress };
      await downloadFile({ ...rest, ...options, cas });
      return seen;
    };
    await run({});
    expect(asked).toBe(0);
    const blockBytes = 100_000;
    const totals = (seen: DownloadProgress[]): unknown[] => seen.map((each) => each.totalBytes);
    expect(totals(await run({ blockBytes })).at(1)).toBe(sizeBytes);
    expect(asked).toBe(1);
    const range = { offset: 50_000, length: 1_500_000 };
    expect(totals(await run({ blockBytes, range })).at(1)).toBe(1_500_000);
    asked = 0;
    // What somebody else knows need not be asked.
    expect(totals(await run({ blockBytes, sizeBytes })).at(0)).toBe(sizeBytes);
    expect(asked).toBe(0);
    const mute = async (): Promise<number> => Promise.reject(new Error('no such endpoint'));
    const cas = { getFileSize: mute } as unknown as DownloadOptions['cas'];
    expect(totals(await run({ blockBytes, cas })).at(1)).toBeUndefined();
    // A disk that is too small is met at once.
    const sink = {
      ...testSink(true),
      prepare: async (bytes: number) => {
        if (bytes === sizeBytes) throw new OrbweaverError('DISK_FULL', 'no room');
      },
    };
    const full = run({ blockBytes, sink, sizeBytes });
    await expect(full).rejects.toMatchObject({ code: 'DISK_FULL' });
  });

  it.each([
    [
      'throws',
      (): unknown => {
        throw new Error('no window');
      },
    ],
    ['rejects', (): unknown => Promise.reject(new Error('no window'))],
  ])('goes on when a listener %s, and does not call it again', async (_, fails) => {
    const { file, xorbs } = plainFile(chunksOf(30, 60_000));
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    let calls = 0;
    const onProgress = ((): unknown => {
      calls++;
      return fails();
    }) as () => void;
    const sink = testSink(true);
    const common = { cas: fakeCas([file], xorbs), pool: testPool(SMALLEST), hasher };
    try {
      const done = await downloadFile({ ...common, fileHash: file.hash, sink, onProgress });
      expect(done.sizeBytes).toBe(file.bytes.length);
      await new Promise(setImmediate);
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(unhandled).toEqual([]);
    expect(calls).toBe(1);
  });

  it('tells the pool how many bytes will come as soon as it knows', async () => {
    const { file, xorbs } = plainFile(chunksOf(5, 1000));
    const expected: number[] = [];
    const expectBytes = (bytes: number): void => void expected.push(bytes);
    const pool = { ...testPool(SMALLEST), expectBytes };
    const common = { cas: fakeCas([file], xorbs), pool, hasher, fileHash: file.hash };
    await downloadFile({ ...common, sink: testSink(true) });
    await downloadFile({ ...common, sink: testSink(true), range: { offset: 100, length: 50 } });
    expect(expected).toEqual([5000, 50]);
  });

  it('never has more requests in flight than asked for', async () => {
    const { file, xorbs } = randomFile(5, {
      xorbs: 12,
      chunksPerXorb: 4,
      chunkBytes: 5000,
      runs: 40,
    });
    const pool = testPool({ slabBytes: 131_088, slabCount: 40 });
    let peak = 0;
    const cas = fakeCas([file], xorbs, {
      onFetch: async () => {
        peak = Math.max(peak, cas.openFetches);
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    const sink = testSink(true);
    await downloadFile({ cas, pool, hasher, fileHash: file.hash, sink, concurrency: 3 });
    expect(peak).toBe(3);
  });

  it('asks for more at a time while that brings more', async () => {
    const { file, xorbs } = randomFile(5, {
      xorbs: 60,
      chunksPerXorb: 4,
      chunkBytes: 5000,
      runs: 200,
    });
    const pool = testPool({ slabBytes: 131_088, slabCount: 80 });
    let nowMs = 0;
    const clock = { ...SYSTEM_CLOCK, now: () => nowMs };
    let peak = 0;
    const cas = fakeCas([file], xorbs, {
      onFetch: async () => {
        peak = Math.max(peak, cas.openFetches);
        // Each request takes as long, however many there are: twice as many bring twice the bytes.
        nowMs += 4_000 / Math.max(1, cas.openFetches);
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    const sink = testSink(true);
    await downloadFile({ cas, pool, hasher, clock, fileHash: file.hash, sink });
    expect(peak).toBeGreaterThan(8);
    expect(peak).toBeLessThanOrEqual(32);
  });

  it('lets several downloads share the smallest pool without waiting for each other for ever', async () => {
    const pool = testPool({ slabBytes: 131_088, slabCount: 5 });
    const jobs = Array.from({ length: 6 }, (_, seed) => {
      const { file, xorbs } = randomFile(seed, {
        xorbs: 3,
        chunksPerXorb: 20,
        chunkBytes: 9000,
        runs: 20,
      });
      const sink = testSink(seed % 2 === 0);
      const cas = fakeCas([file], xorbs, { ranges: 'joined' });
      return { file, sink, done: downloadFile({ cas, pool, hasher, fileHash: file.hash, sink }) };
    });
    for (const { file, sink, done } of jobs) {
      await done;
      expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
    }
    expect(pool.freeSlabs).toBe(5);
  });
});
