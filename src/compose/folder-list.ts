import { PassThrough } from 'node:stream';
import type { FolderEntry, NameRules } from '../folder/index.js';
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
