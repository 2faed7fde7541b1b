import type { Source } from '../client/ports.js';
import { copyInto } from '../platform/index.js';
import { raceAbort, throwIfAborted } from './abort.js';
import { inputError } from './errno.js';
import { inputChanged } from './input-size.js';

/**
 * A blob can only be read through a buffer of its own, so a read is cut into pieces of this size: large
 * enough that the call does not count. In a page it is a message to another process and back, so that the
 * next piece is asked for while this one is worked on.
 */
const BLOB_PIECE_BYTES: number = 2 << 20;

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
      let rest: Uint8Array = new Uint8Array(0);
      let ahead: Promise<Uint8Array> | null = null;
      const ask = (start: number): Promise<Uint8Array> | null => {
        if (start >= sizeBytes) return null;
        const wanted = Math.min(BLOB_PIECE_BYTES, sizeBytes - start);
        const piece = readPiece(blob, start, wanted, label).then((part) => {
          if (part.length !== wanted) throw inputChanged(label, sizeBytes, start + part.length);
          return part;
        });
        // Who closes early does not wait for it.
        piece.catch(() => {});
        return piece;
      };
      return {
        async read(into) {
          throwIfAborted(signal);
          if (rest.length === 0) {
            const piece = ahead ?? ask(position);
            if (piece === null) return 0;
            rest = await raceAbort(piece, signal);
            ahead = ask(position + rest.length);
          }
          const part = rest.subarray(0, into.length);
          copyInto(into, 0, part);
          rest = rest.subarray(part.length);
          position += part.length;
          return part.length;
        },
        async close() {
          rest = new Uint8Array(0);
          ahead = null;
        },
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
