import { OrbweaverError } from '../../errors.js';
import type { Scope } from '../../flow/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { PlannedFetch } from '../../plan/index.js';
import type { ChunkRun, DecodeResult } from '../ports.js';
import type { Block, Transfer } from './block.js';
import { type FetchContext, runFetch } from './fetch.js';
import { flushRule } from './flush-rule.js';
import { Lanes } from './lanes.js';
import { OrderedOutput } from './ordered-output.js';
import { type Output, type OutputOptions, positionalOutput } from './output.js';
import { freePairs, orderedPairs, type PairSource } from './pairs.js';
import type { RecordRun } from './record-walker.js';
import { placesOf, usesOf } from './slices.js';
import { createUrlBook } from './url-book.js';

/** How a block is run. */
export interface RunOptions {
  /** Most requests at a time. */
  readonly concurrency: number;
  readonly onWritten: (bytes: number) => void;
  /** Fetches only these, and writes all of their bytes, zeros too. @default all */
  readonly rewrite?: readonly PlannedFetch[] | undefined;
}

/** How far a block came. */
export interface BlockResult {
  /** Bytes of the plan's output, from its start, that the sink has, or holds in its hands. */
  readonly givenBytes: number;
  /** The sink does not take more now: what it was not given was dropped, to be asked for again. */
  readonly isPaused: boolean;
  /** Resolves when the sink has taken what it was given. @throws what it throws */
  readonly taken: () => Promise<void>;
}

/**
 * Fetches, decodes and writes a block: every range of a window is fetched once, and each of its chunks
 * goes to every place it is used. All slabs are back when it returns, or come back by themselves.
 *
 * @throws OrbweaverError what went wrong first
 */
export async function runBlock(
  transfer: Transfer,
  block: Block,
  options: RunOptions,
): Promise<BlockResult> {
  const scope = transfer.scope.child();
  let isPaused = false;
  const { output, ordered, pairs } = outputOf(transfer, block, scope, {
    ...options,
    onPaused: () => {
      if (scope.ended) return;
      isPaused = true;
      scope.end(new OrbweaverError('CLOSED', 'the output does not take bytes now'));
    },
  });
  const context = contextOf({ transfer, block, scope, output, pairs }, options.rewrite);
  const windows = block.plan.windows.map((window) => options.rewrite ?? window.fetches);
  const jobs = windows.flatMap((fetches, window) => fetches.map((fetch) => ({ fetch, window })));
  const { goodput, demand } = transfer;
  const most = options.concurrency;
  const lanes = new Lanes(
    { scope, most, goodput, demand: most === 1 ? null : demand },
    jobs,
    (job) => runFetch(job.fetch, job.window, context),
  );
  // Whoever waits for all of the download waits for this part, too.
  const settled = transfer.scope.spawn(scope.settled());
  const taken = async (): Promise<void> => {
    await transfer.scope.race(settled);
    ordered?.check();
  };
  try {
    await scope.race(settled);
    scope.check();
  } catch (error) {
    if (!isPaused) throw error;
  } finally {
    lanes.stop();
  }
  scope.close();
  const givenBytes = ordered?.givenBytes ?? block.plan.outputBytes;
  return { givenBytes, isPaused, taken };
}

function outputOf(
  transfer: Transfer,
  block: Block,
  scope: Scope,
  { onWritten, onPaused }: Pick<OutputOptions, 'onWritten'> & { readonly onPaused: () => void },
): { output: Output; ordered: OrderedOutput | null; pairs: PairSource } {
  const { pool, sink, range } = transfer.options;
  const { plan, memory, fileStart, skipBytes } = block;
  const baseOffset = fileStart + skipBytes - (range?.offset ?? 0);
  if (sink.positional) {
    const output = positionalOutput({ sink, baseOffset, onWritten });
    return { output, ordered: null, pairs: freePairs(pool, scope) };
  }
  // With the reserved pair a quarter of the slabs; as much again may be kept aside.
  const pairs = orderedPairs(pool, Math.max(0, Math.floor(pool.slabCount / 4) - 1), scope);
  let window = 0;
  const ownBytes = memory.bytes;
  const ordered = new OrderedOutput({
    sink,
    baseOffset,
    onWritten,
    onPaused,
    pool,
    scope,
    outputBytes: plan.outputBytes,
    hold: (bytes) => plan.outputBytes <= RESTART_BLOCK_BYTES || memory.resize(ownBytes + bytes),
    onAdvance(nextOffset) {
      const before = window;
      while ((plan.windows[window]?.outputEnd ?? Number.POSITIVE_INFINITY) <= nextOffset) window++;
      if (window !== before) pairs.advanceTo(window);
    },
  });
  return { output: ordered, ordered, pairs };
}

