import { type FileHandle, open, rename, stat, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { outputError } from './errno.js';
import { partPath, removeLeftovers } from './part-name.js';

export interface FileSinkOptions {
  /**
   * Wait until the disk has the bytes and the name (fsync) before `commit` is done.
   * @default false
   */
  readonly durable?: boolean | undefined;
  /**
   * Remove what killed runs left of the same target. Lists the folder once; switch it off when
   * thousands of files go into one folder.
   * @default true
   */
  readonly removeLeftovers?: boolean | undefined;
}

/**
 * A file as a sink. Bytes go, in any order, to a file of a unique name beside the target, which
 * gets the target's name on `commit` and is removed on `abort`: under the final name there is
 * either the old file or the whole new one. Opened at the first `prepare` or `write`.
 *
 * @throws OrbweaverError from its methods: `OUTPUT_UNWRITABLE` (no such folder, no permission, the
 * target is a folder, pipe or device), `DISK_FULL` (already in `prepare` when the free space does
 * not do), `SIZE_MISMATCH` from `commit`, `STORAGE_FAILED`, `CLOSED` after commit or abort
 * @example
 * const sink = fileSink('model.bin');
 * await sink.write(bytes, 0);
 * await sink.commit(bytes.length);
 */
export function fileSink(path: string, options: FileSinkOptions = {}): Sink {
  const part = partPath(path);
  let opening: Promise<FileHandle> | undefined;
  let closed = false;
  let writtenBytes = 0;
  /** End of the last zeros that were left out: the file is new, so what is not written is a hole. */
  let skippedEnd = 0;

  const openPart = (): Promise<FileHandle> => {
    if (closed) return Promise.reject(closedError(path));
    opening ??= openBeside(path, part, options.removeLeftovers ?? true);
    return opening;
  };
  const discard = async (): Promise<void> => {
    closed = true;
    const file = await opening?.catch(() => undefined);
    if (file === undefined) return;
    // The name goes at once, however long writing goes on.
    const unlinked = await unlink(part).then(
      () => true,
      () => false,
    );
    // `close` waits for the writes that are still under way.
    await file.close().catch(() => {});
    // Some systems keep a file that is open.
    if (!unlinked) await unlink(part).catch(() => {});
  };

  return {
    name: path,
    positional: true,
    async prepare(sizeBytes) {
      await openPart();
      await checkFreeSpace(path, sizeBytes - writtenBytes);
    },
    async write(bytes, offset) {
      const file = await openPart();
      await writeAll(file, bytes, offset, path);
      writtenBytes += bytes.length;
    },
    async writeAll(pieces, offset) {
      const file = await openPart();
      const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const { bytesWritten } = await file.writev([...pieces], offset).catch((error: unknown) => {
        throw outputError(error, path);
      });
      let skipBytes = bytesWritten;
      let at = offset;
      for (const piece of pieces) {
        const done = Math.min(skipBytes, piece.length);
        if (done < piece.length) await writeAll(file, piece.subarray(done), at + done, path);
        skipBytes -= done;
        at += piece.length;
      }
      writtenBytes += sizeBytes;
    },
    skip(offset, lengthBytes) {
      skippedEnd = Math.max(skippedEnd, offset + lengthBytes);
    },
    async commit(sizeBytes) {
      const file = await openPart();
      closed = true;
      try {
        let { size } = await file.stat();
        if (size < sizeBytes && skippedEnd === sizeBytes) {
          // The file ends with a hole.
          await file.truncate(sizeBytes);
          size = sizeBytes;
        }
        if (size !== sizeBytes) throw sizeMismatch(path, sizeBytes, size);
        if (options.durable) await file.sync();
        await file.close();
        await rename(part, path);
        if (options.durable) await syncFolder(dirname(path));
      } catch (error) {
        await discard();
        throw outputError(error, path);
      }
    },
    async abort() {
      if (!closed) await discard();
    },
  };
}

async function openBeside(path: string, part: string, sweep: boolean): Promise<FileHandle> {
  try {
    const target = await stat(path).catch(() => null);
    if (target !== null && !target.isFile()) {
      const got = target.isDirectory() ? 'a directory' : 'a pipe or device';
      const message = `"${path}" expected a regular file or nothing, got ${got}`;
      throw new OrbweaverError('OUTPUT_UNWRITABLE', message, { path });
    }
    if (sweep) await removeLeftovers(path);
    // 'wx': a link planted under the unfinished name is an error, never followed.
    return await open(part, 'wx');
  } catch (error) {
    throw outputError(error, path);
  }
}

/** One write may take less than all (a signal, a full disk): go on until done or an error. */
export async function writeAll(
  file: FileHandle,
  bytes: Uint8Array,
  offset: number,
  path: string,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file
      .write(bytes, done, bytes.length - done, offset + done)
      .catch((error: unknown) => {
        throw outputError(error, path);
      });
    if (bytesWritten === 0) {
      throw new OrbweaverError('STORAGE_FAILED', `"${path}" expected to take bytes, took none`, {
        path,
        offset: offset + done,
      });
    }
    done += bytesWritten;
  }
}

async function checkFreeSpace(path: string, neededBytes: number): Promise<void> {
  const space = await statfs(dirname(path)).catch(() => null);
  // Some file systems do not say how large they are.
  if (space === null || space.blocks === 0) return;
  const freeBytes = space.bavail * space.bsize;
  if (neededBytes <= freeBytes) return;
  const message = `"${path}" expected ${neededBytes} free bytes, got ${freeBytes}`;
  throw new OrbweaverError('DISK_FULL', message, { path, neededBytes, freeBytes });
}

/** Makes a rename inside `folder` survive a power cut, where the system can do that. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  if (handle === null) return;
  try {
    await handle.sync();
  } catch {
    // Windows and some network file systems refuse to sync a folder; there is nothing more to do.
  } finally {
    await handle.close();
  }
}

function sizeMismatch(path: string, expected: number, got: number): OrbweaverError {
  return new OrbweaverError('SIZE_MISMATCH', `"${path}" expected ${expected} bytes, got ${got}`, {
    path,
    expected,
    got,
  });
}

function closedError(path: string): OrbweaverError {
  return new OrbweaverError('CLOSED', `"${path}" expected an open output, got a finished one`, {
    path,
  });
}
