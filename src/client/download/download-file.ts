import { MAX_CHUNK_BYTES } from '../../compress/index.js';
import { OrbweaverError } from '../../errors.js';
import { createMerkleTree } from '../../hash/index.js';
import type { Reconstruction } from '../../plan/index.js';
import { RECORD_HEADER_BYTES } from '../../xorb/index.js';
import { WORD_BYTES } from './slab-copy.js';
import { createTransfer, type Transfer, transferBlock } from './transfer.js';
import type { DownloadOptions, DownloadSummary } from './types.js';

/**
 * Ranged requests in flight. Enough to fill a link at 100 ms and the usual 10–20 MB/s of one
 * stream; the slabs of the default memory budget hold no more than twice as many.
 */
export const DEFAULT_DOWNLOAD_CONCURRENCY = 8;

/**
 * A reconstruction is asked for this many bytes of a file at a time. It bounds the answer and the
 * ledger of chunks (2.3 MiB for 4 GiB of average chunks); most files need one answer.
 */
export const DEFAULT_BLOCK_BYTES: number = 4 * 1024 * 1024 * 1024;

/** Any record that does not grow by its compression, wherever in a word it begins. */
const LEAST_SLAB_BYTES: number = MAX_CHUNK_BYTES + RECORD_HEADER_BYTES + WORD_BYTES;

/** How long a failure waits for writes to come to rest before it is reported all the same. */
const ABORT_GRACE_MS = 150;

/**
 * Rebuilds a file, or a range of it, into a sink: asks where its chunks are, fetches and decodes
 * them concurrently, writes each to every place it is used and commits the sink when all is right.
 *
 * A whole file is checked against `fileHash`, rebuilt from the hashes of its chunks, before
 * `sink.commit`. A range carries no hashes of the file: lengths, formats and the byte count are
 * checked. On any failure `sink.abort` has been called; a sink that is a stream may have passed on
 * bytes, and the error says that they are not to be trusted.
 *
 * Memory is the pool's: two slabs for each piece on its way, and 36 bytes for each chunk of 4 GiB.
 *
 * @throws OrbweaverError `NOT_FOUND`; `RANGE_INVALID` when the range starts behind the file;
 * `INTEGRITY`, `TRUNCATED`, `FORMAT_INVALID`, `CHECKSUM_MISMATCH`, `LIMIT_EXCEEDED`, `SIZE_MISMATCH`
 * for wrong data (each range is fetched twice before that); `FORBIDDEN` when URLs keep expiring;
 * `ABORTED`; what the sink and the store throw
 * @throws RangeError for a negative or fractional option
 * @example
 * const summary = await downloadFile({ cas, pool, hasher, fileHash, sink: fileSink('out.bin') });
 */
export async function downloadFile(options: DownloadOptions): Promise<DownloadSummary> {
  checkOptions(options);
  const { sink } = options;
  const concurrency = options.concurrency ?? DEFAULT_DOWNLOAD_CONCURRENCY;
  const transfer = createTransfer(options, concurrency);
  const { cancellation, counters } = transfer;
  try {
    cancellation.throwIfCancelled();
    const sizeBytes = await transferAll(transfer);
    cancellation.throwIfCancelled();
    await sink.commit(sizeBytes);
    return { sizeBytes, fetchedBytes: counters.fetchedBytes, requestCount: counters.requestCount };
  } catch (error) {
    cancellation.cancel(error);
    const reason = withDoubt(transfer, cancellation.reason);
    await comeToRest(transfer, reason);
    throw reason;
  } finally {
    cancellation.dispose();
  }
}

