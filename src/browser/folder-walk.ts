import type { Found } from '../compose/folder-run.js';
import { type ErrorCode, OrbweaverError } from '../errors.js';
import { checkOwnName, checkPath, compareNames, type NameRules } from '../folder/index.js';
import type { WalkedFile } from '../io/index.js';
import type { BrowserFolder, BrowserFolderFile, FolderHandle } from './folder-types.js';

/** A file of a folder, with its bytes. */
export interface PageWalkedFile extends WalkedFile {
  readonly data: Blob;
}

/** What a page says of rights: nothing. */
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;
/** Entries that are handed on at once. */
const WINDOW = 64;

interface Tree {
  readonly files: Map<string, Blob | OrbweaverError>;
  readonly folders: Map<string, Tree>;
}

export interface WalkRules {
  readonly names: NameRules;
  readonly hidden: boolean;
  readonly filter: ((path: string, isFolder: boolean) => boolean) | undefined;
}

/**
 * Looks into a folder, once. What comes back walks it in the order of a manifest, any number of times.
 * @throws OrbweaverError `INPUT_UNREADABLE` when the folder itself cannot be listed; TypeError for what is none
 */
export async function walkOf(
  folder: BrowserFolder,
  rules: WalkRules,
): Promise<() => AsyncGenerator<readonly Found<PageWalkedFile>[], void>> {
  const tree = 'getDirectoryHandle' in folder ? await treeOf(folder, '') : treeOfFiles([...folder]);
  return () => windows(walk(tree, '', rules));
}

async function* windows<T>(items: Iterable<T>): AsyncGenerator<readonly T[], void> {
  let ready: T[] = [];
  for (const item of items) {
    ready.push(item);
    if (ready.length < WINDOW) continue;
    yield ready;
    ready = [];
  }
  yield ready;
}

async function treeOf(handle: FolderHandle, path: string): Promise<Tree> {
  const tree: Tree = { files: new Map(), folders: new Map() };
  try {
    for await (const child of handle.values()) {
      const at = path === '' ? child.name : `${path}/${child.name}`;
      if (child.kind === 'directory') tree.folders.set(child.name, await treeOf(child, at));
      else tree.files.set(child.name, await child.getFile().catch((e) => unreadable(at, e)));
    }
  } catch (error) {
    throw error instanceof OrbweaverError ? error : unreadable(path || handle.name, error);
  }
  return tree;
}

/** Of one folder that was picked, the paths below it; of files and several folders, the whole ones. */
function treeOfFiles(files: readonly (File | BrowserFolderFile)[]): Tree {
  const paths = files.map((file) => {
    if ('data' in file) return file.path;
    return (file as { webkitRelativePath?: string }).webkitRelativePath || file.name;
  });
  const top = paths[0]?.split('/')[0];
  const isOne =
    files.every((file) => !('data' in file)) && paths.every((path) => path.startsWith(`${top}/`));
  const tree: Tree = { files: new Map(), folders: new Map() };
  for (const [i, file] of files.entries()) {
    const names = (paths[i] as string).split('/').slice(isOne ? 1 : 0);
    const name = names.pop() as string;
    let at = tree;
    const notBoth = (isBoth: boolean): void => {
      if (!isBoth) return;
      const message = `"${paths[i]}" expected a place of its own: of this path and another one, one is a file and the other lies in it`;
      throw new OrbweaverError('USAGE', message);
    };
    for (const each of names) {
      notBoth(at.files.has(each));
      const next = at.folders.get(each) ?? { files: new Map(), folders: new Map() };
      at.folders.set(each, next);
      at = next;
    }
    if (at.files.has(name)) {
      const message = `two files expected different paths, got "${paths[i]}" twice`;
      throw new OrbweaverError('USAGE', message);
    }
    notBoth(at.folders.has(name));
    at.files.set(name, 'data' in file ? file.data : file);
  }
  return tree;
}

function* walk(tree: Tree, prefix: string, rules: WalkRules): Generator<Found<PageWalkedFile>> {
  const keys = rules.names === 'portable' ? new Set<string>() : null;
  for (const name of [...tree.files.keys(), ...tree.folders.keys()].sort(compareNames)) {
    const path = prefix + name;
    const inner = tree.folders.get(name);
    if (!rules.hidden && name.startsWith('.')) continue;
    if (rules.filter !== undefined && !rules.filter(path, inner !== undefined)) continue;
    try {
      checkPath(path, rules.names);
      checkOwnName(path, keys);
    } catch (error) {
      yield { type: 'problem', path, error: error as OrbweaverError };
      continue;
    }
    const data = tree.files.get(name);
    if (data instanceof OrbweaverError) yield { type: 'problem', path, error: data };
    else if (data !== undefined) {
      const mtimeMs = timeOf(data);
      yield {
        ...{ path, type: 'file', sizeBytes: data.size, mode: FILE_MODE, mtimeMs },
        ...{ source: path, data },
      };
    }
    if (inner === undefined) continue;
    // A page is told no time of a folder: it has that of the newest file in it.
    yield { path, type: 'folder', mode: FOLDER_MODE, mtimeMs: newestOf(inner) };
    yield* walk(inner, `${path}/`, rules);
  }
}

function newestOf({ files, folders }: Tree): number {
  const times = [...files.values()].map((data) => (data instanceof Blob ? timeOf(data) : 0));
  return Math.max(0, ...times, ...[...folders.values()].map(newestOf));
}

/** A blob has none: the start of 1970. */
function timeOf(data: Blob): number {
  return 'lastModified' in data ? Math.round(Number(data.lastModified)) : 0;
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  NotFoundError: 'INPUT_NOT_FOUND',
  NotAllowedError: 'INPUT_UNREADABLE',
};

function unreadable(path: string, error: unknown): OrbweaverError {
  const { name = '', message = String(error) } = (error ?? {}) as Partial<Error>;
  const text = `"${path}" expected a readable input, got ${message}`;
  return new OrbweaverError(CODES[name] ?? 'INPUT_UNREADABLE', text, { path }, error);
}
