import { dirname, join } from 'node:path';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { throwIfAborted } from '../flow/index.js';
import { checkPath, type NameRules } from '../folder/index.js';
import { fileInfo, type HubEntry, type HubFileInfo, listTree, resolvePath } from '../hub/index.js';
import { hasParts, makeFolder, outputSink, pathFilter } from '../io/index.js';
import type { ClientDownloadOptions } from './client-types.js';
import { failedFile } from './failed-file.js';
import { type HubCache, openHubCache } from './hub-cache.js';
import { fileDownloadCommand, folderDownloadCommand } from './hub-command.js';
import { isStoreDown } from './hub-failures.js';
import { type HubParts, repoAt } from './hub-parts.js';
import { plainContent, plainDownload } from './hub-plain.js';
import { isContent, isOnDisk } from './hub-present.js';
import { batchesOf, fetchBatch, type StoredFile } from './hub-small.js';
import type {
  FailedDownload,
  HubDownloadedFile,
  HubFileDownloadOptions,
  HubFolderDownloadOptions,
  HubFolderDownloadResult,
  HubProgress,
  RepoAt,
} from './hub-types.js';
import { allEnded, inLanes } from './in-lanes.js';
import { SMALL_FILE_BYTES } from './small-files.js';
import { partOf, type TransferCommand } from './transfer-command.js';

