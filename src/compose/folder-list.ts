import { PassThrough } from 'node:stream';
import { isOrbweaverError } from '../errors.js';
import { type FolderEntry, isManifestStart, type NameRules } from '../folder/index.js';
import { memorySink } from '../io/index.js';
import { type DownloadParts, runDownload, streamSinkOf } from './download.js';
import { readManifestStream } from './folder-manifest.js';

/** What a listing reads ahead. */
const STREAM_BUFFER_BYTES = 256 * 1024;

/** The entries of a manifest while it is fetched. Whoever stops early ends the download. */
export async function* listEntries(
  parts: DownloadParts,
  {
    hash,
    names,
    signal,
  }: { readonly hash: string; readonly names: NameRules; readonly signal: AbortSignal | undefined },
): AsyncGenerator<FolderEntry, void> {
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const pass = new PassThrough({ highWaterMark: STREAM_BUFFER_BYTES });
  const running = runDownload(parts, hash, streamSinkOf(pass, hash), { signal: both }).catch(
    (error: unknown) => {
      pass.destroy(error instanceof Error ? error : new Error(String(error)));
    },
  );
  try {
    yield* readManifestStream(pass, names);
  } finally {
    stop.abort();
    pass.destroy();
    await running;
  }
}

/** Whether a file begins as manifests do. */
export async function startsAsManifest(
  parts: DownloadParts,
  {
    fileHash,
    length,
    signal,
  }: {
    readonly fileHash: string;
    readonly length: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<boolean> {
  const sink = memorySink();
  try {
    await runDownload(parts, fileHash, sink, { offset: 0, length, signal });
  } catch (error) {
    // An empty file has no first byte.
    if (isOrbweaverError(error) && error.code === 'RANGE_INVALID') return false;
    throw error;
  }
  return isManifestStart(sink.bytes());
}
