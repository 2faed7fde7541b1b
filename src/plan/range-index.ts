import type { FetchEntry, FetchRange, XorbFetch } from './types.js';

/** A range of one xorb and where it stands in the response. */
export interface IndexedRange {
  readonly xorbFetch: XorbFetch;
  readonly entry: FetchEntry;
  readonly range: FetchRange;
  /** Position of the range in its entry. */
  readonly position: number;
}

/** Ranges looked at before the widest one is taken: responses overlap seldom, hostile ones may a lot. */
const NEAR_RANGES = 8;

/**
 * Finds, for a chunk interval, a fetch range of the same xorb that holds it, in logarithmic time
 * whatever the response looks like (ranges may overlap, repeat and come in any order).
 */
export class RangeIndex {
  /** Sorted by chunk start. */
  readonly #ranges: IndexedRange[];
  /** Element i: index of the range with the greatest chunk end among ranges 0..i. */
  readonly #widest: Uint32Array;

  constructor(xorbFetch: XorbFetch) {
    this.#ranges = xorbFetch.entries.flatMap((entry) =>
      entry.ranges.map((range, position) => ({ xorbFetch, entry, range, position })),
    );
    this.#ranges.sort((a, b) => a.range.chunkStart - b.range.chunkStart);
    this.#widest = new Uint32Array(this.#ranges.length);
    let widest = 0;
    for (let i = 0; i < this.#ranges.length; i++) {
      if (this.#end(i) > this.#end(widest)) widest = i;
      this.#widest[i] = widest;
    }
  }

  /**
   * A range that holds chunks `[chunkStart, chunkEnd)`, or null. One that `preferred` likes wins
   * (it is fetched anyway); else the one that starts nearest to the chunks.
   */
  find(
    chunkStart: number,
    chunkEnd: number,
    preferred?: (candidate: IndexedRange) => boolean,
  ): IndexedRange | null {
    const last = this.#lastStartingAt(chunkStart);
    if (last < 0) return null;
    const widest = this.#widest[last] as number;
    if (this.#end(widest) < chunkEnd) return null;
    let nearest: IndexedRange | null = null;
    for (let i = last; i >= 0 && i > last - NEAR_RANGES; i--) {
      if (this.#end(i) < chunkEnd) continue;
      const candidate = this.#ranges[i] as IndexedRange;
      if (preferred === undefined || preferred(candidate)) return candidate;
      nearest ??= candidate;
    }
    const wide = this.#ranges[widest] as IndexedRange;
    return nearest === null || preferred?.(wide) === true ? wide : nearest;
  }

  #end(index: number): number {
    return (this.#ranges[index] as IndexedRange).range.chunkEnd;
  }

  /** Index of the last range with `chunkStart` at most this, or -1. */
  #lastStartingAt(chunkStart: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle] as IndexedRange).range.chunkStart <= chunkStart) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** One index per xorb, by hash string. Several `XorbFetch` of one xorb are joined. */
export function indexRanges(fetches: readonly XorbFetch[]): Map<string, RangeIndex> {
  const joined = new Map<string, XorbFetch>();
  for (const fetch of fetches) {
    const key = fetch.xorb.toString();
    const known = joined.get(key);
    joined.set(
      key,
      known === undefined
        ? fetch
        : { xorb: fetch.xorb, entries: [...known.entries, ...fetch.entries] },
    );
  }
  return new Map([...joined].map(([key, fetch]) => [key, new RangeIndex(fetch)]));
}
