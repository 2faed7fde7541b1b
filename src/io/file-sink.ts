import { type FileHandle, rename, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { KeptRun, Sink, SinkPart } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { outputError } from './errno.js';
import { syncFolder } from './folder.js';
import { KeptPart } from './kept-part.js';
import { LEAST_KEPT_BYTES } from './kept-runs.js';
import { type FoundPlace, filePlace, type OutputPlace } from './output-place.js';

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
  /**
   * What the file will hold, as 16 hexadecimal digits or more: then `abort` leaves what was noted in the
   * sink's `part`, for a later sink of the same target and content to go on with.
   * @default nothing is left
   */
  readonly keepAs?: string | undefined;
  /**
   * Begin anew, whatever an earlier run left.
   * @default false
   */
  readonly anew?: boolean | undefined;
}

/**
 * A file as a sink. Bytes go, in any order, to a file of a unique name beside the target, which
 * gets the target's name on `commit` and is removed on `abort` (or left, see `keepAs`): under the final name there is
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
  return placeSink(filePlace(path, { sweeps: options.removeLeftovers !== false }), options);
}

/** The same for a place that says by itself where it is and what its file is like. */
export function placeSink(
  place: OutputPlace,
  options: Omit<FileSinkOptions, 'removeLeftovers'> = {},
): Sink {
  const { keepAs } = options;
  const path = place.shown;
  const kept =
    keepAs === undefined
      ? null
      : new KeptPart({ content: keepAs.slice(0, 16), leastBytes: LEAST_KEPT_BYTES });
  let finding: Promise<FoundPlace> | undefined;
  /** What the file is called until it has its name, once it is open. */
  let partName: string | Buffer | undefined;
  let opening: Promise<FileHandle> | undefined;
  let closed = false;
  let writtenBytes = 0;
  /** End of the last zeros that were left out: in a new file what is not written is a hole. */
  let skippedEnd = 0;
  /** In a file that is not new they have to be written where it had something. */
  let dirtyEnd = 0;
  const skipped: { readonly offset: number; lengthBytes: number }[] = [];
  /** The part of an earlier run. */
  let taken: FileHandle | null = null;
  /** What is noted was read back, not written. */
  let isReadBack = false;

  const find = (): Promise<FoundPlace> => {
    finding ??= place.find();
    return finding;
  };
  const openPart = (): Promise<FileHandle> => {
    if (closed) return Promise.reject(closedError(path));
    opening ??= (async () => {
      const { beside, plainPart } = await find();
      partName = beside === null || kept === null ? plainPart() : kept.pathFor(beside);
      return taken ?? place.open(partName);
    })();
    return opening;
  };
  const claims = async (): Promise<readonly KeptRun[]> => {
    const { beside, left } = await find();
    if (kept === null || beside === null || options.anew === true || closed) return [];
    const content = (keepAs ?? '').slice(0, 16);
    const found = await kept.takeOver(
      beside,
      left.filter((each) => each.content === content),
    );
    if (found === null) return [];
    taken = found.file;
    const { size, blocks } = await taken.stat();
    writtenBytes = Math.min(size, blocks * 512);
    dirtyEnd = size;
    isReadBack = true;
    await place.adopt(taken);
    await openPart();
    return found.runs;
  };
  const discard = async (): Promise<void> => {
    closed = true;
    try {
      const file = await opening?.catch(() => undefined);
      if (file === undefined || partName === undefined) return;
      const name = partName;
      if (kept !== null && kept.keptBytes > 0) {
        await file.close().catch(() => {});
        if (await kept.leave()) return;
      }
      // The name goes at once, however long writing goes on.
      const unlinked = await unlink(name).then(
        () => true,
        () => false,
      );
      // `close` waits for the writes that are still under way.
      await file.close().catch(() => {});
      // Some systems keep a file that is open.
      if (!unlinked) await unlink(name).catch(() => {});
      await kept?.leave();
    } finally {
      place.leave?.();
    }
  };
  const part: SinkPart | undefined =
    kept === null
      ? undefined
      : {
          claims: () =>
            claims().catch((error: unknown) => {
              throw outputError(error, path);
            }),
          read: (run) => kept.read(run),
          async readAt(into, offset) {
            const file = await openPart();
            await readOrZeros(file, into, offset, path);
          },
          note(run) {
            const noted = kept.note(run);
            // What was read back behind the end of the file was zeros.
            if (noted !== null && noted.offset + noted.sizeBytes > dirtyEnd && isReadBack) {
              skippedEnd = Math.max(skippedEnd, noted.offset + noted.sizeBytes);
            }
            return noted;
          },
          settle: async () => {
            isReadBack = false;
            await kept.settle();
          },
          forget() {
            if (dirtyEnd === Number.POSITIVE_INFINITY) return;
            dirtyEnd = Number.POSITIVE_INFINITY;
            skipped.length = 0;
            kept.forget();
          },
          get keptBytes() {
            return kept.keptBytes;
          },
        };

  return {
    name: path,
    positional: true,
    part,
    async prepare(sizeBytes) {
      kept?.expect(sizeBytes);
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
      if (offset >= dirtyEnd) return;
      const last = skipped.at(-1);
      if (last !== undefined && last.offset + last.lengthBytes === offset) {
        last.lengthBytes += lengthBytes;
      } else skipped.push({ offset, lengthBytes });
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
        if (size > sizeBytes && taken !== null) {
          await file.truncate(sizeBytes);
          size = sizeBytes;
        }
        if (size !== sizeBytes) {
          kept?.forget();
          throw sizeMismatch(path, sizeBytes, size);
        }
        for (const each of skipped) await writeZeros(file, each, path);
        await place.finish?.(file);
        if (options.durable) await file.sync();
        await file.close();
        const { target } = await find();
        await rename(partName as string | Buffer, target);
        if (options.durable) await syncFolder(dirname(String(target)));
        await kept?.finish();
        place.leave?.();
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

async function readOrZeros(
  file: FileHandle,
  into: Uint8Array,
  offset: number,
  path: string,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file
      .read(into, done, into.length - done, offset + done)
      .catch((error: unknown) => {
        throw outputError(error, path);
      });
    if (bytesRead === 0) into.fill(0, done);
    done = bytesRead === 0 ? into.length : done + bytesRead;
  }
}

/** Zeros that are written at a time. */
const ZEROS_BYTES: number = 1 << 20;

async function writeZeros(
  file: FileHandle,
  { offset, lengthBytes }: { readonly offset: number; readonly lengthBytes: number },
  path: string,
): Promise<void> {
  const zeros = new Uint8Array(Math.min(lengthBytes, ZEROS_BYTES));
  for (let done = 0; done < lengthBytes; done += zeros.length) {
    const piece = zeros.subarray(0, Math.min(zeros.length, lengthBytes - done));
    await writeAll(file, piece, offset + done, path);
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
