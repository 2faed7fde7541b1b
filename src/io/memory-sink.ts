import { withRoom } from '../bytes/index.js';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';

/** A sink that keeps the output in memory: for small files, ranges and tests. */
export interface MemorySink extends Sink {
  /** What was written; available after `commit`. @throws OrbweaverError `CLOSED` before */
  bytes(): Uint8Array;
}

/** More than this in one array is not asked of a runtime. Origin: buffers end at 2 or 4 GiB. */
const MAX_MEMORY_BYTES: number = 2 ** 31 - 1;

/**
 * @example
 * const sink = memorySink();
 * await sink.write(new Uint8Array([1, 2, 3]), 0);
 * await sink.commit(3);
 * sink.bytes(); // Uint8Array [1, 2, 3]
 */
export function memorySink(name = 'memory'): MemorySink {
  let buffer = new Uint8Array(0);
  let size = 0;
  let committed = false;
  const grow = (needed: number): void => {
    if (needed > MAX_MEMORY_BYTES) {
      const message = `"${name}" expected at most ${MAX_MEMORY_BYTES} bytes, got ${needed}`;
      throw new OrbweaverError('OUTPUT_UNWRITABLE', message, { neededBytes: needed });
    }
    buffer = withRoom(buffer, needed, size);
  };
  return {
    name,
    positional: true,
    async prepare(sizeBytes) {
      grow(sizeBytes);
    },
    async write(bytes, offset) {
      const end = offset + bytes.length;
      grow(end);
      buffer.set(bytes, offset);
      size = Math.max(size, end);
    },
    async commit(sizeBytes) {
      if (size !== sizeBytes) {
        const message = `"${name}" expected ${sizeBytes} bytes, got ${size}`;
        throw new OrbweaverError('SIZE_MISMATCH', message, { expected: sizeBytes, got: size });
      }
      committed = true;
    },
    async abort() {
      buffer = new Uint8Array(0);
      size = 0;
    },
    bytes() {
      if (!committed) throw new OrbweaverError('CLOSED', `"${name}" is not complete`);
      return buffer.subarray(0, size);
    },
  };
}
