import type { ComputePool, Slab } from '../ports.js';
import type { Cancellation } from './cancellation.js';

/**
 * A slab that records are received into and one that they are decoded into. They are always taken
 * together: whoever holds received bytes can also decode them, so no two can wait for each other.
 */
export interface SlabPair {
  readonly input: Slab;
  readonly output: Slab;
  /** The holder must not wait for other data while it has it: see `createOrderedPairs`. */
  readonly reserved: boolean;
  release(): void;
}

/** Where ranges get their memory. `window` says which part of the output they are for. */
export interface PairSource {
  acquire(window: number): Promise<SlabPair>;
  /** Output before this window is complete. */
  setCurrentWindow(window: number): void;
  /** Gives back what is held for later. */
  close(): void;
}

/** For sinks that can be written anywhere: whoever has decoded a slab can write it at once. */
export function createFreePairs(pool: ComputePool, cancellation: Cancellation): PairSource {
  return {
    async acquire() {
      const slabs = await acquireTwo(pool, cancellation);
      return pairOf(slabs, false, () => {});
    },
    setCurrentWindow() {},
    close() {},
  };
}

interface Waiter {
  readonly window: number;
  readonly grant: (pair: SlabPair) => void;
  readonly refuse: (error: unknown) => void;
  /** Set while this waiter also stands in the pool's queue. */
  poolTurn?: AbortController;
  served: boolean;
}

/**
 * For sinks that take bytes in order only. Decoded slabs of later windows wait for their turn, so
 * free pairs could all end up waiting for a range that finds none. Therefore one pair is reserved
 * for the current window, and its holder never waits for order (it copies aside what is early): the
 * current window always moves on, whatever others of the same pool do. At most `maxExtra` further
 * pairs read ahead.
 */
export async function createOrderedPairs(
  pool: ComputePool,
  maxExtra: number,
  cancellation: Cancellation,
): Promise<PairSource> {
  const reservedSlabs = await acquireTwo(pool, cancellation);
  const waiters: Waiter[] = [];
  let reservedFree = true;
  let extraCount = 0;
  let currentWindow = 0;
  let closed = false;

  const serve = (waiter: Waiter, pair: SlabPair): void => {
    waiter.served = true;
    waiters.splice(waiters.indexOf(waiter), 1);
    waiter.grant(pair);
  };
  const releaseReservedSlabs = (): void => {
    for (const slab of reservedSlabs) slab.release();
  };
  const grantReserved = (waiter: Waiter): void => {
    reservedFree = false;
    const [input, output] = reservedSlabs as [Slab, Slab];
    let held = true;
    serve(waiter, {
      input,
      output,
      reserved: true,
      release() {
        if (!held) return;
        held = false;
        reservedFree = true;
        if (closed) releaseReservedSlabs();
        else next();
      },
    });
    waiter.poolTurn?.abort();
  };
  const freeExtra = (): void => {
    extraCount--;
    next();
  };
  const queueInPool = (waiter: Waiter): void => {
    const turn = new AbortController();
    waiter.poolTurn = turn;
    extraCount++;
    pool.acquire(2, turn.signal).then(
      (slabs) => {
        const pair = pairOf(slabs, false, freeExtra);
        if (waiter.served) pair.release();
        else serve(waiter, pair);
      },
      (error: unknown) => {
        extraCount--;
        if (waiter.served) next();
        else {
          waiters.splice(waiters.indexOf(waiter), 1);
          waiter.refuse(error);
        }
      },
    );
  };
  const next = (): void => {
    if (closed) return;
    if (reservedFree) {
      const first = waiters.find((waiter) => waiter.window <= currentWindow);
      if (first !== undefined) grantReserved(first);
    }
    for (const waiter of waiters) {
      if (extraCount >= maxExtra) break;
      if (waiter.poolTurn === undefined) queueInPool(waiter);
    }
  };
  const removeListener = cancellation.onCancel(() => {
    for (const waiter of waiters.splice(0)) {
      waiter.served = true;
      waiter.refuse(cancellation.reason);
      waiter.poolTurn?.abort();
    }
  });

  return {
    acquire: (window) =>
      new Promise<SlabPair>((resolve, reject) => {
        if (cancellation.cancelled) {
          reject(cancellation.reason);
          return;
        }
        waiters.push({ window, grant: resolve, refuse: reject, served: false });
        next();
      }),
    setCurrentWindow(window) {
      currentWindow = window;
      next();
    },
    close() {
      closed = true;
      removeListener();
      if (reservedFree) releaseReservedSlabs();
    },
  };
}

/** Both slabs. Not raced against the cancellation: slabs that come too late would be lost. */
async function acquireTwo(pool: ComputePool, cancellation: Cancellation): Promise<Slab[]> {
  const controller = new AbortController();
  const removeListener = cancellation.onCancel(() => controller.abort(cancellation.reason));
  try {
    const slabs = await pool.acquire(2, controller.signal);
    if (!cancellation.cancelled) return slabs;
    for (const slab of slabs) slab.release();
    throw cancellation.reason;
  } finally {
    removeListener();
  }
}

function pairOf(slabs: readonly Slab[], reserved: boolean, onReleased: () => void): SlabPair {
  const [input, output] = slabs as [Slab, Slab];
  let held = true;
  return {
    input,
    output,
    reserved,
    release() {
      if (!held) return;
      held = false;
      input.release();
      output.release();
      onReleased();
    },
  };
}
