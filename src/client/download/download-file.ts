import { MAX_CHUNK_BYTES } from '../../bytes/index.js';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import { Budget, Goodput, Scope } from '../../flow/index.js';
import { createMerkleTree } from '../../hash/index.js';
import type { PlacedTerm } from '../../plan/index.js';
import { RECORD_HEADER_BYTES } from '../../xorb/index.js';
import type { KeptRun, SinkPart } from '../ports.js';
import { type Pace, Teller } from '../teller.js';
import { type Block, openBlock, type Transfer } from './block.js';
import { LedgerChain } from './chunk-ledger.js';
import { repair } from './damage.js';
import { Demand } from './demand.js';
import { WORD_BYTES } from './fetch.js';
import { verifyClaims } from './held.js';
import { chunkCheck, zeroCheck } from './known-chunks.js';
import { type FetchGap, gapsOf, transferRest } from './rest.js';
import { RESTART_BLOCK_BYTES, runBlock } from './run-block.js';
import { takeSeeds } from './seeds/take.js';
import type { DownloadOptions, DownloadProgress, DownloadSummary } from './types.js';

/**
 * Ranged requests in flight, in the beginning. Enough to fill a link at 100 ms and the usual 10–20 MB/s of one
 * stream; the slabs of the default memory budget hold no more than twice as many.
 */
export const DEFAULT_DOWNLOAD_CONCURRENCY = 8;
/** Most of them. */
export const MOST_DOWNLOAD_CONCURRENCY = 32;

/**
 * A reconstruction is asked for this many bytes of a file at a time. It bounds the response and the
 * ledger of chunks (2.3 MiB for 4 GiB of average chunks); most files need one response.
 */
export const DEFAULT_BLOCK_BYTES: number = 4 * 1024 * 1024 * 1024;

/** Budget of a download that is given none: ten times the ledger and the terms of a usual block. */
export const DEFAULT_DOWNLOAD_BUDGET_BYTES: number = 32 * 1024 * 1024;

/** Any record that does not grow by its compression, wherever in a word it begins. */
const LEAST_SLAB_BYTES: number = MAX_CHUNK_BYTES + RECORD_HEADER_BYTES + WORD_BYTES;

/** How long a failure waits for writes to come to rest before it is reported all the same. */
const ABORT_GRACE_MS = 150;

/**
 * Rebuilds a file, or a range of it, into a sink:
 *
 *     plan (block.ts) → fetch (fetch.ts) → decode (decode.ts) → write (output.ts) → verify (here)
 *
 * A whole file is checked against `fileHash`, rebuilt from the hashes of its chunks, before
 * `sink.commit`. A range is `verified: false`, unless known chunk hashes cover it: the server is trusted
 * for where it starts and what it holds; lengths and formats are checked. On any failure `sink.abort`
 * has been called; a sink that is a stream may have passed on bytes, and the error says that they are
 * not to be trusted.
 *
 * Memory is the pool's (two slabs for each piece on its way) and the budget's. A stream that is not
 * read holds 256 KiB: what it held goes back when others wait for memory, or after two seconds, and
 * is fetched again when the stream is read on.
 *
 * @throws OrbweaverError `NOT_FOUND`; `RANGE_INVALID` when the range starts behind the file;
 * `INTEGRITY`, `TRUNCATED`, `FORMAT_INVALID`, `CHECKSUM_MISMATCH`, `LIMIT_EXCEEDED`, `SIZE_MISMATCH`
 * for wrong data (each range is fetched twice before that); `FORBIDDEN` when URLs keep expiring;
 * `PROTOCOL`; `ABORTED`; what the sink and the store throw
 * @throws RangeError for a negative or fractional option
 * @example
 * const sink = fileSink('out.bin');
 * const summary = await downloadFile({ cas, pool, hasher, clock: SYSTEM_CLOCK, fileHash, sink });
 */
