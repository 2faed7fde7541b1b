import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { concatBytes } from '../../src/bytes/index.js';
import { createReadableScanner, findCertainCut, findCuts } from '../../src/chunker/index.js';
import type { SegmentChunks, Slab } from '../../src/client/ports.js';
import { SCHEME_NONE } from '../../src/compress/index.js';
import { createReadableBlake3, DATA_KEY, MerkleHash } from '../../src/hash/index.js';
import { piecesBody } from '../../src/http/index.js';
import type { Kernels } from '../../src/kernels/index.js';
import { createThreadKernels, type WorkerPool } from '../../src/workers/index.js';
import { encodeFooter, readRecordHeader, verifyXorb, XorbBuilder } from '../../src/xorb/index.js';
import { generate } from '../support/generators.js';
import { builtWorkers } from './built.js';

const MIB = 1024 * 1024;

/** Hashes of the chunks that end at `cuts`, which count from `start`. */
function hashesOf(data: Uint8Array, start: number, cuts: readonly number[]): Uint8Array {
  const hasher = createReadableBlake3();
  const hashes = new Uint8Array(32 * cuts.length);
  for (const [i, cut] of cuts.entries()) {
    hasher.keyed(DATA_KEY, data.subarray(start + (cuts[i - 1] ?? 0), start + cut), hashes, 32 * i);
  }
  return hashes;
}

/** `toEqual` looks at every byte on its own: far too slow for megabytes. */
function same(a: ArrayLike<number> | undefined, b: ArrayLike<number>): boolean {
  return Buffer.from(Uint32Array.from(a ?? []).buffer).equals(
    Buffer.from(Uint32Array.from(b).buffer),
  );
}

/** All of these records as one run whose compressed chunks go to `outputStart`. */
function runOf(slab: Slab, start: number, recordLengths: Uint32Array, outputStart: number) {
  let at = start;
  let outputEnd = outputStart;
  for (const length of recordLengths) {
    const header = readRecordHeader(slab.bytes, at);
    if (header.scheme !== SCHEME_NONE) outputEnd += header.uncompressedLength;
    at += length;
  }
  return Uint32Array.of(start, at, outputStart, outputEnd);
}

/** The chunks of such a run, which lie where they came or where they were decoded to. */
function chunksAt(
  slab: Slab,
  start: number,
  recordLengths: Uint32Array,
  output: Slab,
  outputStart: number,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = start;
  let outputAt = outputStart;
  for (const length of recordLengths) {
    const { scheme, uncompressedLength } = readRecordHeader(slab.bytes, at);
    if (scheme === SCHEME_NONE) {
      parts.push(slab.bytes.subarray(at + 8, at + 8 + uncompressedLength));
    } else {
      parts.push(output.bytes.subarray(outputAt, outputAt + uncompressedLength));
      outputAt += uncompressedLength;
    }
    at += length;
  }
  return concatBytes(parts);
}

let hasher: Kernels['hasher'];
let codec: Kernels['codec'];
beforeAll(async () => {
  ({ hasher, codec } = await createThreadKernels());
});

/** Every way in which a pool can run its tasks. */
const WAYS = [
  { threads: 0, sharedMemory: true },
  { threads: 0, sharedMemory: false },
  { threads: 1, sharedMemory: true },
  { threads: 2, sharedMemory: true },
  { threads: 2, sharedMemory: false },
] as const;

