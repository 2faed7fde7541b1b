import { type ChunkerParams, DEFAULT_PARAMS } from './params.js';

/**
 * Boundaries that an edit cannot move. A hash match inside the first `minBytes` of a chunk cannot
 * be seen in a list of cuts, so only chunks of `[2 * minBytes, maxBytes - minBytes)` bytes prove
 * anything, and it takes two of them side by side.
 */

/** A half-open range of file bytes. */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

function isTelling(lengthBytes: number, params: ChunkerParams): boolean {
  return lengthBytes >= 2 * params.minBytes && lengthBytes < params.maxBytes - params.minBytes;
}

/** Sorts the chunks of a file, in order, into those of windows and those between them. */
export interface WindowScanner {
  /**
   * Takes the length of the next chunk. `opens`: it is the first of a window; `inside`: it belongs to
   * the window that is open; `outside`: to none.
   */
  push(lengthBytes: number): 'opens' | 'inside' | 'outside';
  /**
   * Takes chunks of so many bytes in all at once, when they lie outside of all windows wherever they
   * end; false: they may not, and none was taken.
   */
  skip(lengthBytes: number): boolean;
  /** Windows so far; the last one may still be open and then ends with the last chunk pushed. */
  readonly windows: readonly ByteSpan[];
}

/**
 * Finds the windows that must be chunked again when the bytes in `dirty` change: each opens with the
 * first chunk that a dirty range touches and closes behind two telling clean chunks in a row (or at
 * the end of the file). Windows lie on chunk boundaries, in order, and do not touch each other
 * unless a dirty range begins right behind one.
 *
 * @param dirty in any order, may overlap; what lies past the end of the file opens nothing.
 * @throws RangeError when a range ends before it starts.
 */
export function createWindowScanner(
  dirty: readonly ByteSpan[],
  params: ChunkerParams = DEFAULT_PARAMS,
): WindowScanner {
  const ranges = sortedRanges(dirty);
  const windows: { start: number; end: number }[] = [];
  let nextRange = 0;
  let open: { start: number; end: number } | null = null;
  let tellingCount = 0;
  let start = 0;
  /** Whether a dirty range lies in bytes `[start, end)`. */
  const touches = (end: number): boolean => {
    while (nextRange < ranges.length && (ranges[nextRange] as ByteSpan).end <= start) nextRange++;
    return nextRange < ranges.length && (ranges[nextRange] as ByteSpan).start < end;
  };
  return {
    windows,
    skip(lengthBytes) {
      if (open !== null || touches(start + lengthBytes)) return false;
      start += lengthBytes;
      return true;
    },
    push(lengthBytes) {
      const end = start + lengthBytes;
      const isDirty = touches(end);
      const opens = isDirty && open === null;
      if (opens) {
        open = { start, end };
        windows.push(open);
      }
      start = end;
      if (open === null) return 'outside';
      open.end = end;
      tellingCount = !isDirty && isTelling(lengthBytes, params) ? tellingCount + 1 : 0;
      if (tellingCount === 2) {
        open = null;
        tellingCount = 0;
      }
      return opens ? 'opens' : 'inside';
    },
  };
}

/** Ascending and without overlap, so that one moving index is enough. */
function sortedRanges(dirty: readonly ByteSpan[]): ByteSpan[] {
  const sorted = dirty
    .filter((range) => {
      if (!(range.start >= 0 && range.end >= range.start)) {
        throw new RangeError(`dirty range [${range.start}, ${range.end}) ends before it starts`);
      }
      return range.end > range.start;
    })
    .sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ start: range.start, end: range.end });
  }
  return merged;
}
