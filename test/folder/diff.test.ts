import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  comparePaths,
  diffEntries,
  type FolderChange,
  type FolderEntry,
} from '../../src/folder/index.js';

const entry = (path: string, version: number): FolderEntry => ({
  path,
  type: 'file',
  sizeBytes: 1,
  fileHash: String(version).repeat(64),
  mode: 0o644,
  mtimeMs: version,
});

async function all(changes: AsyncIterable<FolderChange>): Promise<FolderChange[]> {
  const list = [];
  for await (const change of changes) list.push(change);
  return list;
}

describe('what differs between two folders', () => {
  it('is what a map of each would say, in order', async () => {
    const folders = fc.dictionary(
      fc.string({ minLength: 1, maxLength: 2, unit: fc.constantFrom('a', 'b', '-', 'é') }),
      fc.integer({ min: 1, max: 2 }),
      { maxKeys: 12 },
    );
    const sorted = (from: Record<string, number>): FolderEntry[] =>
      Object.entries(from)
        .map(([path, version]) => entry(path, version))
        .sort((a, b) => comparePaths(a.path, b.path));
    await fc.assert(
      fc.asyncProperty(folders, folders, async (before, after) => {
        const expected = [...new Set([...Object.keys(before), ...Object.keys(after)])]
          .filter((path) => before[path] !== after[path])
          .sort(comparePaths)
          .map((path) => [
            path,
            before[path] === undefined
              ? 'added'
              : after[path] === undefined
                ? 'removed'
                : 'modified',
          ]);
        const got = await all(diffEntries(sorted(before), sorted(after)));
        expect(got.map(({ path, change }) => [path, change])).toEqual(expected);
      }),
    );
  });

  it('says in what, and leaves times out unless they are asked for', async () => {
    const before: FolderEntry[] = [
      { path: 'a', type: 'folder', mode: 0o755, mtimeMs: 1 },
      { path: 'b', type: 'symlink', target: 'x', mtimeMs: 1 },
      entry('c', 1),
      entry('d', 1),
    ];
    const after: FolderEntry[] = [
      { path: 'a', type: 'folder', mode: 0o700, mtimeMs: 2 },
      { path: 'b', type: 'symlink', target: 'y', mtimeMs: 1 },
      { path: 'c', type: 'symlink', target: 'd', mtimeMs: 1 },
      { ...entry('d', 1), mtimeMs: 9 },
    ];
    const fields = async (times: boolean): Promise<unknown> =>
      (await all(diffEntries(before, after, { times }))).map((each) => [each.path, ...each.fields]);
    expect(await fields(false)).toEqual([
      ['a', 'mode'],
      ['b', 'target'],
      ['c', 'type'],
    ]);
    expect(await fields(true)).toEqual([
      ['a', 'mode', 'mtimeMs'],
      ['b', 'target'],
      ['c', 'type'],
      ['d', 'mtimeMs'],
    ]);
  });
});
