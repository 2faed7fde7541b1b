import type { Clock } from '../flow/index.js';

/**
 * Notices that nothing moves. It measures the time since the last progress and not since the start,
 * so a slow transfer lives and a dead one does not. While it is paused (nobody has asked for more)
 * no time counts.
 */
export interface StallTimer {
  /** A byte moved. */
  progress(): void;
  /** Another limit from now on; counts as progress. */
  limit(limitMs: number): void;
  pause(): void;
  resume(): void;
  stop(): void;
}

/** Starts at once; calls `onStall` at most once. */
export function startStallTimer(clock: Clock, limitMs: number, onStall: () => void): StallTimer {
  let limit = limitMs;
  let last = clock.now();
  let cancel: (() => void) | null = null;
  let running = true;
  let paused = false;
  // One timer that looks again when it fires: a chunk costs a clock reading, not a timer.
  const arm = (delayMs: number): void => {
    cancel = clock.setTimer(delayMs, () => {
      cancel = null;
      if (paused) return;
      const left = last + limit - clock.now();
      if (left > 0) arm(left);
      else {
        running = false;
        onStall();
      }
    });
  };
  const disarm = (): void => {
    cancel?.();
    cancel = null;
  };
  arm(limit);
  return {
    progress() {
      last = clock.now();
    },
    limit(newLimitMs) {
      const shorter = newLimitMs < limit;
      limit = newLimitMs;
      last = clock.now();
      if (running && shorter && cancel !== null) {
        disarm();
        arm(limit);
      }
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      last = clock.now();
      if (running && cancel === null) arm(limit);
    },
    stop() {
      running = false;
      disarm();
    },
  };
}
