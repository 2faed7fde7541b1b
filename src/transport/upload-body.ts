import type { PacedBody } from './link-pace.js';
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

/** One sending of a body. A retry makes another one. */
export interface BodyStream extends Iterable<Uint8Array> {
  /** Lets go of the pieces: whatever happens to the connection, none is read again. */
  stop(): void;
}

export function createBodyStream(
  body: UploadBody,
  clock: TransportClock,
  paced: PacedBody,
  observer: SendObserver,
): BodyStream {
  let stopped = false;

  function* writes(): Generator<Uint8Array, void, undefined> {
    let sentBytes = 0;
    for (const piece of body.pieces) {
      let offset = 0;
      while (offset < piece.length) {
        if (stopped) return;
        const length = Math.min(paced.writeBytes(sentBytes, clock.now()), piece.length - offset);
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
    [Symbol.iterator]: writes,
    stop() {
      stopped = true;
    },
  };
}
