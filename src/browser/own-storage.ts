import type { PageFileHandle } from '../workers/web.js';
import type { OutputFile } from './types.js';

/** The part of a page's own storage (OPFS) that is used. */

export interface StoredFile extends PageFileHandle, OutputFile {
  getFile(): Promise<Blob>;
  /** Not in every browser. */
  move?(folder: StoredFolder, name: string): Promise<void>;
}

export interface StoredFolder {
  getFileHandle(name: string, options?: { readonly create: boolean }): Promise<StoredFile>;
  getDirectoryHandle(name: string, options?: { readonly create: boolean }): Promise<StoredFolder>;
  removeEntry(name: string, options?: { readonly recursive: boolean }): Promise<void>;
  keys(): AsyncIterable<string>;
  /** Names from this folder down to the entry; null: it is elsewhere. */
  resolve(entry: object): Promise<readonly string[] | null>;
}

interface PageStorage {
  getDirectory?(): Promise<StoredFolder>;
}

function pageStorage(): PageStorage {
  return (globalThis as { navigator?: { storage?: PageStorage } }).navigator?.storage ?? {};
}

/** Null: the page has none (plain `http:`, some private windows). */
export async function storageRoot(): Promise<StoredFolder | null> {
  try {
    return (await pageStorage().getDirectory?.()) ?? null;
  } catch {
    return null;
  }
}

/** Where a file lies in the page's own storage. */
export interface OwnPlace {
  readonly folder: () => Promise<StoredFolder>;
  readonly name: string;
  /** From the root, with slashes. */
  readonly path: string;
}

/** Null: it is a file of the user, or no handle of the browser. */
export async function ownPlaceOf(root: StoredFolder, file: object): Promise<OwnPlace | null> {
  // What is no handle of the browser is a TypeError there.
  const names = await root.resolve(file).catch(() => null);
  const name = names?.at(-1);
  if (!names || name === undefined) return null;
  const folder = (): Promise<StoredFolder> => folderAt(root, names.slice(0, -1));
  return { folder, name, path: names.join('/') };
}

/** Makes the folders on the way. */
export async function folderAt(
  root: StoredFolder,
  names: readonly string[],
): Promise<StoredFolder> {
  let folder = root;
  for (const name of names) folder = await folder.getDirectoryHandle(name, { create: true });
  return folder;
}
