import { DEFAULT_PLACEMENT_PRICES, type PlacementPrices, READ_FAST_PRICES } from './constants.js';
import type { FilePlacement, KnownRun, PlacedRun, PlacementPolicy } from './ports.js';

/**
 * The default policy: a known run is referred to when that costs readers less than storing it again
 * costs. What readers pay for is requests and bytes, not terms, so a run is cheap when it lies in a
 * range that the file reads anyway or next to one: the gap is read over. A run that lies alone
 * costs a request.
 *
 *   price of a run   bytes of the gap to the nearest range of the same xorb that the file uses,
 *                    or one request when that is longer than is worth reading over
 *   worth of a run   its bytes, which are not sent and stored again
 *
 * Runs that are worth less than their price draw on a credit that grows with the file: a few odd
 * chunks always deduplicate, a file of nothing but crumbs is stored in one piece. Chunks that this
 * session stored are never stored twice; they only move the credit. Prices are in uncompressed
 * bytes, as the sizes of records in other xorbs are not known.
 *
 * A run that is cut off by the end of the batch gets the benefit of the doubt. One that earns what it
 * costs is never refused.
 *
 * @example
 * const session = createDedupSession({ hasher, placement: createPricedPlacement() });
 */
export function createPricedPlacement(prices: Partial<PlacementPrices> = {}): PlacementPolicy {
  const all = { ...DEFAULT_PLACEMENT_PRICES, ...prices };
  return { name: 'priced', mayRefuse: 'outside', openFile: () => openFile(all) };
}

/**
 * The same policy for files that are read far more often than they are stored: readers pay at most
 * a twentieth more than for the file stored alone, and what would cost them more is stored again.
 *
 * @example
 * const session = createDedupSession({ hasher, placement: createReadFastPlacement() });
 */
export function createReadFastPlacement(): PlacementPolicy {
  return { ...createPricedPlacement(READ_FAST_PRICES), name: 'read-fast' };
}

/** A stretch of a xorb that readers of the file fetch, gaps worth reading over included. */
interface UsedRange {
  readonly xorb: number;
  start: number;
  end: number;
}

function openFile(prices: PlacementPrices): FilePlacement {
  /** Last used first. */
  const ranges: UsedRange[] = [];
  let credit = prices.creditBytes;
  let refusing = false;

  /** Number of the nearest range within a gap worth reading over, or -1. */
  function nearest(run: Pick<KnownRun, 'xorb' | 'rawStart' | 'rawEnd'>): number {
    let best = -1;
    let bestGap = prices.gapBytes + 1;
    for (const [i, range] of ranges.entries()) {
      if (range.xorb !== run.xorb) continue;
      const gap = gapBetween(range, run);
      if (gap < bestGap) {
        best = i;
        bestGap = gap;
        if (gap === 0) break;
      }
    }
    return best;
  }

  function price(run: KnownRun): number {
    const range = ranges[nearest(run)];
    return range === undefined ? prices.requestBytes : gapBetween(range, run);
  }

  /** What storing the run again would cost, less what referring to it costs. */
  function gain(run: KnownRun): number {
    return (run.rawEnd - run.rawStart) * prices.storedWeight - price(run);
  }

  function choose(runs: readonly KnownRun[]): number {
    let best = 0;
    let bestGain = Number.NEGATIVE_INFINITY;
    for (const [i, run] of runs.entries()) {
      const value = gain(run);
      if (value > bestGain) {
        best = i;
        bestGain = value;
      }
    }
    return best;
  }

  function accepts(run: KnownRun): boolean {
    const need = -gain(run);
    const earns = (run.rawEnd - run.rawStart) * prices.creditPerByte;
    const resumed = !refusing || credit >= prices.resumeCreditBytes;
    const accepted = need <= earns || (resumed && (run.openEnded || need <= credit));
    refusing = !accepted;
    return accepted;
  }

  function placed(run: PlacedRun): void {
    const bytes = run.rawEnd - run.rawStart;
    const at = nearest(run);
    const range = ranges[at];
    const cost = range === undefined ? prices.requestBytes : gapBetween(range, run);
    const shortfall = run.isNew ? 0 : Math.max(0, cost - bytes * prices.storedWeight);
    credit = Math.max(0, credit - shortfall) + bytes * prices.creditPerByte;
    credit = Math.min(prices.creditBytes, credit);
    if (range === undefined) {
      ranges.unshift({ xorb: run.xorb, start: run.rawStart, end: run.rawEnd });
      if (ranges.length > prices.rememberedRanges) ranges.pop();
      return;
    }
    range.start = Math.min(range.start, run.rawStart);
    range.end = Math.max(range.end, run.rawEnd);
    if (at > 0) {
      ranges.splice(at, 1);
      ranges.unshift(range);
    }
  }

  return { choose, accepts, placed };
}

/** Bytes between the two, 0 when they touch or overlap. */
function gapBetween(
  range: UsedRange,
  run: { readonly rawStart: number; readonly rawEnd: number },
): number {
  return Math.max(0, run.rawStart - range.end, range.start - run.rawEnd);
}
