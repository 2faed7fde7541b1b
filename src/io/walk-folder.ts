import { lstatSync, type Stats } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { OrbweaverError } from '../errors.js';
import { throwIfAborted } from '../flow/index.js';
import {
  checkLinkTarget,
  checkOwnName,
  checkPath,
  compareNames,
  decodePathBytes,
  type FolderEntry,
  MODE_BITS,
  type NameRules,
} from '../folder/index.js';
import { createDiskLatency, type DiskLatency } from './disk-latency.js';
import { inputError } from './errno.js';
import { fsPath } from './fs-path.js';
import type { PathFilter } from './path-filter.js';

/** A place to walk: what of it is meant, and where it comes from. */
export interface WalkNode {
  /** Path on disk, as text (src/folder/path-text.ts). */
  readonly source: string;
  /** The only names in it that are meant, in any order. Null: all that are there. */
  readonly only: ReadonlyMap<string, WalkNode> | null;
  /** Of what it holds, by path from this node; a folder that matches is meant whole. Null: all. */
  readonly include: {
    readonly matches: (path: string) => boolean;
    readonly maxDepth: number;
  } | null;
}

export type SymlinkPolicy = 'keep' | 'follow' | 'skip';

/** Options of {@link walkFolder}. */
export interface WalkOptions {
  readonly names: NameRules;
  readonly symlinks: SymlinkPolicy;
  /** Names that begin with a dot. */
  readonly hidden: boolean;
  readonly isExcluded: PathFilter;
  readonly signal?: AbortSignal | undefined;
}

/** A file whose bytes are still to be read: its hash is not known. */
export interface WalkedFile {
  readonly path: string;
  readonly type: 'file';
  readonly sizeBytes: number;
  readonly mode: number;
  readonly mtimeMs: number;
  /** Where to read it, as text. */
  readonly source: string;
}

/** One thing that was found, in the order of a manifest. */
export type Walked =
  | WalkedFile
  | Exclude<FolderEntry, { readonly type: 'file' }>
  /** Left out, which is a failure. */
  | { readonly type: 'problem'; readonly path: string; readonly error: OrbweaverError }
  /** Left out on purpose: a socket, pipe or device; a link with `symlinks: 'skip'`. */
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string };

/** Names that are looked up at once. */
const WINDOW = 64;

/**
 * Walks a folder in the order of a manifest, and holds the names of the folders on its way only. What cannot
 * be read, or has a name or link target that the rules refuse, is a problem of its own, and the rest goes
 * on; so is what vanishes while it is walked. Yields some at a time.
 *
 * @param top is itself no entry
 * @throws OrbweaverError `INPUT_*` when `top` cannot be listed; `ABORTED`
 * @example
 * for await (const found of walkFolder({ source: 'data', only: null, include: null }, options)) use(found);
 */
export async function* walkFolder(
  top: WalkNode,
  options: WalkOptions,
): AsyncGenerator<readonly Walked[], void> {
  const walk = { options, latency: createDiskLatency(), ancestors: [] as string[] };
  if (options.symlinks === 'follow') walk.ancestors.push(identityOf(await statOf(top.source)));
  const names = await namesOf(top);
  yield* walkNames({ node: top, prefix: '', below: '', names }, walk);
}

interface Walk {
  readonly options: WalkOptions;
  readonly latency: DiskLatency;
  /** Device and inode of the folders on the way, when links are followed. */
  readonly ancestors: string[];
}

/** A folder with its names. */
interface Level {
  readonly node: WalkNode;
  /** Of its entries. */
  readonly prefix: string;
  /** Path from the node whose `include` counts here. */
  readonly below: string;
  readonly names: readonly string[];
}

async function* walkNames(level: Level, walk: Walk): AsyncGenerator<readonly Walked[], void> {
  const { node, prefix, below, names } = level;
  const { hidden, isExcluded, signal } = walk.options;
  const keys = walk.options.names === 'portable' ? new Set<string>() : null;
  for (let start = 0; start < names.length; start += WINDOW) {
    throwIfAborted(signal);
    const window = names
      .slice(start, start + WINDOW)
      .filter((name) => hidden || node.only !== null || !name.startsWith('.'));
    const found = await lookUp(window, node, walk);
    let ready: Walked[] = [];
    for (const [i, name] of window.entries()) {
      const path = prefix + name;
      const child = childOf(node, name);
      const stats = found[i] as Stats | Error;
      if (stats instanceof Error) {
        if (!isExcluded(path, false)) {
          ready.push({ type: 'problem', path, error: inputError(stats, child.source) });
        }
        continue;
      }
      const isFolder = stats.isDirectory();
      if (isExcluded(path, isFolder)) continue;
      const { include } = child;
      const isMeant = include === null || node.only !== null || include.matches(below + name);
      if (!isMeant && !isFolder) continue;
      const entry = await entryOf({ path, source: child.source, stats, keys }, walk);
      if (entry.type !== 'folder') {
        ready.push(entry);
        continue;
      }
      if (isMeant) ready.push(entry);
      else if (depthOf(below + name) >= (include?.maxDepth ?? 0)) continue;
      const inner: WalkNode = isMeant && node.only === null ? { ...child, include: null } : child;
      const innerBelow = node.only !== null ? '' : `${below}${name}/`;
      // A folder that does not match itself is there only when something in it does.
      let isTold = isMeant;
      for await (const part of enter(inner, { path, below: innerBelow, stats }, walk)) {
        if (part.length === 0) continue;
        if (!isTold) ready.push(entry);
        isTold = true;
        ready.push(...part);
        if (ready.length >= WINDOW) {
          yield ready;
          ready = [];
        }
      }
    }
    yield ready;
  }
}

