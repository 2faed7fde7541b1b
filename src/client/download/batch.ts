import { RECORD_HEADER_BYTES, readRecordHeader } from '../../xorb/index.js';
import type { ComputePool, DecodeResult, FileRows } from '../ports.js';
import type { ChunkLedger } from './chunk-ledger.js';
import { isDataFault } from './faults.js';
import { usesOf } from './landings.js';
import { atChunk, type RecordRun } from './record-stream.js';
import type { SlabPair } from './slab-pairs.js';

/**
 * Decodes all runs of one slab in one task, which writes `rows` of them, and checks that the chunks
 * have the lengths that their headers named.
 *
 * @throws OrbweaverError what decoding throws, naming the xorb and the chunk
 */
export async function decodeRuns(
  pool: ComputePool,
  pair: SlabPair,
  runs: readonly RecordRun[],
  rows: FileRows | undefined,
): Promise<DecodeResult> {
  try {
    const decoded = await decode(pool, pair, runs, rows);
    let at = 0;
    for (const run of runs) {
      for (let chunk = run.chunkStart; chunk < run.chunkEnd; chunk++) {
        const expected = run.layout.rawStart(chunk + 1) - run.layout.rawStart(chunk);
        const got = decoded.lengths[at++];
        if (got === expected) continue;
        const what = `${expected} bytes in chunk ${chunk}, got ${got ?? 'none'}`;
        throw run.layout.fault('SIZE_MISMATCH', what, { chunk });
      }
    }
    return decoded;
  } catch (error) {
    throw isDataFault(error) ? await withChunk(pool, pair, runs, error) : error;
  }
}

/** Finds the chunk that runs failed for, by decoding one by one: only faults pay for it. */
async function withChunk(
  pool: ComputePool,
  pair: SlabPair,
  runs: readonly RecordRun[],
  error: unknown,
): Promise<unknown> {
  for (const run of runs) {
    let inputStart = run.inputStart;
    for (let chunk = run.chunkStart; chunk < run.chunkEnd; chunk++) {
      const header = readRecordHeader(pair.input.bytes, inputStart);
      const inputEnd = inputStart + RECORD_HEADER_BYTES + header.compressedLength;
      const { outputStart } = run;
      const isRaw = (run.places[chunk - run.chunkStart] as number) >= 0;
      const outputEnd = outputStart + (isRaw ? 0 : header.uncompressedLength);
      try {
        await decode(pool, pair, [{ inputStart, inputEnd, outputStart, outputEnd }], undefined);
      } catch (fault) {
        return atChunk(fault, run.layout, chunk);
      }
      inputStart = inputEnd;
    }
  }
  const [first] = runs;
  return first === undefined ? error : atChunk(error, first.layout, first.chunkStart);
}

function decode(
  pool: ComputePool,
  { input, output }: SlabPair,
  runs: readonly Pick<RecordRun, 'inputStart' | 'inputEnd' | 'outputStart' | 'outputEnd'>[],
  rows: FileRows | undefined,
): Promise<DecodeResult> {
  const numbers = Uint32Array.from(
    runs.flatMap((run) => [run.inputStart, run.inputEnd, run.outputStart, run.outputEnd]),
  );
  return pool.decode({ input, output, runs: numbers, rows });
}

/** Notes the chunks of a slab everywhere they are used in the file. */
export function recordRuns(
  ledger: ChunkLedger,
  runs: readonly RecordRun[],
  decoded: DecodeResult,
): void {
  let runFirst = 0;
  for (const run of runs) {
    for (const use of usesOf(run)) {
      const first = Math.max(use.chunkStart, run.chunkStart);
      const end = Math.min(use.chunkEnd, run.chunkEnd);
      const ordinal = use.chunkOrdinal + (first - use.chunkStart);
      const at = runFirst - run.chunkStart;
      ledger.record(ordinal, decoded, at + first, at + end);
    }
    runFirst += run.chunkEnd - run.chunkStart;
  }
}
