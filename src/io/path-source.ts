import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import type { Source, SourceReader } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { raceAbort, throwIfAborted } from '../flow/index.js';
import { copyInto } from '../platform/index.js';
import type { DiskLatency } from './disk-latency.js';
import { inputError } from './errno.js';
import { fileIdentity } from './file-identity.js';
import {
  checkUnchanged,
  type FileVersion,
  inputChanged,
  isVersion,
  versionOf,
} from './input-size.js';

/** Pipes and devices are read through a buffer of this size. */
const PIPE_BUFFER_BYTES: number = 1 << 16;

/** Files up to this size are read by blocking calls while the disk is quick. */
const SMALL_FILE_BYTES: number = 1 << 18;

/** How a path is read. */
export interface PathSourceOptions {
  /** Name in results and messages. @default the path */
  readonly name?: string | undefined;
  /** Shared by the inputs of one upload, so that small files are read the cheaper way. */
  readonly latency?: DiskLatency | undefined;
  /**
   * For files that grow (logs): reads as many bytes as there were when it was looked up, and lets what
   * is added meanwhile be. Fails only when it became shorter or another file took its place.
   * @default false: any change is `INPUT_CHANGED`
   */
  readonly upToStartSize?: boolean | undefined;
  /** Says what tells the file again when it is unchanged (`Source.identity`). @default false */
  readonly identify?: boolean | undefined;
}

/** What the functions below share about one regular file. */
interface FileInput {
  readonly path: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly mayGrow: boolean;
}

/**
 * A path as a source. A regular file has a known size and is read straight into the views it is
 * given (shared memory too), by position, once. A pipe, a device (`/dev/stdin`) and the files of
 * `/proc`, which claim to be empty, have an unknown size and are read to their end. With a `latency`
 * small files are read by blocking calls as long as these are quick.
 *
 * @throws OrbweaverError `INPUT_NOT_FOUND`, `INPUT_IS_DIRECTORY`, `INPUT_UNREADABLE`; while it is
 * read also `INPUT_CHANGED` when its size, times or inode are not what they were before
 * @example
 * const source = await pathSource('model.safetensors');
 */
export async function pathSource(path: string, options: PathSourceOptions = {}): Promise<Source> {
  const now = pathSourceNow(path, options);
  if (now !== null) return now;
  const find = (): Promise<Stats> => stat(path);
  const found = options.latency === undefined ? find() : options.latency.learn(path, find);
  const stats = await found.catch((error: unknown) => {
    throw inputError(error, options.name ?? path);
  });
  return sourceFor(path, stats, options);
}

/**
 * The same by a blocking call, where the disk is known to be quick: thousands of small files then cost
 * no promises. Null: use {@link pathSource}. @throws what it throws
 */
export function pathSourceNow(path: string, options: PathSourceOptions): Source | null {
  const { latency } = options;
  if (latency === undefined || !latency.isQuick(path)) return null;
  let stats: Stats;
  try {
    stats = latency.measure(() => statSync(path));
  } catch (error) {
    throw inputError(error, options.name ?? path);
  }
  return sourceFor(path, stats, options);
}

function sourceFor(path: string, stats: Stats, options: PathSourceOptions): Source {
  const { name = path, upToStartSize = false } = options;
  if (stats.isDirectory()) throw isDirectory(name);
  const isFile = stats.isFile();
  const input: FileInput = { path, name, sizeBytes: stats.size, mayGrow: upToStartSize };
  return isFile && stats.size > 0
    ? sizedSource(input, stats, options)
    : { name, reopenable: isFile, open: (signal) => openUnsized(input, stats.isFIFO(), signal) };
}

function sizedSource(
  file: FileInput,
  stats: Stats,
  { latency, identify = false }: PathSourceOptions,
): Source {
  const { name, sizeBytes } = file;
  const identity = identify ? fileIdentity(stats) : null;
  // Not `stats` itself: there are thousands of sources, and it holds three times as much.
  const found = versionOf(stats);
  const source: Source = {
    name,
    sizeBytes,
    ...(identity === null ? {} : { identity }),
    reopenable: true,
    open: (signal) => openSized(file, signal),
    openAt: (offset, signal) => openSized(file, signal, { offset, found }),
  };
  if (latency === undefined || sizeBytes > SMALL_FILE_BYTES) return source;
  return {
    ...source,
    readNow(into) {
      if (!latency.isQuick(file.path)) return false;
      latency.measure(() => readSmall(file, found, into));
      return true;
    },
  };
}

