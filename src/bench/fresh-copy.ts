import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Half of the least chunk, so that no chunk is without a stamp. */
const STAMP_EVERY_BYTES = 4096;
const STAMP_BYTES = 16;
const BLOCK_BYTES = 256 * STAMP_EVERY_BYTES;

/**
 * Copies a file so that no server has a chunk of it: the same 16 random bytes every 4096, which
 * leaves its size, and nearly how well it compresses. Two copies share nothing either.
 */
export async function writeFreshCopy(from: string, to: string): Promise<void> {
  const stamp = randomBytes(STAMP_BYTES);
  const block = Buffer.alloc(BLOCK_BYTES);
  const source = await open(from);
  const target = await open(to, 'w').catch(async (error: unknown) => {
    await source.close();
    throw error;
  });
  try {
    for (let position = 0; ; position += BLOCK_BYTES) {
      // A regular file fills the block, except at its end.
      const { bytesRead } = await source.read(block, 0, BLOCK_BYTES, position);
      if (bytesRead === 0) return;
      for (let at = 0; at < bytesRead; at += STAMP_EVERY_BYTES) stamp.copy(block, at);
      await target.write(block, 0, bytesRead, position);
    }
  } finally {
    await target.close();
    await source.close();
  }
}
