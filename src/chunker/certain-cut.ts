import { type ChunkerParams, DEFAULT_PARAMS } from './params.js';
import type { GearScanner } from './ports.js';

/** Candidates looked up one by one at first: those behind the certain cut were found for nothing. */
const SINGLE_LOOKUPS = 16;
const MANY = 4096;

/** What is known of a segment without knowing what came before it. */
export interface CertainCut {
  /** All candidates of the segment up to `position`, or to its end when there is none; ascending. */
  readonly candidates: readonly number[];
  /** A cut, wherever the chunk began that the segment starts in; null: none can be told. */
  readonly position: number | null;
}

/**
 * Where the cuts of a segment `[start, end)` of `data` stop depending on the bytes before it. From
 * there on a segment can be cut and hashed on its own, while the cuts before it are still being found;
 * a `CutResolver` joins them later, from `candidates`.
 *
 * The chunk that is open at `start` began at `start` or at any of the `maxBytes - 1` positions before.
 * All these possible chunk starts are followed at once, as one interval: a candidate becomes the start
 * for all that lie `minBytes` or more before it, and whoever waits for `maxBytes` without one moves on
 * by so much. Once the interval is one position, that is a cut. Random data gets there after some
 * 2 candidates, 160 KiB; constant data never does.
 *
 * @param data bytes before `start` warm the window; 63 must be there, if the file has them.
 */
export function findCertainCut(
  scanner: GearScanner,
  data: Uint8Array,
  start: number,
  end: number,
  params: ChunkerParams = DEFAULT_PARAMS,
): CertainCut {
  const { minBytes, maxBytes, maskBits } = params;
  const candidates: number[] = [];
  let room = new Uint32Array(1);
  let from = start;
  let low = start - maxBytes + 1;
  let high = start;
  while (from < end) {
    const found = scanner.scan(data, from, end, maskBits, room);
    for (let i = 0; i < found; i++) {
      const candidate = room[i] as number;
      candidates.push(candidate);
      // Forced cuts before the candidate: all starts move alike, or those up to `candidate - maxBytes`.
      while (high + maxBytes <= candidate) {
        low += maxBytes;
        high += maxBytes;
      }
      const forced = low + maxBytes <= candidate;
      // Starts that are too close to the candidate for a cut there; the others become the candidate.
      const tooClose = candidate - minBytes + 1;
      let lowest = candidate;
      if (high >= tooClose) lowest = Math.max(low, tooClose);
      if (forced) lowest = Math.min(lowest, Math.max(low + maxBytes, tooClose));
      if (forced || low < tooClose) high = candidate;
      low = lowest;
      if (low === high) return { candidates, position: candidate };
    }
    if (found < room.length) break;
    from = room[found - 1] as number;
    if (candidates.length === SINGLE_LOOKUPS) room = new Uint32Array(MANY);
  }
  return { candidates, position: null };
}
