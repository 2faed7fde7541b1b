import type { Writable } from 'node:stream';
import { downloadVerified } from '../client/downloads.js';
import type { CasClient, RandomAccess, Sink } from '../client/ports.js';
import type { Budget } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import { outputSink, streamSink } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { WorkerPool } from '../workers/index.js';
import type { ClientDownloadOptions, DownloadResult, ZipEntryRequest } from './client.js';
import { closeAll, openSeeds } from './seeds.js';

/** What a download works with. */
export interface DownloadParts {
  readonly cas: CasClient;
  readonly pool: WorkerPool;
  /** What all downloads of a client may hold beside slabs. @default one for each download */
  readonly budget?: Budget | undefined;
}

/** Rebuilds a file, or a range of it. @throws what `OrbweaverClient.download` does */
export async function runDownload(
  { cas, pool, budget }: DownloadParts,
  fileHash: string,
  sink: Sink,
  {
    offset,
    length,
    signal,
    onProgress,
    verifyRange = 'auto',
    seeds,
  }: Omit<ClientDownloadOptions, 'to' | 'resume' | 'seeds'> & {
    readonly seeds?: readonly RandomAccess[] | undefined;
  },
): Promise<DownloadResult> {
  const startedAt = performance.now();
  const options = {
    cas,
    pool,
    budget,
    clock: SYSTEM_CLOCK,
    hasher: pool.kernels.hasher,
    fileHash: MerkleHash.parse(fileHash),
    sink,
    ...(offset === undefined && length === undefined
      ? {}
      : { range: { offset: offset ?? 0, length } }),
    seeds,
    signal,
    onProgress,
  };
  const result = await downloadVerified(options, verifyRange);
  return { ...result, wallMs: performance.now() - startedAt };
}

/** Rebuilds a file, or a range of it, where `to` says. @throws what `OrbweaverClient.download` does */
export async function runFileDownload(
  parts: DownloadParts,
  fileHash: string,
  options: ClientDownloadOptions,
): Promise<DownloadResult> {
  const { to, resume = true, offset, length } = options;
  const opened = await openSeeds(options);
  try {
    // What is written of a whole file stays for the next call when this one fails.
    const isWhole = (offset ?? length) === undefined;
    const sink =
      typeof to === 'string' && isWhole
        ? await outputSink(to, { keepAs: fileHash, anew: !resume })
        : await sinkOf(to);
    return await runDownload(parts, fileHash, sink, { ...options, seeds: opened });
  } finally {
    await closeAll(opened);
  }
}

/** Streams files into one ZIP. @throws what `OrbweaverClient.downloadZip` does */
export async function runZipDownload(
  parts: DownloadParts,
  entries: readonly ZipEntryRequest[],
  options: Omit<ClientDownloadOptions, 'offset' | 'length' | 'resume' | 'seeds' | 'verifyRange'>,
): Promise<DownloadResult> {
  const startedAt = performance.now();
  const { createZipWriter, safeEntryName } = await import('../archive/index.js');
  // Wrong hashes and names are found before the first byte is fetched.
  for (const { hash, name } of entries) {
    MerkleHash.parse(hash);
    safeEntryName(name);
  }
  const target = await sinkOf(options.to);
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
  try {
    for (const { hash, name } of entries) {
      const result = await runDownload(parts, hash, writer.entry(name), {
        signal: options.signal,
        onProgress: (progress) =>
          options.onProgress?.({
            writtenBytes: doneBytes + progress.writtenBytes,
            fetchedBytes: fetchedBytes + progress.fetchedBytes,
            totalBytes: undefined,
          }),
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
    await target.abort();
    throw error;
  }
}

/** Where a download goes: a path, or a stream. */
export function sinkOf(to: string | Writable): Promise<Sink> | Sink {
  if (typeof to === 'string') return outputSink(to);
  return streamSink(to, to === process.stdout ? { name: 'standard output' } : {});
}

/** A stream that a download writes to; `name` is for messages. */
export function streamSinkOf(stream: Writable, name: string): Sink {
  return streamSink(stream, { name });
}
