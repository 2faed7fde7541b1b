import { readFile, stat, symlink, unlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { checkPath, type NameRules } from '../folder/index.js';
import {
  commitOf,
  fileInfo,
  type HubEntry,
  type HubFileInfo,
  listTree,
  type RepoId,
  resolvePath,
} from '../hub/index.js';
import { makeFolder, outputSink, pathFilter, writeFileAtomic } from '../io/index.js';
import { failedFile } from './hub-failures.js';
import { type HubParts, repoAt } from './hub-parts.js';
import { plainContent, plainDownload } from './hub-plain.js';
import type {
  FailedDownload,
  HubDownloadedFile,
  HubFileDownloadOptions,
  HubFolderDownloadOptions,
  HubFolderDownloadResult,
  HubProgress,
  RepoAt,
} from './hub-types.js';

/** Files at a time: a small one waits for the network most of its time. */
const PARALLEL_FILES = 8;

/** Downloads one file. */
export async function hubDownloadFile(
  parts: HubParts,
  options: HubFileDownloadOptions,
): Promise<HubDownloadedFile> {
  const at = repoAt(options);
  return parts.run(options.signal, async (signal) => {
    const { path, to } = options;
    const info = await fileInfo(parts.http, at.repo, { revision: at.revision, path, signal });
    if (info === null) {
      throw new OrbweaverError('NOT_FOUND', `${at.repo.name} has no file "${path}"`, { path });
    }
    const tell = teller(options.onProgress, { fileCount: 1, totalBytes: info.size });
    const file = await one(parts, at, { path, to, info }, signal, tell);
    tell.fileDone();
    return file;
  });
}

/** Downloads what lies below a path of a repository. */
export async function hubDownloadFolder(
  parts: HubParts,
  options: HubFolderDownloadOptions,
): Promise<HubFolderDownloadResult> {
  const startedAt = performance.now();
  const at = repoAt(options);
  const { path = '', include = [], exclude = [], cache = false } = options;
  const { names = 'portable', resume } = options;
  const isIncluded = include.length === 0 ? () => true : pathFilter(include);
  const isExcluded = pathFilter(exclude);
  return parts.run(options.signal, async (signal) => {
    const { repo } = at;
    const place = cache
      ? await cachePlace(parts, at, options.to, signal)
      : { revision: at.revision, folder: options.to, cache: null };
    const entries: HubEntry[] = [];
    const listing = { revision: place.revision, path, recursive: true, signal };
    try {
      for await (const entry of listTree(parts.http, repo, listing)) {
        if (entry.type !== 'file' || isExcluded(entry.path, false)) continue;
        if (isIncluded(entry.path, false)) entries.push(entry);
      }
    } catch (error) {
      // A path may be that of one file.
      const info = path === '' ? null : await infoOrThrow(parts, at, path, error, signal);
      if (info === null) throw error;
      entries.push({ type: 'file', path, size: info.size, oid: info.etag, ...xetOf(info) });
    }
    const tell = teller(options.onProgress, {
      fileCount: entries.length,
      totalBytes: entries.reduce((sum, { size }) => sum + size, 0),
    });
    const files: HubDownloadedFile[] = [];
    const failed: FailedDownload[] = [];
    // With a fixed number of requests no more files than that, and each has its share.
    const { concurrency: fixed = PARALLEL_FILES } = parts.options;
    const lanes = Math.max(1, Math.min(PARALLEL_FILES, fixed, entries.length));
    const download = async (entry: HubEntry): Promise<void> => {
      try {
        const file = await fetchEntry(parts, { ...at, revision: place.revision }, place, entry, {
          ...{ path, names, resume, signal, tell },
          sharedBy: lanes,
        });
        files.push(file);
        tell.fileDone();
        options.onFile?.(file);
      } catch (error) {
        if (signal.aborted) throw error;
        const fields = isOrbweaverError(error) ? error.fields : {};
        failed.push({ ...failedFile(entry.path, error), fields });
      }
    };
    // All take from one list, until it is empty or one of them is cancelled.
    const left = entries.values();
    const lane = async (): Promise<void> => {
      for (const entry of left) await download(entry);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    if (place.cache !== null && failed.length === 0) await place.cache.writeRef();
    const sum = (of: (file: HubDownloadedFile) => number): number =>
      files.reduce((total, file) => total + of(file), 0);
    return {
      files,
      failed,
      folder: place.folder,
      sizeBytes: sum((file) => file.sizeBytes),
      fetchedBytes: sum((file) => file.fetchedBytes),
      requestCount: sum((file) => file.requestCount),
      wallMs: performance.now() - startedAt,
    };
  });
}

async function infoOrThrow(
  parts: HubParts,
  { repo, revision }: RepoAt,
  path: string,
  error: unknown,
  signal: AbortSignal,
): Promise<HubFileInfo | null> {
  if (!isOrbweaverError(error) || error.code !== 'NOT_FOUND') throw error;
  return fileInfo(parts.http, repo, { revision, path, signal });
}

function xetOf({ xetHash }: HubFileInfo): { readonly xetHash?: string } {
  return xetHash === null ? {} : { xetHash };
}

interface Place {
  readonly revision: string;
  readonly folder: string;
  readonly cache: CachePlace | null;
}

async function fetchEntry(
  parts: HubParts,
  at: RepoAt,
  place: Place,
  entry: HubEntry,
  {
    path: top,
    names,
    sharedBy,
    resume,
    signal,
    tell,
  }: {
    readonly path: string;
    readonly names: NameRules;
    readonly sharedBy: number;
    readonly resume: boolean | undefined;
    readonly signal: AbortSignal;
    readonly tell: Teller;
  },
): Promise<HubDownloadedFile> {
  const { path } = entry;
  // What a server names is a path on disk here.
  checkPath(path, names);
  const info: HubFileInfo = {
    size: entry.size,
    etag: entry.lfs?.oid ?? entry.oid,
    xetHash: entry.xetHash ?? null,
    commit: null,
    url: `${parts.http.url.href.replace(/\/+$/, '')}/${resolvePath(at.repo, at.revision, path)}`,
  };
  if (place.cache !== null) {
    return intoCache(parts, at, place.cache, { path, info, sharedBy, resume }, signal, tell);
  }
  // A folder of a repository becomes the folder itself, as `cp -r folder/. to` has it.
  const inside = top === '' || path === top ? path : path.slice(top.length + 1);
  const to = join(
    place.folder,
    ...(path === top ? [path.slice(path.lastIndexOf('/') + 1)] : inside.split('/')),
  );
  await makeFolder(dirname(to));
  return one(parts, at, { path, to, info, sharedBy, resume }, signal, tell);
}

interface Wanted {
  readonly path: string;
  readonly to: string;
  readonly info: HubFileInfo;
  /** Files that are fetched side by side. @default 1 */
  readonly sharedBy?: number | undefined;
  /** @default true */
  readonly resume?: boolean | undefined;
}

/** One file, by the way that works. */
async function one(
  parts: HubParts,
  at: RepoAt,
  { path, to, info, sharedBy, resume }: Wanted,
  signal: AbortSignal,
  tell: Teller,
): Promise<HubDownloadedFile> {
  const { size: sizeBytes, xetHash } = info;
  if (xetHash !== null && parts.transport !== 'http') {
    try {
      const client = await parts.clientOf(at, 'read', { sharedBy });
      const progress = tell.file();
      const result = await client.download(xetHash, {
        to,
        resume,
        signal,
        onProgress: ({ writtenBytes, fetchedBytes }) => progress(writtenBytes, fetchedBytes),
      });
      const { fetchedBytes, requestCount, verified } = result;
      if (result.sizeBytes !== sizeBytes) {
        throw new OrbweaverError(
          'SIZE_MISMATCH',
          `"${path}" expected ${sizeBytes} bytes as the Hub says, its store has ${result.sizeBytes}`,
        );
      }
      return { path, to, sizeBytes, fetchedBytes, requestCount, verified, transport: 'xet' };
    } catch (error) {
      if (parts.transport !== 'auto' || !isStoreDown(error)) throw error;
      parts.giveUpStore(error instanceof Error ? error.message : String(error));
    }
  }
  if (parts.transport === 'xet' && xetHash === null && sizeBytes > 0) {
    throw new OrbweaverError(
      'UNSUPPORTED',
      `"${path}" does not lie in the content-addressed store`,
    );
  }
  const progress = tell.file();
  const sink = await outputSink(to, { keepAs: plainContent(info), anew: resume === false });
  const result = await plainDownload(parts, info, sink, signal, progress);
  return { path, to, sizeBytes, ...result, transport: 'http' };
}

/** Failures of a server or of the way to it, not of the data or the disk. */
function isStoreDown(error: unknown): boolean {
  if (!isOrbweaverError(error)) return false;
  return ['NETWORK', 'STALLED', 'SERVER_ERROR', 'RATE_LIMITED', 'PROTOCOL'].includes(error.code);
}

/** A repository in the cache of the Python client. */
interface CachePlace {
  readonly blobs: string;
  readonly snapshot: string;
  /** Notes which commit the revision means; last, when all is there. */
  writeRef(): Promise<void>;
}

/**
 * The layout that huggingface_hub documents: blobs by ETag, snapshots of links to them by commit, refs that
 * say which commit a branch was.
 */
async function cachePlace(
  parts: HubParts,
  { repo, revision }: RepoAt,
  folder: string,
  signal: AbortSignal,
): Promise<Place> {
  if (repo.type === 'bucket') {
    throw new OrbweaverError('USAGE', 'the cache of the Python client expected no bucket');
  }
  const isCommit = /^[0-9a-f]{40}$/.test(revision);
  const commit = isCommit ? revision : await commitOf(parts.http, repo, revision, signal);
  if (!/^[0-9a-f]{40,64}$/.test(commit)) {
    throw new OrbweaverError('FORMAT_INVALID', 'the Hub expected to name a commit by its hash');
  }
  const top = join(folder, cacheName(repo));
  const place: CachePlace = {
    blobs: join(top, 'blobs'),
    snapshot: join(top, 'snapshots', commit),
    async writeRef() {
      if (isCommit) return;
      checkPath(revision, 'native');
      const ref = join(top, 'refs', ...revision.split('/'));
      await makeFolder(dirname(ref));
      const known = await readFile(ref, 'utf8').catch(() => '');
      if (known !== commit) await writeFileAtomic(ref, new TextEncoder().encode(commit));
    },
  };
  await makeFolder(place.blobs);
  await makeFolder(place.snapshot);
  return { revision: commit, folder: place.snapshot, cache: place };
}

function cacheName({ type, name }: RepoId): string {
  return [`${type}s`, ...name.split('/')].join('--');
}

async function intoCache(
  parts: HubParts,
  at: RepoAt,
  { blobs, snapshot }: CachePlace,
  { path, info, sharedBy, resume }: Omit<Wanted, 'to'>,
  signal: AbortSignal,
  tell: Teller,
): Promise<HubDownloadedFile> {
  if (!/^[0-9a-f]{40}$|^[0-9a-f]{64}$/.test(info.etag)) {
    throw new OrbweaverError('FORMAT_INVALID', `the Hub expected to tell a hash of "${path}"`);
  }
  const blob = join(blobs, info.etag);
  const link = join(snapshot, ...path.split('/'));
  const there = await stat(blob).catch(() => null);
  let file: HubDownloadedFile;
  if (there?.size === info.size) {
    tell.file()(info.size, 0);
    file = {
      ...{ path, to: link, sizeBytes: info.size, fetchedBytes: 0, requestCount: 0 },
      ...{ verified: false, transport: 'none' },
    };
  } else file = await one(parts, at, { path, to: blob, info, sharedBy, resume }, signal, tell);
  await makeFolder(dirname(link));
  const target = relative(dirname(link), blob);
  await symlink(target, link).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    await unlink(link);
    await symlink(target, link);
  });
  return { ...file, to: link };
}

/** Counts what all files of a download come to. */
interface Teller {
  /** For one file: told what of it is done so far. */
  file(): (doneBytes: number, wireBytes: number) => void;
  fileDone(): void;
}

function teller(
  onProgress: ((progress: HubProgress) => void) | undefined,
  totals: Pick<HubProgress, 'fileCount' | 'totalBytes'>,
): Teller {
  let doneBytes = 0;
  let wireBytes = 0;
  let doneFileCount = 0;
  const tell = (): void => onProgress?.({ ...totals, doneBytes, wireBytes, doneFileCount });
  return {
    file() {
      let done = 0;
      let wire = 0;
      return (doneNow, wireNow) => {
        doneBytes += doneNow - done;
        wireBytes += wireNow - wire;
        done = doneNow;
        wire = wireNow;
        tell();
      };
    },
    fileDone() {
      doneFileCount++;
      tell();
    },
  };
}
