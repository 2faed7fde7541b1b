import { describe, expect, it } from 'vitest';
import { PAUSED_MS } from '../../src/client/download/ordered-output.js';
import type { ByteRange, Sink } from '../../src/client/ports.js';
import { Budget } from '../../src/flow/index.js';
import type { BuiltXorb } from '../../src/xorb/index.js';
import { Scheduler } from '../flow/scheduler.js';
import { createDice, downloadFile, hasher, plainFile, randomFile } from './download-support.js';
import { jumpyClock, type ReadSink, readSink, worldCas, worldPool } from './download-world.js';

const SLAB_BYTES = 140_000;
/** What the smallest and the default budget of memory are cut into, and less than either. */
const SLAB_COUNTS = [2, 3, 8, 22];

function filesOf(count: number, chunkCount: number) {
  return Array.from({ length: count }, (_, i) => {
    const dice = createDice(i + 1);
    return plainFile(
      Array.from({ length: chunkCount }, () =>
        Uint8Array.from({ length: 20_000 }, () => dice(256)),
      ),
    );
  });
}

/** Larger than the default pool together. */
const FILES = filesOf(4, 50);

/** Of random runs of random xorbs. */
const RANDOM = Array.from({ length: 8 }, (_, seed) =>
  randomFile(seed, { xorbs: 2, chunksPerXorb: 6, chunkBytes: 2500, runs: 4 }),
);

function open(world: Scheduler, slabCount: number, built = FILES, clock = world.clock) {
  const pool = worldPool(world, { slabBytes: SLAB_BYTES, slabCount });
  const cas = worldCas(
    world,
    built.map(({ file }) => file),
    built.flatMap(({ xorbs }) => xorbs),
    { pieceBytes: 50_000 },
  );
  const budget = new Budget({ capacityBytes: 1 << 20 });
  const streams = built.map(({ file }) => {
    const sink = readSink(world);
    const abort = new AbortController();
    const done = downloadFile({
      cas,
      pool,
      hasher,
      clock,
      fileHash: file.hash,
      sink,
      signal: abort.signal,
      budget,
    });
    done.catch(() => undefined);
    return { file, sink, done, abort };
  });
  return { pool, cas, streams, budget };
}

function expectWhole({ sink, file }: { sink: ReadSink; file: { bytes: Uint8Array } }): void {
  expect(Buffer.compare(Buffer.concat(sink.taken), file.bytes)).toBe(0);
  expect(sink.state).toBe('committed');
}

