import type { FileEntry, TreeEntry } from './formats.js';
import type { HubObjects } from './objects.js';

/** Reading trees. */

export interface WalkedEntry {
  readonly path: string;
  readonly entry: TreeEntry;
}

/** What lies at `path`; null: nothing. The root is a folder without a name. */
export async function entryAt(
  objects: HubObjects,
  root: string,
  path: readonly string[],
): Promise<TreeEntry | null> {
  let found: TreeEntry = { kind: 'folder', tree: root };
  for (const name of path) {
    if (found.kind === 'file') return null;
    const next: TreeEntry | undefined = (await objects.tree(found.tree)).get(name);
    if (next === undefined) return null;
    found = next;
  }
  return found;
}

/**
 * Entries of a folder in order, a folder before what it holds. `after` is the path (below that folder) of
 * the last entry that is not wanted any more: folders that end before it are not read.
 */
export async function* walkTree(
  objects: HubObjects,
  tree: string,
  options: { readonly recursive: boolean; readonly after?: readonly string[] | undefined },
  prefix = '',
): AsyncGenerator<WalkedEntry, void, undefined> {
  const { recursive, after = [] } = options;
  const [first] = after;
  for (const [name, entry] of await objects.tree(tree)) {
    if (first !== undefined && name < first) continue;
    const isOnWay = name === first;
    const path = prefix + name;
    if (!isOnWay) yield { path, entry };
    if (recursive && entry.kind === 'folder') {
      const rest = isOnWay ? after.slice(1) : undefined;
      yield* walkTree(objects, entry.tree, { recursive, after: rest }, `${path}/`);
    }
  }
}

/** All files of a tree. */
export async function* filesOf(
  objects: HubObjects,
  tree: string,
): AsyncGenerator<{ readonly path: string; readonly file: FileEntry }, void, undefined> {
  for await (const { path, entry } of walkTree(objects, tree, { recursive: true })) {
    if (entry.kind === 'file') yield { path, file: entry };
  }
}
