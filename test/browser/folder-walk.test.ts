import { describe, expect, it } from 'vitest';
import { walkOf } from '../../src/browser/folder-walk.js';

const fileAt = (path: string) => ({ path, data: new Blob(['x']) });

describe('files that a page gives as a folder', () => {
  it('cannot be a file and a folder under one path, in whatever order they come', async () => {
    for (const names of ['portable', 'native'] as const) {
      const rules = { names, hidden: true, filter: undefined };
      for (const paths of [
        ['a', 'a/b'],
        ['a/b', 'a'],
        ['d/a/b/c', 'd/a'],
      ]) {
        await expect(walkOf(paths.map(fileAt), rules)).rejects.toMatchObject({ code: 'USAGE' });
      }
      const walk = await walkOf(['a/b', 'ab', 'a/c'].map(fileAt), rules);
      const found: string[] = [];
      for await (const some of walk()) found.push(...some.map(({ path }) => path));
      expect(found).toEqual(['a', 'a/b', 'a/c', 'ab']);
    }
  });
});
