import type { Source } from '../client/ports.js';
import { copyInto } from '../platform/index.js';
import { raceAbort, throwIfAborted } from './abort.js';
import { inputError } from './errno.js';
import { inputChanged } from './input-size.js';

/**
 * A blob can only be read through a buffer of its own, so a read is cut into pieces of this size:
 * large enough that the call does not count, small beside a slab.
 */
const BLOB_PIECE_BYTES: number = 1 << 20;

/**
 * A `Blob` or `File` as a source. A blob over a file (`fs.openAsBlob`) that changes while it is
 * read ends in `INPUT_UNREADABLE` or `INPUT_CHANGED`.
 *
 * @example
 * const source = blobSource(new Blob(['hello']), 'hello.txt');
 */
export function blobSource(blob: Blob, name?: string): Source {
  const label = name ?? ('name' in blob && typeof blob.name === 'string' ? blob.name : 'blob');
  const sizeBytes = blob.size;
  return {
    name: label,
    sizeBytes,
    reopenable: true,
    async open(signal) {
      throwIfAborted(signal);
      let position = 0;
      return {
        async read(into) {
          throwIfAborted(signal);
          const wanted = Math.min(into.length, BLOB_PIECE_BYTES, sizeBytes - position);
          if (wanted === 0) return 0;
          const part = await raceAbort(readPiece(blob, position, wanted, label), signal);
          if (part.length !== wanted) throw inputChanged(label, sizeBytes, position + part.length);
          copyInto(into, 0, part);
          position += wanted;
          return wanted;
        },
        async close() {},
      };
    },
  };
}

async function readPiece(
  blob: Blob,
  start: number,
  length: number,
  label: string,
): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.slice(start, start + length).arrayBuffer());
  } catch (error) {
    throw inputError(error, label);
  }
}