describe.each(WAYS)('a pool with $threads threads, shared memory $sharedMemory', (way) => {
  let pool: WorkerPool;
  beforeAll(async () => {
    const { createComputePool } = await builtWorkers();
    pool = await createComputePool({ ...way, maxMemory: 8 * MIB });
  });
  afterAll(async () => {
    await pool.close();
    await pool.close();
  });

  async function withSlabs<T>(count: number, work: (slabs: Slab[]) => Promise<T>): Promise<T> {
    const slabs = await pool.acquire(count);
    try {
      return await work(slabs);
    } finally {
      for (const slab of slabs) slab.release();
    }
  }

  it('says what it is', () => {
    expect(pool).toMatchObject({ threads: way.threads, sharedMemory: way.sharedMemory });
    expect(pool.slabBytes * pool.slabCount).toBeLessThanOrEqual(8 * MIB);
    expect(pool.slabBytes % 65536).toBe(0);
    expect(pool.freeSlabs).toBe(pool.slabCount);
  });

  it('cuts and hashes the segments of a slab, each as if nothing else lay there', async () => {
    const data = generate({ kind: 'splitmix64', seed: 1, bytes: 450_000 });
    const part = { isFirst: true, isLast: true, sha256: true };
    const segments = [
      { ...part, start: 100, end: 250_000, fileStart: 100 },
      { ...part, start: 250_000, end: 250_000, fileStart: 250_000 },
      { ...part, start: 250_000, end: 250_005, fileStart: 250_000, sha256: false },
      { ...part, start: 250_005, end: 449_999, fileStart: 250_005, isLast: false },
    ];
    await withSlabs(1, async ([slab]) => {
      slab?.bytes.set(data);
      const found = await pool.chunk(slab as Slab, segments);
      expect(found).toHaveLength(segments.length);
      for (const [i, { start, end, isLast, sha256 }] of segments.entries()) {
        const bytes = data.subarray(start, end);
        const cuts = [...findCuts(createReadableScanner(), bytes)];
        if (!isLast) cuts.pop();
        const result = found[i] as SegmentChunks;
        expect(result.certainStart).toBe(start);
        // The end of a file is no cut of its own.
        const inner = cuts.map((cut) => cut + start).filter((cut) => !(isLast && cut === end));
        expect([...result.candidates]).toEqual(inner);
        expect(same(result.hashes, hashesOf(data, start, cuts))).toBe(true);
        const digest = createHash('sha256').update(bytes).digest();
        if (sha256) expect(same(result.sha256 ?? undefined, digest)).toBe(true);
        else expect(result.sha256).toBeNull();
      }
    });
  });

  it('cuts a segment inside of a file from where that is certain', async () => {
    const zeros = new Uint8Array(pool.slabBytes);
    const random = generate({ kind: 'splitmix64', seed: 7, bytes: pool.slabBytes });
    const dense = zeros.slice();
    const periodic = random.subarray(0, 9000);
    for (let at = 0; at < dense.length; at += 9000) {
      dense.set(periodic.subarray(0, dense.length - at), at);
    }
    await withSlabs(1, async ([slab]) => {
      for (const data of [random, zeros, dense]) {
        slab?.bytes.set(data);
        const segment = { start: 163, end: data.length - 5, fileStart: 100 };
        for (const isLast of [true, false]) {
          const [found] = await pool.chunk(slab as Slab, [
            { ...segment, isFirst: false, isLast, sha256: false },
          ]);
          const bytes = data.subarray(100, segment.end);
          const { candidates, position } = findCertainCut(
            createReadableScanner(),
            bytes,
            63,
            bytes.length,
          );
          const cuts = [];
          if (position !== null) {
            cuts.push(...findCuts(createReadableScanner(), bytes.subarray(position)));
            if (!isLast) cuts.pop();
          }
          const start = position === null ? segment.end : position + 100;
          expect(found?.certainStart).toBe(start);
          const positions = [...candidates.map((at) => at + 100), ...cuts.map((at) => at + start)];
          expect([...(found?.candidates ?? [])]).toEqual(
            positions.filter((at) => position === null || !(isLast && at === segment.end)),
          );
          expect(same(found?.hashes, hashesOf(data, start, cuts))).toBe(true);
        }
      }
    });
  });

  it('hashes chunks that lie side by side and chunks that do not', async () => {
    const data = generate({ kind: 'words', seed: 2, bytes: 300_000 });
    const starts = Uint32Array.of(0, 10, 131_082, 200_000, 200_001);
    const lengths = Uint32Array.of(10, 131_072, 1, 1, 99_999);
    await withSlabs(1, async ([slab]) => {
      slab?.bytes.set(data);
      const hashes = await pool.hash(slab as Slab, starts, lengths);
      const expected = new Uint8Array(32);
      for (let i = 0; i < starts.length; i++) {
        const start = starts[i] as number;
        hasher.keyed(DATA_KEY, data.subarray(start, start + (lengths[i] as number)), expected, 0);
        expect(same(hashes.subarray(32 * i, 32 * i + 32), expected)).toBe(true);
      }
    });
  });

  it('packs in place and into another slab, and decodes what it packed', async () => {
    const data = concatBytes([
      generate({ kind: 'words', seed: 3, bytes: 100_000 }),
      generate({ kind: 'splitmix64', seed: 3, bytes: 100_000 }),
      generate({ kind: 'floats', seed: 3, bytes: 100_000 }),
    ]);
    const lengths = Uint32Array.of(60_000, 90_000, 100_000, 50_000);
    const starts = Uint32Array.of(0, 60_000, 150_000, 250_000).map((start) => start + 4096);
    await withSlabs(3, async ([a, b, c]) => {
      a?.bytes.set(data, 4096);
      const apart = await pool.pack({
        source: a as Slab,
        target: b as Slab,
        targetOffset: 7,
        starts,
        lengths,
      });
      const records = b?.bytes.slice(7, 7 + apart.packedBytes) as Uint8Array;
      const inPlace = await pool.pack({
        source: a as Slab,
        target: a as Slab,
        targetOffset: 4096 - 8 * 4,
        starts,
        lengths,
      });
      expect(inPlace).toEqual(apart);
      const start = 4096 - 8 * 4;
      expect(same(a?.bytes.subarray(start, start + inPlace.packedBytes), records)).toBe(true);
      const decoded = await pool.decode({
        input: a as Slab,
        output: c as Slab,
        runs: runOf(a as Slab, start, inPlace.recordLengths, 5),
      });
      expect(decoded.lengths).toEqual(lengths);
      expect(same(chunksAt(a as Slab, start, inPlace.recordLengths, c as Slab, 5), data)).toBe(
        true,
      );
      expect(same(verifyXorb({ codec, hasher }, records).chunkHashes, decoded.hashes)).toBe(true);
    });
  });

  it('decodes runs with gaps in one task', async () => {
    const lengths = Uint32Array.of(60_000, 90_000, 100_000, 50_000);
    const data = concatBytes([
      generate({ kind: 'words', seed: 3, bytes: 150_000 }),
      generate({ kind: 'splitmix64', seed: 3, bytes: 150_000 }),
    ]);
    await withSlabs(3, async ([a, b, c]) => {
      a?.bytes.set(data);
      const { recordLengths } = await pool.pack({
        source: a as Slab,
        target: b as Slab,
        targetOffset: 0,
        starts: Uint32Array.of(0, 60_000, 150_000, 250_000),
        lengths,
      });
      const [first = 0, second = 0, third = 0, fourth = 0] = recordLengths;
      const end = first + second + third + fourth;
      const request = {
        input: b as Slab,
        output: c as Slab,
        // The first record, and the last two: one that is compressed and two that are not.
        runs: Uint32Array.of(0, first, 7, 60_007, first + second, end, 60_007, 60_007),
      };
      const { lengths: decodedLengths, hashes } = await pool.decode(request);
      expect(decodedLengths).toEqual(Uint32Array.of(60_000, 100_000, 50_000));
      const starts = Uint32Array.of(0, 150_000, 250_000);
      const expected = await pool.hash(a as Slab, starts, decodedLengths);
      expect(same(hashes, expected)).toBe(true);
      const output = request.output.bytes.subarray(7, 60_007);
      expect(same(output, data.subarray(0, 60_000))).toBe(true);
      // What is stored as it is stays in the input, behind its header.
      const raw = request.input.bytes.subarray(end - fourth + 8, end);
      expect(same(raw, data.subarray(250_000))).toBe(true);
      const wrong = Uint32Array.of(0, first, 7, 60_006, first + second, end, 60_007, 60_007);
      await expect(pool.decode({ ...request, runs: wrong })).rejects.toMatchObject({
        code: 'SIZE_MISMATCH',
      });
    });
  });

  it('gives errors back with code and fields, and goes on', async () => {
    await withSlabs(2, async ([a, b]) => {
      a?.bytes.fill(0);
      a?.bytes.set([9, 9, 9, 9, 9, 9, 9, 9]);
      const request = {
        input: a as Slab,
        output: b as Slab,
        runs: Uint32Array.of(0, 8, 0, 5),
      };
      await expect(pool.decode(request)).rejects.toMatchObject({
        name: 'OrbweaverError',
        code: expect.stringMatching(/FORMAT_INVALID|UNSUPPORTED|LIMIT_EXCEEDED|TRUNCATED/),
      });
      await expect(
        pool.hash(a as Slab, Uint32Array.of(0), Uint32Array.of(pool.slabBytes + 1)),
      ).rejects.toMatchObject({ name: 'OrbweaverError' });
      await expect(
        pool.hash(a as Slab, Uint32Array.of(0), Uint32Array.of(1)),
      ).resolves.toHaveLength(32);
      expect(a?.bytes.length).toBe(pool.slabBytes);
    });
  });

  it('computes SHA-256 of several streams in the order of the calls', async () => {
    const data = generate({ kind: 'splitmix64', seed: 4, bytes: 400_000 });
    await withSlabs(1, async ([slab]) => {
      slab?.bytes.set(data);
      const streams = [0, 1, 2].map(() => pool.createSha256());
      const work: Promise<void>[] = [];
      for (let at = 0; at < data.length; at += 10_000) {
        for (const stream of streams) work.push(stream.update(slab as Slab, at, at + 10_000));
      }
      const digests = streams.map((stream) => stream.digest());
      await Promise.all(work);
      const expected = createHash('sha256').update(data).digest('hex');
      for (const digest of await Promise.all(digests)) {
        expect(Buffer.from(digest).toString('hex')).toBe(expected);
      }
      const empty = await pool.createSha256().digest();
      expect(Buffer.from(empty).toString('hex')).toBe(createHash('sha256').digest('hex'));
      const dropped = pool.createSha256();
      await dropped.update(slab as Slab, 0, 1);
      dropped.dispose();
      await expect(dropped.digest()).rejects.toMatchObject({ code: 'CLOSED' });
    });
  });

  /** What a pool makes of a xorb that arrives in pieces. */
  async function received(bytes: Uint8Array, pieceBytes = 70_001) {
    const pieces = (async function* () {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        yield bytes.slice(at, at + pieceBytes);
      }
    })();
    const steps = pool.receiveXorb(piecesBody(pieces));
    const given: Uint8Array[] = [];
    while (true) {
      const step = await steps.next();
      if (step.done === true) return { verified: step.value, given: concatBytes(given) };
      given.push(step.value.slice());
    }
  }

  it('verifies a xorb of several slabs while it arrives and finds a flipped bit', async () => {
    const builder = new XorbBuilder({ codec, hasher });
    const data = generate({ kind: 'splitmix64', seed: 5, bytes: 1_300_000 });
    for (let at = 0; at < data.length; at += 65_000) builder.add(data.subarray(at, at + 65_000));
    const info = builder.finish();
    if (info === null) throw new Error('nothing was built');
    const records = info.bytes;
    const withFooter = concatBytes([records, encodeFooter(info)]);
    const copy = withFooter.slice();
    const { verified, given } = await received(withFooter);
    expect(same(given, records)).toBe(true);
    expect(verified.hash.equals(info.hash)).toBe(true);
    expect(verified).toMatchObject({ recordsBytes: records.length });
    expect(verified.recordEnds).toEqual(info.recordEnds);
    expect(verified.rawEnds).toEqual(info.rawEnds);
    expect(same(verified.chunkHashes, info.chunkHashes)).toBe(true);
    expect(same(withFooter, copy)).toBe(true);
    const flipped = records.slice();
    flipped[700_000] = (flipped[700_000] as number) ^ 1;
    expect((await received(flipped)).verified.hash.equals(info.hash)).toBe(false);
    const cut = received(records.subarray(0, 700_000));
    await expect(cut).rejects.toMatchObject({ code: 'TRUNCATED' });
    await expect(received(new Uint8Array(0))).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
    });
    expect(pool.freeSlabs).toBe(pool.slabCount);
  });

  it('runs many tasks at once on all slabs', async () => {
    await withSlabs(pool.slabCount, async (slabs) => {
      slabs.forEach((slab, i) => {
        slab.bytes.fill(i);
      });
      const one = Uint32Array.of(0);
      const results = await Promise.all(
        slabs.flatMap((slab) =>
          [1, 100_000, 3].map((length) => pool.hash(slab, one, Uint32Array.of(length))),
        ),
      );
      const out = new Uint8Array(32);
      results.forEach((hash, i) => {
        const bytes = new Uint8Array([1, 100_000, 3][i % 3] as number).fill(Math.floor(i / 3));
        hasher.keyed(DATA_KEY, bytes, out, 0);
        expect(MerkleHash.from(hash).equals(MerkleHash.from(out))).toBe(true);
      });
    });
  });
});

