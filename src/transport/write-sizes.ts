/**
 * How large the writes of request bodies may be. Larger ones cost less processor time, but a write is
 * progress only when all of it is gone, so it must be small enough for the slowest link that still
 * counts as alive: 64 KiB in 30 s is 17 kbit/s. A link earns larger ones by carrying them within a quarter
 * of a second, and keeps them from one body to the next until it disappoints. Measured on loopback, per
 * GiB: 0.86 s of CPU with 64 KiB, 0.62 with 512 KiB, 0.59 with 1 MiB, 0.50 with 4 MiB.
 */
export interface WriteSizes {
  /** A body begins to be sent. */
  start(nowMs: number): BodyWrites;
  /** Nothing moved for too long: the next body begins carefully. */
  stalled(): void;
}

export interface BodyWrites {
  /** Size of the next write, after `sentBytes` of this body. */
  next(sentBytes: number, nowMs: number): number;
  /** The server has responded to all of it, so all of it has arrived. */
  arrived(sentBytes: number, nowMs: number): void;
}

export const LEAST_WRITE_BYTES: number = 64 * 1024;
export const MOST_WRITE_BYTES: number = 4 * 1024 * 1024;
/** What the link is known to carry in this time is one write: it may become 120 times as slow. */
const WRITE_MS = 250;
/** What the buffers of both kernels may have swallowed without anything having arrived. */
const BUFFERED_BYTES = 10 * 1024 * 1024;
/** Smaller bodies tell of the time that the server thinks and not of the link. */
const LEAST_MEASURED_BYTES = 1024 * 1024;
/** A write that took longer shows that the link is not what it was. */
const SLOW_WRITE_MS = 2000;

export function createWriteSizes(): WriteSizes {
  /** What the link is known to carry. */
  let bytesPerSecond = 0;

  return {
    stalled() {
      bytesPerSecond = 0;
    },
    start(startMs) {
      let fromMs = startMs;
      let fromBytes = 0;
      let lastMs = startMs;
      return {
        next(sentBytes, nowMs) {
          if (nowMs - lastMs > SLOW_WRITE_MS) {
            bytesPerSecond = 0;
            fromMs = nowMs;
            fromBytes = sentBytes;
          }
          lastMs = nowMs;
          const arrivedBytes = sentBytes - fromBytes - BUFFERED_BYTES;
          const measured = (arrivedBytes * 1000) / Math.max(1, nowMs - fromMs);
          bytesPerSecond = Math.max(bytesPerSecond, measured);
          const fitting = Math.trunc(
            Math.min(MOST_WRITE_BYTES, (bytesPerSecond * WRITE_MS) / 1000),
          );
          return Math.max(LEAST_WRITE_BYTES, fitting);
        },
        arrived(sentBytes, nowMs) {
          const arrivedBytes = sentBytes - fromBytes;
          if (arrivedBytes < LEAST_MEASURED_BYTES) return;
          const measured = (arrivedBytes * 1000) / Math.max(1, nowMs - fromMs);
          bytesPerSecond = Math.max(bytesPerSecond, measured);
        },
      };
    },
  };
}
