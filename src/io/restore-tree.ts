import type { Stats } from 'node:fs';
import { type FileHandle, lstat, lutimes, open, rename, symlink, unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { DirectoryEntry, FileEntry, SymlinkEntry } from '../folder/index.js';
import {
  type AnchoredFolders,
  type AnchoredPlace,
  anchorFolder,
  makeAnchored,
  splitPath,
} from './anchored-folders.js';
import { errnoOf, outputError } from './errno.js';
import { writeAll } from './file-sink.js';
import { makeFolder } from './folder.js';
import { fsPath } from './fs-path.js';
import { partPath } from './part-name.js';

/**
 * Entries of a manifest as files, folders and links below a folder. Whatever is made gets its name when it
 * is complete, has its rights and its time, and replaces what was there; nothing is written through a link.
 */
export interface RestoreTree {
  /** Makes a folder that this user alone can enter, until `finishFolder`; one that is there stays as it is. */
  makeFolder(entry: DirectoryEntry): Promise<void>;
  /** Rights and time of a folder, when nothing more is written to it. */
  finishFolder(entry: DirectoryEntry): Promise<void>;
  writeFile(entry: FileEntry, bytes: Uint8Array): Promise<void>;
  /** The same for a file that comes in pieces. */
  fileSink(entry: FileEntry): Sink;
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
  const folders = await anchorFolder(top);
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
    makeFolder: ({ path }) =>
      within(path, async (place, name) => {
        await makeAnchored(place, name, shown(path));
      }),
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
    fileSink: (entry) => anchoredSink(folders, entry, shown(entry.path)),
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
  return place.pathOf(basename(partPath('restored')));
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
async function finishFile(file: FileHandle, { mode, mtimeMs }: Finish): Promise<void> {
  try {
    await file.chmod(mode).catch(unlessUnsupported);
    await file.utimes(mtimeMs / 1000, mtimeMs / 1000).catch(unlessUnsupported);
  } finally {
    await file.close();
  }
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

/** A file that comes in pieces, in any order. Keeps its folder open until it has its name. */
function anchoredSink(folders: AnchoredFolders, entry: FileEntry, shown: string): Sink {
  const [folder, name] = splitPath(entry.path);
  let opening: Promise<FileHandle> | undefined;
  let part: string | Buffer | undefined;
  let isOver = false;
  let skippedEnd = 0;
  let letGo = (): void => {};
  let place: AnchoredPlace | undefined;

  const openPart = (): Promise<FileHandle> => {
    if (isOver) {
      const text = `"${shown}" expected an open output, got a finished one`;
      return Promise.reject(new OrbweaverError('CLOSED', text, { path: shown }));
    }
    opening ??= new Promise<FileHandle>((resolve, reject) => {
      folders
        .within(folder, async (opened) => {
          place = opened;
          part = partIn(opened);
          const file = await open(part, 'wx', 0o600);
          const held = new Promise<void>((release) => {
            letGo = release;
          });
          resolve(file);
          await held;
        })
        .catch((error: unknown) => reject(outputError(error, shown)));
    });
    return opening;
  };
  const discard = async (): Promise<void> => {
    isOver = true;
    const file = await opening?.catch(() => undefined);
    if (file !== undefined) {
      if (part !== undefined) await unlink(part).catch(() => {});
      await file.close().catch(() => {});
    }
    letGo();
  };
  return {
    name: shown,
    positional: true,
    prepare: async () => {
      await openPart();
    },
    write: async (bytes, offset) => writeAll(await openPart(), bytes, offset, shown),
    skip(offset, lengthBytes) {
      skippedEnd = Math.max(skippedEnd, offset + lengthBytes);
    },
    async commit(sizeBytes) {
      const file = await openPart();
      isOver = true;
      try {
        let { size } = await file.stat();
        if (size < sizeBytes && skippedEnd === sizeBytes) {
          // It ends with a hole.
          await file.truncate(sizeBytes);
          size = sizeBytes;
        }
        if (size !== sizeBytes) {
          const text = `"${shown}" expected ${sizeBytes} bytes, got ${size}`;
          throw new OrbweaverError('SIZE_MISMATCH', text, {
            path: shown,
            expected: sizeBytes,
            got: size,
          });
        }
        await finishFile(file, entry);
        await renameOver(part as string, (place as AnchoredPlace).pathOf(name));
        letGo();
      } catch (error) {
        await discard();
        throw outputError(error, shown);
      }
    },
    async abort() {
      if (!isOver) await discard();
    },
  };
}
