import type { FilePlacement, KnownRun, PlacementPolicy } from './ports.js';

/**
 * Refers to everything that is known and so stores the least; readers of a file made of many short
 * runs pay for it with many requests. Among several places the longest run wins.
 *
 * @example
 * const session = createDedupSession({ hasher, placement: createStoreLeastPlacement() });
 */
export function createStoreLeastPlacement(): PlacementPolicy {
  const placement: FilePlacement = {
    choose: longest,
    accepts: () => true,
    placed: () => {},
  };
  return { name: 'store-least', mayRefuse: 'outside', openFile: () => placement };
}

/** Index of the run with the most chunks; the first of equals. */
export function longest(runs: readonly KnownRun[]): number {
  let best = 0;
  for (let i = 1; i < runs.length; i++) {
    if ((runs[i]?.chunkCount ?? 0) > (runs[best]?.chunkCount ?? 0)) best = i;
  }
  return best;
}
