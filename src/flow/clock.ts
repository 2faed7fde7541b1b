/**
 * Time as a port: everything that waits, measures or expires takes one, so that a test moves time by
 * hand (`test/flow/scheduler.ts`). The clock of the machine is `platform/`'s.
 */
export interface Clock {
  /** Milliseconds that only grow, from any start: for durations and deadlines. */
  now(): number;
  /** Milliseconds since the Unix epoch, which somebody may set back: for dates of others only. */
  unixMs(): number;
  /** Calls `callback` once after `delayMs`, however long that is; the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void, options?: TimerOptions): () => void;
}

/** How a timer is set. */
export interface TimerOptions {
  /** A process with nothing else to do ends without waiting for it. @default false */
  readonly background?: boolean | undefined;
}
