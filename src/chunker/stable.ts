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

/**
 * First cut behind `position` from which on all cuts stay the same, whatever happens to the bytes
 * before `position`; null when the list proves none (constant data has none).
 *
 * @param cuts all cuts of the file in order, the last one being its length.
 */
export function nextStableBoundary(
  position: number,
  cuts: ArrayLike<number>,
  params: ChunkerParams = DEFAULT_PARAMS,
): number | null {
  let index = firstAtOrAbove(cuts, position);
  let tellingCount = 0;
  for (index += 1; index < cuts.length; index++) {
    const end = cuts[index] as number;
    tellingCount = isTelling(end - (cuts[index - 1] as number), params) ? tellingCount + 1 : 0;
    if (tellingCount === 2) return end;
  }
  return null;
}

function firstAtOrAbove(sorted: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The windows that must be chunked again when the bytes in `dirty` change: each opens with the
 * first chunk that a dirty range touches and closes behind two telling clean chunks in a row (or at
 * the end of the file). Windows lie on chunk boundaries, in order, and do not touch each other.
 *
 * @param chunkLengths of all chunks of the file, in order.
 * @param dirty in any order, may overlap; what lies past the end of the file is cut off, and when
 *   nothing is left there is no window.
 * @throws RangeError when a range ends before it starts.
 */
export function dirtyWindows(
  chunkLengths: ArrayLike<number>,
  dirty: readonly ByteSpan[],
  params: ChunkerParams = DEFAULT_PARAMS,
): ByteSpan[] {
  const ranges = sortedRanges(dirty);
  const windows: ByteSpan[] = [];
  let nextRange = 0;
  let openedAt = -1;
  let tellingCount = 0;
  let start = 0;
  for (let i = 0; i < chunkLengths.length; i++) {
    const lengthBytes = chunkLengths[i] as number;
    const end = start + lengthBytes;
    while (nextRange < ranges.length && (ranges[nextRange] as ByteSpan).end <= start) nextRange++;
    const isDirty = nextRange < ranges.length && (ranges[nextRange] as ByteSpan).start < end;
    if (isDirty) {
      if (openedAt < 0) openedAt = start;
      tellingCount = 0;
    } else if (openedAt >= 0) {
      tellingCount = isTelling(lengthBytes, params) ? tellingCount + 1 : 0;
      if (tellingCount === 2) {
        windows.push({ start: openedAt, end });
        openedAt = -1;
        tellingCount = 0;
      }
    }
    start = end;
  }
  if (openedAt >= 0) windows.push({ start: openedAt, end: start });
  return windows;
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
