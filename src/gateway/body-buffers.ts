import type { Clock } from '../flow/index.js';

/**
 * Memory for bodies of xorbs. One buffer is kept for the next body: fresh memory for each would cost
 * a page fault and zeroes for every 4 KiB, and have the collector run for every 64 MiB.
 */
export interface BodyBuffers {
  /** All of a buffer, of any content. Pages that were never written to take no memory. */
  take(): Uint8Array<ArrayBuffer>;
  /** Nobody uses the buffer behind these bytes any more. */
  giveBack(bytes: Uint8Array<ArrayBuffer>): void;
  /** Keeps nothing from now on. */
  close(): void;
}

/** Longer than the pauses in an upload, short enough that an idle gateway is small. */
const KEEP_MS = 5_000;

/** @param capacityBytes the longest body */
export function createBodyBuffers(clock: Clock, capacityBytes: number): BodyBuffers {
  let spare: ArrayBuffer | null = null;
  let stopTimer = (): void => undefined;
  let closed = false;
  const drop = (): void => {
    stopTimer();
    spare = null;
  };
  return {
    take() {
      const buffer = spare ?? new ArrayBuffer(capacityBytes);
      drop();
      return new Uint8Array(buffer);
    },
    giveBack({ buffer }) {
      if (closed || spare !== null) return;
      spare = buffer;
      stopTimer = clock.setTimer(KEEP_MS, drop, { background: true });
    },
    close() {
      closed = true;
      drop();
    },
  };
}
