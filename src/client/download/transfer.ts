import { planDownload, type Reconstruction } from '../../plan/index.js';
import { type Cancellation, createCancellation } from './cancellation.js';
import { ChunkLedger } from './chunk-ledger.js';
import { createOrderedWriter, createPositionalWriter, type OutputWriter } from './output-writer.js';
import { type FetchContext, runFetch, STEP_BYTES } from './range-fetch.js';
import { createSlabCopy } from './slab-copy.js';
import { createFreePairs, createOrderedPairs, type PairSource } from './slab-pairs.js';
import type { DownloadOptions, DownloadProgress } from './types.js';
import { createUrlBook } from './url-book.js';

/** The state of one download. */
export interface Transfer {
  readonly options: DownloadOptions;
  readonly concurrency: number;
  /** The first failure, or the caller's signal, stops everything. */
  readonly cancellation: Cancellation;
  readonly counters: { writtenBytes: number; fetchedBytes: number; requestCount: number };
  /** Bytes of the whole output, once they are known. */
  totalBytes: number | undefined;
  /** Fetches and writes that are under way; empty again when all have come to rest. */
  readonly background: Set<Promise<void>>;
}

/** One answer and where its bytes go in the sink. */
export interface Block {
  readonly reconstruction: Reconstruction;
  /** Bytes of its output that are wanted. */
  readonly outputBytes: number;
  /** Offset in the sink of its first byte. */
  readonly baseOffset: number;
  /** Asks for the same bytes again, when URLs have expired. */
  readonly ask: () => Promise<Reconstruction | null>;
}

export function createTransfer(options: DownloadOptions, concurrency: number): Transfer {
  return {
    options,
    concurrency,
    cancellation: createCancellation(options.signal),
    counters: { writtenBytes: 0, fetchedBytes: 0, requestCount: 0 },
    totalBytes: undefined,
    background: new Set(),
  };
}

/**
 * Downloads one reconstruction answer: every range of a window is fetched once, and each of its
 * chunks goes to every place it is used.
 *
 * A sink that can be written anywhere makes the whole answer one window. For one that takes bytes
 * in order, windows of half the pool's bytes bound what may have to be kept for later.
 *
 * @returns the chunks of the answer, or null when no hashes were asked for
 * @throws what went wrong first
 */
export async function transferBlock(
  transfer: Transfer,
  block: Block,
  keepHashes: boolean,
): Promise<ChunkLedger | null> {
  const { cancellation } = transfer;
  const { pool, sink } = transfer.options;
  const { reconstruction, outputBytes } = block;
  const windowBytes = Math.max(pool.slabBytes, Math.floor((pool.slabCount * pool.slabBytes) / 2));
  const plan = planDownload(reconstruction, {
    outputBytes,
    multiRange: true,
    ...(sink.positional ? {} : { windowBytes }),
  });
  const claimedBytes = reconstruction.terms.reduce((sum, term) => sum + term.unpackedBytes, 0);
  const ledger = keepHashes ? new ChunkLedger(plan.chunkCount, claimedBytes) : null;
  const windowEnds = plan.windows.map((window) => window.outputEnd);
  const { pairs, writer } = await createOutput(transfer, block, windowEnds);
  const context: FetchContext = {
    cas: transfer.options.cas,
    pool,
    pairs,
    writer,
    ledger,
    copy: createSlabCopy(STEP_BYTES),
    urls: createUrlBook(reconstruction, block.ask),
    cancellation,
    onRequest: () => {
      transfer.counters.requestCount++;
    },
    onFetched: (bytes) => {
      transfer.counters.fetchedBytes += bytes;
    },
    onBackground: (work) => void track(transfer, work),
  };

  const removeListener = cancellation.onCancel(() => writer.close(cancellation.reason));
  const fetches = plan.windows.flatMap((window, index) =>
    window.fetches.map((fetch) => ({ fetch, index })),
  );
  let next = 0;
  const lane = async (): Promise<void> => {
    while (!cancellation.cancelled) {
      const job = fetches[next++];
      if (job === undefined) return;
      await track(transfer, runFetch(job.fetch, job.index, context));
    }
  };
  try {
    const laneCount = Math.min(transfer.concurrency, fetches.length);
    await cancellation.race(Promise.all(Array.from({ length: laneCount }, lane)));
    while (transfer.background.size > 0) {
      await cancellation.race(Promise.all(transfer.background));
    }
    await cancellation.race(writer.drain());
    cancellation.throwIfCancelled();
  } finally {
    removeListener();
    pairs.close();
  }
  return ledger;
}

async function createOutput(
  transfer: Transfer,
  block: Block,
  windowEnds: readonly number[],
): Promise<{ readonly pairs: PairSource; readonly writer: OutputWriter }> {
  const { pool, sink } = transfer.options;
  const options = {
    sink,
    baseOffset: block.baseOffset,
    onWritten: (bytes: number) => reportWritten(transfer, bytes),
  };
  if (sink.positional) {
    return {
      pairs: createFreePairs(pool, transfer.cancellation),
      writer: createPositionalWriter(options),
    };
  }
  // Half of the slabs: with what may be kept aside, all stays inside the pool's budget.
  const maxExtra = Math.max(0, Math.floor(pool.slabCount / 4) - 1);
  const pairs = await createOrderedPairs(pool, maxExtra, transfer.cancellation);
  let window = 0;
  const writer = createOrderedWriter({
    ...options,
    outputBytes: block.outputBytes,
    onFailure: transfer.cancellation.cancel,
    onAdvance(nextOffset) {
      const before = window;
      while (window < windowEnds.length && (windowEnds[window] as number) <= nextOffset) window++;
      if (window !== before) pairs.setCurrentWindow(window);
    },
  });
  return { pairs, writer };
}

/** Keeps count of work, so that the end can wait for its slabs, and makes its failure everybody's. */
function track(transfer: Transfer, work: Promise<void>): Promise<void> {
  const tracked = work
    .catch(transfer.cancellation.cancel)
    .finally(() => transfer.background.delete(tracked));
  transfer.background.add(tracked);
  return tracked;
}

function reportWritten(transfer: Transfer, bytes: number): void {
  const { counters, totalBytes } = transfer;
  counters.writtenBytes += bytes;
  const progress: DownloadProgress = {
    writtenBytes: counters.writtenBytes,
    fetchedBytes: counters.fetchedBytes,
    totalBytes,
  };
  transfer.options.onProgress?.(progress);
}
