import type { FetchUse } from '../../plan/index.js';
import type { FileRows } from '../ports.js';
import type { RecordRun } from './record-stream.js';
import type { SlabPair } from './slab-pairs.js';

/** Bytes of a pair of slabs, once they are decoded, and where they go in the output. */
export interface Landing {
  readonly outputOffset: number;
  /** At this position of the input slab, or at `-1 - place` of the output slab. */
  readonly place: number;
  readonly lengthBytes: number;
}

/** Decoded bytes and where they go; `bytes` is a view of a slab. */
export interface OutputSlice {
  readonly outputOffset: number;
  readonly bytes: Uint8Array;
}

/**
 * Where the bytes of a run go; bytes before the output and after its end are left out. The headers of
 * its records say that before anything is decoded.
 */
export function landingsOf(run: RecordRun): Landing[] {
  const { layout, places } = run;
  const landings: Landing[] = [];
  for (const use of usesOf(run)) {
    const end = Math.min(use.chunkEnd, run.chunkEnd);
    const useStart = layout.rawStart(use.chunkStart);
    for (let first = Math.max(use.chunkStart, run.chunkStart); first < end; ) {
      const place = places[first - run.chunkStart] as number;
      // Decoded chunks lie side by side; raw ones have a header in between.
      let last = first + 1;
      if (place < 0) while (last < end && (places[last - run.chunkStart] as number) < 0) last++;
      const landsAt = use.outputOffset + layout.rawStart(first) - useStart;
      const landsEnd = use.outputOffset + layout.rawStart(last) - useStart;
      const from = Math.max(landsAt, 0);
      const to = Math.min(landsEnd, use.outputEnd);
      const skipBytes = from - landsAt;
      if (from < to) {
        landings.push({
          outputOffset: from,
          place: place < 0 ? place - skipBytes : place + skipBytes,
          lengthBytes: to - from,
        });
      }
      first = last;
    }
  }
  return landings;
}

/** Uses that want chunks of this run. */
export function usesOf(run: RecordRun): FetchUse[] {
  return run.layout.uses.filter(
    (use) => use.chunkStart < run.chunkEnd && use.chunkEnd > run.chunkStart,
  );
}

/** The bytes themselves, when they are decoded. */
export function sliceOf(
  { outputOffset, place, lengthBytes }: Landing,
  pair: SlabPair,
): OutputSlice {
  const start = place < 0 ? -1 - place : place;
  const { bytes } = place < 0 ? pair.output : pair.input;
  return { outputOffset, bytes: bytes.subarray(start, start + lengthBytes) };
}

/** Landings as rows of a file in which the output begins at `baseOffset`. */
export function packRows(
  landings: readonly Landing[],
  file: { readonly fd: number; readonly baseOffset: number },
): FileRows {
  const pieces = new Int32Array(2 * landings.length);
  const offsets: number[] = [];
  const ends: number[] = [];
  let rowEnd = -1;
  landings.forEach(({ outputOffset, place, lengthBytes }, i) => {
    if (outputOffset !== rowEnd) {
      offsets.push(file.baseOffset + outputOffset);
      ends.push(i);
    }
    pieces[2 * i] = place;
    pieces[2 * i + 1] = lengthBytes;
    ends[ends.length - 1] = i + 1;
    rowEnd = outputOffset + lengthBytes;
  });
  return {
    fd: file.fd,
    offsets: Float64Array.from(offsets),
    ends: Uint32Array.from(ends),
    pieces,
  };
}
