import type { Stats } from 'node:fs';
import { type FileHandle, lstat, lutimes, open, rename, symlink, unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { RandomAccess, Sink } from '../client/ports.js';
import type { DirectoryEntry, FileEntry, SymlinkEntry } from '../folder/index.js';
import {
  type AnchoredFolders,
  type AnchoredPlace,
  anchorFolder,
  makeAnchored,
  splitPath,
} from './anchored-folders.js';
import { errnoOf, outputError } from './errno.js';
import { placeSink, writeAll } from './file-sink.js';
import { makeFolder } from './folder.js';
import { fsPath } from './fs-path.js';
import type { FoundPlace, OutputPlace } from './output-place.js';
import { type LeftPart, partPath, sweepParts } from './part-name.js';
import { isEmpty, openSame, openThere, type PresentFile } from './present-entry.js';
import { randomAccessOf } from './random-access.js';

/** What unfinished files are called, whatever their final names are. */
export const PART_STEM = 'restored';

/**
 * Entries of a manifest as files, folders and links below a folder. Whatever is made gets its name when it
 * is complete, has its rights and its time, and replaces what was there; nothing is written through a link.
 */
export interface RestoreTree {
  /** The top was made, or holds nothing. */
  readonly isNew: boolean;
  /**
   * Makes a folder that this user alone can enter, until `finishFolder`; one that is there stays as it is,
   * but for what killed runs left in it.
   * @returns whether it is new: nothing is in it
   */
  makeFolder(entry: DirectoryEntry): Promise<boolean>;
  /** Rights and time of a folder, when nothing more is written to it. */
  finishFolder(entry: DirectoryEntry): Promise<void>;
  writeFile(entry: FileEntry, bytes: Uint8Array): Promise<void>;
  /**
   * The same for a file that comes in pieces; what is written of it stays for a later run when it fails.
   * `anew`: without what an earlier run left.
   */
  fileSink(entry: FileEntry, options?: { readonly anew?: boolean }): Sink;
  /** What is there already and may be this file; null: nothing is. Its content is up to the caller. */
  openPresent(entry: FileEntry): Promise<PresentFile | null>;
  /** The file of this name, whatever it holds, to take chunks from; null: there is none, or it is a link. */
  openOld(entry: FileEntry): Promise<RandomAccess | null>;
  makeSymlink(entry: SymlinkEntry): Promise<void>;
  /** Whether something of this name is there. */
  exists(path: string): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * @param top made if it is missing
 * @throws OrbweaverError from it and its methods: `OUTPUT_UNWRITABLE` also where a link or a file stands in
 * the place of a folder, `DISK_FULL`, `STORAGE_FAILED`
 */
export async function openRestoreTree(top: string): Promise<RestoreTree> {
  await makeFolder(top).catch((error: unknown) => {
    throw outputError(error, top);
  });
  const isNew = await isEmpty(top);
  const folders = await anchorFolder(top);
  /** What killed runs left, by folder; of most there is nothing. */
  const left = new Map<string, readonly LeftPart[]>();
  const sweep = async (folder: string, place: AnchoredPlace): Promise<void> => {
    const beside = place.pathOf(PART_STEM);
    if (typeof beside !== 'string') return;
    const found = await sweepParts(beside);
    if (found.length > 0) left.set(folder, found);
  };
  if (!isNew) await folders.within('', (place) => sweep('', place));
  const shown = (path: string): string => `${top}/${path}`;
  const within = <T>(path: string, use: (place: AnchoredPlace, name: string) => Promise<T>) => {
    const [folder, name] = splitPath(path);
    return folders.within(folder, async (place) => {
      try {
        return await use(place, name);
      } catch (error) {
        throw outputError(error, shown(path));
      }
    });
  };
  return {
    isNew,
    async makeFolder({ path }) {
      const made = await within(path, (place, name) => makeAnchored(place, name, shown(path)));
      if (!made.isNew) await folders.within(path, (place) => sweep(path, place)).catch(() => {});
      return made.isNew;
    },
    finishFolder: ({ path, mode, mtimeMs }) =>
      folders.within(path, async ({ self }) => {
        await finish(self, { mode, mtimeMs }, shown(path));
      }),
    writeFile: (entry, bytes) =>
      within(entry.path, async (place, name) => {
        const part = partIn(place);
        const file = await open(part, 'wx', 0o600);
        try {
          await writeAll(file, bytes, 0, shown(entry.path));
          await finishFile(file, entry);
        } catch (error) {
          await unlink(part).catch(() => {});
          throw error;
        }
        await renameOver(part, place.pathOf(name));
      }),
    fileSink(entry, { anew = false } = {}) {
      const [folder] = splitPath(entry.path);
      const around = { shown: shown(entry.path), left: left.get(folder) ?? [] };
      return placeSink(anchoredPlace(folders, entry, around), {
        keepAs: entry.fileHash,
        anew,
      });
    },
    openPresent: (entry) =>
      within(entry.path, (place) => openSame(place, entry, (file) => setRights(file, entry))),
    openOld: (entry) =>
      within(entry.path, async (place, name) => {
        const file = await openThere(place, name);
        return file === null ? null : randomAccessOf(file, shown(entry.path)).catch(() => null);
      }),
    makeSymlink: ({ path, target, mtimeMs }) =>
      within(path, async (place, name) => {
        const part = partIn(place);
        await symlink(fsPath(target), part);
        const seconds = mtimeMs / 1000;
        // Some file systems keep no times for links.
        await lutimes(part, seconds, seconds).catch(() => {});
        await renameOver(part, place.pathOf(name));
      }),
    exists: (path) =>
      within(path, async (place, name) => {
        const stats: Stats | null = await lstat(place.pathOf(name)).catch(() => null);
        return stats !== null;
      }),
    close: () => folders.close(),
  };
}

/** An unfinished name in the folder, used by nobody else; short, whatever the final name is. */
function partIn(place: AnchoredPlace): string | Buffer {
  return place.pathOf(basename(partPath(PART_STEM)));
}

async function renameOver(part: string | Buffer, final: string | Buffer): Promise<void> {
  try {
    await rename(part, final);
  } catch (error) {
    await unlink(part).catch(() => {});
    throw error;
  }
}

interface Finish {
  readonly mode: number;
  readonly mtimeMs: number;
}

/** Rights, time, and closed, also when that fails. */
async function finishFile(file: FileHandle, to: Finish): Promise<void> {
  try {
    await setRights(file, to);
  } finally {
    await file.close();
  }
}

async function setRights(file: FileHandle, { mode, mtimeMs }: Finish): Promise<void> {
  await file.chmod(mode).catch(unlessUnsupported);
  await file.utimes(mtimeMs / 1000, mtimeMs / 1000).catch(unlessUnsupported);
}

/** What is ours and refuses all the same lies on a file system that keeps no rights or times. */
function unlessUnsupported(error: unknown): void {
  if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error) ?? '')) throw error;
}

