import { RECORD_HEADER_BYTES, readRecordHeader } from '../../xorb/index.js';
import type { ComputePool, DecodeResult } from '../ports.js';
import { isDataFault, isWorkerLoss } from './faults.js';
import type { SlabPair } from './pairs.js';
import { atChunk } from './range-layout.js';
import type { RecordRun } from './record-walker.js';

/**
 * Decodes all runs of one slab in one task, and checks that the chunks have the lengths that their
 * headers named. A thread that dies leaves the received bytes where they are when memory is shared:
 * then the task is tried once more.
 *
 * @throws OrbweaverError what decoding throws, naming the xorb and the chunk
 */
export async function decodeRuns(
  pool: ComputePool,
  pair: SlabPair,
  runs: readonly RecordRun[],
): Promise<DecodeResult> {
  try {
    const decoded = await decode(pool, pair, runs).catch((error: unknown) => {
      if (!pool.sharedMemory || !isWorkerLoss(error)) throw error;
      return decode(pool, pair, runs);
    });
    let at = 0;
    for (const { layout, chunkStart, chunkEnd } of runs) {
      for (let chunk = chunkStart; chunk < chunkEnd; chunk++) {
        const expected = layout.rawStart(chunk + 1) - layout.rawStart(chunk);
        const got = decoded.lengths[at++];
        if (got === expected) continue;
        const what = `${expected} bytes in chunk ${chunk}, got ${got ?? 'none'}`;
        throw layout.fault('SIZE_MISMATCH', what, { chunk });
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
      const isRaw = run.raw[chunk - run.chunkStart] as boolean;
      const outputEnd = outputStart + (isRaw ? 0 : header.uncompressedLength);
      try {
        await decode(pool, pair, [{ inputStart, inputEnd, outputStart, outputEnd }]);
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
): Promise<DecodeResult> {
  const numbers = Uint32Array.from(
    runs.flatMap((run) => [run.inputStart, run.inputEnd, run.outputStart, run.outputEnd]),
  );
  return pool.decode({ input, output, runs: numbers });
}
