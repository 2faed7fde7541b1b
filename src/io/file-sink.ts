import type { Stats } from 'node:fs';
import { type FileHandle, open, readlink, rename, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { outputError } from './errno.js';
import { makeFolder, syncFolder } from './folder.js';
import { partPath, removeLeftovers } from './part-name.js';

/** Links that are followed to the target, as many as Linux does. */
const MAX_LINKS = 40;

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
 * either the old file or the whole new one. Opened at the first `prepare` or `write`. Missing folders
 * are made. Of a file that is replaced the rights and, where that is allowed, the owner stay; a link is
 * written through: the file that it leads to is replaced.
 *
 * @throws OrbweaverError from its methods: `OUTPUT_UNWRITABLE` (no permission, the
 * target is a folder, pipe or device), `DISK_FULL` (already in `prepare` when the free space does
 * not do), `SIZE_MISMATCH` from `commit`, `STORAGE_FAILED`, `CLOSED` after commit or abort
 * @example
 * const sink = fileSink('model.bin');
 * await sink.write(bytes, 0);
 * await sink.commit(bytes.length);
 */
export function fileSink(path: string, options: FileSinkOptions = {}): Sink {
  /** Once it is open: where the file will be, behind all links, and what it is called until then. */
  let place: { readonly target: string; readonly part: string } | undefined;
  let opening: Promise<FileHandle> | undefined;
  let closed = false;
  let writtenBytes = 0;
  /** End of the last zeros that were left out: the file is new, so what is not written is a hole. */
  let skippedEnd = 0;

  const openPart = (): Promise<FileHandle> => {
    if (closed) return Promise.reject(closedError(path));
    opening ??= (async () => {
      const old = await findTarget(path);
      place = { target: old.target, part: partPath(old.target) };
      return openBeside({ ...old, ...place, path }, options);
    })();
    return opening;
  };
  const discard = async (): Promise<void> => {
    closed = true;
    const file = await opening?.catch(() => undefined);
    if (file === undefined || place === undefined) return;
    const { part } = place;
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
        const { part, target } = place as NonNullable<typeof place>;
        await rename(part, target);
        if (options.durable) await syncFolder(dirname(target));
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

/** What is there already: the file behind all links, of which rights and owner stay. */
interface OldFile {
  readonly target: string;
  /** Null: nothing is there. */
  readonly stats: Stats | null;
}

async function findTarget(path: string): Promise<OldFile> {
  let target = path;
  // Not `realpath`: a link may lead to a file that is still to be made.
  for (let hops = 0; hops < MAX_LINKS; hops++) {
    const link = await readlink(target).catch(() => null);
    if (link === null) return { target, stats: await stat(target).catch(() => null) };
    target = resolve(dirname(target), link);
  }
  const message = `"${path}" expected a writable output, got links that go in a circle`;
  throw new OrbweaverError('OUTPUT_UNWRITABLE', message, { path });
}

async function openBeside(
  { path, target, part, stats }: OldFile & { readonly path: string; readonly part: string },
  { removeLeftovers: sweep = true }: FileSinkOptions,
): Promise<FileHandle> {
  try {
    if (stats !== null && !stats.isFile()) {
      const got = stats.isDirectory() ? 'a folder' : 'a pipe or device';
      const message = `"${path}" expected a regular file or nothing, got ${got}`;
      throw new OrbweaverError('OUTPUT_UNWRITABLE', message, { path });
    }
    if (stats === null) await makeFolder(dirname(target));
    if (sweep) await removeLeftovers(target);
    // 'wx': a link planted under the unfinished name is an error, never followed.
    const file = await open(part, 'wx', stats === null ? 0o666 : 0o600);
    if (stats !== null) await keepRights(file, stats);
    return file;
  } catch (error) {
    throw outputError(error, path);
  }
}

/** As far as the system lets us: the owner first, because a change of owner takes rights away. */
async function keepRights(file: FileHandle, { mode, uid, gid }: Stats): Promise<void> {
  const own = await file.stat();
  if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid).catch(() => {});
  await file.chmod(mode & 0o7777).catch(() => {});
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
  // Some network file systems always say so; a disk that is really full says it again, and in time.
  if (freeBytes === 0) {
    process.emitWarning(`the file system of "${path}" reports no free space; trying all the same`);
    return;
  }
  const message = `"${path}" expected ${neededBytes} free bytes, got ${freeBytes}`;
  throw new OrbweaverError('DISK_FULL', message, { path, neededBytes, freeBytes });
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