/** What a folder below the top holds. */
async function* enter(
  node: WalkNode,
  { path, below, stats }: { readonly path: string; readonly below: string; readonly stats: Stats },
  walk: Walk,
): AsyncGenerator<readonly Walked[], void> {
  const { ancestors, options } = walk;
  const follows = options.symlinks === 'follow';
  if (follows && ancestors.includes(identityOf(stats))) {
    const message = `"${node.source}" expected a folder, got a link to one that it lies in`;
    const error = new OrbweaverError('INPUT_UNREADABLE', message, { path: node.source });
    yield [{ type: 'problem', path, error }];
    return;
  }
  let names: readonly string[];
  try {
    names = await namesOf(node);
  } catch (error) {
    yield [{ type: 'problem', path, error: inputError(error, node.source) }];
    return;
  }
  if (follows) ancestors.push(identityOf(stats));
  yield* walkNames({ node, prefix: `${path}/`, below, names }, walk);
  if (follows) ancestors.pop();
}

function childOf(node: WalkNode, name: string): WalkNode {
  const known = node.only?.get(name);
  if (known !== undefined) return known;
  const source = node.source === '' || node.source.endsWith('/') ? node.source : `${node.source}/`;
  return { source: source + name, only: null, include: node.include };
}

/** All names of a folder in the order of a manifest. */
async function namesOf({ source, only }: WalkNode): Promise<readonly string[]> {
  if (only !== null) return [...only.keys()].sort(compareNames);
  const path = source === '' ? '.' : fsPath(source);
  let names = await readdir(path).catch((error: unknown) => {
    throw inputError(error, source);
  });
  if (names.some((name) => name.includes('\ufffd'))) {
    names = (await readdir(path, { encoding: 'buffer' })).map(decodePathBytes);
  }
  // Of names in ASCII the usual order is that of the bytes, and quicker.
  return names.every(isAscii) ? names.sort() : names.sort(compareNames);
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
  return /^[\x00-\x7f]*$/.test(text);
}

/** What the names are: by blocking calls where the disk is quick, else side by side. */
async function lookUp(
  names: readonly string[],
  node: WalkNode,
  { options, latency }: Walk,
): Promise<(Stats | Error)[]> {
  const look = options.symlinks === 'follow' ? stat : lstat;
  const sources = names.map((name) => childOf(node, name).source);
  const [first, ...others] = sources;
  if (first === undefined) return [];
  const failed = (error: unknown): Error => error as Error;
  const found = [await latency.learn(first, () => look(fsPath(first))).catch(failed)];
  if (options.symlinks !== 'follow' && latency.isQuick(first)) {
    for (const source of others) {
      try {
        found.push(latency.measure(() => lstatSync(fsPath(source))));
      } catch (error) {
        found.push(failed(error));
      }
    }
    return found;
  }
  return [...found, ...(await Promise.all(others.map((each) => look(fsPath(each)).catch(failed))))];
}

interface Found {
  readonly path: string;
  readonly source: string;
  readonly stats: Stats;
  /** Keys of the siblings so far; null where case counts. */
  readonly keys: Set<string> | null;
}

async function entryOf({ path, source, stats, keys }: Found, { options }: Walk): Promise<Walked> {
  // A whole number, and the same one after it was restored: the system may keep a microsecond less.
  const mtimeMs = Math.round(stats.mtimeMs);
  const mode = modeOf(stats);
  try {
    checkPath(path, options.names);
    checkOwnName(path, keys);
    if (stats.isDirectory()) return { path, type: 'folder', mode, mtimeMs };
    if (stats.isFile()) return { path, type: 'file', sizeBytes: stats.size, mode, mtimeMs, source };
    if (!stats.isSymbolicLink()) {
      return { type: 'skipped', path, reason: `a ${kindOf(stats)}, which is no file` };
    }
    if (options.symlinks === 'skip') return { type: 'skipped', path, reason: 'a symbolic link' };
    const target = decodePathBytes(await readlink(fsPath(source), { encoding: 'buffer' }));
    checkLinkTarget(path, target, options.names);
    return { path, type: 'symlink', target, mtimeMs };
  } catch (error) {
    return { type: 'problem', path, error: inputError(error, source) };
  }
}

/** Windows has one bit for files, and none that means anything for folders. */
function modeOf(stats: Stats): number {
  if (process.platform !== 'win32') return stats.mode & MODE_BITS;
  if (stats.isDirectory()) return 0o755;
  return (stats.mode & 0o200) === 0 ? 0o444 : 0o644;
}

function kindOf(stats: Stats): string {
  if (stats.isSocket()) return 'socket';
  if (stats.isFIFO()) return 'pipe';
  return 'device';
}

function depthOf(path: string): number {
  return path.split('/').length;
}

async function statOf(source: string): Promise<Stats> {
  return stat(source === '' ? '.' : fsPath(source)).catch((error: unknown) => {
    throw inputError(error, source);
  });
}

function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}
