import { OrbweaverError } from '../../errors.js';
import type { Budget, Goodput, Reservation, Scope } from '../../flow/index.js';
import {
  checkTerms,
  type DownloadPlan,
  outputBytesOf,
  type PlacedTerm,
  planDownload,
  type Reconstruction,
} from '../../plan/index.js';
import type { KeptRun, SinkPart } from '../ports.js';
import type { Pace, Teller } from '../teller.js';
import { ChunkLedger, LEDGER_BYTES_PER_CHUNK } from './chunk-ledger.js';
import type { Demand } from './demand.js';
import type { ChunkCheck, ZeroCheck } from './known-chunks.js';
import type { DownloadOptions, DownloadProgress, HashTree } from './types.js';

/** The state of one download. */
export interface Transfer {
  readonly options: DownloadOptions;
  /** Ends with the first failure, or with the caller's signal. */
  readonly scope: Scope;
  readonly budget: Budget;
  /** Says how many requests run at a time; null: a number that was given. */
  readonly goodput: Goodput | null;
  /** Has them opened one by one, where a killed process loses what is on its way; null: it loses nothing, or the number was given. */
  readonly demand: Demand | null;
  readonly known: ChunkCheck | null;
  /** Null where the sink has no holes. */
  readonly isZero: ZeroCheck | null;
  /** An empty tree for the chunks that make up the file hash; null where nothing proves them. */
  readonly newTree: (() => HashTree) | null;
  readonly counters: {
    writtenBytes: number;
    fetchedBytes: number;
    requestCount: number;
    /** Of `writtenBytes`, those that lay in the unfinished output already. */
    resumedBytes: number;
    /** And those that local files had. */
    seededBytes: number;
  };
  /** What there is to say about seeds. */
  seedNote: string | null;
  /** Bytes of the file that a reconstruction is asked for. */
  readonly blockBytes: number;
  /** Told of each run that was fetched and noted. */
  onNoted: ((run: KeptRun) => void) | null;
  /** Counts bytes that came from a local file. */
  readonly onCopied: (bytes: number) => void;
  /** Told where it stands. */
  readonly teller: Teller<Omit<DownloadProgress, keyof Pace>>;
  phase: DownloadProgress['phase'];
  /** The local file that is being read. */
  file: DownloadProgress['file'];
  /** What listeners were told last of the bytes written: it never shrinks. */
  shownBytes: number;
  /** Where chunks are noted that are written; null: nobody goes on from there. */
  readonly part: SinkPart | null;
  /** Bytes of the whole output, once they are known. */
  totalBytes: number | undefined;
  /** The store was asked for that. */
  isSizeAsked: boolean;
  /** Finished blocks, while there is memory for them: where to look for damage. */
  readonly kept: Block[];
}

/** One response of the store and where its bytes go. */
export interface Block {
  readonly reconstruction: Reconstruction;
  /** Of the bytes that are still to be written. */
  readonly plan: DownloadPlan;
  /** Null where no hashes are wanted. */
  readonly ledger: ChunkLedger | null;
  /** Counts this block; `release` is its owner's. */
  readonly memory: Reservation;
  /** Asks for the same bytes again, when URLs have expired. */
  readonly ask: () => Promise<Reconstruction | null>;
  /** Position in the file of the first byte that was asked for. */
  readonly fileStart: number;
  /** Bytes behind that which are written already: the part of a chunk. */
  readonly skipBytes: number;
  /** Nothing of the file or the range follows. */
  readonly isLast: boolean;
  readonly lastTerm: PlacedTerm;
}

/** What a block is asked for. */
export interface BlockRequest {
  readonly fileStart: number;
  readonly skipBytes: number;
  /** Bytes to ask for. */
  readonly blockBytes: number;
  /** End of the file or the range, `Infinity` when it is not known. */
  readonly end: number;
  readonly keepHashes: boolean;
  readonly previous: PlacedTerm | undefined;
}

/** 8 Mi chunks: a block (4 GiB) of chunks of 512 bytes, 128 times smaller than any. */
const MAX_BLOCK_CHUNKS: number = 1 << 23;

/** What terms and ranges take as objects, with what the plan makes of them; measured with 1 Mi of each. */
const BYTES_PER_TERM = 400;
const BYTES_PER_RANGE = 300;

/** Reserved before anything is known of a block; most files need less. */
const FIRST_RESERVATION_BYTES: number = 64 * 1024;

/** A block is not made smaller than this: as much as two xorbs. */
const LEAST_BLOCK_BYTES: number = 128 * 1024 * 1024;

/**
 * Asks where the bytes of a block are, and plans them. Its memory is counted before it is kept: where
 * the budget is used up by others, this waits and asks again; where it is too small, the block is
 * made smaller.
 *
 * @returns null when the store has nothing there
 * @throws OrbweaverError `LIMIT_EXCEEDED` for absurd claims, `PROTOCOL`, what the store throws
 */
