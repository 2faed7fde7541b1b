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
 * When more than this share of the last calls took longer, none are made. On a slow disk it is every
 * other one (the first touch of a name, of its bytes); on a busy machine a few now and then.
 */
const MOST_SLOW = 0.25;
/** Weight of the last call in the share. */
const WEIGHT = 1 / 16;
/** After so many looks at `quick` it is tried again: the slow part may be over. */
const RETRY_AFTER = 1024;

export function createDiskPace(nowMs: () => number = () => performance.now()): DiskPace {
  let slowShare = 0;
  let asked = 0;
  return {
    get quick() {
      if (slowShare <= MOST_SLOW) return true;
      asked++;
      if (asked < RETRY_AFTER) return false;
      asked = 0;
      slowShare = MOST_SLOW;
      return true;
    },
    measure(call) {
      const startedMs = nowMs();
      try {
        return call();
      } finally {
        const isSlow = nowMs() - startedMs > QUICK_MS ? 1 : 0;
        slowShare += (isSlow - slowShare) * WEIGHT;
      }
    },
  };
}
