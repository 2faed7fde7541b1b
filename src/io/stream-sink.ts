import type { Writable } from 'node:stream';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { outputError } from './errno.js';

export interface StreamSinkOptions {
  /** @default 'stream' */
  readonly name?: string | undefined;
  /**
   * End the stream on `commit` and destroy it on `abort`. Standard output and error are left
   * open.
   * @default true, false for standard output and error
   */
  readonly end?: boolean | undefined;
}

/**
 * Bytes are handed to the stream in copies of at most this size. A stream may keep what it was
 * given after its callback (a PassThrough does), and the caller reuses its memory then; a copy
 * costs less than a tenth of what the stream itself costs.
 */
const COPY_BYTES: number = 1 << 18;

/**
 * A Node stream as a sink: strictly in order, one write at a time, as fast as the stream takes it.
 * What was written cannot be taken back; the caller learns from the error that it is not right.
 *
 * @throws OrbweaverError from its methods: `OUTPUT_UNWRITABLE` when the reader went away (EPIPE) or
 * the stream was closed, `DISK_FULL`, `STORAGE_FAILED`, `CLOSED`, `SIZE_MISMATCH`
 * @example
 * const sink = streamSink(response);
 * await sink.write(new Uint8Array([1, 2, 3]), 0);
 * await sink.commit(3); // ends the response
 */
export function streamSink(writable: Writable, options: StreamSinkOptions = {}): Sink {
  const { name = 'stream' } = options;
  const end = options.end ?? (writable !== process.stdout && writable !== process.stderr);
  let position = 0;
  let finished = false;
  let failure: OrbweaverError | undefined;
  /** Rejects the step that waits for the stream now. */
  let rejectStep: ((error: OrbweaverError) => void) | undefined;

  const fail = (error: OrbweaverError): void => {
    failure ??= error;
    rejectStep?.(failure);
  };
  const onError = (error: unknown): void => fail(outputError(error, name));
  const onClose = (): void => {
    if (!finished) fail(gone(name));
  };
  writable.on('error', onError);
  writable.on('close', onClose);
  const detach = (): void => {
    finished = true;
    writable.off('close', onClose);
    // The error listener stays: a late EPIPE without a listener would end the process.
  };
  /** One call of the stream, ended by its callback, its failure or `abort`. */
  const step = (call: (done: (error?: Error | null) => void) => void): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      rejectStep = reject;
      if (failure !== undefined) reject(failure);
      else if (writable.destroyed || writable.writableEnded) reject(gone(name));
      else call((error) => (error ? reject(outputError(error, name)) : resolve()));
    });
  const writeOwned = async (bytes: Uint8Array, offset: number): Promise<void> => {
    if (finished) throw closed(name);
    if (offset !== position) {
      throw new RangeError(`"offset" expected ${position} (in order), got ${offset}`);
    }
    await step((done) => writable.write(bytes, done));
    position += bytes.length;
  };

  return {
    name,
    positional: false,
    async write(bytes, offset) {
      for (let start = 0; start < bytes.length; start += COPY_BYTES) {
        await writeOwned(bytes.slice(start, start + COPY_BYTES), offset + start);
      }
    },
    writeOwned,
    async commit(sizeBytes) {
      if (finished) throw closed(name);
      if (position !== sizeBytes) {
        const message = `"${name}" expected ${sizeBytes} bytes, got ${position}`;
        throw new OrbweaverError('SIZE_MISMATCH', message, { expected: sizeBytes, got: position });
      }
      if (failure !== undefined) throw failure;
      if (end) await step((done) => writable.end(done));
      detach();
    },
    async abort(reason) {
      if (finished) return;
      detach();
      rejectStep?.(closed(name));
      // With the reason, so that whoever reads the other end does not take it for the end.
      if (end) writable.destroy(reason instanceof Error ? reason : closed(name));
    },
  };
}

function gone(name: string): OrbweaverError {
  const message = `"${name}" expected an open stream, got one that was closed by its reader`;
  return new OrbweaverError('OUTPUT_UNWRITABLE', message, { path: name });
}

function closed(name: string): OrbweaverError {
  return new OrbweaverError('CLOSED', `"${name}" expected an open output, got a finished one`, {
    path: name,
  });
}
