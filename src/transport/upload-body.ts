import type { TransportClock } from './ports.js';

/**
 * A request body that is sent from where it lies. Each write is a `Buffer` over the piece's memory,
 * shared or not: nothing is copied before the kernel copies it.
 */
export interface UploadBody {
  readonly sizeBytes: number;
  readonly pieces: readonly Uint8Array[];
}

/** What happens while a body is sent. */
export interface SendObserver {
  /** The connection took bytes; `sentBytes` so far in this attempt. */
  onProgress(sentBytes: number): void;
  /** All bytes are with the connection: from here on it is the server's turn. */
  onSent(): void;
}

/**
 * A write is progress only when all of it is gone, so it must be small enough for the slowest link
 * that still counts as alive: 64 KiB in 30 s is 17 kbit/s. Larger writes cost half the CPU (measured
 * on loopback: 0.20 s per 256 MiB at 64 KiB, 0.10 s at 512 KiB), so they come where the link has shown
 * that it carries them within about a second.
 */
const LEAST_WRITE_BYTES = 64 * 1024;
const MOST_WRITE_BYTES = 512 * 1024;
/** What the buffers of both kernels may have swallowed without anything having arrived. */
const BUFFERED_BYTES = 10 * 1024 * 1024;

/** One sending of a body. A retry makes another one. */
export interface BodyStream extends AsyncIterable<Uint8Array> {
  /** Lets go of the pieces: whatever happens to the connection, none is read again. */
  stop(): void;
}

export function createBodyStream(
  body: UploadBody,
  clock: TransportClock,
  observer: SendObserver,
): BodyStream {
  let stopped = false;
  const startedMs = clock.now();

  const writeBytes = (sentBytes: number): number => {
    const arrivedBytes = sentBytes - BUFFERED_BYTES;
    const elapsedMs = Math.max(1, clock.now() - startedMs);
    const perSecond = (arrivedBytes * 1000) / elapsedMs;
    return perSecond >= MOST_WRITE_BYTES ? MOST_WRITE_BYTES : LEAST_WRITE_BYTES;
  };

  async function* writes(): AsyncGenerator<Uint8Array> {
    let sentBytes = 0;
    for (const piece of body.pieces) {
      let offset = 0;
      while (offset < piece.length) {
        const length = Math.min(writeBytes(sentBytes), piece.length - offset);
        yield Buffer.from(piece.buffer, piece.byteOffset + offset, length);
        // Resumed: the connection has taken the write.
        if (stopped) return;
        offset += length;
        sentBytes += length;
        observer.onProgress(sentBytes);
      }
    }
    observer.onSent();
  }

  return {
    [Symbol.asyncIterator]: writes,
    stop() {
      stopped = true;
    },
  };
}