export async function openBlock(transfer: Transfer, request: BlockRequest): Promise<Block | null> {
  let { blockBytes } = request;
  let wantedBytes = FIRST_RESERVATION_BYTES;
  for (;;) {
    const memory = await reserve(transfer, wantedBytes);
    try {
      const start = request.fileStart;
      const askedEnd = Math.min(start + blockBytes, request.end);
      const ask = (): Promise<Reconstruction | null> => askFor(transfer, start, askedEnd);
      const reconstruction = await ask();
      if (reconstruction === null || outputBytesOf(reconstruction) <= request.skipBytes) {
        memory.release();
        return null;
      }
      const neededBytes = memoryOf(reconstruction, request.keepHashes);
      const { capacityBytes } = transfer.budget;
      const isTooLarge = neededBytes > capacityBytes && blockBytes > LEAST_BLOCK_BYTES;
      // The budget counts whoever needs more than all of it as all of it.
      if (memory.resize(Math.min(neededBytes, capacityBytes)) && !isTooLarge) {
        return blockOf(transfer, request, { reconstruction, askedEnd, ask, memory });
      }
      if (isTooLarge) {
        const halfBytes = Math.min(blockBytes, outputBytesOf(reconstruction)) / 2;
        blockBytes = Math.max(LEAST_BLOCK_BYTES, Math.floor(halfBytes));
      } else wantedBytes = neededBytes;
      memory.release();
    } catch (error) {
      memory.release();
      throw error;
    }
  }
}

function blockOf(
  transfer: Transfer,
  { fileStart, skipBytes, end, keepHashes, previous }: BlockRequest,
  response: Pick<Block, 'reconstruction' | 'ask' | 'memory'> & { readonly askedEnd: number },
): Block {
  const { reconstruction, askedEnd, ask, memory } = response;
  const { pool, sink } = transfer.options;
  checkTerms(reconstruction, { start: fileStart, end: askedEnd, previous });
  const { offsetIntoFirstTerm, terms } = reconstruction;
  const availableBytes = outputBytesOf(reconstruction);
  // Whole chunks, so that the next block starts between two: a response may end inside the last term.
  const outputBytes = Math.min(availableBytes, end - fileStart);
  // For sinks that take bytes in order, windows of half the pool bound what has to be kept for later.
  const windowBytes = Math.max(pool.slabBytes, Math.floor((pool.slabCount * pool.slabBytes) / 2));
  const plan = planDownload(
    { ...reconstruction, offsetIntoFirstTerm: offsetIntoFirstTerm + skipBytes },
    {
      outputBytes: outputBytes - skipBytes,
      multiRange: true,
      ...(sink.positional ? {} : { windowBytes }),
    },
  );
  const lastTerm = terms.at(-1) as Reconstruction['terms'][number];
  return {
    reconstruction,
    plan,
    ledger: keepHashes ? new ChunkLedger(plan.chunkCount) : null,
    memory,
    ask,
    fileStart,
    skipBytes,
    isLast: availableBytes < askedEnd - fileStart || fileStart + outputBytes >= end,
    lastTerm: { term: lastTerm, fileStart: fileStart + availableBytes - lastTerm.unpackedBytes },
  };
}

/** Waits for memory only after giving back what was kept of finished blocks. */
async function reserve({ budget, kept, scope }: Transfer, bytes: number): Promise<Reservation> {
  const now = budget.tryAcquire(bytes);
  if (now !== null) return now;
  for (const block of kept.splice(0)) block.memory.release();
  return budget.acquire(bytes, scope);
}

/** @throws OrbweaverError `LIMIT_EXCEEDED` when a block claims more chunks than it has bytes */
function memoryOf({ terms, fetches }: Reconstruction, keepHashes: boolean): number {
  let chunkCount = 0;
  let claimedBytes = 0;
  for (const { chunkStart, chunkEnd, unpackedBytes } of terms) {
    chunkCount += chunkEnd - chunkStart;
    claimedBytes += unpackedBytes;
  }
  // Claimed counts come from the server: a chunk has at least one byte.
  const limit = Math.min(MAX_BLOCK_CHUNKS, claimedBytes);
  if (chunkCount > limit) {
    throw new OrbweaverError(
      'LIMIT_EXCEEDED',
      `"chunk count" expected at most ${limit} in ${claimedBytes} bytes, got ${chunkCount}`,
      { field: 'chunk count', expected: limit, got: chunkCount },
    );
  }
  let rangeCount = 0;
  for (const { entries } of fetches) for (const { ranges } of entries) rangeCount += ranges.length;
  const ledgerBytes = keepHashes ? LEDGER_BYTES_PER_CHUNK * chunkCount : 0;
  return ledgerBytes + BYTES_PER_TERM * terms.length + BYTES_PER_RANGE * rangeCount;
}

async function askFor(
  { options, scope, counters }: Transfer,
  start: number,
  end: number,
): Promise<Reconstruction | null> {
  counters.requestCount++;
  // A range that is open at its end: the protocol has no other form than a last byte.
  const safeEnd = Math.min(end, Number.MAX_SAFE_INTEGER);
  return scope.call((signal) =>
    options.cas.getReconstruction(options.fileHash, { start, end: safeEnd }, signal),
  );
}
