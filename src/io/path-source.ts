import { closeSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Source, SourceReader } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { raceAbort, throwIfAborted } from './abort.js';
import type { DiskPace } from './disk-pace.js';
import { inputError } from './errno.js';
import { inputChanged } from './input-size.js';

/** Pipes and devices are read through a buffer of this size. */
const PIPE_BUFFER_BYTES: number = 1 << 16;

/** Files up to this size are read by blocking calls while the disk is quick. */
const SMALL_FILE_BYTES: number = 1 << 18;

/**
 * A path as a source. A regular file has a known size and is read straight into the views it is
 * given (shared memory too), by position, once. A pipe, a device (`/dev/stdin`) and the files of
 * `/proc`, which claim to be empty, have an unknown size and are read to their end. With a `pace`
 * small files are read by blocking calls as long as these are quick.
 *
 * @throws OrbweaverError `INPUT_NOT_FOUND`, `INPUT_IS_DIRECTORY`, `INPUT_UNREADABLE`; while it is
 * read also `INPUT_CHANGED` when the file does not end where it did when it was looked up
 * @example
 * const source = await pathSource('model.safetensors');
 */
export async function pathSource(
  path: string,
  name: string = path,
  pace?: DiskPace,
): Promise<Source> {
  const now = pace === undefined ? null : pathSourceNow(path, name, pace);
  if (now !== null) return now;
  const stats = await stat(path).catch((error: unknown) => {
    throw inputError(error, name);
  });
  return sourceFor(path, name, stats, pace);
}

/**
 * The same by a blocking call, while the disk is quick: thousands of small files then cost no
 * promises. Null: use {@link pathSource}. @throws what it throws
 */
export function pathSourceNow(path: string, name: string, pace: DiskPace): Source | null {
  if (!pace.quick) return null;
  let stats: Stats;
  try {
    stats = pace.measure(() => statSync(path));
  } catch (error) {
    throw inputError(error, name);
  }
  return sourceFor(path, name, stats, pace);
}

function sourceFor(path: string, name: string, stats: Stats, pace: DiskPace | undefined): Source {
  if (stats.isDirectory()) throw isDirectory(name);
  const { size } = stats;
  const isFile = stats.isFile();
  return isFile && size > 0
    ? sizedSource(path, name, size, pace)
    : { name, reopenable: isFile, open: (signal) => openUnsized(path, name, signal) };
}

/** A function of its own, so that thousands of sources do not keep what `stat` said besides. */
function sizedSource(
  path: string,
  name: string,
  sizeBytes: number,
  pace: DiskPace | undefined,
): Source {
  return {
    name,
    sizeBytes,
    reopenable: true,
    open: (signal) => openSized(path, name, sizeBytes, signal),
    ...(pace === undefined || sizeBytes > SMALL_FILE_BYTES
      ? {}
      : {
          readNow(into) {
            if (!pace.quick) return false;
            pace.measure(() => readSmall(path, name, sizeBytes, into));
            return true;
          },
        }),
  };
}

/** Three blocking calls as a rule; that the size is still what it was shows by one byte more. */
function readSmall(path: string, name: string, sizeBytes: number, into: Uint8Array): void {
  let position = 0;
  try {
    const file = openSync(path, 'r');
    try {
      for (let count = 1; count > 0 && position < sizeBytes; position += count) {
        count = readSync(file, into, position, sizeBytes + 1 - position, position);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw inputError(error, name);
  }
  if (position !== sizeBytes) {
    throw inputChanged(name, sizeBytes, position > sizeBytes ? 'more' : position);
  }
}

async function openSized(
  path: string,
  name: string,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<SourceReader> {
  throwIfAborted(signal);
  const file = await openInput(path, name);
  try {
    const { size } = await file.stat();
    if (size !== sizeBytes) throw inputChanged(name, sizeBytes, size);
  } catch (error) {
    await file.close();
    throw inputError(error, name);
  }
  let position = 0;
  let endSeen = false;
  return {
    async read(into) {
      throwIfAborted(signal);
      if (endSeen || into.length === 0) return 0;
      // Not raced against the signal: the kernel may write into the view until the call returns.
      const { bytesRead } = await file.read(into, 0, into.length, position).catch((error) => {
        throw inputError(error, name);
      });
      position += bytesRead;
      if (position > sizeBytes) throw inputChanged(name, sizeBytes, 'more');
      if (bytesRead === 0 && position < sizeBytes) throw inputChanged(name, sizeBytes, position);
      // A short read that stops exactly at the promised end has also seen that nothing follows.
      endSeen = position === sizeBytes && bytesRead < into.length;
      return bytesRead;
    },
    close: () => file.close(),
  };
}

async function openUnsized(
  path: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<SourceReader> {
  throwIfAborted(signal);
  // Opening a pipe waits for its writer. A handle that comes too late is closed again.
  const opening = openInput(path, name);
  const file = await raceAbort(opening, signal).catch((error: unknown) => {
    opening.then((late) => late.close()).catch(() => {});
    throw error;
  });
  // A read of a pipe can hang for long, and may end after the caller gave its view away: so it
  // gets a buffer of its own, and one copy.
  const buffer = new Uint8Array(PIPE_BUFFER_BYTES);
  let pending: Promise<unknown> | undefined;
  return {
    async read(into) {
      throwIfAborted(signal);
      const reading = file.read(buffer, 0, Math.min(buffer.length, into.length), null);
      pending = reading;
      const { bytesRead } = await raceAbort(reading, signal).catch((error: unknown) => {
        throw inputError(error, name);
      });
      pending = undefined;
      into.set(buffer.subarray(0, bytesRead));
      return bytesRead;
    },
    async close() {
      // `FileHandle.close` waits for a pending read, which may never end.
      if (pending === undefined) await file.close();
      else void file.close().catch(() => {});
    },
  };
}

async function openInput(path: string, name: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw inputError(error, name);
  }
}

function isDirectory(name: string): OrbweaverError {
  return new OrbweaverError('INPUT_IS_DIRECTORY', `"${name}" expected a file, got a directory`, {
    path: name,
  });
}
