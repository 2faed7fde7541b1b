import type { SourceReader } from '../client/ports.js';
import { zipInvalid } from './zip-error.js';

/** Bytes of a stream, with a look ahead and the right to give some back. */
export interface ByteQueue {
  /** Exactly `count` next bytes, owned by the caller. @throws OrbweaverError `ZIP_INVALID` at the end */
  take(count: number, what: string): Promise<Uint8Array>;
  /** 1 to `most` next bytes, owned by the caller; empty at the end. */
  takeSome(most: number): Promise<Uint8Array>;
  /** Puts bytes back in front. */
  giveBack(bytes: Uint8Array): void;
}

const READ_BYTES: number = 1 << 16;

export function createByteQueue(reader: SourceReader, archive: string): ByteQueue {
  let front: Uint8Array = new Uint8Array(0);
  let ended = false;
  const refill = async (): Promise<void> => {
    if (front.length > 0 || ended) return;
    const buffer = new Uint8Array(READ_BYTES);
    const length = await reader.read(buffer);
    ended = length === 0;
    front = buffer.subarray(0, length);
  };
  const queue: ByteQueue = {
    async take(count, what) {
      const bytes = new Uint8Array(count);
      let filled = 0;
      while (filled < count) {
        const some = await queue.takeSome(count - filled);
        if (some.length === 0) throw zipInvalid(archive, `${count} bytes of ${what}`, filled);
        bytes.set(some, filled);
        filled += some.length;
      }
      return bytes;
    },
    async takeSome(most) {
      await refill();
      const some = front.subarray(0, most);
      front = front.subarray(some.length);
      return some;
    },
    giveBack(bytes) {
      if (bytes.length === 0) return;
      const joined = new Uint8Array(bytes.length + front.length);
      joined.set(bytes);
      joined.set(front, bytes.length);
      front = joined;
    },
  };
  return queue;
}