export async function downloadFile(options: DownloadOptions): Promise<DownloadSummary> {
  checkOptions(options);
  const transfer = transferOf(options);
  const { scope, counters } = transfer;
  try {
    scope.check();
    const verified = await transferAll(transfer);
    scope.check();
    const { writtenBytes: sizeBytes, ...counts } = counters;
    // A stream ends when its reader lets it; a file is renamed, which nothing may interrupt.
    const committing = options.sink.commit(sizeBytes);
    await (options.sink.positional ? committing : scope.race(committing));
    enter(transfer, 'done');
    return { sizeBytes, ...counts, seedNote: transfer.seedNote, verified };
  } catch (error) {
    scope.end(error);
    const reason = withDoubt(transfer, firstReason(transfer));
    await comeToRest(transfer, reason);
    throw withKept(transfer, reason);
  } finally {
    for (const block of transfer.kept) block.memory.release();
    scope.close();
  }
}

/** The state of a download that has not begun. */
export function transferOf(options: DownloadOptions): Transfer {
  const state = transferFor(options);
  const transfer: Transfer = {
    ...state,
    teller: new Teller({
      ...{ clock: options.clock, scope: state.scope, listener: options.onProgress },
      standing: () => standingOf(transfer),
      doneOf: ({ writtenBytes }) => writtenBytes,
    }),
    onCopied(bytes) {
      transfer.counters.seededBytes += bytes;
      noteWritten(transfer, bytes);
    },
  };
  return transfer;
}

/** Where a download stands, for its listener. */
function standingOf(transfer: Transfer): Omit<DownloadProgress, keyof Pace> {
  const { phase, totalBytes, counters, file } = transfer;
  const { fetchedBytes, resumedBytes, seededBytes, writtenBytes } = counters;
  transfer.shownBytes = Math.max(transfer.shownBytes, writtenBytes);
  const counts = { fetchedBytes, resumedBytes, seededBytes };
  return { phase, writtenBytes: transfer.shownBytes, totalBytes, ...counts, file };
}

function enter(transfer: Transfer, phase: DownloadProgress['phase']): void {
  if (transfer.phase === phase) return;
  transfer.phase = phase;
  transfer.file = null;
  transfer.teller.tell();
}

function transferFor(options: DownloadOptions): Omit<Transfer, 'onCopied' | 'teller'> {
  const { clock, signal, hasher, sink, knownChunkHashes } = options;
  const scope = new Scope({ clock, signal, what: 'the download' });
  const part = options.range === undefined && sink.positional ? (sink.part ?? null) : null;
  return {
    options,
    scope,
    budget: options.budget ?? new Budget({ capacityBytes: DEFAULT_DOWNLOAD_BUDGET_BYTES }),
    known: knownChunkHashes === undefined ? null : chunkCheck(knownChunkHashes),
    newTree: newTreeOf(options),
    isZero: sink.positional && sink.skip !== undefined ? zeroCheck(hasher) : null,
    counters: {
      writtenBytes: 0,
      fetchedBytes: 0,
      requestCount: 0,
      resumedBytes: 0,
      seededBytes: 0,
    },
    goodput:
      options.concurrency === undefined
        ? new Goodput({
            clock,
            start: DEFAULT_DOWNLOAD_CONCURRENCY,
            most: MOST_DOWNLOAD_CONCURRENCY,
          })
        : null,
    blockBytes: options.blockBytes ?? DEFAULT_BLOCK_BYTES,
    onNoted: null,
    seedNote: null,
    shownBytes: 0,
    part,
    demand: part === null || options.concurrency !== undefined ? null : new Demand(scope),
    phase: 'planning',
    file: null,
    totalBytes: undefined,
    isSizeAsked: false,
    kept: [],
  };
}

/** From its start on, a range may turn out to be the whole file. */
function newTreeOf({ newTree, range, hasher }: DownloadOptions): Transfer['newTree'] {
  if (newTree !== undefined) return newTree;
  return (range?.offset ?? 0) === 0 ? () => createMerkleTree(hasher) : null;
}

