import { stat } from 'node:fs/promises';
import { basename, isAbsolute, posix, resolve, sep } from 'node:path';
import { OrbweaverError } from '../errors.js';
import { parseGlob, type WalkNode } from '../io/index.js';

/**
 * What is meant by the arguments of a folder upload, as one tree to walk:
 *
 * - one folder: what it holds
 * - one glob: what it matches, by path from the folder before its first wildcard
 * - several: each below its own last name, globs as if their folder was given
 * - `files`: only these, below the one folder, or below the current one
 *
 * @throws OrbweaverError `INPUT_NOT_FOUND` for the one input that is not there; `USAGE` for two inputs of one name, and for
 * a path of `files` that leads elsewhere
 */
export async function walkTreeOf(
  inputs: readonly string[],
  options: { readonly files?: readonly string[] | undefined; readonly hidden: boolean },
): Promise<WalkNode> {
  if (options.files !== undefined) {
    if (inputs.length > 1) throw usage('a list of files expected at most one folder besides');
    return listedNode(forward(inputs[0] ?? '.'), options.files);
  }
  const [first] = inputs;
  if (first === undefined) throw usage('a folder upload expected at least one folder');
  const nodes = await Promise.all(inputs.map((input) => nodeOf(input, options.hidden)));
  if (inputs.length === 1) {
    const { node, kind } = nodes[0] as InputNode;
    if (kind === 'folder') return node;
    if (kind === 'missing') {
      const message = `"${first}" expected a readable input, got no such file or folder (ENOENT)`;
      throw new OrbweaverError('INPUT_NOT_FOUND', message, { path: first });
    }
  }
  const only = new Map<string, WalkNode>();
  for (const { name, node } of nodes) {
    if (only.has(name)) {
      throw usage(`two inputs expected different last names, got "${name}" twice`);
    }
    only.set(name, node);
  }
  return { source: '', only, include: null };
}

interface InputNode {
  /** What it is called among several. */
  readonly name: string;
  readonly node: WalkNode;
  /** What is missing among others is a failure of its own, told when it is walked. */
  readonly kind: 'folder' | 'file' | 'missing';
}

async function nodeOf(input: string, hidden: boolean): Promise<InputNode> {
  const source = forward(input);
  const stats = await stat(input).catch(() => null);
  const glob = stats === null ? parseGlob(source, { hidden }) : null;
  if (glob !== null) {
    const node = { source: glob.base, only: null, include: glob };
    return { name: basename(resolve(glob.base)), node, kind: 'folder' };
  }
  const kind = stats === null ? 'missing' : stats.isDirectory() ? 'folder' : 'file';
  return { name: basename(resolve(input)), node: { source, only: null, include: null }, kind };
}

/** A {@link WalkNode} in the making. */
interface OpenNode {
  readonly source: string;
  /** Null: all of it. */
  only: Map<string, OpenNode> | null;
}

/** A folder of which only the listed paths are meant. */
function listedNode(source: string, files: readonly string[]): WalkNode {
  const top: OpenNode = { source, only: new Map() };
  for (const file of files) {
    const path = posix.normalize(forward(file)).replace(/\/+$/, '');
    if (isAbsolute(file) || path === '..' || path.startsWith('../')) {
      throw usage(`a listed file expected a path below "${source}", got ${JSON.stringify(file)}`);
    }
    let open = top;
    for (const part of path === '.' ? [] : path.split('/')) {
      if (open.only === null) break;
      let next = open.only.get(part);
      if (next === undefined) {
        next = { source: `${open.source.replace(/\/$/, '')}/${part}`, only: new Map() };
        open.only.set(part, next);
      }
      open = next;
    }
    // Named itself, so taken whole, whatever of it was named before.
    open.only = null;
  }
  return closed(top);
}

function closed({ source, only }: OpenNode): WalkNode {
  if (only === null) return { source, only: null, include: null };
  const children = new Map([...only].map(([name, child]) => [name, closed(child)] as const));
  return { source, only: children, include: null };
}

/** Windows takes both slashes. */
function forward(path: string): string {
  return sep === '/' ? path : path.replaceAll(sep, '/');
}

function usage(message: string): OrbweaverError {
  return new OrbweaverError('USAGE', message);
}
