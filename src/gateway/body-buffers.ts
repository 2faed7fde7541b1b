import type { Clock } from './ports.js';

/**
 * Memory for bodies of xorbs. One buffer is kept for the next body: fresh memory for each would cost
 * a page fault and zeroes for every 4 KiB, and have the collector run for every 64 MiB.
 */
export interface BodyBuffers {
  /** `bytes` bytes of any content, at most `capacityBytes` of them. */
  take(bytes: number): Uint8Array;
  /** Nobody uses these bytes any more. */
  giveBack(bytes: Uint8Array): void;
  /** Keeps nothing from now on. */
  close(): void;
}

/** Longer than the pauses in an upload, short enough that an idle gateway is small. */
const KEEP_MS = 5_000;
/** Smaller bodies are not worth keeping a buffer for. */
const LEAST_BYTES = 1024 * 1024;

/** @param capacityBytes the longest body; pages of a buffer that were never written take no memory */
export function createBodyBuffers(clock: Clock, capacityBytes: number): BodyBuffers {
  let spare: ArrayBuffer | null = null;
  let stopTimer = (): void => undefined;
  let closed = false;
  const drop = (): void => {
    stopTimer();
    spare = null;
  };
  return {
    take(bytes) {
      if (bytes < LEAST_BYTES || bytes > capacityBytes) return new Uint8Array(bytes);
      const buffer = spare ?? new ArrayBuffer(capacityBytes);
      drop();
      return new Uint8Array(buffer, 0, bytes);
    },
    giveBack({ buffer }) {
      if (closed || spare !== null || buffer.byteLength !== capacityBytes) return;
      if (!(buffer instanceof ArrayBuffer)) return;
      spare = buffer;
      stopTimer = clock.setTimer(KEEP_MS, drop);
    },
    close() {
      closed = true;
      drop();
    },
  };
}
