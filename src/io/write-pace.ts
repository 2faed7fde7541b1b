/**
 * Tells whether a file takes bytes fast enough for threads that compute to write them: on a disk that
 * makes them wait, they would keep everybody else's work waiting too.
 */
export interface WritePace {
  /** True: threads may write. */
  readonly quick: boolean;
  /** A thread wrote so many bytes in so many milliseconds. */
  note(writtenBytes: number, writeMs: number): void;
}

/** Below this a thread waits more than it computes; memory takes 1.5 GB/s. */
const SLOW_BYTES_PER_MS = 50_000;
/** What a write may take however small it is: a busy machine stops a thread for so long. */
const LEAST_SLOW_MS = 20;
/** When more than this share of the last writes was slow, threads write no more. */
const MOST_SLOW = 0.3;
/** Weight of the last write in the share. */
const WEIGHT = 1 / 8;
/** After so many looks at `quick` it is tried again: the slow part may be over. */
const RETRY_AFTER = 64;

export function createWritePace(): WritePace {
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
    note(writtenBytes, writeMs) {
      const limitMs = LEAST_SLOW_MS + writtenBytes / SLOW_BYTES_PER_MS;
      slowShare += ((writeMs > limitMs ? 1 : 0) - slowShare) * WEIGHT;
    },
  };
}
