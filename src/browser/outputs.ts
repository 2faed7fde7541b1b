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
  const write = (bytes: Uint8Array<ArrayBuffer>, position: number): Promise<void> =>
    told(name, () => stream.write({ type: 'write', position, data: bytes }));
  return {
    name,
    positional: true,
    async write(bytes, offset) {
      for (let at = 0; at < bytes.length; at += FILE_PIECE_BYTES) {
        await write(bytes.slice(at, at + FILE_PIECE_BYTES), offset + at);
      }
    },
    writeOwned: write,
    async writeAll(pieces, offset) {
      let position = offset;
      for (const joined of joinedPieces(pieces)) {
        await write(joined, position);
        position += joined.length;
      }
    },
    commit: () => told(name, () => stream.close()),
    async abort(reason) {
      await stream.abort(reason).catch(() => {});
    },
  };
}

/** Copies of at most {@link FILE_PIECE_BYTES} each. */
function* joinedPieces(
  pieces: readonly Uint8Array[],
): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  let leftBytes = 0;
  for (const piece of pieces) leftBytes += piece.length;
  let index = 0;
  let at = 0;
  while (leftBytes > 0) {
    const joined = new Uint8Array(Math.min(leftBytes, FILE_PIECE_BYTES));
    for (let filled = 0; filled < joined.length; ) {
      const piece = pieces[index] as Uint8Array;
      const part = piece.subarray(at, at + joined.length - filled);
      joined.set(part, filled);
      filled += part.length;
      at += part.length;
      if (at === piece.length) {
        index++;
        at = 0;
      }
    }
    leftBytes -= joined.length;
    yield joined;
  }
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
};

/** What an output fails with, as one of ours. */
async function told<T>(name: string, run: () => Promise<T>): Promise<T> {
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
