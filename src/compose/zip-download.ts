import type { ZipWriter } from '../archive/index.js';
import type { DownloadProgress } from '../client/downloads.js';
import type { FileSizes, Sink } from '../client/ports.js';
import { secondsLeft } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import type { DownloadResult, ZipDownloadOptions, ZipEntryRequest } from './client-types.js';
import { totalSize } from './total-size.js';

/** What it can be told, wherever it goes. */
export type ZipWriteOptions = Omit<ZipDownloadOptions, 'to'>;

type EntryNamesClass = new () => { add(name: string): void };

/**
 * Finds wrong hashes, and names that are unsafe or meet, before anything is asked for.
 * @throws OrbweaverError `HASH_INVALID`, `UNSAFE_PATH`
 */
export function checkZipEntries(
  entries: readonly ZipEntryRequest[],
  EntryNames: EntryNamesClass,
): void {
  const names = new EntryNames();
  for (const { hash, name } of entries) {
    MerkleHash.parse(hash);
    names.add(name);
  }
}

/** What an archive is written with. */
export interface ZipParts {
  readonly cas: FileSizes;
  readonly createZipWriter: (options: {
    readonly write: (bytes: Uint8Array) => Promise<void>;
  }) => ZipWriter;
  readonly EntryNames: EntryNamesClass;
  /** Where it goes. Called when hashes and names are right. */
  readonly openTarget: () => Promise<Sink>;
  readonly rebuild: (hash: string, sink: Sink, options: ZipWriteOptions) => Promise<DownloadResult>;
}

/** Streams files into one ZIP. @throws what `OrbweaverClient.downloadZip` does */
export async function writeZip(
  entries: readonly ZipEntryRequest[],
  { signal, onProgress }: ZipWriteOptions,
  { cas, createZipWriter, EntryNames, openTarget, rebuild }: ZipParts,
): Promise<DownloadResult> {
  const startedAt = performance.now();
  checkZipEntries(entries, EntryNames);
  const target = await openTarget();
  let position = 0;
  const writer = createZipWriter({
    write: async (bytes) => {
      await target.write(bytes, position);
      position += bytes.length;
    },
  });
  let fetchedBytes = 0;
  let requestCount = 0;
  let doneBytes = 0;
  let totalBytes: number | undefined;
  if (onProgress !== undefined) {
    const hashes = entries.map(({ hash }) => hash);
    void totalSize(cas, hashes, signal).then((bytes) => {
      totalBytes = bytes;
    });
  }
  const told = (progress: DownloadProgress, isLast: boolean): void => {
    const { phase, bytesPerSecond } = progress;
    const writtenBytes = doneBytes + progress.writtenBytes;
    onProgress?.({
      ...progress,
      phase: phase === 'done' && !isLast ? 'fetching' : phase,
      writtenBytes,
      totalBytes,
      secondsLeft: secondsLeft(writtenBytes, totalBytes, bytesPerSecond),
      fetchedBytes: fetchedBytes + progress.fetchedBytes,
    });
  };
  try {
    for (const [i, { hash, name }] of entries.entries()) {
      const result = await rebuild(hash, writer.entry(name), {
        signal,
        onProgress: onProgress && ((progress) => told(progress, i === entries.length - 1)),
      });
      doneBytes += result.sizeBytes;
      fetchedBytes += result.fetchedBytes;
      requestCount += result.requestCount;
    }
    await writer.finish();
    await target.commit(position);
    return {
      sizeBytes: position,
      fetchedBytes,
      resumedBytes: 0,
      seededBytes: 0,
      seedNote: null,
      requestCount,
      // Each entry is a whole file.
      verified: true,
      wallMs: performance.now() - startedAt,
    };
  } catch (error) {
    await target.abort(error);
    throw error;
  }
}
