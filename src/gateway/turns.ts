import { createStepMeter, ENTRIES_PER_STEP, type Sequence } from '../bytes/index.js';
import { Budget, type Scope } from '../flow/index.js';

/** Sharing the one thread that serves everybody. */

/** Lets a bounded number of jobs run at a time, first come, first served. */
export interface Turns {
  /** @throws OrbweaverError `RATE_LIMITED` when too many wait; the reason of `scope`; what `run` throws */
  take<Result>(scope: Scope, run: () => Promise<Result>): Promise<Result>;
}

export function createTurns(count: number, maxWaiting?: number): Turns {
  const places = new Budget({ capacityBytes: count, maxWaiting });
  return {
    async take(scope, run) {
      const place = await places.acquire(1, scope);
      try {
        return await run();
      } finally {
        place.release();
      }
    },
  };
}

/** Lets input and output, and so other requests, have their turn between two stretches of computing. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Lets who waits go on one after another, each in a turn of the loop of its own. Pauses alone do not do
 * that: of many jobs that pause, all go on in the same turn.
 */
export function createOneByOne(): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(pause);
    return last;
  };
}

/** Runs what goes in steps, with a pause after each. */
export async function inSteps<Result>(steps: Generator<void, Result>): Promise<Result> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pause();
  }
}

/** Pauses after every `perTurn` entries. */
export function createYielder(
  perTurn: number = ENTRIES_PER_STEP,
): (entries: number) => Promise<void> | undefined {
  const isDue = createStepMeter(perTurn);
  return (entries) => (isDue(entries) ? pause() : undefined);
}

/** Items that may find all they need in memory, and so never wait, before others have their turn. */
const ITEMS_PER_TURN = 32;

/**
 * Runs `work` for every item, at most `limit` at a time, results in order. Stops at the first error.
 * Others have their turn after every {@link ITEMS_PER_TURN} items.
 */
export async function mapLimited<Item, Result>(
  items: Sequence<Item>,
  limit: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  let failed = false;
  const yieldAfter = createYielder(ITEMS_PER_TURN);
  let others: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const index = next++;
      try {
        results[index] = await work(items.at(index) as Item, index);
        const due = yieldAfter(1);
        // All of them wait for it: the rest would go on meanwhile.
        if (due !== undefined) {
          others = due.then(() => {
            others = undefined;
          });
        }
        if (others !== undefined) await others;
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run));
  return results;
}

/**
 * Runs `work` for everything that comes, at most `limit` at a time, and gives the results in order. What one
 * throws comes in its place; nothing runs any more when this has ended.
 */
export async function* mapAhead<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const ahead: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const job = work(item);
      // Somebody hears of it when its turn comes.
      job.catch(() => undefined);
      if (ahead.push(job) >= limit) yield await (ahead.shift() as Promise<Result>);
    }
    while (ahead.length > 0) yield await (ahead.shift() as Promise<Result>);
  } finally {
    await Promise.allSettled(ahead);
  }
}

/** Runs one `run` per key at a time: who asks meanwhile gets the same result. */
export function createFlights<Result>(): (
  key: string,
  run: () => Promise<Result>,
) => Promise<Result> {
  const running = new Map<string, Promise<Result>>();
  return (key, run) => {
    const known = running.get(key);
    if (known !== undefined) return known;
    const started = run().finally(() => running.delete(key));
    running.set(key, started);
    return started;
  };
}
