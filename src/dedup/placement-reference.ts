import {
  REFERENCE_HIGH_CHUNKS,
  REFERENCE_LOW_CHUNKS,
  REFERENCE_WINDOW_TERMS,
} from './constants.js';
import type { FilePlacement, KnownRun, PlacedRun, PlacementPolicy } from './ports.js';

/**
 * The rule of the reference client (protocol reference: dedup, fragmentation prevention): as long
 * as the last 128 terms hold fewer chunks on average than a threshold, a run shorter than that
 * average is stored again. The threshold is 8 after a refusal and 4 after an acceptance. For
 * comparison: it counts terms, which readers do not pay for, and it may store twice what this
 * session stored.
 *
 * @example
 * const session = createDedupSession({ hasher, placement: createReferencePlacement() });
 */
export function createReferencePlacement(): PlacementPolicy {
  return { name: 'reference', mayRefuse: 'closed', openFile };
}

function openFile(): FilePlacement {
  /** Chunk counts of the last terms, as a ring. */
  const window = new Float64Array(REFERENCE_WINDOW_TERMS);
  let terms = 0;
  let chunks = 0;
  let target = REFERENCE_LOW_CHUNKS;

  function accepts(run: KnownRun): boolean {
    if (terms < REFERENCE_WINDOW_TERMS) return true;
    const average = chunks / REFERENCE_WINDOW_TERMS;
    if (average >= target) {
      target = REFERENCE_LOW_CHUNKS;
      return true;
    }
    if (run.chunkCount >= average) return true;
    target = REFERENCE_HIGH_CHUNKS;
    return false;
  }

  function placed(run: PlacedRun): void {
    if (run.startsTerm) {
      const slot = terms % REFERENCE_WINDOW_TERMS;
      chunks += run.chunkCount - (window[slot] as number);
      window[slot] = run.chunkCount;
      terms++;
    } else {
      const slot = (terms - 1) % REFERENCE_WINDOW_TERMS;
      chunks += run.chunkCount;
      window[slot] = (window[slot] as number) + run.chunkCount;
    }
  }

  return { choose, accepts, placed };
}

/** Finished xorbs are asked before the open one, the first that knows it counts. */
function choose(runs: readonly KnownRun[]): number {
  const closed = runs.findIndex((run) => !run.open);
  return closed === -1 ? 0 : closed;
}