/** Block by block until the end of the file or the range. @returns whether that is verified */
async function transferAll(transfer: Transfer): Promise<boolean> {
  const { fileHash, range, newTree, concurrency = DEFAULT_DOWNLOAD_CONCURRENCY } = transfer.options;
  const offset = range?.offset ?? 0;
  const isWhole = offset === 0 && range?.length === undefined;
  const end = offset + (range?.length ?? Number.POSITIVE_INFINITY);
  if (fileHash.isZero() && offset > 0) throw behindEnd(transfer);
  if (end === offset || fileHash.isZero()) {
    await prepare(transfer, 0, true);
    return fileHash.isZero();
  }
  if (transfer.part === null && (transfer.options.seeds ?? []).length > 0) {
    transfer.seedNote = 'seeds need a file as the output, and not a pipe or device';
  }
  const held = transfer.part === null ? [] : await localRuns(transfer, transfer.part);
  if (held.length > 0) {
    const fetchGap: FetchGap = (gap, requests) =>
      transferBlocks(transfer, { ...gap, concurrency: requests }, null);
    if (await transferRest(transfer, held, fetchGap, concurrency)) return true;
    // A chunk that is not where it was said to be: what was kept or copied is worth nothing.
    transfer.part?.forget();
  }
  startOver(transfer);
  if (transfer.options.sizeBytes !== undefined) await learnTotal(transfer);
  const tree = transfer.newTree?.() ?? null;
  const chain = tree === null ? null : new LedgerChain(tree);
  const position = await transferBlocks(transfer, { offset, end, concurrency }, chain);
  enter(transfer, 'verifying');
  checkWritten(transfer, position - offset);
  const rebuilt = tree?.fileHash();
  if (rebuilt?.equals(fileHash)) return true;
  if (rebuilt !== undefined && (isWhole || newTree !== undefined)) {
    // The chunks that were noted may be the wrong ones.
    transfer.part?.forget();
    await repair(transfer, concurrency, rebuilt);
    return true;
  }
  return transfer.known?.covers(offset, position) ?? false;
}

/** What need not be fetched: chunks that an earlier run left, and those of seeds. */
export async function localRuns(transfer: Transfer, part: SinkPart): Promise<readonly KeptRun[]> {
  const { counters, options } = transfer;
  const claims = await transfer.scope.race(part.claims());
  const hasSeeds = (options.seeds ?? []).length > 0;
  if (claims.length > 0 || hasSeeds || options.sizeBytes !== undefined) await learnTotal(transfer);
  if (claims.length > 0) enter(transfer, 'resuming');
  const left = await verifyClaims(transfer, part, claims);
  // Some of what was read back may not be remembered: it is fetched again.
  const leftBytes = left.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  counters.resumedBytes = leftBytes;
  counters.writtenBytes = leftBytes;
  if (!hasSeeds) return left;
  enter(transfer, 'seeding');
  const { runs, note } = await takeSeeds(transfer, part, gapsOf(left));
  transfer.file = null;
  transfer.seedNote = note;
  return [...left, ...runs].sort((a, b) => a.offset - b.offset);
}

/**
 * Asks how large the file is, beside everything else, so that there is a percentage, and so that a full disk is
 * met before hours of fetching. A store that does not say is no failure.
 */
async function learnTotal(transfer: Transfer): Promise<void> {
  const { options, scope } = transfer;
  const { cas, fileHash, range, sizeBytes } = options;
  if (transfer.isSizeAsked) return;
  transfer.isSizeAsked = true;
  const learn = async (fileBytes: number | null): Promise<void> => {
    if (fileBytes === null || transfer.totalBytes !== undefined) return;
    const { offset = 0, length = Number.POSITIVE_INFINITY } = range ?? {};
    await prepare(transfer, Math.min(length, Math.max(0, fileBytes - offset)), true);
  };
  if (sizeBytes !== undefined) return learn(sizeBytes);
  if (cas.getFileSize === undefined) return;
  const asking = scope
    .call((signal) => (cas.getFileSize as AskSize).call(cas, fileHash, signal))
    .catch(() => null);
  void scope.spawn(asking.then(learn));
}

