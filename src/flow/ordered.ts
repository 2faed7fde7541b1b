import { Deferred } from './deferred.js';
import type { Scope } from './scope.js';

/** What an {@link ordered} stage does. */
export interface OrderedOptions<In, Out> {
  readonly scope: Scope;
  /** Items between `push` and the end of their commit, at most. */
  readonly limit: number;
  /** Works on an item, beside the others. */
  readonly run: (item: In) => Promise<Out>;
  /** Called in the order of `push`, one after another, each when its `run` is done. */
  readonly commit: (out: Out, item: In) => void | Promise<void>;
}

/** A stage that works on several items at once and passes them on in order. */
export interface OrderedStage<In> {
  /**
   * Takes an item and resolves when there is room for the next one.
   * @throws OrbweaverError the reason of the scope
   */
  push(item: In): Promise<void>;
  /** Resolves when all items are committed. @throws OrbweaverError the reason of the scope */
  drain(): Promise<void>;
}

/**
 * Runs items concurrently up to a bound and commits them in the order in which they came, whatever
 * the order in which they are done. The first failure ends the scope; nothing is committed after it.
 */
export function ordered<In, Out>(options: OrderedOptions<In, Out>): OrderedStage<In> {
  const { scope, limit, run, commit } = options;
  let last: Promise<void> = Promise.resolve();
  let openCount = 0;
  let room: Deferred<void> | null = null;

  const through = async (item: In, before: Promise<void>): Promise<void> => {
    try {
      const out = await run(item);
      await before;
      scope.check();
      await commit(out, item);
    } finally {
      openCount--;
      room?.resolve();
      room = null;
    }
  };

  return {
    async push(item) {
      scope.check();
      openCount++;
      const done = through(item, last);
      last = scope.spawn(done);
      while (openCount >= limit) {
        room ??= new Deferred();
        await scope.race(room.promise);
      }
      scope.check();
    },
    async drain() {
      await scope.race(last);
      scope.check();
    },
  };
}
