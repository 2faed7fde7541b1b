import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';

/** Bytes of this process alone, which are written once from their start, read, and removed. */
export interface Spool {
  readonly sizeBytes: number;
  write(bytes: Uint8Array): Promise<void>;
  /** What was written can be read. */
  flush(): Promise<void>;
  /** The bytes from the start. After `flush`. */
  read(): AsyncGenerator<Uint8Array, void>;
  /** Never throws. */
  remove(): Promise<void>;
}

/**
 * A spool as the end of a download that comes in order.
 * @param options `check` sees the bytes before they are kept and may throw; `maxBytes` bounds them all
 */
export function spoolSink(
  spool: Spool,
  options: { readonly check: (bytes: Uint8Array) => void; readonly maxBytes: number },
): Sink {
  return {
    name: 'the manifest',
    positional: false,
    async prepare(sizeBytes) {
      if (sizeBytes > options.maxBytes) throw tooLong(options.maxBytes, sizeBytes);
    },
    async write(bytes) {
      options.check(bytes);
      const sizeBytes = spool.sizeBytes + bytes.length;
      if (sizeBytes > options.maxBytes) throw tooLong(options.maxBytes, sizeBytes);
      await spool.write(bytes.slice());
    },
    commit: () => spool.flush(),
    abort: async () => {},
  };
}

function tooLong(expected: number, got: number): OrbweaverError {
  const message = `"the manifest" expected at most ${expected} bytes, got ${got}`;
  return new OrbweaverError('LIMIT_EXCEEDED', message, { expected, got });
}
