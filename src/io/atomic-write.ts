import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { outputError } from './errno.js';
import { writeAll } from './file-sink.js';
import { syncFolder } from './folder.js';
import { partPath } from './part-name.js';

export interface WriteFileAtomicOptions {
  /**
   * Wait until the disk has the bytes and the name (fsync).
   * @default false
   */
  readonly durable?: boolean | undefined;
  /**
   * Permissions of the new file, before the umask.
   * @default 0o666
   */
  readonly mode?: number | undefined;
}

/**
 * Writes a file so that its name never stands for a part of it: to a unique name beside it, then
 * renamed. Pieces are written in order; async pieces may be made while earlier ones are written.
 *
 * @returns bytes written
 * @throws OrbweaverError `OUTPUT_UNWRITABLE`, `DISK_FULL`, `STORAGE_FAILED`, and whatever the
 * pieces throw; then nothing is left behind
 * @example
 * await writeFileAtomic('state.json', new TextEncoder().encode('{}'), { durable: true });
 */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: WriteFileAtomicOptions = {},
): Promise<number> {
  const part = partPath(path);
  const file = await open(part, 'wx', options.mode).catch((error: unknown) => {
    throw outputError(error, path);
  });
  try {
    let offset = 0;
    try {
      for await (const piece of data instanceof Uint8Array ? [data] : data) {
        await writeAll(file, piece, offset, path);
        offset += piece.length;
      }
      if (options.durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path).catch((error: unknown) => {
      throw outputError(error, path);
    });
    if (options.durable) await syncFolder(dirname(path));
    return offset;
  } catch (error) {
    await unlink(part).catch(() => {});
    throw error;
  }
}
