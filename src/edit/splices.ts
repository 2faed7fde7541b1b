import type { ByteSpan } from '../chunker/index.js';
import { OrbweaverError } from '../errors.js';

/** One change of a file: at `offset` of the old file, `deleteBytes` make place for something else. */
export interface Splice {
  readonly offset: number;
  readonly deleteBytes: number;
}

/** Splices in order, with the position of each in the list that they came in. */
export interface OrderedSplice extends Splice {
  readonly index: number;
}

/**
 * Sorts splices by offset; all offsets are those of the old file, so they may not overlap. Several that
 * only insert at one place keep their order.
 *
 * @throws OrbweaverError `RANGE_INVALID` for one that is not in the file, or that overlaps another
 */
export function orderSplices(splices: readonly Splice[], fileSizeBytes: number): OrderedSplice[] {
  const ordered = splices
    .map(({ offset, deleteBytes }, index) => ({ offset, deleteBytes, index }))
    .sort((a, b) => a.offset - b.offset || a.index - b.index);
  let position = 0;
  for (const { offset, deleteBytes, index } of ordered) {
    const end = offset + deleteBytes;
    if (end > fileSizeBytes) {
      throw wrong(index, `bytes [${offset}, ${end}) to lie in the ${fileSizeBytes} of the file`);
    }
    if (offset < position) {
      throw wrong(index, `an offset of at least ${position}, where the splice before it ends`);
    }
    position = end;
  }
  return ordered;
}

function wrong(index: number, expected: string): OrbweaverError {
  return new OrbweaverError('RANGE_INVALID', `"splices[${index}]" expected ${expected}`, { index });
}

/** As many ranges as one question may hold, whatever their numbers. */
export const MAX_DIRTY_RANGES = 200;

/**
 * The bytes of the old file that a window has to lie around: the first and the last that each splice
 * removes, or the one that it inserts in front of. What lies between is not read. Of very many, those
 * that are nearest to each other become one range.
 */
export function dirtyBytes(
  splices: readonly Splice[],
  fileSizeBytes: number,
  limit: number = MAX_DIRTY_RANGES,
): ByteSpan[] {
  const points = new Set<number>();
  for (const { offset, deleteBytes } of splices) {
    // Behind the last byte there is none; the last chunk may end there only because the file did.
    points.add(Math.min(offset, fileSizeBytes - 1));
    if (deleteBytes > 0) points.add(offset + deleteBytes - 1);
  }
  const sorted = [...points].sort((a, b) => a - b);
  const distances = sorted.slice(1).map((point, i) => point - (sorted[i] as number));
  // So many of the smallest distances are closed.
  const closed = Math.max(0, sorted.length - limit);
  const widest = closed === 0 ? 0 : (distances.toSorted((a, b) => a - b)[closed - 1] as number);
  const ranges: { start: number; end: number }[] = [];
  for (const point of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && point - (last.end - 1) <= widest) last.end = point + 1;
    else ranges.push({ start: point, end: point + 1 });
  }
  return ranges;
}

/** A step in the making of the new bytes of a region. */
export type RegionStep =
  /** The next bytes of a window are kept. */
  | { readonly kind: 'copy'; readonly window: number; readonly bytes: number }
  /** The next bytes of a window are gone. */
  | { readonly kind: 'drop'; readonly window: number; readonly bytes: number }
  /** The bytes that splice `index` inserts. */
  | { readonly kind: 'insert'; readonly index: number };

/**
 * A stretch of the old file that is cut anew: one window, or several that a splice connects by removing
 * what lies between them.
 */
export interface Region extends ByteSpan {
  readonly firstWindow: number;
  readonly endWindow: number;
  /** From its start to its end, every byte of its windows once. */
  readonly steps: readonly RegionStep[];
}

/**
 * What has to be cut anew, and from which bytes.
 *
 * @param windows around {@link dirtyBytes}, ascending.
 * @throws OrbweaverError `PROTOCOL` when they do not lie around them
 */
export function regionsOf(
  windows: readonly ByteSpan[],
  splices: readonly OrderedSplice[],
  fileSizeBytes: number,
): Region[] {
  const regions: Region[] = [];
  let next = 0;
  for (let first = 0; first < windows.length; ) {
    let end = first + 1;
    const inside: OrderedSplice[] = [];
    for (; next < splices.length; next++) {
      const splice = splices[next] as OrderedSplice;
      const { offset, deleteBytes } = splice;
      const from = windowAt(windows, Math.min(offset, fileSizeBytes - 1));
      const to = deleteBytes === 0 ? from : windowAt(windows, offset + deleteBytes - 1);
      if (from < first || to < from) throw notAround(splice);
      if (from >= end) break;
      end = Math.max(end, to + 1);
      inside.push(splice);
    }
    regions.push(regionOf(windows, { first, end }, inside));
    first = end;
  }
  const left = splices[next];
  if (left !== undefined) throw notAround(left);
  return regions;
}

/** Index of the window that holds a byte; -1: none does. */
function windowAt(windows: readonly ByteSpan[], at: number): number {
  return windows.findIndex(({ start, end }) => start <= at && at < end);
}

function regionOf(
  windows: readonly ByteSpan[],
  { first, end }: { readonly first: number; readonly end: number },
  splices: readonly OrderedSplice[],
): Region {
  const steps: RegionStep[] = [];
  let window = first;
  let position = (windows[first] as ByteSpan).start;
  const advance = (to: number, kind: 'copy' | 'drop'): void => {
    while (position < to) {
      const { end: windowEnd } = windows[window] as ByteSpan;
      if (position === windowEnd) {
        const following = windows[window + 1];
        if (following === undefined || window + 1 >= end) return;
        // Only what is removed may be left out.
        if (kind === 'copy' && following.start !== position) return;
        window++;
        position = Math.min(to, following.start);
        if (position < following.start) return;
        continue;
      }
      const bytes = Math.min(to, windowEnd) - position;
      steps.push({ kind, window, bytes });
      position += bytes;
    }
  };
  for (const splice of splices) {
    advance(splice.offset, 'copy');
    steps.push({ kind: 'insert', index: splice.index });
    advance(splice.offset + splice.deleteBytes, 'drop');
    if (position !== splice.offset + splice.deleteBytes) throw notAround(splice);
  }
  const last = windows[end - 1] as ByteSpan;
  advance(last.end, 'copy');
  return {
    start: (windows[first] as ByteSpan).start,
    end: last.end,
    firstWindow: first,
    endWindow: end,
    steps,
  };
}

function notAround({ index }: OrderedSplice): OrbweaverError {
  return new OrbweaverError(
    'PROTOCOL',
    `"windows" expected one around the ends of splice ${index}, got none`,
    { field: 'windows', index },
  );
}