/** Block by block until the end of the file or the range; returns the bytes written. */
async function transferAll(transfer: Transfer): Promise<number> {
  const { fileHash, hasher, range, sink, blockBytes = DEFAULT_BLOCK_BYTES } = transfer.options;
  const whole = range === undefined;
  const offset = range?.offset ?? 0;
  const end = range?.length === undefined ? Number.POSITIVE_INFINITY : offset + range.length;
  if (end === offset || (fileHash.isZero() && offset === 0)) return prepared(transfer, 0, true);
  if (fileHash.isZero()) throw behindEnd(transfer, 0);

  const tree = createMerkleTree(hasher);
  let position = offset;
  while (position < end) {
    const start = position;
    const askedEnd = Math.min(start + blockBytes, end);
    const ask = (): Promise<Reconstruction | null> => askFor(transfer, start, askedEnd);
    const reconstruction = await ask();
    const availableBytes = reconstruction === null ? 0 : bytesOf(reconstruction);
    if (reconstruction === null || availableBytes === 0) {
      if (position > offset) break;
      if (whole) throw notTheFile(transfer, 'no bytes');
      throw behindEnd(transfer, offset);
    }
    // Whole chunks, so that the next block starts between two: an answer may end inside the last.
    const outputBytes = Math.min(availableBytes, end - start);
    const isLast = availableBytes < askedEnd - start || start + outputBytes >= end;
    // Threads start while the sink is opened and the first bytes are asked for; small files need none.
    transfer.options.pool.expectBytes?.(outputBytes);
    await prepared(transfer, start + outputBytes - offset, isLast);
    const block = { reconstruction, outputBytes, baseOffset: start - offset, ask };
    const ledger = await transferBlock(transfer, block, whole);
    ledger?.appendTo(tree, reconstruction.offsetIntoFirstTerm);
    position += outputBytes;
    if (isLast) break;
  }
  const { writtenBytes } = transfer.counters;
  if (writtenBytes !== position - offset) {
    throw new OrbweaverError(
      'SIZE_MISMATCH',
      `"${sink.name}" expected ${position - offset} bytes, got ${writtenBytes}`,
      { expected: position - offset, got: writtenBytes },
    );
  }
  if (whole) {
    const rebuilt = tree.fileHash();
    if (!rebuilt.equals(fileHash)) throw notTheFile(transfer, rebuilt.toString());
  }
  return writtenBytes;
}

async function askFor(
  transfer: Transfer,
  start: number,
  end: number,
): Promise<Reconstruction | null> {
  const { cas, fileHash } = transfer.options;
  transfer.counters.requestCount++;
  // A range that is open at its end: the protocol has no other form than a last byte.
  const safeEnd = Math.min(end, Number.MAX_SAFE_INTEGER);
  return transfer.cancellation.call((signal) =>
    cas.getReconstruction(fileHash, { start, end: safeEnd }, signal),
  );
}

/** Tells the sink what is coming, so that it can refuse before anything is fetched. */
async function prepared(transfer: Transfer, sizeBytes: number, isAll: boolean): Promise<number> {
  if (isAll) transfer.totalBytes = sizeBytes;
  await transfer.cancellation.race(Promise.resolve(transfer.options.sink.prepare?.(sizeBytes)));
  return sizeBytes;
}

function bytesOf(reconstruction: Reconstruction): number {
  let bytes = -reconstruction.offsetIntoFirstTerm;
  for (const term of reconstruction.terms) bytes += term.unpackedBytes;
  return Math.max(0, bytes);
}

/** Aborts the sink and waits until no slab and no write of this download is in use any more. */
async function comeToRest(transfer: Transfer, reason: unknown): Promise<void> {
  const aborted = transfer.options.sink.abort(reason).catch(() => {});
  const rest = (async () => {
    await aborted;
    while (transfer.background.size > 0) await Promise.all(transfer.background);
  })();
  // A sink that hangs even after `abort` must not keep the error from the caller; its slabs come
  // back when it lets go.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ABORT_GRACE_MS);
  });
  await Promise.race([rest, grace]);
  clearTimeout(timer);
}

/** Bytes that a stream has passed on cannot be taken back: the error has to say so. */
function withDoubt(transfer: Transfer, error: unknown): unknown {
  const { sink } = transfer.options;
  const { writtenBytes } = transfer.counters;
  if (sink.positional || writtenBytes === 0 || !(error instanceof OrbweaverError)) return error;
  return new OrbweaverError(
    error.code,
    `${error.message}; the ${writtenBytes} bytes already written to "${sink.name}" are not to be trusted`,
    { ...error.fields, writtenBytes },
    error,
  );
}

function notTheFile(transfer: Transfer, got: string): OrbweaverError {
  const expected = transfer.options.fileHash.toString();
  return new OrbweaverError('INTEGRITY', `"file hash" expected ${expected}, got ${got}`, {
    expected,
    got,
  });
}

function behindEnd(transfer: Transfer, offset: number): OrbweaverError {
  const start = transfer.options.range?.offset ?? offset;
  return new OrbweaverError(
    'RANGE_INVALID',
    `"offset" expected a position in the file, got ${start}, which is at or behind its end`,
    { offset: start },
  );
}

function checkOptions({ range, concurrency, blockBytes, pool }: DownloadOptions): void {
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