describe('streams that nobody reads', () => {
  it('stop neither another stream nor uploads, in any pool', async () => {
    for (const slabCount of SLAB_COUNTS) {
      const world = new Scheduler(slabCount);
      const { pool, streams } = open(world, slabCount);
      const unread = streams.slice(0, 3);
      const last = streams[3] as (typeof streams)[number];
      // One piece of three of them is read, then all of the fourth.
      for (const { sink } of unread) sink.allow(1);
      const uploads = async (): Promise<void> => {
        for (let i = 0; i < 20; i++) {
          const [slab] = await pool.acquire(1);
          await world.op(() => {});
          slab?.release();
        }
      };
      await world.run(uploads());
      last.sink.allow(Number.POSITIVE_INFINITY);
      await world.run(last.done);
      expectWhole(last);
      for (const { sink } of unread) sink.allow(Number.POSITIVE_INFINITY);
      await world.run(Promise.all(unread.map(({ done }) => done)));
      for (const stream of unread) expectWhole(stream);
      expect(pool.freeSlabs).toBe(slabCount);
    }
  });

  it('get pieces of several chunks, none of them large', async () => {
    const world = new Scheduler(7);
    const { streams } = open(world, 22, FILES.slice(0, 1));
    for (const stream of streams) {
      stream.sink.allow(Number.POSITIVE_INFINITY);
      await world.run(stream.done);
      expectWhole(stream);
      expect(stream.sink.taken.length).toBeLessThanOrEqual(25);
      for (const { length } of stream.sink.taken) expect(length).toBeLessThanOrEqual(256 * 1024);
    }
  });

  it('may be read in reverse order, twelve of them', async () => {
    const built = filesOf(12, 12);
    for (const slabCount of SLAB_COUNTS) {
      const world = new Scheduler(100 + slabCount);
      const { pool, streams } = open(world, slabCount, built);
      for (const stream of streams.toReversed()) {
        stream.sink.allow(Number.POSITIVE_INFINITY);
        await world.run(stream.done);
        expectWhole(stream);
      }
      expect(pool.freeSlabs).toBe(slabCount);
    }
  });

  it('hold neither slab, budget nor connection after two seconds, also when nobody waits', async () => {
    const world = new Scheduler(5);
    const { pool, cas, streams, budget } = open(world, 22);
    for (const { sink } of streams) sink.allow(1);
    let ready = (): void => {};
    const waited = new Promise<void>((resolve) => {
      ready = resolve;
    });
    world.clock.setTimer(2 * PAUSED_MS, ready);
    await world.run(waited);
    expect(pool.freeSlabs).toBe(22);
    expect(cas.openFetches).toBe(0);
    expect(budget.usedBytes).toBe(0);
    for (const { sink } of streams) sink.allow(Number.POSITIVE_INFINITY);
    await world.run(Promise.all(streams.map(({ done }) => done)));
    for (const stream of streams) expectWhole(stream);
  });

  it('are not asked for again while they are read without a pause', async () => {
    const world = new Scheduler(6);
    const { cas, streams } = open(world, 22);
    for (const { sink } of streams) sink.allow(Number.POSITIVE_INFINITY);
    await world.run(Promise.all(streams.map(({ done }) => done)));
    expect(cas.reconstructions.length).toBe(streams.length);
  });

  it('can be cancelled while they wait for their reader', async () => {
    const world = new Scheduler(7);
    const { pool, streams } = open(world, 3);
    let ready = (): void => {};
    const waited = new Promise<void>((resolve) => {
      ready = resolve;
    });
    world.clock.setTimer(10 * PAUSED_MS, ready);
    await world.run(waited);
    for (const { abort, done, sink } of streams) {
      abort.abort();
      await expect(world.run(done)).rejects.toMatchObject({ code: 'ABORTED' });
      expect(sink.state).toBe('aborted');
    }
    expect(pool.freeSlabs).toBe(3);
  });

  it('do not pass for right when the chunk that was passed on in part comes differently', async () => {
    const chunks = (odd: number): Uint8Array[] =>
      Array.from({ length: 40 }, (_, i) => new Uint8Array(20_000).fill(i === odd ? 99 : i));
    const { file, xorbs } = plainFile(chunks(-1));
    // The second copy of 256 KiB ends inside chunk 26.
    const [other] = plainFile(chunks(26)).xorbs as [BuiltXorb];
    for (const isDamaged of [false, true]) {
      const world = new Scheduler(8);
      const cas = worldCas(world, [file], xorbs, {
        onFetch: ({ index, ranges, bytes }) => {
          const [range] = ranges as [ByteRange];
          if (isDamaged && index === 0) bytes[0] = other.bytes.slice(range.start, range.end);
        },
      });
      const pool = worldPool(world, { slabBytes: 900_000, slabCount: 2 });
      const sink = readSink(world);
      const common = { cas, pool, hasher, clock: world.clock };
      const done = downloadFile({ ...common, fileHash: file.hash, sink });
      done.catch(() => undefined);
      sink.allow(1);
      await world.run(new Promise<void>((resolve) => world.clock.setTimer(9000, resolve)));
      sink.allow(Number.POSITIVE_INFINITY);
      if (isDamaged) await expect(world.run(done)).rejects.toMatchObject({ code: 'INTEGRITY' });
      else expectWhole({ sink, file: await world.run(done).then(() => file) });
      expect(cas.fetches.length).toBe(2);
    }
  });

  it('come to their end when they are read, whoever pauses and in whatever order', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const world = new Scheduler(seed);
      const built = Array.from(
        { length: 2 + world.int(3) },
        (_, i) => RANDOM[2 * i + world.int(2)],
      );
      const slabCount = 2 + world.int(9);
      const { pool, cas, streams } = open(
        world,
        slabCount,
        built as (typeof RANDOM)[number][],
        jumpyClock(world),
      );
      // Each reader takes some pieces, pauses, goes on; some never do until all others are done.
      const idle = new Set(streams.filter(() => world.int(3) === 0));
      const read = async ({ sink, done }: (typeof streams)[number]): Promise<void> => {
        let over = false;
        const end = (): void => {
          over = true;
        };
        done.then(end, end);
        while (!over) {
          sink.allow(1 + world.int(3));
          for (let pause = world.int(6); pause > 0; pause--) await world.op(() => {});
          if (world.int(8) === 0) {
            await new Promise<void>((resolve) => world.clock.setTimer(world.int(5000), resolve));
          } else await world.op(() => {});
        }
      };
      const active = streams.filter((stream) => !idle.has(stream));
      for (const stream of active) void read(stream);
      // Beside them an upload, which takes slabs one by one, and a download into a file.
      const upload = async (): Promise<void> => {
        for (let left = 5; left > 0; left--) {
          const [slab] = await pool.acquire(1);
          await world.op(() => {});
          slab?.release();
        }
      };
      const { file } = built[0] as (typeof RANDOM)[number];
      const output = new Uint8Array(file.bytes.length);
      const sink: Sink = {
        name: 'file',
        positional: true,
        write: (bytes, offset) => world.op(() => output.set(bytes, offset)),
        async commit() {},
        async abort() {},
      };
      const clock = jumpyClock(world);
      const whole = downloadFile({ cas, pool, hasher, clock, fileHash: file.hash, sink });
      await world.run(Promise.all([upload(), whole, ...active.map(({ done }) => done)]));
      expect(Buffer.compare(output, file.bytes)).toBe(0);
      for (const stream of idle) void read(stream);
      await world.run(Promise.all(streams.map(({ done }) => done)));
      for (const stream of streams) expectWhole(stream);
      expect(pool.freeSlabs, `seed ${seed}`).toBe(slabCount);
    }
  }, 120_000);
});
