import type { FileEntry, Tree } from './formats.js';
import type { HubObjects } from './objects.js';

/** A file that two trees do not have alike. Null: the tree has none there. */
export interface FileDifference {
  readonly path: readonly string[];
  readonly before: FileEntry | null;
  readonly after: FileEntry | null;
}

/** What differs between two trees; folders that are equal are not read. */
export async function* diffTrees(
  objects: HubObjects,
  before: string | null,
  after: string | null,
  path: readonly string[] = [],
): AsyncGenerator<FileDifference, void, undefined> {
  if (before === after) return;
  const none: Tree = new Map();
  const [old, new_] = (await Promise.all(
    [before, after].map((tree) => (tree === null ? none : objects.tree(tree))),
  )) as [Tree, Tree];
  for (const name of new Set([...old.keys(), ...new_.keys()])) {
    const [a, b] = [old.get(name), new_.get(name)];
    const at = [...path, name];
    const files = {
      before: a?.kind === 'file' ? a : null,
      after: b?.kind === 'file' ? b : null,
    };
    if (!sameFile(files.before, files.after)) yield { path: at, ...files };
    const folders = [a, b].map((entry) => (entry?.kind === 'folder' ? entry.tree : null));
    yield* diffTrees(objects, folders[0] ?? null, folders[1] ?? null, at);
  }
}

/** Equal content under the same rule. */
export function sameFile(a: FileEntry | null, b: FileEntry | null): boolean {
  if (a === null || b === null) return a === b;
  return a.file.equals(b.file) && a.lfs === b.lfs;
}
