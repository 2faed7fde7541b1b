import type { FetchUse } from '../../plan/index.js';
import { RECORD_HEADER_BYTES, readRecordHeader } from '../../xorb/index.js';
import type { ComputePool, DecodeResult } from '../ports.js';
import type { ChunkLedger } from './chunk-ledger.js';
import { isDataFault } from './faults.js';
import type { OutputSlice } from './output-writer.js';
import { atChunk, type RecordRun } from './record-stream.js';
import type { SlabPair } from './slab-pairs.js';

/**
 * Decodes the runs of one slab side by side and checks that the chunks have the lengths that their
 * headers named.
 *
 * @throws OrbweaverError what decoding throws, naming the xorb and the chunk
 */
export async function decodeRuns(
  pool: ComputePool,
  pair: SlabPair,
  runs: readonly RecordRun[],
): Promise<DecodeResult[]> {
  const decoding = runs.map((run) => decodeRun(pool, pair, run));
  // All of them come to rest before the slabs may be used again.
  const settled = await Promise.allSettled(decoding);
  return settled.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
}

async function decodeRun(pool: ComputePool, pair: SlabPair, run: RecordRun): Promise<DecodeResult> {
  try {
    const decoded = await decode(pool, pair, run.inputStart, run.inputEnd, run);
    for (let chunk = run.chunkStart; chunk < run.chunkEnd; chunk++) {
      const expected = run.layout.rawStart(chunk + 1) - run.layout.rawStart(chunk);
      const got = decoded.lengths[chunk - run.chunkStart];
      if (got === expected) continue;
      const what = `${expected} bytes in chunk ${chunk}, got ${got ?? 'none'}`;
      throw run.layout.fault('SIZE_MISMATCH', what, { chunk });
    }
    return decoded;
  } catch (error) {
    throw isDataFault(error) ? await withChunk(pool, pair, run, error) : error;
  }
}

/** Finds the chunk that a run failed for, by decoding one by one: only faults pay for it. */
async function withChunk(
  pool: ComputePool,
  pair: SlabPair,
  run: RecordRun,
  error: unknown,
): Promise<unknown> {
  let start = run.inputStart;
  for (let chunk = run.chunkStart; chunk < run.chunkEnd; chunk++) {
    const header = readRecordHeader(pair.input.bytes, start);
    const end = start + RECORD_HEADER_BYTES + header.compressedLength;
    const { outputStart } = run;
    const isRaw = (run.places[chunk - run.chunkStart] as number) >= 0;
    const outputEnd = outputStart + (isRaw ? 0 : header.uncompressedLength);
    const single = { outputStart, outputEnd };
    try {
      await decode(pool, pair, start, end, single);
    } catch (fault) {
      return atChunk(fault, run.layout, chunk);
    }
    start = end;
  }
  return atChunk(error, run.layout, run.chunkStart);
}

function decode(
  pool: ComputePool,
  pair: SlabPair,
  start: number,
  end: number,
  target: { readonly outputStart: number; readonly outputEnd: number },
): Promise<DecodeResult> {
  return pool.decode({
    input: pair.input,
    start,
    end,
    output: pair.output,
    outputOffset: target.outputStart,
    expectedBytes: target.outputEnd - target.outputStart,
    rawInPlace: true,
  });
}

/** Notes the chunks of a run everywhere they are used in the file. */
export function recordRun(ledger: ChunkLedger, run: RecordRun, decoded: DecodeResult): void {
  for (const use of usesOf(run)) {
    const first = Math.max(use.chunkStart, run.chunkStart);
    const end = Math.min(use.chunkEnd, run.chunkEnd);
    const ordinal = use.chunkOrdinal + (first - use.chunkStart);
    ledger.record(ordinal, decoded, first - run.chunkStart, end - run.chunkStart);
  }
}

/** Where the bytes of a run go; bytes before the output and after its end are left out. */
export function sliceRun(run: RecordRun, pair: SlabPair): OutputSlice[] {
  const input = pair.input.bytes;
  const output = pair.output.bytes;
  const { layout, places } = run;
  const slices: OutputSlice[] = [];
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
      if (from < to) {
        const start = (place < 0 ? -1 - place : place) + from - landsAt;
        const bytes = (place < 0 ? output : input).subarray(start, start + to - from);
        slices.push({ outputOffset: from, bytes });
      }
      first = last;
    }
  }
  return slices;
}

function usesOf(run: RecordRun): FetchUse[] {
  return run.layout.uses.filter(
    (use) => use.chunkStart < run.chunkEnd && use.chunkEnd > run.chunkStart,
  );
}