describe('making a pool', () => {
  it('refuses options out of range and keeps to its memory', async () => {
    const { createComputePool } = await builtWorkers();
    for (const options of [{ maxMemory: MIB }, { threads: -1 }, { threads: 257 }]) {
      await expect(createComputePool(options)).rejects.toBeInstanceOf(RangeError);
    }
    await expect(createComputePool({ threads: 0.5 })).rejects.toBeInstanceOf(TypeError);
    for (const maxMemory of [4 * MIB, 5_000_000, 8 * MIB, 96 * MIB, 300 * MIB, 1024 * MIB]) {
      const pool = await createComputePool({ threads: 0, maxMemory });
      expect(pool.slabCount).toBeGreaterThanOrEqual(8);
      expect(pool.slabBytes).toBeGreaterThanOrEqual(512 * 1024);
      expect(pool.slabBytes).toBeLessThanOrEqual(4 * MIB);
      expect(pool.slabBytes * pool.slabCount).toBeLessThanOrEqual(maxMemory);
      await pool.close();
      await expect(pool.acquire(1)).rejects.toMatchObject({ code: 'CLOSED' });
    }
  });

  it('starts the threads that are worth it when told how much there is to do', async () => {
    const { createComputePool } = await builtWorkers();
    const options = { threads: 2, maxMemory: 8 * MIB, inThreadBytes: MIB };
    for (const [bytes, threads] of [
      [0, 0],
      [MIB / 4, 0],
      [MIB / 4 + 1, 1],
      [100 * MIB, 2],
      [Number.POSITIVE_INFINITY, 2],
    ] as const) {
      const pool = await createComputePool(options);
      expect(pool.liveThreads).toBe(0);
      pool.expectBytes(bytes);
      await vi.waitFor(() => expect(pool.liveThreads).toBe(threads));
      await pool.close();
    }
  });

  it('does small work on the calling thread until it is no longer small, with the same answers', async () => {
    const { createComputePool } = await builtWorkers();
    for (const sharedMemory of [true, false]) {
      const common = { threads: 2, maxMemory: 8 * MIB, sharedMemory };
      const pool = await createComputePool({ ...common, inThreadBytes: 1000 });
      const other = await createComputePool(common);
      const hashes: string[][] = [];
      for (const each of [pool, other]) {
        const [slab] = await each.acquire(1);
        slab?.bytes.fill(7);
        const found: string[] = [];
        const lengths = [250, 250, 250, 251, 200, 50, 1];
        for (const [i, length] of lengths.entries()) {
          const hash = await each.hash(slab as Slab, Uint32Array.of(3), Uint32Array.of(length));
          found.push(Buffer.from(hash).toString('hex'));
          if (each === pool) expect(each.liveThreads).toBe(i < 3 ? 0 : 1);
        }
        hashes.push(found);
        await each.close();
        await expect(
          each.hash(slab as Slab, Uint32Array.of(0), Uint32Array.of(1)),
        ).rejects.toThrow();
      }
      expect(hashes[0]).toEqual(hashes[1]);
    }
  });

  it('runs tasks in the order of asking while its threads are being loaded', async () => {
    const { createComputePool } = await builtWorkers();
    const pool = await createComputePool({ threads: 1, maxMemory: 8 * MIB });
    const [slab] = await pool.acquire(1);
    const order: number[] = [];
    const tasks = [0, 1, 2, 3].map(async (n) => {
      await pool.hash(slab as Slab, Uint32Array.of(0), Uint32Array.of(n));
      order.push(n);
    });
    await Promise.all(tasks);
    expect(order).toEqual([0, 1, 2, 3]);
    await pool.close();
  });

  it('runs every tier', async () => {
    const { createComputePool } = await builtWorkers();
    const hashes = new Set<string>();
    for (const tier of ['simd', 'portable', 'readable'] as const) {
      const pool = await createComputePool({ threads: 1, maxMemory: 8 * MIB, tier });
      expect(pool.tier).toBe(tier);
      const [slab] = await pool.acquire(1);
      const hash = await pool.hash(slab as Slab, Uint32Array.of(3), Uint32Array.of(70_000));
      hashes.add(Buffer.from(hash).toString('hex'));
      await pool.close();
    }
    expect(hashes.size).toBe(1);
  });
});
