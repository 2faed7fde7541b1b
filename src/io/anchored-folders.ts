import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, stat } from 'node:fs/promises';
import { OrbweaverError } from '../errors.js';
import { errnoOf, outputError } from './errno.js';
import { fsPath } from './fs-path.js';

/**
 * Folders below a top, reached without following a link: whoever can write there while a tree is restored
 * cannot lead it elsewhere by putting a link in the place of a folder.
 *
 * On Linux each folder is opened from the one above it with O_NOFOLLOW, and what is done in it is done
 * through its descriptor (`/proc/self/fd/7/name`), so there is no moment between looking and doing. Other
 * systems have no such path: there every folder on the way is looked at before each use, and whoever wins a
 * race of microseconds against that can still plant a link.
 */
export interface AnchoredFolders {
  /**
   * Calls `use` with a function that gives the path of a name in this folder; valid until `use` settles.
   * @param folder relative, with `/` between the parts, as text; empty for the top
   * @throws OrbweaverError `OUTPUT_UNWRITABLE` when a part is missing, no folder, or a link
   */
  within<T>(folder: string, use: (place: AnchoredPlace) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A folder while it is used. */
export interface AnchoredPlace {
  pathOf(name: string): string | Buffer;
  /** The folder itself: rights and times are set through it. */
  readonly self: string | Buffer;
}

/** Folders that stay open though nobody uses them now: files come folder by folder. */
const KEPT_COUNT = 32;

const OPEN_FLAGS: number = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

interface OpenFolder {
  readonly opening: Promise<FileHandle>;
  uses: number;
}

/**
 * @param top an existing folder; a link to one is followed, because it is the caller's own
 * @throws OrbweaverError `OUTPUT_UNWRITABLE`
 */
export async function anchorFolder(top: string): Promise<AnchoredFolders> {
  const handle = await open(fsPath(top), constants.O_RDONLY | (constants.O_DIRECTORY ?? 0)).catch(
    (error: unknown) => {
      if (process.platform === 'win32') return null;
      throw outputError(error, top);
    },
  );
  if (handle !== null && (await hasDescriptorPaths(handle))) return byDescriptor(top, handle);
  await handle?.close();
  return byLooking(top);
}

/** Whether `/proc` is there and means this process. */
async function hasDescriptorPaths(handle: FileHandle): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const [own, found] = await Promise.all([
    handle.stat(),
    stat(`/proc/self/fd/${handle.fd}/.`).catch(() => null),
  ]);
  return found !== null && own.ino === found.ino && own.dev === found.dev;
}

function byDescriptor(top: string, handle: FileHandle): AnchoredFolders {
  /** By path; those used last are at the end. */
  const folders = new Map<string, OpenFolder>();
  const acquire = (folder: string): Promise<FileHandle> => {
    if (folder === '') return Promise.resolve(handle);
    const known = folders.get(folder);
    if (known !== undefined) {
      folders.delete(folder);
      folders.set(folder, known);
      known.uses++;
      return known.opening;
    }
    const [parent, name] = splitPath(folder);
    const opening = acquire(parent).then(async (above) => {
      try {
        return await open(placeOf(above.fd).pathOf(name), OPEN_FLAGS);
      } catch (error) {
        throw noFolder(error, `${top}/${folder}`);
      } finally {
        release(parent);
      }
    });
    const opened: OpenFolder = { opening, uses: 1 };
    folders.set(folder, opened);
    opening.catch(() => {
      if (folders.get(folder) === opened) folders.delete(folder);
    });
    return opening;
  };
  const release = (folder: string): void => {
    const known = folders.get(folder);
    if (known !== undefined) known.uses--;
    if (folders.size <= KEPT_COUNT) return;
    for (const [path, each] of folders) {
      if (folders.size <= KEPT_COUNT) return;
      if (each.uses > 0) continue;
      folders.delete(path);
      void each.opening.then((open) => open.close()).catch(() => {});
    }
  };
  return {
    async within(folder, use) {
      const { fd } = await acquire(folder);
      try {
        return await use(placeOf(fd));
      } finally {
        release(folder);
      }
    },
    async close() {
      const all = [...folders.values()];
      folders.clear();
      await Promise.all(
        all.map((each) => each.opening.then((open) => open.close()).catch(() => {})),
      );
      await handle.close().catch(() => {});
    },
  };
}

function placeOf(fd: number): AnchoredPlace {
  return {
    self: `/proc/self/fd/${fd}/.`,
    pathOf: (name) => fsPath(`/proc/self/fd/${fd}/${name}`),
  };
}

function byLooking(top: string): AnchoredFolders {
  return {
    async within(folder, use) {
      let path = top;
      for (const part of folder === '' ? [] : folder.split('/')) {
        path = `${path}/${part}`;
        const stats = await lstat(fsPath(path)).catch((error: unknown) => {
          throw noFolder(error, path);
        });
        if (!stats.isDirectory()) throw noFolder(null, path);
      }
      return use({ self: fsPath(path), pathOf: (name) => fsPath(`${path}/${name}`) });
    },
    close: async () => {},
  };
}

/**
 * Makes a folder, or finds it there.
 * @param shown its path, for messages
 * @throws OrbweaverError `OUTPUT_UNWRITABLE` when something else, or a link, is there
 */
export async function makeAnchored(
  place: AnchoredPlace,
  name: string,
  shown: string,
): Promise<{ readonly isNew: boolean }> {
  try {
    // Nobody else looks into it before it has the rights that it is to have.
    await mkdir(place.pathOf(name), { mode: 0o700 });
    return { isNew: true };
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw outputError(error, shown);
    const stats = await lstat(place.pathOf(name)).catch(() => null);
    if (stats?.isDirectory() === true) return { isNew: false };
    throw noFolder(null, shown);
  }
}

/** Something else, or a link, stands in the place of a folder; or it cannot be opened. */
export function noFolder(error: unknown, path: string): OrbweaverError {
  const errno = errnoOf(error);
  if (error !== null && errno !== 'ELOOP' && errno !== 'ENOTDIR') return outputError(error, path);
  const message = `"${path}" expected a folder, got a link or something else of that name`;
  return new OrbweaverError('OUTPUT_UNWRITABLE', message, { path });
}

/** The folder of a path, and its name in it. */
export function splitPath(path: string): readonly [string, string] {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? ['', path] : [path.slice(0, slash), path.slice(slash + 1)];
}
