import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, outputError } from './errno.js';

/**
 * Blocks of bytes in a file that is only ever added to, each
 *
 *     length u32, little-endian | first 8 bytes of SHA-256 | bytes
 *
 * A block that a crash tore, or that the disk damaged, is where the log ends: what was to follow is
 * not read, and cut off before more is added.
 */
const HEADER_BYTES = 12;
/** Far above any block that is written; a length beyond it is damage. */
const MAX_BLOCK_BYTES: number = 64 * 1024 * 1024;

/** The blocks of a file, one at a time; none when there is no such file. @throws OrbweaverError */
export async function* readBlocks(path: string): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of wholeBlocks(path)) yield bytes;
}

/** Where the last whole block ends. @throws OrbweaverError */
export async function endOfBlocks(path: string): Promise<number> {
  let last = 0;
  for await (const { end } of wholeBlocks(path)) last = end;
  return last;
}

/** A block as it is written. */
export function encodeBlock(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_BLOCK_BYTES) {
    throw new RangeError(`"bytes" expected at most ${MAX_BLOCK_BYTES}, got ${bytes.length}`);
  }
  const block = new Uint8Array(HEADER_BYTES + bytes.length);
  new DataView(block.buffer).setUint32(0, bytes.length, true);
  block.set(sumOf(bytes), 4);
  block.set(bytes, HEADER_BYTES);
  return block;
}

async function* wholeBlocks(
  path: string,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly end: number }> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw outputError(error, path);
  }
  try {
    const { size } = await file.stat();
    const header = new Uint8Array(HEADER_BYTES);
    for (let at = 0; at + HEADER_BYTES <= size; ) {
      if (!(await fill(file, header, at))) return;
      const length = new DataView(header.buffer).getUint32(0, true);
      const end = at + HEADER_BYTES + length;
      if (length > MAX_BLOCK_BYTES || end > size) return;
      const bytes = new Uint8Array(length);
      if (!(await fill(file, bytes, at + HEADER_BYTES))) return;
      if (Buffer.compare(sumOf(bytes), header.subarray(4)) !== 0) return;
      yield { bytes, end };
      at = end;
    }
  } catch (error) {
    throw outputError(error, path);
  } finally {
    await file.close();
  }
}

/** False: the file ends before. */
async function fill(file: FileHandle, into: Uint8Array, position: number): Promise<boolean> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

function sumOf(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest().subarray(0, 8);
}
