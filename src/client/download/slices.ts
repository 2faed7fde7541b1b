import type { FetchUse } from '../../plan/index.js';
import type { SlabPair } from './pairs.js';
import type { RecordRun } from './record-walker.js';

/** Decoded bytes and where they go in the output of the block; `bytes` is a view of a slab. */
export interface OutputSlice {
  readonly outputOffset: number;
  readonly bytes: Uint8Array;
}

/** Bytes of the output that are zeros. */
export interface Hole {
  readonly outputOffset: number;
  readonly lengthBytes: number;
}

/**
 * The bytes of a decoded run, everywhere they are used; what lies before the output or behind its end
 * is left out. Chunks that `isZero` names (by their number in the run) become holes.
 */
export function placesOf(
  run: RecordRun,
  pair: SlabPair,
  isZero: ((chunkInRun: number) => boolean) | null,
): { readonly slices: OutputSlice[]; readonly holes: Hole[] } {
  const slices: OutputSlice[] = [];
  const holes: Hole[] = [];
  const { layout, chunkStart } = run;
  for (const use of usesOf(run)) {
    const useStart = use.outputOffset - layout.rawStart(use.chunkStart);
    const end = Math.min(use.chunkEnd, run.chunkEnd);
    for (let first = Math.max(use.chunkStart, chunkStart); first < end; ) {
      const isRaw = run.raw[first - chunkStart] as boolean;
      const zero = isZero?.(first - chunkStart) ?? false;
      let last = first + 1;
      // Decoded chunks lie side by side; raw ones have a header in between.
      if (zero) while (last < end && isZero?.(last - chunkStart)) last++;
      else if (!isRaw) {
        while (last < end && !run.raw[last - chunkStart] && !isZero?.(last - chunkStart)) last++;
      }
      const landsAt = useStart + layout.rawStart(first);
      const from = Math.max(landsAt, 0);
      const to = Math.min(useStart + layout.rawStart(last), use.outputEnd);
      if (from < to) {
        if (zero) holes.push({ outputOffset: from, lengthBytes: to - from });
        else {
          const slab = isRaw ? pair.input : pair.output;
          const start = (run.starts[first - chunkStart] as number) + (from - landsAt);
          slices.push({ outputOffset: from, bytes: slab.bytes.subarray(start, start + to - from) });
        }
      }
      first = last;
    }
  }
  return { slices, holes };
}

/** Uses that want chunks of this run. */
export function usesOf(run: RecordRun): FetchUse[] {
  return run.layout.uses.filter(
    (use) => use.chunkStart < run.chunkEnd && use.chunkEnd > run.chunkStart,
  );
}
