import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AnchoredFolders,
  type AnchoredPlace,
  anchorFolder,
  noFolder,
  splitPath,
} from './anchored-folders.js';
import { errnoOf, outputError } from './errno.js';
import { planSink } from './plan-sink.js';
import { isEmpty, openSame, openThere } from './present-entry.js';
import { randomAccessOf } from './random-access.js';
import { PART_STEM, type RestoreTree } from './restore-tree.js';

/**
 * What `openRestoreTree` would find, looked at and left as it is: what is written to it goes nowhere.
 *
 * @param top undefined: a folder that is new
 * @throws OrbweaverError `OUTPUT_UNWRITABLE` when it is no folder, or cannot be read
 */
export async function openPlanTree(top: string | undefined): Promise<RestoreTree> {
  if (top === undefined || (await statsOf(top)) === null) return newTree(top ?? 'a new folder');
  const folders = await anchorFolder(top);
  return lookedAt(top, folders, await isEmpty(top));
}

/** Null: nothing is there. */
async function statsOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw outputError(error, path);
  }
}

/** A folder with nothing in it. */
function newTree(top: string): RestoreTree {
  return {
    isNew: true,
    makeFolder: async () => true,
    finishFolder: async () => {},
    writeFile: async () => {},
    fileSink: ({ path, fileHash }) => planSink(`${top}/${path}`, { keepAs: fileHash, anew: true }),
    openPresent: async () => null,
    openOld: async () => null,
    makeSymlink: async () => {},
    exists: async () => false,
    close: async () => {},
  };
}

function lookedAt(top: string, folders: AnchoredFolders, isNew: boolean): RestoreTree {
  const within = <T>(path: string, use: (place: AnchoredPlace, name: string) => Promise<T>) => {
    const [folder, name] = splitPath(path);
    return folders.within(folder, (place) => use(place, name));
  };
  /** With its `/`: a folder that would be new, so that nothing is in it. */
  let fresh = '/';
  return {
    ...newTree(top),
    isNew,
    async makeFolder({ path }) {
      if (path.startsWith(fresh)) return true;
      const stats = await within(path, (place, name) => lookAt(place, name, `${top}/${path}`));
      if (stats === null) fresh = `${path}/`;
      else if (!stats.isDirectory()) throw noFolder(null, `${top}/${path}`);
      return stats === null;
    },
    fileSink({ path, fileHash }, { anew = false } = {}) {
      const beside = join(top, splitPath(path)[0], PART_STEM);
      const isFresh = path.startsWith(fresh);
      return planSink(beside, {
        ...{ keepAs: fileHash, anew: anew || isFresh, shown: `${top}/${path}` },
      });
    },
    openPresent: (entry) => within(entry.path, (place) => openSame(place, entry, async () => {})),
    openOld: ({ path }) =>
      within(path, async (place, name) => {
        const file = await openThere(place, name);
        return file === null ? null : randomAccessOf(file, `${top}/${path}`).catch(() => null);
      }),
    exists: (path) =>
      within(path, async (place, name) => (await lookAt(place, name, `${top}/${path}`)) !== null),
    close: () => folders.close(),
  };
}

/** Null: nothing is there. */
async function lookAt(place: AnchoredPlace, name: string, shown: string): Promise<Stats | null> {
  try {
    return await lstat(place.pathOf(name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw outputError(error, shown);
  }
}
