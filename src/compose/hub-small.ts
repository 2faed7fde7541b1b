import { downloadBatch } from '../client/downloads.js';
import { MerkleHash } from '../hash/index.js';
import { outputSink } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { downloadPartsOf } from './client-parts.js';
import type { OrbweaverClient } from './client-types.js';
import { inLanes } from './in-lanes.js';
import { BATCH_BYTES, BATCH_FILES, SMALL_FILE_BYTES, WRITES } from './small-files.js';

/** Small files of the store, many with few requests instead of some for each. */

/** A file of the store. */
export interface StoredFile {
  readonly to: string;
  /** Something of an earlier run may lie beside it. */
  readonly hasLeftovers: boolean;
  /** File hash. */
  readonly xetHash: string | null;
  readonly size: number;
  /** Whether bytes are what the Hub calls the file by, where it says more of it than the file hash. */
  isContent(bytes: Uint8Array): boolean;
}

/** Small files by the batch, and all others. */
export function batchesOf<T extends StoredFile>(
  files: readonly T[],
): { readonly batches: readonly (readonly T[])[]; readonly others: readonly T[] } {
  const isSmall = ({ xetHash, size }: T): boolean =>
    xetHash !== null && size > 0 && size <= SMALL_FILE_BYTES;
  const batches: T[][] = [];
  let open: T[] = [];
  let bytes = 0;
  for (const file of files.filter(isSmall)) {
    if (bytes + file.size > BATCH_BYTES || open.length === BATCH_FILES) {
      batches.push(open);
      open = [];
      bytes = 0;
    }
    open.push(file);
    bytes += file.size;
  }
  // One alone gains nothing.
  if (open.length > 0) batches.push(open);
  const some = batches.filter(({ length }) => length > 1);
  const taken = new Set(some.flat());
  return { batches: some, others: files.filter((file) => !taken.has(file)) };
}

/** A file of a batch that was written, with its share of what that took. */
export interface WrittenFile<T> {
  readonly file: T;
  readonly fetchedBytes: number;
  readonly requestCount: number;
}

/**
 * Fetches a batch and writes its files, each of which is checked against its hashes. What is wrong with one
 * leaves it out: it is to be fetched by itself, which looks more closely.
 * @throws OrbweaverError what fails all of them
 */
export async function fetchBatch<T extends StoredFile>(
  client: OrbweaverClient,
  batch: readonly T[],
  signal: AbortSignal,
  onWritten: (written: WrittenFile<T>) => Promise<void>,
): Promise<void> {
  // The same content is fetched once; where a Hub says two sizes of it, one is wrong.
  const different = [...new Map(batch.map((file) => [file.xetHash, file])).values()];
  const { cas, pool, budget, concurrency } = downloadPartsOf(client);
  const { contents, fetchedBytes, requestCount } = await downloadBatch({
    ...{ cas, pool, budget, concurrency, signal },
    hasher: pool.kernels.hasher,
    clock: SYSTEM_CLOCK,
    files: different.map(({ xetHash, size }) => {
      return { fileHash: MerkleHash.parse(xetHash ?? ''), sizeBytes: size };
    }),
  });
  const bytesOf = new Map(different.map(({ xetHash }, i) => [xetHash, contents[i]]));
  const totalBytes = batch.reduce((sum, { size }) => sum + size, 0);
  let doneBytes = 0;
  let told = { bytes: 0, requests: 0 };
  await inLanes(batch, { lanes: WRITES, signal }, async (file) => {
    const bytes = bytesOf.get(file.xetHash);
    if (!(bytes instanceof Uint8Array) || bytes.length !== file.size) return;
    if (!file.isContent(bytes)) return;
    const sink = await outputSink(file.to, { removeLeftovers: file.hasLeftovers });
    try {
      await sink.prepare?.(bytes.length);
      await sink.write(bytes, 0);
      await sink.commit(bytes.length);
    } catch (error) {
      await sink.abort(error);
      throw error;
    }
    doneBytes += file.size;
    const now = {
      bytes: Math.round((fetchedBytes * doneBytes) / totalBytes),
      requests: requestCount,
    };
    const share = {
      fetchedBytes: now.bytes - told.bytes,
      requestCount: now.requests - told.requests,
    };
    told = now;
    await onWritten({ file, ...share });
  });
}
