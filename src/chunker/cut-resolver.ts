import { type ChunkerParams, DEFAULT_PARAMS } from './params.js';

/**
 * Turns candidates, found segment by segment and in any order of work, into the exact cuts of the
 * serial definition. Segments are handed over in file order.
 *
 * Why it is exact: a position may only be a cut when it lies at least `minBytes` (>= 128) after the
 * chunk's start, and there the Gear hash depends on the last 64 bytes alone. So the list of
 * candidates does not depend on where chunks began, and minimum and maximum can be applied later.
 *
 * Why it keeps nothing but the chunk's start: candidates come in ascending order and the start only
 * grows, so a candidate that is too close to the start is too close for ever.
 *
 * Positions are plain numbers, exact up to 2^53.
 */
export class CutResolver {
  readonly #params: ChunkerParams;
  #chunkStart = 0;
  #position = 0;
  #finished = false;

  constructor(params: ChunkerParams = DEFAULT_PARAMS) {
    this.#params = params;
  }

  /** Start of the chunk that is still open: the last cut, 0 before the first. */
  get chunkStart(): number {
    return this.#chunkStart;
  }

  /**
   * Takes the next segment `[segmentStart, segmentEnd)` of the file and returns the absolute cut
   * positions that are now certain.
   *
   * @param candidates ascending; candidate i lies at `candidatesBase + candidates[i]` in the file,
   *   above `segmentStart` and at most at `segmentEnd`.
   * @param isLast true when the file ends with this segment: what is left becomes the last chunk.
   *   A file that ends without knowing it before is closed by an empty last segment.
   * @throws RangeError when segments are not side by side or a candidate is not where it must be.
   */
  resolve(
    segmentStart: number,
    segmentEnd: number,
    candidates: ArrayLike<number>,
    candidatesBase: number,
    isLast: boolean,
  ): number[] {
    this.#checkSegment(segmentStart, segmentEnd);
    const { minBytes, maxBytes } = this.#params;
    const cuts: number[] = [];
    let start = this.#chunkStart;
    let previous = segmentStart;
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidatesBase + (candidates[i] as number);
      if (!(candidate > previous && candidate <= segmentEnd)) {
        throw new RangeError(
          `candidate ${i} expected above ${previous} and at most ${segmentEnd}, got ${candidate}`,
        );
      }
      previous = candidate;
      while (candidate >= start + maxBytes) {
        start += maxBytes;
        cuts.push(start);
      }
      if (candidate >= start + minBytes) {
        start = candidate;
        cuts.push(start);
      }
    }
    while (segmentEnd >= start + maxBytes) {
      start += maxBytes;
      cuts.push(start);
    }
    if (isLast && segmentEnd > start) {
      start = segmentEnd;
      cuts.push(start);
    }
    this.#chunkStart = start;
    this.#position = segmentEnd;
    this.#finished = isLast;
    return cuts;
  }

  #checkSegment(segmentStart: number, segmentEnd: number): void {
    if (this.#finished) throw new RangeError('no segment expected after the last one');
    if (segmentStart !== this.#position) {
      throw new RangeError(`"segmentStart" expected ${this.#position}, got ${segmentStart}`);
    }
    if (!(Number.isSafeInteger(segmentEnd) && segmentEnd >= segmentStart)) {
      throw new RangeError(`"segmentEnd" expected at least ${segmentStart}, got ${segmentEnd}`);
    }
  }
}
