import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { downloadVerified } from '../client/downloads.js';
import type { CasClient, RandomAccess, Sink } from '../client/ports.js';
import { isOrbweaverError } from '../errors.js';
import type { Budget } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import { outputSink, streamSink } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { WorkerPool } from '../workers/index.js';
import type {
  ClientDownloadOptions,
  DownloadResult,
  ZipDownloadOptions,
  ZipEntryRequest,
} from './client-types.js';
import { closeAll } from './close-all.js';
import type { DownloadMemoryOptions } from './download-memory.js';
import { resumable } from './resumable.js';
import { openSeeds } from './seeds.js';
import { commandOf } from './transfer-command.js';
import type { UploadState } from './upload.js';

/** What a download works with. */
export interface DownloadParts {
  readonly cas: CasClient;
  readonly pool: WorkerPool;
  /** Where unfinished downloads are listed; null: nowhere. @default null */
  readonly state?: UploadState | null | undefined;
  /** What all downloads of a client may hold beside slabs. @default one for each download */
  readonly budget?: Budget | undefined;
  /** Ranges asked for at a time. @default what moves the most bytes */
  readonly concurrency?: number | undefined;
}

/** Rebuilds a file, or a range of it. @throws what `OrbweaverClient.download` does */
export async function runDownload(
  { cas, pool, budget, concurrency }: DownloadParts,
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
    concurrency,
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
    const listed = isWhole && resume && typeof to === 'string' ? to : null;
    const run = (onProgress: ClientDownloadOptions['onProgress']): Promise<DownloadResult> =>
      runDownload(parts, fileHash, sink, { ...options, onProgress, seeds: opened });
    if (listed === null || !parts.state) return await run(options.onProgress);
    return await remembered({ ...parts.state, fileHash, path: listed, options }, run);
  } finally {
    await closeAll(opened);
  }
}

/** Runs a download that the list of unfinished transfers shows until it is done. */
async function remembered(
  facts: Omit<DownloadMemoryOptions, 'options'> & { readonly options: ClientDownloadOptions },
  run: (onProgress: ClientDownloadOptions['onProgress']) => Promise<DownloadResult>,
): Promise<DownloadResult> {
  const { onProgress, seeds = [] } = facts.options;
  const { rememberDownload } = await import('./download-memory.js');
  const command = commandOf(facts.options);
  const options = command?.options ?? seeds.flatMap((path) => ['--seed', resolve(path)]);
  const memory = rememberDownload({ ...facts, options, hub: command?.hub });
  try {
    const result = await run((progress) => {
      memory.written(progress.writtenBytes, progress.totalBytes);
      onProgress?.(progress);
    });
    await memory.done();
    return result;
  } catch (error) {
    const keptBytes = isOrbweaverError(error) ? Number(error.fields['keptBytes'] ?? 0) : 0;
    throw resumable(error, await memory.interrupted(keptBytes));
  }
}

/** Streams files into one ZIP. @throws what `OrbweaverClient.downloadZip` does */
export async function runZipDownload(
  parts: DownloadParts,
  entries: readonly ZipEntryRequest[],
  options: ZipDownloadOptions,
): Promise<DownloadResult> {
  const [{ createZipWriter, EntryNames }, { writeZip }] = await Promise.all([
    import('../archive/index.js'),
    import('./zip-download.js'),
  ]);
  const { to, ...rest } = options;
  return writeZip(entries, rest, {
    ...{ cas: parts.cas, createZipWriter, EntryNames },
    openTarget: async () => sinkOf(to),
    rebuild: (hash, sink, each) => runDownload(parts, hash, sink, each),
  });
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