/** Of a folder: through a handle of its own, because its rights may forbid to enter it again. */
async function finish(self: string | Buffer, to: Finish, shown: string): Promise<void> {
  try {
    await finishFile(await open(self, 'r'), to);
  } catch (error) {
    // Windows opens no folders; there is nothing that these rights would mean there.
    if (process.platform !== 'win32') throw outputError(error, shown);
  }
}

/**
 * The place of a file that comes in pieces. Its folder stays open until the file has its name, or is gone.
 */
function anchoredPlace(
  folders: AnchoredFolders,
  entry: FileEntry,
  { shown, left }: { readonly shown: string; readonly left: readonly LeftPart[] },
): OutputPlace {
  const [folder, name] = splitPath(entry.path);
  let isOver = false;
  let letGo = (): void => {};
  return {
    shown,
    find: () =>
      new Promise<FoundPlace>((resolve, reject) => {
        folders
          .within(folder, async (place) => {
            const held = new Promise<void>((release) => {
              letGo = release;
            });
            const beside = place.pathOf(PART_STEM);
            resolve({
              target: place.pathOf(name),
              beside: typeof beside === 'string' ? beside : null,
              plainPart: () => partIn(place),
              left: left.map((each) => ({
                ...each,
                path: String(place.pathOf(basename(each.path))),
              })),
            });
            if (!isOver) await held;
          })
          .catch((error: unknown) => reject(outputError(error, shown)));
      }),
    // It gets its rights when it is complete.
    open: (part) =>
      open(part, 'wx+', 0o600).catch((error: unknown) => {
        throw outputError(error, shown);
      }),
    adopt: async () => {},
    finish: (file) => setRights(file, entry),
    leave() {
      isOver = true;
      letGo();
    },
  };
}
