import { type ChunkerParams, DEFAULT_PARAMS } from './params.js';
import type { GearScanner } from './ports.js';
import { createReadableScanner, GEAR_WINDOW_BYTES } from './readable-scanner.js';

/** Options of {@link createPushChunker}. */
export interface PushChunkerOptions {
  /** @default createReadableScanner() */
  readonly scanner?: GearScanner;
  /** @default DEFAULT_PARAMS */
  readonly params?: ChunkerParams;
}

/** Finds cuts in bytes that arrive in pieces of any size. */
export interface PushChunker {
  /**
   * Takes the next bytes (borrowed for the call) and returns the lengths of the chunks that are
   * now known to be complete, in order. Pieces below 1 KiB are collected first, so a chunk may be
   * reported up to 1 KiB after its end.
   */
  push(bytes: Uint8Array): number[];
  /** Lengths of what is left; afterwards the chunker is ready for another file. */
  finish(): number[];
}

/** Bytes before the first one that may be a cut, which a scan must see. */
const HISTORY_BYTES = GEAR_WINDOW_BYTES - 1;
/** Pieces below this are collected, so that the 63 bytes of warm-up are not paid for each. */
const BUFFER_BYTES = 1024;

/**
 * A chunker for streams. It holds 1.1 KiB whatever is pushed, never the chunk itself; any split of
 * the input gives the same chunks.
 *
 * @example
 * const chunker = createPushChunker();
 * const lengths = [...chunker.push(new Uint8Array(150_000)), ...chunker.push(new Uint8Array(50_000))];
 * lengths.push(...chunker.finish()); // [131072, 68928]
 */
export function createPushChunker(options: PushChunkerOptions = {}): PushChunker {
  const { scanner = createReadableScanner(), params = DEFAULT_PARAMS } = options;
  const { minBytes, maxBytes, maskBits } = params;
  const first = new Uint32Array(1);
  //  buffer: | history: the last scanned bytes, at most 63 | collected, not scanned yet |
  const buffer = new Uint8Array(HISTORY_BYTES + BUFFER_BYTES);
  let historyBytes = 0;
  let collectedBytes = 0;
  /** Bytes of the open chunk that were scanned. */
  let chunkBytes = 0;
  let lengths: number[] = [];

  /** Scans `data[from, to)`; `data` holds the history before `from`. */
  function scan(data: Uint8Array, from: number, to: number): void {
    let position = from;
    let chunkStart = from - chunkBytes;
    while (position < to) {
      const limit = Math.min(chunkStart + maxBytes, to);
      // The first position that may be a cut is minBytes after the chunk's start: nothing before is
      // looked at, and no match before can cut.
      const firstIndex = Math.max(position, chunkStart + minBytes - 1);
      const found = firstIndex < limit ? scanner.scan(data, firstIndex, limit, maskBits, first) : 0;
      position = found === 0 ? limit : (first[0] as number);
      if (found !== 0 || position === chunkStart + maxBytes) {
        lengths.push(position - chunkStart);
        chunkStart = position;
      }
    }
    chunkBytes = to - chunkStart;
  }

  function scanBuffer(): void {
    const end = historyBytes + collectedBytes;
    scan(buffer, historyBytes, end);
    remember(buffer, end);
  }

  /** Keeps the bytes before `end` of `data` as history. */
  function remember(data: Uint8Array, end: number): void {
    historyBytes = Math.min(HISTORY_BYTES, end);
    collectedBytes = 0;
    if (data === buffer) buffer.copyWithin(0, end - historyBytes, end);
    else buffer.set(data.subarray(end - historyBytes, end));
  }

  function collect(bytes: Uint8Array): void {
    buffer.set(bytes, historyBytes + collectedBytes);
    collectedBytes += bytes.length;
    if (collectedBytes === BUFFER_BYTES) scanBuffer();
  }

  function take(): number[] {
    const taken = lengths;
    lengths = [];
    return taken;
  }

  return {
    push(bytes) {
      let taken = 0;
      while (taken < bytes.length) {
        const left = bytes.length - taken;
        if (collectedBytes === 0 && taken >= HISTORY_BYTES && left >= BUFFER_BYTES) {
          // Long pieces are scanned where they are, once their own start can serve as history.
          scan(bytes, taken, bytes.length);
          remember(bytes, bytes.length);
          break;
        }
        const count = Math.min(BUFFER_BYTES - collectedBytes, left);
        collect(bytes.subarray(taken, taken + count));
        taken += count;
      }
      return take();
    },
    finish() {
      scanBuffer();
      if (chunkBytes > 0) lengths.push(chunkBytes);
      chunkBytes = 0;
      historyBytes = 0;
      return take();
    },
  };
}
