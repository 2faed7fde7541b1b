import type { SourceReader } from '../client/ports.js';
import { zipInvalid } from './zip-error.js';

/** Bytes of a stream, with the right to give some back. */
export interface ByteQueue {
  /** Exactly `count` next bytes, owned by the caller. @throws OrbweaverError `ZIP_INVALID` at the end */
  take(count: number, what: string): Promise<Uint8Array>;
  /** 1 to `most` next bytes, to be read and not to be changed; empty at the end. */
  takeSome(most: number): Promise<Uint8Array>;
  /** Un-takes the last `count` bytes of what `takeSome` gave last. */
  giveBack(count: number): void;
  /** Bytes taken so far and not given back. */
  readonly position: number;
}

const READ_BYTES: number = 1 << 16;

export function createByteQueue(reader: SourceReader, archive: string): ByteQueue {
  let buffer: Uint8Array = new Uint8Array(0);
  let start = 0;
  let ended = false;
  let position = 0;
  const refill = async (): Promise<void> => {
    if (start < buffer.length || ended) return;
    // A new one each time: what was taken of the old one is still in use.
    const next = new Uint8Array(READ_BYTES);
    const length = await reader.read(next);
    ended = length === 0;
    buffer = next.subarray(0, length);
    start = 0;
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
      const some = buffer.subarray(start, start + most);
      start += some.length;
      position += some.length;
      return some;
    },
    giveBack(count) {
      start -= count;
      position -= count;
    },
    get position() {
      return position;
    },
  };
  return queue;
}
