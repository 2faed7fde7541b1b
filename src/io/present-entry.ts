import { constants } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';
import type { FileEntry } from '../folder/index.js';
import { type AnchoredPlace, splitPath } from './anchored-folders.js';

/** What is there already in the place of entries of a manifest. */

/** A file that was there. */
export interface PresentFile {
  /** @returns bytes read; 0: it ends there */
  read(into: Uint8Array, position: number): Promise<number>;
  /** It is what the entry says: it gets rights and time of it. */
  keep(): Promise<void>;
  close(): Promise<void>;
}

/** What is there under a name, for reading; null: nothing that can be read, or a link. */
export async function openThere(place: AnchoredPlace, name: string): Promise<FileHandle | null> {
  // Without O_NONBLOCK a pipe would wait for a writer.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  return open(place.pathOf(name), flags).catch(() => null);
}

/**
 * A file that is there already and may be what the entry says. Null: there is none, it has another size, or
 * it is nobody's to keep (a link, a file with two names or of another user).
 */
export async function openSame(
  place: AnchoredPlace,
  entry: FileEntry,
  keep: (file: FileHandle) => Promise<void>,
): Promise<PresentFile | null> {
  const [, name] = splitPath(entry.path);
  const file = await openThere(place, name);
  if (file === null) return null;
  const stats = await file.stat().catch(() => null);
  const isSame =
    stats?.isFile() === true &&
    stats.size === entry.sizeBytes &&
    stats.nlink === 1 &&
    stats.uid === (process.getuid?.() ?? stats.uid);
  if (!isSame) {
    await file.close();
    return null;
  }
  return {
    read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
    keep: () => keep(file),
    close: () => file.close(),
  };
}

/** Whether a folder holds nothing; false for one that cannot be listed. */
export async function isEmpty(path: string): Promise<boolean> {
  const folder = await opendir(path).catch(() => null);
  if (folder === null) return false;
  try {
    return (await folder.read()) === null;
  } finally {
    await folder.close();
  }
}