/**
 * Four blocking calls as a rule, the last of which looks whether the file is still what it was when it
 * was looked up. If not, it may have been written to before it was opened, which is nobody's fault: it is
 * read again, with a look before and one after.
 */
function readSmall(input: FileInput, found: FileVersion, into: Uint8Array): void {
  const { path, name } = input;
  try {
    const file = openSync(path, 'r');
    try {
      readWhole(file, input, into);
      if (isVersion(found, fstatSync(file))) return;
      const before = fstatSync(file, { bigint: true });
      checkSize(input, before);
      readWhole(file, input, into);
      checkUnchanged(input, before, fstatSync(file, { bigint: true }));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw inputError(error, name);
  }
}

function readWhole(file: number, { name, sizeBytes }: FileInput, into: Uint8Array): void {
  for (let position = 0; position < sizeBytes; ) {
    const count = readSync(file, into, position, sizeBytes - position, position);
    if (count === 0) throw inputChanged(name, sizeBytes, position);
    position += count;
  }
}

/** @param part where to begin, and what the file has to be: nobody else sees that its parts belong together */
async function openSized(
  input: FileInput,
  signal: AbortSignal | undefined,
  part?: { readonly offset: number; readonly found: FileVersion },
): Promise<SourceReader> {
  const { path, name, sizeBytes, mayGrow } = input;
  throwIfAborted(signal);
  const file = await openInput(path, name);
  let before: BigIntStats;
  try {
    before = await file.stat({ bigint: true });
    checkSize(input, before);
    if (part !== undefined && !mayGrow && !isVersion(part.found, await file.stat())) {
      throw inputChanged(name, sizeBytes, 'others that were written meanwhile');
    }
  } catch (error) {
    await file.close();
    throw inputError(error, name);
  }
  let position = part?.offset ?? 0;
  return {
    async read(into) {
      throwIfAborted(signal);
      const wanted = Math.min(into.length, sizeBytes - position);
      if (wanted === 0) return 0;
      try {
        // Not raced against the signal: the kernel may write into the view until the call returns.
        const { bytesRead } = await file.read(into, 0, wanted, position);
        position += bytesRead;
        if (bytesRead === 0) throw inputChanged(name, sizeBytes, position);
        // With the last bytes and not after them: who knows the size need not ask for more.
        if (position === sizeBytes) {
          checkUnchanged(input, before, await file.stat({ bigint: true }));
        }
        return bytesRead;
      } catch (error) {
        throw inputError(error, name);
      }
    },
    close: () => file.close(),
  };
}

/** That it is as long as when it was looked up, which may be a while ago. */
function checkSize({ name, sizeBytes, mayGrow }: FileInput, { size }: BigIntStats): void {
  const isRight = mayGrow ? size >= sizeBytes : size === BigInt(sizeBytes);
  if (!isRight) throw inputChanged(name, sizeBytes, Number(size));
}

async function openUnsized(
  { path, name }: FileInput,
  isPipe: boolean,
  signal: AbortSignal | undefined,
): Promise<SourceReader> {
  throwIfAborted(signal);
  // Opening a pipe waits for its writer. A handle that comes too late is closed again.
  const opening = openInput(path, name);
  const file = await raceAbort(opening, signal).catch((error: unknown) => {
    opening.then((late) => late.close()).catch(() => {});
    if (isPipe) wakePipe(path);
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
      copyInto(into, 0, buffer.subarray(0, bytesRead));
      return bytesRead;
    },
    async close() {
      // `FileHandle.close` waits for a pending read, which may never end.
      if (pending === undefined) await file.close();
      else void file.close().catch(() => {});
    },
  };
}

/**
 * An open that waits for a writer keeps its thread, and the process with it. A writer that comes and
 * goes ends it; where nobody waits this fails at once.
 */
function wakePipe(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch {
    // Nobody waits any more.
  }
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
