import { failure } from '../failures.js';
import { mapLimited } from '../turns.js';
import { hubFailure } from './errors.js';
import type { FileEntry, FolderEntry, TreeEntry } from './formats.js';
import type { HubObjects } from './objects.js';

/** One change of a commit. Paths are in parts. */
export type Change =
  | { readonly kind: 'put'; readonly path: readonly string[]; readonly file: FileEntry }
  | {
      readonly kind: 'delete';
      readonly path: readonly string[];
      /** What is not there is deleted. @default false */
      readonly missingOk?: boolean;
    }
  | { readonly kind: 'delete-folder'; readonly path: readonly string[] };

/** A folder while it is changed: its entries are read when somebody goes into it. */
interface OpenFolder {
  /** The tree it came from; null: it is new. */
  readonly from: string | null;
  entries: Map<string, FileEntry | OpenFolder> | null;
}

/**
 * The tree that comes of `root`, or of nothing, by `changes`, one after another; only folders on their ways are read and
 * written. A file takes the place of a folder of its name and the reverse, and a folder without entries
 * is none, as in git.
 *
 * @throws OrbweaverError 404 `EntryNotFound` for a deletion of what is not there
 */
export async function editTree(
  objects: HubObjects,
  root: string | null,
  changes: readonly Change[],
): Promise<string> {
  const top: OpenFolder = { from: root, entries: null };
  for (const change of changes) {
    if (change.kind === 'put') await put(objects, top, change.path, change.file);
    else if (!(await remove(objects, top, change))) throw missing(change.path);
  }
  return (await closeAll(objects, top)) ?? objects.putTree([]);
}

async function entriesOf(
  objects: HubObjects,
  folder: OpenFolder,
): Promise<Map<string, FileEntry | OpenFolder>> {
  if (folder.entries !== null) return folder.entries;
  const entries = new Map<string, FileEntry | OpenFolder>();
  if (folder.from !== null) {
    for (const [name, entry] of await objects.tree(folder.from)) {
      entries.set(name, entry.kind === 'file' ? entry : { from: entry.tree, entries: null });
    }
  }
  folder.entries = entries;
  return entries;
}

const isFile = (entry: FileEntry | OpenFolder): entry is FileEntry => 'kind' in entry;

async function put(
  objects: HubObjects,
  top: OpenFolder,
  path: readonly string[],
  file: FileEntry,
): Promise<void> {
  let entries = await entriesOf(objects, top);
  for (const name of path.slice(0, -1)) {
    let next = entries.get(name);
    if (next === undefined || isFile(next)) {
      next = { from: null, entries: new Map() };
      entries.set(name, next);
    }
    entries = await entriesOf(objects, next);
  }
  entries.set(path.at(-1) as string, file);
}

/** False: it is not there, and should be. */
async function remove(
  objects: HubObjects,
  top: OpenFolder,
  change: Exclude<Change, { readonly kind: 'put' }>,
): Promise<boolean> {
  const { path } = change;
  const mayMiss = change.kind === 'delete' && change.missingOk === true;
  let entries = await entriesOf(objects, top);
  for (const name of path.slice(0, -1)) {
    const next = entries.get(name);
    if (next === undefined || isFile(next)) return mayMiss;
    entries = await entriesOf(objects, next);
  }
  const name = path.at(-1) as string;
  const entry = entries.get(name);
  const isFolder = change.kind === 'delete-folder';
  if (entry === undefined || isFile(entry) === isFolder) return mayMiss;
  return entries.delete(name);
}

function missing(path: readonly string[]): Error {
  const name = path.join('/');
  return hubFailure(404, 'EntryNotFound', `A file with this name doesn't exist: ${name}`);
}

/** Trees that are written at a time: on a disk each waits for that twice. */
const WRITES_AT_ONCE = 8;

/** Writes what was changed, folders before those that hold them. Null: there are no entries. */
async function closeAll(objects: HubObjects, top: OpenFolder): Promise<string | null> {
  const levels: OpenFolder[][] = [[top]];
  for (let level = levels[0]; level !== undefined && level.length > 0; level = levels.at(-1)) {
    levels.push(level.flatMap(({ entries }) => foldersIn(entries)));
  }
  const closed = new Map<OpenFolder, string | null>();
  for (const level of levels.reverse()) {
    await mapLimited(level, WRITES_AT_ONCE, async (folder) => {
      closed.set(folder, await close(objects, folder, closed));
    });
  }
  return closed.get(top) ?? null;
}

function foldersIn(entries: OpenFolder['entries']): OpenFolder[] {
  return [...(entries?.values() ?? [])].filter((entry) => !isFile(entry)) as OpenFolder[];
}

/** Writes one folder, those in it are `closed`. Null: it has no entries. */
async function close(
  objects: HubObjects,
  folder: OpenFolder,
  closed: ReadonlyMap<OpenFolder, string | null>,
): Promise<string | null> {
  if (folder.entries === null) return folder.from;
  const entries: [string, TreeEntry][] = [];
  for (const [name, entry] of folder.entries) {
    if (isFile(entry)) {
      entries.push([name, entry]);
      continue;
    }
    const tree = closed.get(entry) ?? null;
    if (tree !== null) entries.push([name, { kind: 'folder', tree } satisfies FolderEntry]);
  }
  if (entries.length === 0) return null;
  if (entries.length > MAX_FOLDER_ENTRIES) {
    throw failure(413, 'LIMIT_EXCEEDED', `a folder expected at most ${MAX_FOLDER_ENTRIES} entries`);
  }
  return objects.putTree(entries);
}

/** A commit writes the whole list of each folder that it changes. */
const MAX_FOLDER_ENTRIES = 100_000;
