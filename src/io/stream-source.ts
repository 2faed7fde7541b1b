import type { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { Source, SourceReader } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { raceAbort, throwIfAborted } from '../flow/index.js';
import { copyInto } from '../platform/index.js';
import { inputError } from './errno.js';
import { inputChanged } from './input-size.js';

/** What `streamSource` reads: anything that yields `Uint8Array`s in order. */
export type StreamInput = Readable | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** One way to pull the next piece, and one way to stop early, for every kind of stream. */
interface Puller {
  /** Undefined at the end. */
  next(): Promise<unknown>;
  stop(): void;
}

/**
 * A stream as a source of unknown length; it can be opened once. A piece that does not fit into
 * the view is kept and handed on by the next read; nothing is copied twice.
 *
 * @throws OrbweaverError while it is read: `INPUT_UNREADABLE` when the stream fails or was opened
 * before, `INPUT_CHANGED` when it does not have `sizeBytes`
 * @throws TypeError when it yields anything but `Uint8Array` (a Readable with an encoding, say)
 * @example
 * const source = streamSource(process.stdin, { name: '-' });
 */
export function streamSource(
  stream: StreamInput,
  options: { readonly name?: string; readonly sizeBytes?: number } = {},
): Source {
  const { name = 'stream', sizeBytes } = options;
  let opened = false;
  return {
    name,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    reopenable: false,
    async open(signal) {
      throwIfAborted(signal);
      if (opened) {
        const message = `"${name}" expected to be opened once, got a second call`;
        throw new OrbweaverError('INPUT_UNREADABLE', message, { path: name });
      }
      opened = true;
      return createReader(pullerOf(stream), name, sizeBytes, signal);
    },
  };
}

function createReader(
  puller: Puller,
  name: string,
  sizeBytes: number | undefined,
  signal: AbortSignal | undefined,
): SourceReader {
  let rest = new Uint8Array(0);
  let position = 0;
  let ended = false;
  return {
    async read(into) {
      if (into.length === 0) return 0;
      while (rest.length === 0 && !ended) {
        throwIfAborted(signal);
        const piece = await raceAbort(puller.next(), signal).catch((error: unknown) => {
          throw inputError(error, name);
        });
        if (piece === undefined) ended = true;
        else if (piece instanceof Uint8Array) rest = piece as Uint8Array<ArrayBuffer>;
        else throw new TypeError(`"${name}" expected Uint8Array pieces, got ${typeof piece}`);
      }
      const length = Math.min(rest.length, into.length);
      copyInto(into, 0, length === rest.length ? rest : rest.subarray(0, length));
      rest = rest.subarray(length);
      position += length;
      if (sizeBytes !== undefined) {
        if (position > sizeBytes) throw inputChanged(name, sizeBytes, 'more');
        if (length === 0 && position < sizeBytes) throw inputChanged(name, sizeBytes, position);
      }
      return length;
    },
    async close() {
      rest = new Uint8Array(0);
      if (!ended) puller.stop();
      ended = true;
    },
  };
}

function pullerOf(stream: StreamInput): Puller {
  if ('getReader' in stream) {
    const reader = stream.getReader();
    return {
      async next() {
        const { done, value } = await reader.read();
        return done ? undefined : value;
      },
      // Not awaited: a stream that hangs must not hold up the end of the upload.
      stop: () => void reader.cancel().catch(() => {}),
    };
  }
  const iterator: AsyncIterator<unknown> = stream[Symbol.asyncIterator]();
  return {
    async next() {
      const { done, value } = await iterator.next();
      return done ? undefined : value;
    },
    stop() {
      if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy();
      // For a generator in the middle of a step this waits for the step: never awaited either.
      void iterator.return?.().catch(() => {});
    },
  };
}
