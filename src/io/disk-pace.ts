import { createSlowShare } from './slow-share.js';

/**
 * Tells whether files are at hand: cached, or on a fast disk. A blocking call then takes some ten
 * microseconds, while an asynchronous one costs several times that in messages between threads; on
 * a slow disk or network it is the other way round, and nothing may block.
 *
 * One of these serves all small files of an upload.
 */
export interface DiskPace {
  /** True: a blocking call is the cheaper one now. */
  readonly quick: boolean;
  /** Runs a blocking call and notes how long it took. */
  measure<T>(call: () => T): T;
}

/** What a blocking call may take: a cached file takes a twentieth of it. */
const QUICK_MS = 0.5;
/**
 * On a slow disk every other call is slow (the first touch of a name, of its bytes); on a busy machine a
 * few are now and then.
 */
const MOST_SLOW = 0.25;

export function createDiskPace(nowMs: () => number = () => performance.now()): DiskPace {
  const share = createSlowShare({ mostSlow: MOST_SLOW, weight: 1 / 16, retryAfter: 1024 });
  return {
    get quick() {
      return share.quick;
    },
    measure(call) {
      const startedMs = nowMs();
      try {
        return call();
      } finally {
        share.note(nowMs() - startedMs > QUICK_MS);
      }
    },
  };
}
