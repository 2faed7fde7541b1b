import { createZipWriter, EntryNames } from '../archive/web.js';
import type { Sink } from '../client/ports.js';
import type { DownloadResult } from '../compose/client-types.js';
import type { DownloadParts } from '../compose/download.js';
import { withManifest } from '../compose/folder-begin.js';
import { readManifestStream, startsAsManifest } from '../compose/folder-manifest.js';
import { Restore } from '../compose/folder-restore.js';
import { uploadWalk } from '../compose/folder-run.js';
import { writeZip } from '../compose/zip-download.js';
import { diffEntries, type FolderEntry, SNIFF_BYTES } from '../folder/index.js';
import { openPageTree } from './folder-tree.js';
import type { BrowserFolderMethods, FolderListOptions, ZipEntryRequest } from './folder-types.js';
import { walkOf } from './folder-walk.js';
import { createBlobSpool } from './memory-spool.js';
import { outputFileSink, webStreamSink } from './outputs.js';
import type { Places } from './places.js';
import type { BrowserStreamOptions } from './types.js';
import { type PageUploadParts, runPageUpload } from './upload.js';

/** Folders and archives in a page: the code of Node's, over what a page has. Loaded when first asked for. */

export interface FolderWork {
  readonly uploads: PageUploadParts;
  readonly downloads: DownloadParts;
  readonly places: Places;
  readonly rebuild: (
    fileHash: string,
    sink: Sink,
    options: Pick<BrowserStreamOptions, 'offset' | 'length' | 'signal' | 'onProgress'>,
  ) => Promise<DownloadResult>;
  readonly stream: (
    fileHash: string,
    options: { readonly signal: AbortSignal },
  ) => ReadableStream<Uint8Array>;
}

type Of<K extends keyof BrowserFolderMethods> = Parameters<BrowserFolderMethods[K]>;
type Given<T> = Exclude<T, undefined>;

export async function uploadFolder(
  { uploads }: Pick<FolderWork, 'uploads'>,
  folder: Of<'uploadFolder'>[0],
  options: Given<Of<'uploadFolder'>[1]>,
): ReturnType<BrowserFolderMethods['uploadFolder']> {
  const { names = 'portable', hidden = true, filter } = options;
  const { sha256, maxXorbBytes, base, dryRun, signal } = options;
  const startedAt = performance.now();
  const walk = await walkOf(folder, { names, hidden, filter });
  const spool = createBlobSpool();
  const given = { maxXorbBytes, dryRun, signal };
  const result = await uploadWalk(
    walk,
    {
      spool,
      sendFiles(files, _part, watching) {
        uploads.pool.expectBytes(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
        const inputs = files.map(({ source, data }) => ({ name: source, data }));
        return runPageUpload(uploads, inputs, { ...given, sha256, base, ...watching });
      },
      sendManifest(watching) {
        const manifest = [{ name: 'the manifest', data: spool.blob() }];
        return runPageUpload({ ...uploads, memory: null }, manifest, { ...given, ...watching });
      },
    },
    options,
  );
  return { ...result, wallMs: performance.now() - startedAt };
}

export async function downloadFolder(
  { downloads, places }: Pick<FolderWork, 'downloads' | 'places'>,
  manifestHash: string,
  { to, names = 'portable', ...options }: Of<'downloadFolder'>[1],
): ReturnType<BrowserFolderMethods['downloadFolder']> {
  const startedAt = performance.now();
  const spool = createBlobSpool();
  const given = { ...options, names };
  return withManifest(downloads, manifestHash, spool, given, async (begun) => {
    const { manifest, totals, narrator } = begun;
    const tree = await openPageTree(to, places);
    const restore = new Restore({
      ...{ parts: downloads, tree, options, totals, memory: null, narrator },
      seedsOf: async () => [],
    });
    restore.counters.fetchedBytes = manifest.fetchedBytes;
    restore.counters.requestCount = manifest.requestCount;
    await restore.run(spool, names);
    return { ...restore.counters, failed: restore.failed, wallMs: performance.now() - startedAt };
  });
}

/** The entries of a manifest while it is fetched. Whoever stops early ends the download. */
export async function* listFolder(
  { stream }: Pick<FolderWork, 'stream'>,
  manifestHash: string,
  { names = 'native', signal }: FolderListOptions,
): AsyncGenerator<FolderEntry, void> {
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  try {
    yield* readManifestStream(piecesOf(stream(manifestHash, { signal: both })), names);
  } finally {
    stop.abort();
  }
}

/** Not every browser iterates over streams. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.releaseLock();
  }
}

export async function* diffFolders(
  work: Pick<FolderWork, 'stream'>,
  [before, after]: readonly [string, string],
  { times, ...rest }: Given<Of<'diffFolders'>[2]>,
): ReturnType<BrowserFolderMethods['diffFolders']> {
  yield* diffEntries(listFolder(work, before, rest), listFolder(work, after, rest), { times });
}

export function isFolder(
  { rebuild }: Pick<FolderWork, 'rebuild'>,
  fileHash: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const start = { offset: 0, length: SNIFF_BYTES, signal };
  return startsAsManifest((sink) => rebuild(fileHash, sink, start));
}

export function downloadZip(
  { downloads, rebuild }: Pick<FolderWork, 'downloads' | 'rebuild'>,
  entries: readonly ZipEntryRequest[],
  { to, ...options }: Of<'downloadZip'>[1],
): Promise<DownloadResult> {
  return writeZip(entries, options, {
    ...{ cas: downloads.cas, createZipWriter, EntryNames, rebuild },
    openTarget: async () =>
      'getWriter' in to ? webStreamSink(to, 'the archive') : outputFileSink(to),
  });
}