type AskSize = NonNullable<DownloadOptions['cas']['getFileSize']>;

/** As if nothing had been written. */
function startOver({ counters, kept }: Transfer): void {
  for (const block of kept.splice(0)) block.memory.release();
  counters.writtenBytes = 0;
  counters.resumedBytes = 0;
  counters.seededBytes = 0;
}

/** @returns the position in the file behind the last byte that was written */
async function transferBlocks(
  transfer: Transfer,
  span: { readonly offset: number; readonly end: number; readonly concurrency: number },
  chain: LedgerChain | null,
): Promise<number> {
  const { offset, end, concurrency } = span;
  // One request at a time is for a small gap.
  const most =
    transfer.goodput === null || concurrency === 1 ? concurrency : MOST_DOWNLOAD_CONCURRENCY;
  const { pool, range } = transfer.options;
  const fullBytes = transfer.blockBytes;
  /** Nothing of the output follows; a gap between held runs is not the end. */
  const isOpen = end === Number.POSITIVE_INFINITY || range !== undefined;
  let previous: PlacedTerm | undefined;
  let blockBytes = fullBytes;
  /** What is written, and where the chunk starts that the next byte belongs to. */
  let position = offset;
  let fileStart = offset;
  for (;;) {
    const block = await openBlock(transfer, {
      fileStart,
      skipBytes: position - fileStart,
      blockBytes,
      end,
      keepHashes: chain !== null,
      previous,
    });
    if (block === null) {
      if (position > offset || transfer.onNoted !== null) return position;
      throw offset === 0 ? emptyFile(transfer) : behindEnd(transfer);
    }
    try {
      const { outputBytes } = block.plan;
      // Threads start while the sink is opened and the first bytes are asked for; small files need none.
      pool.expectBytes?.(outputBytes);
      const knownEnd = position + outputBytes - (range?.offset ?? 0);
      if (!block.isLast && isOpen) await learnTotal(transfer);
      await prepare(transfer, knownEnd, block.isLast && isOpen);
      enter(transfer, 'fetching');
      const { givenBytes, isPaused, taken } = await runBlock(transfer, block, {
        concurrency: Math.min(most, Math.ceil(blockBytes / RESTART_BLOCK_BYTES)),
        onWritten: (bytes) => noteWritten(transfer, bytes),
      });
      position += givenBytes;
      const dropBytes = block.reconstruction.offsetIntoFirstTerm;
      const isComplete = givenBytes === outputBytes;
      const untilBytes = isComplete ? Number.POSITIVE_INFINITY : position - fileStart;
      // Without hashes there are no chunks to begin with: the next byte is asked for.
      fileStart +=
        chain === null || block.ledger === null
          ? position - fileStart
          : chain.append(block.ledger, { dropBytes, untilBytes });
      keep(transfer, block, isPaused);
      // A stream may take its last piece in an hour: nothing is held by then.
      await taken();
      if (isComplete && block.isLast) return position;
      previous = isComplete ? block.lastTerm : undefined;
      blockBytes = Math.min(fullBytes, isPaused ? RESTART_BLOCK_BYTES : 2 * blockBytes);
    } catch (error) {
      block.memory.release();
      throw error;
    }
  }
}

/** A block is kept as long as all are: half of a file says nothing about where it is damaged. */
function keep({ kept, options }: Transfer, block: Block, isPaused: boolean): void {
  const isNext = kept.length > 0 || block.fileStart === (options.range?.offset ?? 0);
  if (block.ledger !== null && !isPaused && isNext) kept.push(block);
  else {
    for (const each of kept.splice(0)) each.memory.release();
    block.memory.release();
  }
}

/** Tells the sink what is coming, so that it can refuse before anything is fetched. */
async function prepare(transfer: Transfer, sizeBytes: number, isFinal: boolean): Promise<void> {
  if (isFinal) transfer.totalBytes = sizeBytes;
  await transfer.scope.race(Promise.resolve(transfer.options.sink.prepare?.(sizeBytes)));
}

