import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** Half of the least chunk, so that no chunk is without a stamp. */
const STAMP_EVERY_BYTES = 4096;
const STAMP_BYTES = 16;

/**
 * Copies a file so that no server has a chunk of it: the same 16 random bytes every 4096, which
 * leaves its size, and nearly how well it compresses. Two copies share nothing either.
 */
export async function writeFreshCopy(from: string, to: string): Promise<void> {
  const stamp = randomBytes(STAMP_BYTES);
  let position = 0;
  await pipeline(
    createReadStream(from, { highWaterMark: 1 << 20 }),
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        yield stamped(piece, position, stamp);
        position += piece.length;
      }
    },
    createWriteStream(to),
  );
}

function stamped(piece: Buffer, position: number, stamp: Buffer): Buffer {
  const first = position - (position % STAMP_EVERY_BYTES);
  for (let at = first; at < position + piece.length; at += STAMP_EVERY_BYTES) {
    for (let i = 0; i < STAMP_BYTES; i++) {
      const index = at + i - position;
      if (index >= 0 && index < piece.length) piece[index] = stamp[i] as number;
    }
  }
  return piece;
}
