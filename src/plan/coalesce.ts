import { DEFAULT_READ_PRICE } from './price.js';

/** Options of {@link coalesceRanges}. */
export interface CoalesceOptions {
  /**
   * Two ranges with at most this many bytes between them become one; 0 joins only neighbours.
   * @default DEFAULT_READ_PRICE.requestCostBytes
   */
  readonly gapBytes?: number;
  /**
   * A joined range is not longer than this (a single input range may be).
   * @default DEFAULT_READ_PRICE.maxRangeBytes
   */
  readonly maxBytes?: number;
  /**
   * At most this part of a joined range is in none of its members, 0 to 1; `gapBytes` in all are
   * always fine.
   * @default DEFAULT_READ_PRICE.maxGapShare
   */
  readonly maxGapShare?: number;
}

/** A joined range while it grows. */
interface OpenRange {
  start: number;
  end: number;
  members: number[];
  gapBytes: number;
}

/** `[start, end)` and the indices of the input ranges that lie in it, ascending. */
export interface CoalescedRange {
  readonly start: number;
  readonly end: number;
  readonly members: readonly number[];
}

/**
 * Joins ranges that are cheaper to read together than apart. Input: half-open, sorted by `start`,
 * may overlap or repeat. Output: sorted, every input range lies whole in exactly one of them.
 *
 * @throws RangeError when a range is empty or the list is not sorted
 * @example
 * coalesceRanges([{ start: 0, end: 10 }, { start: 12, end: 20 }, { start: 900, end: 910 }],
 *   { gapBytes: 4 }); // [0, 20) with members 0 and 1, [900, 910) with member 2
 */
export function coalesceRanges(
  ranges: readonly { readonly start: number; readonly end: number }[],
  options: CoalesceOptions = {},
): CoalescedRange[] {
  const gapBytes = options.gapBytes ?? DEFAULT_READ_PRICE.requestCostBytes;
  const maxBytes = options.maxBytes ?? DEFAULT_READ_PRICE.maxRangeBytes;
  const maxGapShare = options.maxGapShare ?? DEFAULT_READ_PRICE.maxGapShare;
  const joined: OpenRange[] = [];
  let last: OpenRange | undefined;
  let previousStart = Number.NEGATIVE_INFINITY;
  for (const [index, range] of ranges.entries()) {
    if (!(range.end > range.start)) {
      throw new RangeError(`"ranges[${index}]" expected end > start, got ${range.end}`);
    }
    if (range.start < previousStart) {
      throw new RangeError(`"ranges[${index}]" expected ranges sorted by start`);
    }
    previousStart = range.start;
    const gap = last === undefined ? 0 : Math.max(0, range.start - last.end);
    if (last !== undefined && (range.end <= last.end || worthJoining(last, range, gap))) {
      last.end = Math.max(last.end, range.end);
      last.gapBytes += gap;
      last.members.push(index);
    } else {
      last = { start: range.start, end: range.end, members: [index], gapBytes: 0 };
      joined.push(last);
    }
  }
  return joined.map(({ start, end, members }) => ({ start, end, members }));

  function worthJoining(open: OpenRange, { end }: { end: number }, gap: number): boolean {
    const bytes = end - open.start;
    const gaps = open.gapBytes + gap;
    return gap <= gapBytes && bytes <= maxBytes && gaps <= Math.max(gapBytes, maxGapShare * bytes);
  }
}