function noteWritten(transfer: Transfer, bytes: number): void {
  transfer.counters.writtenBytes += bytes;
  transfer.teller.tell();
}

function checkWritten({ counters, options }: Transfer, expected: number): void {
  const got = counters.writtenBytes;
  if (got === expected) return;
  const message = `"${options.sink.name}" expected ${expected} bytes, got ${got}`;
  throw new OrbweaverError('SIZE_MISMATCH', message, { expected, got });
}

/** Aborts the sink and waits until no slab and no write of this download is in use any more. */
async function comeToRest({ options, scope }: Transfer, reason: unknown): Promise<void> {
  const rest = options.sink
    .abort(reason)
    .catch(() => {})
    .then(() => scope.settled());
  // A sink that hangs even after `abort` must not keep the error from the caller; its slabs come
  // back when it lets go.
  let stopTimer = (): void => {};
  const grace = new Promise<void>((resolve) => {
    stopTimer = options.clock.setTimer(ABORT_GRACE_MS, resolve);
  });
  await Promise.race([rest, grace]);
  stopTimer();
}

/** A scope says `ABORTED` for everything that is no error of ours; a fault of a sink stays what it is. */
function firstReason({ scope, options }: Transfer): unknown {
  const { reason } = scope;
  const isFault = reason.code === 'ABORTED' && options.signal?.aborted !== true;
  return isFault ? (reason.cause ?? reason) : reason;
}

/** Bytes that a stream has passed on cannot be taken back: the error has to say so. */
function withDoubt({ options, counters }: Transfer, error: unknown): unknown {
  const { sink } = options;
  const { writtenBytes } = counters;
  if (sink.positional || writtenBytes === 0 || !isOrbweaverError(error)) return error;
  return new OrbweaverError(
    error.code,
    `${error.message}; the ${writtenBytes} bytes already written to "${sink.name}" are not to be trusted`,
    { ...error.fields, writtenBytes },
    error,
  );
}

/** Says that the same call goes on from where this one stopped. */
function withKept({ part, options }: Transfer, error: unknown): unknown {
  const keptBytes = part?.keptBytes ?? 0;
  if (keptBytes === 0 || !isOrbweaverError(error)) return error;
  return new OrbweaverError(
    error.code,
    `${error.message}; ${keptBytes} bytes of "${options.sink.name}" are kept, and the same call goes on from there`,
    { ...error.fields, keptBytes },
    error,
  );
}

function emptyFile({ options }: Transfer): OrbweaverError {
  const expected = options.fileHash.toString();
  const message = `"file hash" expected ${expected}, got no bytes`;
  return new OrbweaverError('INTEGRITY', message, { expected, got: 'no bytes' });
}

function behindEnd({ options }: Transfer): OrbweaverError {
  const offset = options.range?.offset ?? 0;
  return new OrbweaverError(
    'RANGE_INVALID',
    `"offset" expected a position in the file, got ${offset}, which is at or behind its end`,
    { offset },
  );
}

export function checkOptions({ range, concurrency, blockBytes, pool }: DownloadOptions): void {
  const checks: readonly (readonly [string, number | undefined, number])[] = [
    ['range.offset', range?.offset, 0],
    ['range.length', range?.length, 0],
    ['concurrency', concurrency, 1],
    ['blockBytes', blockBytes, 1],
  ];
  for (const [name, value, least] of checks) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least)) continue;
    throw new RangeError(`"${name}" expected an integer of at least ${least}, got ${value}`);
  }
  if (pool.slabCount < 2 || pool.slabBytes < LEAST_SLAB_BYTES) {
    throw new RangeError(
      `"pool" expected 2 slabs of at least ${LEAST_SLAB_BYTES} bytes, ` +
        `got ${pool.slabCount} of ${pool.slabBytes}`,
    );
  }
}
