import type { FolderEntry } from './entry.js';
import { compareNames } from './path-text.js';

/** What a change of an entry can be about. */
export type ChangedField = 'type' | 'fileHash' | 'target' | 'mode' | 'mtimeMs';

/** One difference between two folders. */
export interface FolderChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'modified';
  /** What differs, of entries that are in both. */
  readonly fields: readonly ChangedField[];
  /** Null: added. */
  readonly before: FolderEntry | null;
  /** Null: removed. */
  readonly after: FolderEntry | null;
}

/** The order of a manifest: part by part, so that a folder is followed at once by what it holds. */
export function comparePaths(a: string, b: string): number {
  if (a === b) return 0;
  const left = a.split('/');
  const right = b.split('/');
  const depth = Math.min(left.length, right.length);
  for (let i = 0; i < depth; i++) {
    const order = compareNames(left[i] as string, right[i] as string);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

type Entries = AsyncIterable<FolderEntry> | Iterable<FolderEntry>;

/**
 * What differs between two folders, in the order of manifests. Reads both side by side and holds one entry
 * of each.
 *
 * @param options `times`: a file whose time alone is another is a change, too; else times are left out
 */
export async function* diffEntries(
  before: Entries,
  after: Entries,
  { times = false }: { readonly times?: boolean | undefined } = {},
): AsyncGenerator<FolderChange, void> {
  const old = iteratorOf(before);
  const now = iteratorOf(after);
  try {
    let [left, right] = await Promise.all([old.next(), now.next()]);
    while (left.done !== true || right.done !== true) {
      const order =
        left.done === true
          ? 1
          : right.done === true
            ? -1
            : comparePaths(left.value.path, right.value.path);
      if (order < 0 && left.done !== true) {
        yield {
          path: left.value.path,
          change: 'removed',
          fields: [],
          before: left.value,
          after: null,
        };
      } else if (order > 0 && right.done !== true) {
        yield {
          path: right.value.path,
          change: 'added',
          fields: [],
          before: null,
          after: right.value,
        };
      } else if (left.done !== true && right.done !== true) {
        const fields = changedFields(left.value, right.value, times);
        if (fields.length > 0) {
          const { path } = right.value;
          yield { path, change: 'modified', fields, before: left.value, after: right.value };
        }
      }
      [left, right] = await Promise.all([
        order <= 0 ? old.next() : left,
        order >= 0 ? now.next() : right,
      ]);
    }
  } finally {
    await Promise.all([old.return?.(), now.return?.()]);
  }
}

function changedFields(a: FolderEntry, b: FolderEntry, times: boolean): ChangedField[] {
  const fields: ChangedField[] = [];
  if (a.type !== b.type) fields.push('type');
  if (a.type === 'file' && b.type === 'file' && a.fileHash !== b.fileHash) fields.push('fileHash');
  if (a.type === 'symlink' && b.type === 'symlink' && a.target !== b.target) fields.push('target');
  if (a.type !== 'symlink' && b.type !== 'symlink' && a.mode !== b.mode) fields.push('mode');
  if (times && a.mtimeMs !== b.mtimeMs) fields.push('mtimeMs');
  return fields;
}

function iteratorOf(entries: Entries): AsyncIterator<FolderEntry> | Iterator<FolderEntry> {
  return Symbol.asyncIterator in entries
    ? entries[Symbol.asyncIterator]()
    : entries[Symbol.iterator]();
}
