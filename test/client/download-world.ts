/** Downloads in a world whose order is decided by a seed: `test/flow/scheduler.ts`. */

import type { CasClient, ComputePool, Sink } from '../../src/client/ports.js';
import type { Clock } from '../../src/flow/index.js';
import type { BuiltXorb } from '../../src/xorb/index.js';
import type { Scheduler } from '../flow/scheduler.js';
import {
  type FakeCas,
  type FakeCasOptions,
  fakeCas,
  type TestFile,
  testPool,
} from './download-support.js';

/** A clock whose timers fire in any order beside everything else, some of them long before. */
export function jumpyClock(world: Scheduler): Clock {
  return {
    ...world.clock,
    setTimer(delayMs, callback) {
      if (world.int(10) > 0) return world.clock.setTimer(delayMs, callback);
      let isOff = false;
      void world.op(() => {
        if (!isOff) callback();
      });
      return () => {
        isOff = true;
      };
    },
  };
}

/** A store whose every step waits for its turn. */
export function worldCas(
  world: Scheduler,
  files: readonly TestFile[],
  xorbs: readonly BuiltXorb[],
  options: FakeCasOptions = {},
): FakeCas & { misusedCount: number } {
  const cas = Object.assign(fakeCas(files, xorbs, options), { misusedCount: 0 });
  const { getReconstruction, readRanges } = cas;
  const slow: Pick<CasClient, 'getReconstruction' | 'readRanges'> = {
    getReconstruction: async (...call) => {
      await world.op(() => {});
      return getReconstruction(...call);
    },
    readRanges: (...call) => {
      const reader = readRanges(...call);
      return {
        get rangeIndex() {
          return reader.rangeIndex;
        },
        fill: async (into) => {
          // The memory is the reader's until this has settled, also after `cancel`.
          into[0] = 0x11;
          await world.op(() => {});
          if (into[0] !== 0x11) cas.misusedCount++;
          return reader.fill(into);
        },
        cancel: () => reader.cancel(),
      };
    },
  };
  return Object.assign(cas, slow);
}

/** A pool whose tasks wait for their turn. */
export function worldPool(
  world: Scheduler,
  shape: { slabBytes: number; slabCount: number },
): ReturnType<typeof testPool> {
  const pool = testPool(shape);
  const { decode } = pool;
  return Object.assign(pool, {
    decode: async (request: Parameters<ComputePool['decode']>[0]) => {
      // Whoever gives its slabs away now still leaves them to the task.
      const ends = [request.input.borrow(), request.output.borrow()];
      try {
        await world.op(() => {});
        return await decode(request);
      } finally {
        for (const end of ends) end();
      }
    },
  });
}

/** A stream and whoever reads it: a write is over when its piece is read. */
export interface ReadSink extends Sink {
  readonly taken: Uint8Array[];
  readonly state: 'open' | 'committed' | 'aborted';
  /** Pieces that may be taken without waiting; more are added by whoever reads. */
  allow(pieces: number): void;
}

export function readSink(world: Scheduler): ReadSink {
  const taken: Uint8Array[] = [];
  let allowed = 0;
  let position = 0;
  let onAllowed: (() => void) | null = null;
  let state: ReadSink['state'] = 'open';
  return {
    name: 'stream',
    positional: false,
    taken,
    get state() {
      return state;
    },
    allow(pieces) {
      allowed += pieces;
      onAllowed?.();
    },
    async write(bytes, offset) {
      if (offset !== position) throw new RangeError(`expected ${position}, got ${offset}`);
      const copy = bytes.slice();
      while (allowed === 0) {
        await new Promise<void>((resolve) => {
          onAllowed = resolve;
        });
      }
      allowed--;
      await world.op(() => {});
      if (Buffer.compare(copy, bytes) !== 0)
        throw new Error('the bytes changed while they were read');
      taken.push(copy);
      position += copy.length;
    },
    async commit() {
      state = 'committed';
    },
    async abort() {
      state = 'aborted';
      allowed = Number.POSITIVE_INFINITY;
      onAllowed?.();
    },
  };
}
