import type { ByteRange, FetchedPart, RangeReader, RangeReceiver } from '../client/ports.js';

/** The two older ways to read ranges, over a reader; they go when nobody uses them any more. */

const PART_BYTES = 256 * 1024;

/** Parts are views of one buffer, valid until the next step. */
export async function* partsOf(reader: RangeReader): AsyncGenerator<FetchedPart, void, undefined> {
  const buffer = new Uint8Array(PART_BYTES);
  try {
    for (;;) {
      const count = await reader.fill(buffer);
      if (count === 0) return;
      yield { rangeIndex: reader.rangeIndex, bytes: buffer.subarray(0, count) };
    }
  } finally {
    reader.cancel();
  }
}

/** Reads one range to where the receiver says; resolves with its bytes. */
export async function receiveInto(
  reader: RangeReader,
  range: ByteRange,
  receiver: RangeReceiver,
): Promise<number> {
  let receivedBytes = 0;
  try {
    while (receivedBytes < range.end - range.start) {
      const room = receiver.room();
      if (room === null) {
        await receiver.ready();
        continue;
      }
      const count = await reader.fill(room);
      receiver.received(0, count);
      receivedBytes += count;
    }
    return receivedBytes;
  } finally {
    reader.cancel();
  }
}
