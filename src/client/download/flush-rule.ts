import type { Clock } from '../../flow/index.js';

/**
 * When received records are passed on, although their slab has room for more. What a killed process has
 * received and not written is lost, so a new download passes them on after 5 ms, if they are 128 KiB, and at
 * the latest when they are 1 MiB. But every time costs a task, a write and a note, 0.4 s of processor time
 * for each GiB: so all three grow with what has been fetched, and a kill loses a share of it, less than a
 * hundredth with four connections.
 */
export interface FlushRule {
  /** Of its clock, ms. */
  now(): number;
  /** Whether so many bytes of records are passed on from a slab that was taken then. */
  isDue(bytes: number, takenMs: number): boolean;
}

const FLUSH_MS = 5;
const LEAST_BYTES: number = 1 << 17;
const MOST_BYTES: number = 1 << 20;
/** At so many fetched bytes they begin to grow. */
const GROWS_FROM_BYTES: number = 1 << 28;
/** And they grow so many times. */
const MOST_GROWTH = 8;

/** @param fetchedBytes tells what has been fetched so far, by this process */
export function flushRule(clock: Pick<Clock, 'now'>, fetchedBytes: () => number): FlushRule {
  return {
    now: () => clock.now(),
    isDue(bytes, takenMs) {
      const growth = Math.min(MOST_GROWTH, Math.max(1, fetchedBytes() / GROWS_FROM_BYTES));
      if (bytes < LEAST_BYTES * growth) return false;
      return bytes >= MOST_BYTES * growth || clock.now() - takenMs >= FLUSH_MS * growth;
    },
  };
}
