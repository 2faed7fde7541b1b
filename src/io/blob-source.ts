import type { Source, SourceReader } from '../client/ports.js';
import { raceAbort, throwIfAborted } from '../flow/index.js';
import { copyInto, reusedPieces, type StreamReader } from '../platform/index.js';
import { inputError } from './errno.js';
import { inputChanged } from './input-size.js';

/**
 * A `Blob` or `File` as a source. A blob over a file (`fs.openAsBlob`) that changes while it is
 * read ends in `INPUT_UNREADABLE` or `INPUT_CHANGED`.
 *
 * It is read as a stream: the browser reads a file ahead, and writes into memory that is there. By slices
 * a page took three times the processor time, most of it for memory that was new each time.
 *
 * @example
 * const source = blobSource(new Blob(['hello']), 'hello.txt');
 */
export function blobSource(blob: Blob, name?: string): Source {
  const label = name ?? ('name' in blob && typeof blob.name === 'string' ? blob.name : 'blob');
  const sizeBytes = blob.size;
  const openAt = async (offset: number, signal?: AbortSignal): Promise<SourceReader> => {
    throwIfAborted(signal);
    if (sizeBytes === 0) {
      // In browsers a file that is gone, or was cut off since it was picked, has 0 bytes until it is read whole.
      await blob.arrayBuffer().catch((error: unknown) => {
        throw inputError(error, label);
      });
    }
    const from = offset === 0 ? blob : blob.slice(offset);
    let position = offset;
    let rest: Uint8Array = new Uint8Array(0);
    let stream: StreamReader | null = null;
    const next = async (into: Uint8Array): Promise<Uint8Array | null> => {
      try {
        stream ??= reusedPieces(from.stream() as ReadableStream<Uint8Array>);
        return await stream.next(into);
      } catch (error) {
        throw inputError(error, label);
      }
    };
    return {
      async read(into) {
        throwIfAborted(signal);
        while (rest.length === 0 && position < sizeBytes) {
          const piece = await raceAbort(next(into), signal);
          if (piece === null) throw inputChanged(label, sizeBytes, position);
          rest = piece;
        }
        const part = rest.subarray(0, Math.min(into.length, sizeBytes - position));
        copyInto(into, 0, part);
        rest = rest.subarray(part.length);
        position += part.length;
        return part.length;
      },
      async close() {
        rest = new Uint8Array(0);
        // Not awaited: a stream that hangs must not hold up the end of the upload.
        stream?.cancel(undefined).catch(() => {});
        stream = null;
      },
    };
  };
  return {
    name: label,
    sizeBytes,
    reopenable: true,
    open: (signal) => openAt(0, signal),
    openAt,
  };
}
