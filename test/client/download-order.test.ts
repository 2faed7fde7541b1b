import { describe, expect, it } from 'vitest';
import type { DownloadOptions } from '../../src/client/index.js';
import type { Sink } from '../../src/client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../../src/errors.js';
import { Scheduler } from '../flow/scheduler.js';
import { downloadFile, hasher, randomFile } from './download-support.js';
import { jumpyClock, worldCas, worldPool } from './download-world.js';

const SEEDS = 200;

const FILES = Array.from({ length: 6 }, (_, seed) =>
  randomFile(seed, { xorbs: 3, chunksPerXorb: 10, chunkBytes: 4000, runs: 6 }),
);

interface WatchedSink extends Sink {
  bytes: Uint8Array;
  state: 'open' | 'committed' | 'aborted';
  /** Writes whose bytes were others at their end than at their start. */
  changedCount: number;
}

/** Reads its bytes until its write is over: whoever gives their slab to somebody else is found out. */
function watchedSink(world: Scheduler, positional: boolean, sizeBytes: number): WatchedSink {
  const sink: WatchedSink = {
    name: 'watched',
    positional,
    bytes: new Uint8Array(sizeBytes),
    state: 'open',
    changedCount: 0,
    async prepare() {
      await world.op(() => {});
    },
    async write(bytes, offset) {
      const before = bytes.slice();
      for (let steps = 1 + world.int(4); steps > 0; steps--) await world.op(() => {});
      if (Buffer.compare(before, bytes) !== 0) sink.changedCount++;
      sink.bytes.set(bytes, offset);
    },
    async commit() {
      await world.op(() => {});
      sink.state = 'committed';
    },
    async abort() {
      await world.op(() => {});
      sink.state = 'aborted';
    },
  };
  return sink;
}

interface Setting {
  readonly seed: number;
  /** Called at every step of store, pool and sink; may throw. */
  readonly onStep?: (world: Scheduler) => void;
  readonly signal?: AbortSignal;
}

/** One download of a world; `error` when it failed. */
async function play({ seed, onStep, signal }: Setting) {
  const world = new Scheduler(seed);
  const { file, xorbs } = FILES[world.int(FILES.length)] as (typeof FILES)[number];
  const slabCount = 2 + world.int(9);
  const pool = worldPool(world, { slabBytes: 131_088 + world.int(60_000), slabCount });
  const sink = watchedSink(world, world.int(2) === 0, file.bytes.length);
  const style = (['exact', 'joined', 'whole'] as const)[world.int(3)];
  const cas = worldCas(world, [file], xorbs, {
    ...(style === undefined ? {} : { ranges: style }),
    pieceBytes: 1 + world.int(60_000),
  });
  if (onStep !== undefined) {
    for (const [object, name] of [
      [sink, 'prepare'],
      [sink, 'write'],
      [sink, 'commit'],
      [pool, 'decode'],
      [cas, 'getReconstruction'],
    ] as unknown as [Record<string, (...call: unknown[]) => Promise<unknown>>, string][]) {
      const call = object[name] as (...call: unknown[]) => Promise<unknown>;
      object[name] = async (...parameters) => {
        const result = await call(...parameters);
        onStep(world);
        return result;
      };
    }
  }
  const options: Omit<DownloadOptions, 'clock'> = {
    cas,
    pool,
    hasher,
    fileHash: file.hash,
    sink,
    signal,
    concurrency: 1 + world.int(8),
  };
  const clock = jumpyClock(world);
  const error = await world.run(
    downloadFile({ ...options, clock }).then(
      () => null,
      (reason: unknown) => reason,
    ),
  );
  // What was under way when it failed comes to its end, too.
  await world.run(
    (async () => {
      const isOver = (): boolean =>
        pool.freeSlabs === slabCount && cas.openFetches === 0 && sink.state !== 'open';
      while (!isOver()) await world.op(() => {});
    })(),
    5000,
  );
  expect(cas.misusedCount, `seed ${seed}`).toBe(0);
  return { error, sink, file, pool, slabCount };
}

describe('a download, in any order of completions', () => {
  it('writes the right bytes, and gives every slab back', async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const { error, sink, file, pool, slabCount } = await play({ seed });
      expect(error, `seed ${seed}`).toBeNull();
      expect(Buffer.compare(sink.bytes, file.bytes), `seed ${seed}`).toBe(0);
      expect(sink.state).toBe('committed');
      expect(pool.freeSlabs).toBe(slabCount);
      expect(sink.changedCount, `seed ${seed}`).toBe(0);
    }
  }, 120_000);

  it('keeps a slab while the sink reads it, and gives all back whatever fails', async () => {
    const codes = new Set<string>();
    for (let seed = 1000; seed < 1000 + SEEDS; seed++) {
      const failing = new Scheduler(seed);
      let left = failing.int(40);
      const abort = new AbortController();
      const { error, sink } = await play({
        seed,
        signal: abort.signal,
        onStep() {
          if (left-- !== 0) return;
          if (failing.int(4) === 0) abort.abort();
          else if (failing.int(3) === 0) throw new TypeError('a fault');
          else throw new OrbweaverError('STORAGE_FAILED', 'failed');
        },
      });
      expect(sink.changedCount, `seed ${seed}`).toBe(0);
      if (error === null) continue;
      codes.add(isOrbweaverError(error) ? error.code : (error as Error).name);
      expect(sink.state, `seed ${seed}`).toBe('aborted');
    }
    expect([...codes].sort()).toEqual(['ABORTED', 'STORAGE_FAILED', 'TypeError']);
  }, 120_000);
});
