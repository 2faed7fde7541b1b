import { createSlowShare } from './slow-share.js';

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

export function createWritePace(): WritePace {
  const share = createSlowShare({ mostSlow: 0.3, weight: 1 / 8, retryAfter: 64 });
  return {
    get quick() {
      return share.quick;
    },
    note(writtenBytes, writeMs) {
      share.note(writeMs > LEAST_SLOW_MS + writtenBytes / SLOW_BYTES_PER_MS);
    },
  };
}
