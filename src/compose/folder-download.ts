import { stat, statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RandomAccess } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { FileEntry } from '../folder/index.js';
import {
  createSpool,
  inputError,
  openRandomAccess,
  openRestoreTree,
  type RestoreTree,
} from '../io/index.js';
import { closeAll } from './close-all.js';
import type { DownloadParts } from './download.js';
import type { DownloadMemory } from './download-memory.js';
import { withManifest } from './folder-begin.js';
import { Restore } from './folder-restore.js';
import type { FolderDownloadOptions, FolderDownloadResult } from './folder-types.js';
import { resumable } from './resumable.js';
import { isOldCopy, LEAST_OLD_COPY_BYTES } from './seeds.js';

/**
 * Restores a folder in three passes over its manifest, which lies on this disk by then:
 *
 * 1. everything in it is checked; nothing is written for one that breaks a rule
 * 2. folders, links and files; small files many at a time
 * 3. rights and times of folders, from the inside out
 *
 * @throws what `OrbweaverClient.downloadFolder` does
 */
export async function runFolderDownload(
  parts: DownloadParts,
  manifestHash: string,
  options: FolderDownloadOptions,
): Promise<FolderDownloadResult> {
  const { to, names = 'portable', seeds = [] } = options;
  const startedAt = performance.now();
  for (const path of seeds) await checkSeed(path);
  const spool = await createSpool();
  try {
    return await withManifest(parts, manifestHash, spool, options, async (begun) => {
      const { manifest, totals, narrator } = begun;
      const tree = await openRestoreTree(to);
      try {
        await checkSpace(to, tree.isNew ? totals.sizeBytes : totals.largestBytes);
        const memory = await memoryOf(parts, manifestHash, options);
        const restore = new Restore({
          ...{ parts, tree, options, totals, memory, narrator },
          seedsOf: (entry) => seedsOf(tree, options, entry),
        });
        restore.counters.fetchedBytes = manifest.fetchedBytes;
        restore.counters.requestCount = manifest.requestCount;
        try {
          await restore.run(spool, names);
        } catch (error) {
          throw resumable(error, (await memory?.interrupted(restore.counters.sizeBytes)) ?? null);
        }
        await memory?.done();
        return {
          ...restore.counters,
          failed: restore.failed,
          wallMs: performance.now() - startedAt,
        };
      } finally {
        await tree.close();
      }
    });
  } finally {
    await spool.remove();
  }
}

/** Which file of a folder a single file is like nobody says. @throws OrbweaverError `USAGE`, `INPUT_NOT_FOUND` */
export async function checkSeed(path: string): Promise<void> {
  const stats = await stat(path).catch((error: unknown) => {
    throw inputError(error, path);
  });
  if (stats.isDirectory()) return;
  const message = `"seeds" of a folder expected folders with other versions of it, got the file "${path}"`;
  throw new OrbweaverError('USAGE', message, { path });
}

/** What the list of unfinished transfers shows of it; null: it is not listed. */
async function memoryOf(
  { state }: DownloadParts,
  manifestHash: string,
  { to, existing, names, seeds = [], resume = true }: FolderDownloadOptions,
): Promise<DownloadMemory | null> {
  if (!state || !resume) return null;
  const { rememberDownload } = await import('./download-memory.js');
  const options = [
    ...(existing === 'keep' ? ['--no-clobber'] : []),
    ...(names === undefined ? [] : [`--names=${names}`]),
    ...seeds.flatMap((path) => ['--seed', resolve(path)]),
  ];
  return rememberDownload({ ...state, fileHash: manifestHash, path: to, options });
}

/** A new folder needs all of it; else the largest file needs its place in any case, also where it replaces one. */
async function checkSpace(to: string, neededBytes: number): Promise<void> {
  const space = await statfs(to).catch(() => null);
  if (space === null || space.blocks === 0 || space.bavail === 0) return;
  const freeBytes = space.bavail * space.bsize;
  if (neededBytes <= freeBytes) return;
  const message = `"${to}" expected ${neededBytes} free bytes, got ${freeBytes}`;
  throw new OrbweaverError('DISK_FULL', message, {
    path: to,
    neededBytes,
    freeBytes,
  });
}

/** Other versions of a large file: the one that it is going to replace, and those in the folders of seeds. */
export async function seedsOf(
  tree: RestoreTree,
  { seeds = [], resume = true }: Pick<FolderDownloadOptions, 'seeds' | 'resume'>,
  entry: FileEntry,
): Promise<readonly RandomAccess[]> {
  if (entry.sizeBytes < LEAST_OLD_COPY_BYTES) return [];
  // What cannot be opened is no reason to fail: the file is fetched.
  const old = resume ? await tree.openOld(entry).catch(() => null) : null;
  const opened = old === null ? [] : [old];
  for (const folder of seeds) {
    const path = `${resolve(folder)}/${entry.path}`;
    const other = (await isOldCopy(path)) ? await openRandomAccess(path).catch(() => null) : null;
    if (other !== null) opened.push(other);
  }
  const isWorth = ({ sizeBytes }: RandomAccess): boolean => sizeBytes >= LEAST_OLD_COPY_BYTES;
  await closeAll(opened.filter((access) => !isWorth(access)));
  return opened.filter(isWorth);
}
