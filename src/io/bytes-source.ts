import type { RandomAccess, Source, SourceReader } from '../client/ports.js';
import { throwIfAborted } from '../flow/index.js';
import { copyInto } from '../platform/index.js';
import { inputChanged } from './input-size.js';

/**
 * Bytes in memory as a source. They are borrowed until the upload is over and must not change.
 *
 * @example
 * const source = bytesSource(new Uint8Array([1, 2, 3]), 'three.bin');
 */
export function bytesSource(bytes: Uint8Array, name = 'bytes'): Source {
  const openAt = async (offset: number, signal?: AbortSignal): Promise<SourceReader> => {
    throwIfAborted(signal);
    let position = offset;
    return {
      async read(into) {
        throwIfAborted(signal);
        const part = bytes.subarray(position, position + into.length);
        copyInto(into, 0, part);
        position += part.length;
        return part.length;
      },
      async close() {},
    };
  };
  return {
    name,
    sizeBytes: bytes.length,
    reopenable: true,
    open: (signal) => openAt(0, signal),
    openAt,
  };
}

/** Bytes in memory that can be read anywhere; borrowed until `close`. */
export function bytesRandomAccess(bytes: Uint8Array, name = 'bytes'): RandomAccess {
  return {
    name,
    sizeBytes: bytes.length,
    async readAt(into, offset) {
      if (offset < 0 || offset + into.length > bytes.length) {
        throw inputChanged(name, offset + into.length, bytes.length);
      }
      into.set(bytes.subarray(offset, offset + into.length));
    },
    async close() {},
  };
}