/** Files at a time. */
const PARALLEL_FILES = 8;
/** Small ones that the Hub gives itself, besides these: they wait for the network most of their time. */
const PARALLEL_SMALL = 16;
/** Files whose places are looked at at once. */
const PARALLEL_LOOKS = 16;
/** Batches of small files at once: each is in memory. */
const PARALLEL_BATCHES = 2;

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
    const command = fileDownloadCommand(parts, options);
    const file = await one(parts, at, { path, to, info, command }, signal, tell);
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
  const command = folderDownloadCommand(parts, options);
  const isIncluded = include.length === 0 ? () => true : pathFilter(include);
  const isExcluded = pathFilter(exclude);
  return parts.run(options.signal, async (signal) => {
    const pythons = cache ? await openHubCache(parts, at, options.to, signal) : null;
    const place: Place = {
      at: { ...at, revision: pythons?.commit ?? at.revision },
      folder: pythons?.snapshot ?? options.to,
      cache: pythons,
      ...{ path, names },
    };
    const listed = await listFiles(parts, place, signal);
    if (path === '') await pythons?.writeTree(listed);
    const entries = listed.filter((entry) => {
      return (
        entry.type === 'file' && !isExcluded(entry.path, false) && isIncluded(entry.path, false)
      );
    });
    const tell = teller(options.onProgress, {
      fileCount: entries.length,
      totalBytes: entries.reduce((sum, { size }) => sum + size, 0),
    });
    const files: HubDownloadedFile[] = [];
    const failed: FailedDownload[] = [];
    const done = async (target: Target, file: HubDownloadedFile): Promise<void> => {
      const shown = { ...file, to: await target.show() };
      files.push(shown);
      tell.fileDone();
      options.onFile?.(shown);
    };
    const attempt = async (entry: { readonly path: string }, run: () => Promise<void>) => {
      try {
        await run();
      } catch (error) {
        if (signal.aborted) throw error;
        const fields = isOrbweaverError(error) ? error.fields : {};
        failed.push({ ...failedFile(entry.path, error), fields });
      }
    };
    const targets: Target[] = [];
    // Looked at once: there may be thousands of files in a folder.
    const folders = new Map<string, Promise<boolean>>();
    await inLanes(entries, { lanes: PARALLEL_LOOKS, signal }, (entry) =>
      attempt(entry, async () => {
        const target = await targetOf(parts, place, entry);
        const isAnew = resume === false || cache;
        const isThere =
          target.isThere || (!isAnew && (await isOnDisk(target.to, target.info, signal)));
        if (!isThere) {
          const folder = dirname(target.to);
          const left = folders.get(folder) ?? hasParts(folder);
          folders.set(folder, left);
          targets.push({ ...target, hasLeftovers: await left });
        }
        if (isThere) {
          tell.file()(target.size, 0);
          await done(target, { ...thereAlready(target), verified: !target.isThere });
        }
      }),
    );
    // With a fixed number of requests no more files than that, and each has its share.
    const { concurrency: fixed } = parts.options;
    const lanes = Math.max(1, Math.min(PARALLEL_FILES, fixed ?? PARALLEL_FILES, targets.length));
    const single = (target: Target): Promise<void> =>
      attempt(target, async () => {
        const wanted = { ...target, sharedBy: lanes, resume, command };
        await done(target, await one(parts, place.at, wanted, signal, tell));
      });
    const { batches, others } =
      parts.transport === 'http' ? { batches: [], others: targets } : batchesOf(targets);
    const left = new Set(batches.flat());
    const batch = async (some: readonly Target[]): Promise<void> => {
      try {
        const client = await parts.clientOf(place.at, 'read', { sharedBy: lanes });
        await fetchBatch(client, some, signal, async ({ file: target, ...cost }) => {
          left.delete(target);
          tell.file()(target.size, cost.fetchedBytes);
          const { path: name, to, size: sizeBytes } = target;
          const how = { verified: true, transport: 'xet' } as const;
          await done(target, { path: name, to, sizeBytes, ...cost, ...how });
        });
      } catch (error) {
        // Whose fault it was is seen when each is fetched by itself.
        if (signal.aborted) throw error;
      }
    };
    await allEnded([
      inLanes(batches, { lanes: PARALLEL_BATCHES, signal }, batch),
      ...groupsOf(others, { lanes, isFixed: fixed !== undefined }).map((group) =>
        inLanes(group.targets, { lanes: group.lanes, signal }, single),
      ),
    ]);
    const rest = groupsOf([...left], { lanes, isFixed: fixed !== undefined });
    await allEnded(
      rest.map((group) => inLanes(group.targets, { lanes: group.lanes, signal }, single)),
    );
    throwIfAborted(signal);
    if (failed.length === 0) await pythons?.writeRef();
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

/** Small files that the Hub gives itself are not held up by large ones, as long as nobody says how many may run. */
function groupsOf(
  targets: readonly Target[],
  { lanes, isFixed }: { readonly lanes: number; readonly isFixed: boolean },
): readonly { readonly targets: readonly Target[]; readonly lanes: number }[] {
  if (isFixed) return [{ targets, lanes }];
  const isSmall = ({ info, size }: Target): boolean =>
    info.xetHash === null && size <= SMALL_FILE_BYTES;
  return [
    { targets: targets.filter(isSmall), lanes: PARALLEL_SMALL },
    { targets: targets.filter((target) => !isSmall(target)), lanes },
  ];
}

/** What lies below a path of a repository; it may be that of one file. */
async function listFiles(
  parts: HubParts,
  { at: { repo, revision }, path }: Place,
  signal: AbortSignal,
): Promise<readonly HubEntry[]> {
  const entries: HubEntry[] = [];
  try {
    const listing = { revision, path, recursive: true, signal };
    for await (const entry of listTree(parts.http, repo, listing)) entries.push(entry);
    return entries;
  } catch (error) {
    if (path === '' || !isOrbweaverError(error) || error.code !== 'NOT_FOUND') throw error;
    const info = await fileInfo(parts.http, repo, { revision, path, signal });
    if (info === null) throw error;
    const { size, etag: oid, xetHash } = info;
    return [{ type: 'file', path, size, oid, ...(xetHash === null ? {} : { xetHash }) }];
  }
}

/** Where a download goes. */
interface Place {
  readonly at: RepoAt;
  /** What of the repository. */
  readonly path: string;
  readonly folder: string;
  readonly names: NameRules;
  readonly cache: HubCache | null;
}

/** One file of it. */
interface Target extends StoredFile {
  readonly path: string;
  readonly info: HubFileInfo;
  /** The cache has it. */
  readonly isThere: boolean;
  /** Makes it appear where it is looked for. Resolves to that path. */
  show(): Promise<string>;
}

async function targetOf(
  parts: HubParts,
  { at, path: top, folder, names, cache }: Place,
  entry: HubEntry,
): Promise<Target> {
  const { path, size } = entry;
  // What a server names is a path on disk here.
  checkPath(path, names);
  const info: HubFileInfo = {
    size,
    etag: entry.lfs?.oid ?? entry.oid,
    xetHash: entry.xetHash ?? null,
    commit: null,
    url: `${parts.http.url.href.replace(/\/+$/, '')}/${resolvePath(at.repo, at.revision, path)}`,
  };
  const common = {
    path,
    info,
    size,
    hasLeftovers: true,
    xetHash: info.xetHash ?? entry.storeHash ?? null,
    // Of a small file of a commit the Hub says git's hash, too, which has the last word as without a store.
    isContent: (bytes: Uint8Array) => info.xetHash !== null || isContent(bytes, info),
  };
  if (cache !== null) {
    const { blob, isThere } = await cache.blobOf(path, info);
    return { ...common, to: blob, isThere, show: () => cache.show(path, blob) };
  }
  // A folder of a repository becomes the folder itself, as `cp -r folder/. to` has it.
  const inside = top === '' || path === top ? path : path.slice(top.length + 1);
  const to = join(
    folder,
    ...(path === top ? [path.slice(path.lastIndexOf('/') + 1)] : inside.split('/')),
  );
  await makeFolder(dirname(to));
  return { ...common, to, isThere: false, show: async () => to };
}

function thereAlready({ path, to, size }: Target): HubDownloadedFile {
  const nothing = { fetchedBytes: 0, requestCount: 0, verified: false, transport: 'none' } as const;
  return { path, to, sizeBytes: size, ...nothing };
}

interface Wanted {
  readonly path: string;
  readonly to: string;
  readonly info: HubFileInfo;
  /** Something of an earlier run may lie beside it. @default true */
  readonly hasLeftovers?: boolean;
  /** Files that are fetched side by side. @default 1 */
  readonly sharedBy?: number | undefined;
  /** @default true */
  readonly resume?: boolean | undefined;
  /** What goes on with it. */
  readonly command: TransferCommand;
}

/** One file, by the way that works. */
async function one(
  parts: HubParts,
  at: RepoAt,
  { path, to, info, sharedBy, resume, command, hasLeftovers: removeLeftovers = true }: Wanted,
  signal: AbortSignal,
  tell: Teller,
): Promise<HubDownloadedFile> {
  const { size: sizeBytes, xetHash } = info;
  if (xetHash !== null && parts.transport !== 'http') {
    try {
      const client = await parts.clientOf(at, 'read', { sharedBy });
      const progress = tell.file();
      const downloading: ClientDownloadOptions = {
        to,
        resume,
        signal,
        onProgress: ({ writtenBytes, fetchedBytes }) => progress(writtenBytes, fetchedBytes),
      };
      const result = await client.download(xetHash, partOf(downloading, command));
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
  const keeping = { keepAs: plainContent(info), anew: resume === false };
  const sink = await outputSink(to, { ...keeping, removeLeftovers });
  const result = await plainDownload(parts, info, sink, signal, progress);
  return { path, to, sizeBytes, ...result, transport: 'http' };
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
