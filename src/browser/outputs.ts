import type { Sink } from '../client/ports.js';
import { type ErrorCode, isOrbweaverError, OrbweaverError } from '../errors.js';
import type { OutputFile } from './types.js';

/** Bytes are handed on in copies of at most this size: a page takes no views of shared memory. */
const STREAM_PIECE_BYTES: number = 256 * 1024;
/** Each write to a file is a message to another process, whatever its size. */
const FILE_PIECE_BYTES: number = 4 * 1024 * 1024;

/**
 * A file of a page as a sink. Chrome and others write to a copy, which takes the place of the file when
 * it is closed: until then the file is what it was.
 */
export async function outputFileSink(file: OutputFile): Promise<Sink> {
  const { name } = file;
  const stream = await told(name, () => file.createWritable());
  // One write at a time, as the file takes them, from memory that is used again and again.
  let staging: Uint8Array<ArrayBuffer> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (run: () => Promise<void>): Promise<void> => {
    const done = last.then(run);
    last = done.catch(() => {});
    return done;
  };
  const put = (data: Uint8Array<ArrayBuffer>, position: number): Promise<void> =>
    told(name, () => stream.write({ type: 'write', position, data }));
  const writeAll = (pieces: readonly Uint8Array[], offset: number): Promise<void> =>
    inTurn(async () => {
      staging ??= new Uint8Array(FILE_PIECE_BYTES);
      let position = offset;
      let filled = 0;
      const flush = async (data: Uint8Array<ArrayBuffer>): Promise<void> => {
        await put(data, position);
        position += data.length;
        filled = 0;
      };
      for (const piece of pieces) {
        for (let at = 0; at < piece.length; ) {
          const part = piece.subarray(at, at + staging.length - filled);
          staging.set(part, filled);
          filled += part.length;
          at += part.length;
          if (filled === staging.length) await flush(staging);
        }
      }
      if (filled > 0) await flush(staging.subarray(0, filled));
    });
  return {
    name,
    positional: true,
    write: (bytes, offset) => writeAll([bytes], offset),
    writeOwned: (bytes, offset) => inTurn(() => put(bytes, offset)),
    writeAll,
    commit: () => told(name, () => stream.close()),
    async abort(reason) {
      await stream.abort(reason).catch(() => {});
    },
  };
}

/** A file that is made when it is first written to. */
export function lateFileSink(name: string, make: () => Promise<OutputFile>): Sink {
  let opening: Promise<Sink> | null = null;
  const open = (): Promise<Sink> => {
    opening ??= told(name, make).then(outputFileSink);
    return opening;
  };
  return {
    name,
    positional: true,
    write: async (bytes, offset) => (await open()).write(bytes, offset),
    writeAll: async (pieces, offset) => (await open()).writeAll?.(pieces, offset),
    commit: async (sizeBytes) => (await open()).commit(sizeBytes),
    async abort(reason) {
      const sink = await opening?.catch(() => null);
      await sink?.abort(reason);
    },
  };
}

/**
 * A web stream as a sink: strictly in order, as fast as it is taken. Closed when all is checked, aborted
 * with the reason otherwise.
 */
export function webStreamSink(stream: WritableStream<Uint8Array>, name: string): Sink {
  const writer = stream.getWriter();
  // Whoever writes learns of a failure by the next call.
  writer.closed.catch(() => {});
  let position = 0;
  const writeOwned = async (bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void> => {
    if (offset !== position) {
      throw new RangeError(`"offset" expected ${position} (in order), got ${offset}`);
    }
    await told(name, async () => {
      await writer.ready;
      await writer.write(bytes);
    });
    position += bytes.length;
  };
  return {
    name,
    positional: false,
    async write(bytes, offset) {
      for (let at = 0; at < bytes.length; at += STREAM_PIECE_BYTES) {
        await writeOwned(bytes.slice(at, at + STREAM_PIECE_BYTES), offset + at);
      }
    },
    writeOwned,
    async commit(sizeBytes) {
      if (position !== sizeBytes) {
        const message = `"${name}" expected ${sizeBytes} bytes, got ${position}`;
        throw new OrbweaverError('SIZE_MISMATCH', message, { expected: sizeBytes, got: position });
      }
      await told(name, () => writer.close());
    },
    async abort(reason) {
      await writer.abort(reason).catch(() => {});
    },
  };
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  QuotaExceededError: 'DISK_FULL',
  NotAllowedError: 'OUTPUT_UNWRITABLE',
  NoModificationAllowedError: 'OUTPUT_UNWRITABLE',
  NotFoundError: 'OUTPUT_UNWRITABLE',
  TypeError: 'OUTPUT_UNWRITABLE',
  TypeMismatchError: 'OUTPUT_UNWRITABLE',
};

/** What an output fails with, as one of ours. */
export async function told<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (isOrbweaverError(error)) throw error;
    const kind = (error as { readonly name?: string } | undefined)?.name ?? '';
    // A reader that cancels a stream may give any reason, or none.
    const code = error instanceof Error ? (CODES[kind] ?? 'STORAGE_FAILED') : 'OUTPUT_UNWRITABLE';
    const got = error instanceof Error ? error.message : 'a stream that its reader has left';
    throw new OrbweaverError(
      code,
      `"${name}" expected a writable output, got ${got}`,
      { path: name },
      error,
    );
  }
}