/** After a pause a block of this size is asked for; from there on they grow again. */
export const RESTART_BLOCK_BYTES: number = 1 << 20;

/** What belongs to one run of a block. */
interface BlockRun {
  readonly transfer: Transfer;
  readonly block: Block;
  readonly scope: Scope;
  readonly output: Output;
  readonly pairs: PairSource;
}

function contextOf(
  { transfer, block, scope, output, pairs }: BlockRun,
  rewrite: RunOptions['rewrite'],
): FetchContext {
  const { counters, options, part } = transfer;
  const isZero = rewrite === undefined ? transfer.isZero : null;
  return {
    cas: options.cas,
    pool: options.pool,
    pairs,
    scope,
    demand: transfer.demand,
    // What is written is noted, so it should not wait long for its slab to be full.
    flush: part === null ? null : flushRule(options.clock, () => counters.fetchedBytes),
    urls: createUrlBook(block.reconstruction, block.ask),
    onRequest: () => {
      counters.requestCount++;
    },
    onRefused: () => transfer.goodput?.repeated(),
    onFetched: (bytes) => {
      counters.fetchedBytes += bytes;
      transfer.goodput?.moved(bytes);
    },
    onDecoded: (runs, decoded) => noteRuns(transfer, block, runs, decoded),
    deliver(pair, runs, decoded) {
      const slices = [];
      const holes = [];
      let first = 0;
      for (const run of runs) {
        const base = first;
        const places = placesOf(
          run,
          pair.value,
          isZero === null ? null : (chunkInRun) => isZero(decoded, base + chunkInRun),
        );
        slices.push(...places.slices);
        holes.push(...places.holes);
        first += run.chunkEnd - run.chunkStart;
      }
      const notes = part === null ? [] : wholeChunks(block, runs, decoded);
      const delivering = output.deliver({ pair, slices, holes });
      void scope.spawn(
        notes.length === 0
          ? delivering
          : delivering.then(() => {
              for (const run of notes) {
                const noted = part?.note(run) ?? null;
                if (noted !== null) transfer.onNoted?.(noted);
              }
            }),
      );
    },
  };
}

/** The chunks of `runs` that the output of the block has from their first byte to their last. */
function wholeChunks(
  { fileStart, skipBytes }: Block,
  runs: readonly RecordRun[],
  decoded: DecodeResult,
): ChunkRun[] {
  const whole: ChunkRun[] = [];
  let runFirst = 0;
  for (const run of runs) {
    const { layout } = run;
    const at = runFirst - run.chunkStart;
    for (const use of usesOf(run)) {
      const shift = use.outputOffset - layout.rawStart(use.chunkStart);
      let first = Math.max(use.chunkStart, run.chunkStart);
      let end = Math.min(use.chunkEnd, run.chunkEnd);
      while (first < end && shift + layout.rawStart(first) < 0) first++;
      while (end > first && shift + layout.rawStart(end) > use.outputEnd) end--;
      if (first === end) continue;
      whole.push({
        offset: fileStart + skipBytes + shift + layout.rawStart(first),
        lengths: decoded.lengths.subarray(at + first, at + end),
        hashes: decoded.hashes.subarray(HASH_BYTES * (at + first), HASH_BYTES * (at + end)),
      });
    }
    runFirst += run.chunkEnd - run.chunkStart;
  }
  return whole;
}

/** Checks the chunks of a slab, and notes them everywhere they are used in the file. */
function noteRuns(
  { known }: Transfer,
  { ledger, fileStart, skipBytes }: Block,
  runs: readonly RecordRun[],
  decoded: DecodeResult,
): void {
  let runFirst = 0;
  for (const run of runs) {
    const { layout } = run;
    const at = runFirst - run.chunkStart;
    for (const use of usesOf(run)) {
      const first = Math.max(use.chunkStart, run.chunkStart);
      const end = Math.min(use.chunkEnd, run.chunkEnd);
      if (known !== null) {
        const useStart = fileStart + skipBytes + use.outputOffset - layout.rawStart(use.chunkStart);
        for (let chunk = first; chunk < end; chunk++) {
          if (known.fits(useStart + layout.rawStart(chunk), decoded, at + chunk)) continue;
          throw layout.fault('INTEGRITY', `the known hash in chunk ${chunk}, got another`, {
            chunk,
          });
        }
      }
      const ordinal = use.chunkOrdinal + (first - use.chunkStart);
      ledger?.record(ordinal, decoded, at + first, at + end);
    }
    runFirst += run.chunkEnd - run.chunkStart;
  }
}
