/** A byte stream, piece by piece; each is good until the next one is asked for. Null is the end. */
export interface StreamReader {
  /** `into`: where the bytes are going to be copied to. Nothing is written there. */
  next(into?: Uint8Array): Promise<Uint8Array | null>;
  cancel(reason: unknown): Promise<void>;
}

/** Pieces as the stream makes them. */
export function nextPieces(stream: ReadableStream<Uint8Array>): StreamReader {
  const reader = stream.getReader();
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? null : value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}

/** What is read at a time. */
const READ_BYTES: number = 256 * 1024;
/**
 * The widest word that engines copy at a time. To and from shared memory they go byte by byte where both sides do
 * not lie alike in their words: 3 to 4 GB/s against 19 (Chromium 156, pieces of 256 KiB, two-core Xeon, 2026-11).
 */
export const WORD_BYTES = 8;

/**
 * Pieces in memory that is used again and again, where the stream does that: with a new piece of memory
 * for each, gigabytes wait for the collector.
 */
export function reusedPieces(stream: ReadableStream<Uint8Array>): StreamReader {
  let reader: ByobReader;
  try {
    reader = (stream as unknown as ByobStream).getReader({ mode: 'byob' });
  } catch {
    return nextPieces(stream);
  }
  let buffer = new ArrayBuffer(READ_BYTES + WORD_BYTES);
  return {
    async next(into) {
      const shift = into === undefined ? 0 : into.byteOffset % WORD_BYTES;
      const { done, value } = await reader.read(new Uint8Array(buffer, shift, READ_BYTES));
      if (done || value === undefined) return null;
      buffer = value.buffer;
      return value;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}

interface ByobStream {
  getReader(options: { readonly mode: 'byob' }): ByobReader;
}

interface ByobReader {
  read(into: Uint8Array<ArrayBuffer>): Promise<{
    readonly done: boolean;
    readonly value?: Uint8Array<ArrayBuffer>;
  }>;
  cancel(reason: unknown): Promise<void>;
}
