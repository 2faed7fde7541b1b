import { Deferred, Owned, type Scope } from '../../flow/index.js';
import type { ComputePool, Slab } from '../ports.js';

/**
 * A slab that records are received into and one that they are decoded into. They are always taken
 * together: whoever holds received bytes can also decode them, so no two can wait for each other.
 */
export interface SlabPair {
  readonly input: Slab;
  readonly output: Slab;
  /** The holder must not wait for other data while it has it: see {@link orderedPairs}. */
  readonly isReserved: boolean;
}

/** Where the fetches of a block get their memory. */
export interface PairSource {
  /** `window` says which part of the output it is for. @throws OrbweaverError the scope's reason */
  acquire(window: number): Promise<Owned<SlabPair>>;
  /** The output before this window is complete. */
  advanceTo(window: number): void;
}

/** For sinks that can be written anywhere: a decoded pair is written at once and comes back. */
export function freePairs(pool: ComputePool, scope: Scope): PairSource {
  return {
    async acquire() {
      const [input, output] = await takeTwo(pool, scope);
      return new Owned<SlabPair>({ input, output, isReserved: false }, giveBack);
    },
    advanceTo() {},
  };
}

/**
 * For sinks that take bytes in order only. Decoded bytes of later windows wait for their turn, so
 * pairs taken freely could all end up waiting for a range that finds none. Therefore:
 *
 * - one pair is reserved for the current window, and its holder never waits for order (it copies
 *   aside what is early), so the current window always moves on;
 * - further pairs, at most `maxExtra`, read ahead; they are taken only while nobody waits in the pool;
 * - when others wait, the reserved pair goes back after each use and is queued for again like
 *   anybody's. The queue is only ever entered without a slab in hand.
 */
export function orderedPairs(pool: ComputePool, maxExtra: number, scope: Scope): PairSource {
  const waiting: { readonly window: number; readonly turn: Deferred<Owned<SlabPair>> }[] = [];
  let currentWindow = 0;
  let extraCount = 0;
  /** The slabs of the reserved pair, while nobody uses it. */
  let reserved: TwoSlabs | null = null;
  let state: 'none' | 'asked' | 'held' = 'none';

  const grant = (at: number, pair: Owned<SlabPair>): void => {
    const [waiter] = waiting.splice(at, 1);
    waiter?.turn.resolve(pair);
  };
  const onReserved = (slabs: TwoSlabs): void => {
    if (scope.ended || (extraCount === 0 && pool.waiting > 0)) {
      for (const slab of slabs) slab.release();
      reserved = null;
      state = 'none';
    } else reserved = slabs;
    serve();
  };
  const ask = async (): Promise<void> => {
    state = 'asked';
    const slabs = await takeTwo(pool, scope);
    state = 'held';
    reserved = slabs;
    if (scope.ended) onReserved(slabs);
    else serve();
  };
  const grantExtra = async (waiter: (typeof waiting)[number]): Promise<void> => {
    const [input, output] = await takeTwo(pool, scope);
    const pair: SlabPair = { input, output, isReserved: false };
    waiter.turn.resolve(
      new Owned(pair, (done) => {
        giveBack(done);
        extraCount--;
        serve();
      }),
    );
  };
  const serve = (): void => {
    if (scope.ended) return;
    const current = waiting.findIndex(({ window }) => window <= currentWindow);
    if (current >= 0) {
      if (state === 'none') void scope.spawn(ask());
      else if (reserved !== null) {
        const slabs = reserved;
        reserved = null;
        const pair: SlabPair = { input: slabs[0], output: slabs[1], isReserved: true };
        grant(current, new Owned(pair, () => onReserved(slabs)));
      }
    }
    while (state === 'held' && extraCount < maxExtra && pool.waiting === 0 && pool.freeSlabs >= 2) {
      const waiter = waiting.shift();
      if (waiter === undefined) break;
      extraCount++;
      void scope.spawn(grantExtra(waiter));
    }
  };
  scope.onEnd(() => {
    for (const { turn } of waiting.splice(0)) turn.reject(scope.reason);
    for (const slab of reserved ?? []) slab.release();
    reserved = null;
  });

  return {
    acquire(window) {
      if (scope.ended) return Promise.reject(scope.reason);
      const turn = new Deferred<Owned<SlabPair>>();
      waiting.push({ window, turn });
      serve();
      return turn.promise;
    },
    advanceTo(window) {
      currentWindow = window;
      serve();
    },
  };
}

type TwoSlabs = readonly [Slab, Slab];

function giveBack({ input, output }: SlabPair): void {
  input.release();
  output.release();
}

/** Both slabs. Not raced against the end of the scope: slabs that come too late would be lost. */
async function takeTwo(pool: ComputePool, scope: Scope): Promise<TwoSlabs> {
  scope.check();
  const controller = new AbortController();
  const forget = scope.onEnd(() => controller.abort(scope.reason));
  try {
    const slabs = await pool.acquire(2, controller.signal);
    if (scope.ended) for (const slab of slabs) slab.release();
    scope.check();
    return slabs as unknown as TwoSlabs;
  } catch (error) {
    scope.check();
    throw error;
  } finally {
    forget();
  }
}
