import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CliContext } from '../../src/cli/context.js';
import { repoCommand } from '../../src/cli/repo.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-repo-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function repo(...args: string[]): Promise<string> {
  let out = '';
  const context = {
    cwd: folder,
    env: {},
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: () => true },
    signal: new AbortController().signal,
  } as unknown as CliContext;
  await repoCommand.run([...args, '--data', 'store'], context);
  return out;
}

describe('repo', () => {
  it('makes, lists, squashes and removes repositories of a store and of a tenant', async () => {
    expect(await repo('create', 'model/org/name')).toBe('model/org/name\n');
    await expect(repo('create', 'models/Org/Name')).rejects.toMatchObject({ code: 'CONFLICT' });
    await repo('create', 'git/me/code', '--private');
    await repo('create', 'dataset/org/other', '--tenant', 'acme');
    const { repositories } = JSON.parse(await repo('ls', '--json'));
    expect(repositories).toMatchObject([
      {
        name: 'model/org/name',
        private: false,
        head: expect.stringMatching(/^[0-9a-f]{40}$/),
        refs: 1,
      },
      { name: 'git/me/code', private: true, head: null, refs: 0 },
    ]);
    expect(await repo('ls', 'models')).toMatch(/^2\S+Z {2}[0-9a-f]{12} {2}model\/org\/name\n$/);
    expect(await repo('ls', '--tenant', 'acme')).toContain('dataset/org/other');
    expect(await repo('squash', 'model/org/name')).toMatch(/^[0-9a-f]{40}\n$/);
    expect(JSON.parse(await repo('prune', '--dry-run', '--json'))).toMatchObject({
      files: 0,
      lost: [],
    });
    expect(await repo('prune', '--grace', '0')).toMatch(/^removed 0 files/);
    await repo('rm', 'model/org/name');
    await expect(repo('rm', 'model/org/name')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each([
    [['create', 'name']],
    [['create', 'thing/a/b']],
    [['what', 'model/a/b']],
    [['rm']],
    [['create', 'model/api/x']],
  ])('refuses %j', async (args) => {
    await expect(repo(...args)).rejects.toMatchObject({ code: 'USAGE' });
  });
});
