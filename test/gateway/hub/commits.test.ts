import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../../src/gateway/index.js';
import { generate } from '../../support/generators.js';
import {
  createEngine,
  createHubRig,
  deleted,
  type HubRig,
  header,
  inline,
  type Json,
} from './rig.js';

let rig: HubRig;
beforeAll(async () => {
  rig = await createHubRig();
});
afterAll(() => rig.close());

let count = 0;
async function repo(): Promise<string> {
  const name = `r${++count}`;
  await rig.json('POST', '/api/repos/create', { name, organization: 'org' });
  return `org/${name}`;
}

async function commit(name: string, lines: readonly object[], branch = 'main'): Promise<string> {
  const response = await rig.commit(name, lines, branch);
  const body = (await response.json()) as Json;
  if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(body)}`);
  return body.commitOid;
}

/** Without what every repository begins with. */
const paths = async (name: string, rev = 'main', query = 'recursive=true'): Promise<string[]> =>
  (await rig.json('GET', `/api/models/${name}/tree/${rev}?${query}`))
    .map(({ path }: { path: string }) => path)
    .filter((path: string) => path !== '.gitattributes');

describe('a commit', () => {
  it('puts small files, and names them as git does', async () => {
    const name = await repo();
    const id = await commit(name, [
      header('one'),
      inline('a/b/c.txt', 'hello'),
      inline('empty', ''),
    ]);
    expect(await paths(name)).toEqual(['a', 'a/b', 'a/b/c.txt', 'empty']);
    expect(await rig.json('GET', `/api/models/${name}/tree/main/a%2Fb`)).toEqual([
      // printf hello | git hash-object --stdin
      {
        ...{ type: 'file', oid: 'b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0', size: 5 },
        ...{ path: 'a/b/c.txt', storeHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      },
    ]);
    const file = await rig.send('GET', `/${name}/resolve/main/a/b/c.txt`);
    expect(await file.text()).toBe('hello');
    expect(Object.fromEntries(file.headers)).toMatchObject({
      etag: '"b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"',
      'x-repo-commit': id,
      'content-length': '5',
      'accept-ranges': 'bytes',
    });
    expect(await (await rig.send('GET', `/${name}/resolve/${id}/empty`)).text()).toBe('');
    expect((await rig.json('GET', `/api/models/${name}/revision/HEAD`)).sha).toBe(id);
  });

  it('is held against the quota of stored bytes, and takes none of it when that is used up', async () => {
    const tight = await createHubRig({ options: { quotas: { '': { storedBytes: 20_000 } } } });
    try {
      await tight.json('POST', '/api/repos/create', { name: 'q', organization: 'org' });
      const noise = generate({ kind: 'splitmix64', seed: 7, bytes: 30_000 });
      const put = (path: string, bytes: number): Promise<Response> =>
        tight.commit('org/q', [header(path), inline(path, noise.subarray(0, bytes))]);
      expect((await put('fits', 12_000)).status).toBe(200);
      const refused = await put('too-much', 30_000);
      expect([refused.status, await refused.json()]).toMatchObject([
        413,
        { code: 'QUOTA_EXCEEDED', error: expect.stringContaining('the quota of 20000 bytes') },
      ]);
      expect((await tight.send('GET', '/org/q/resolve/main/too-much')).status).toBe(404);
      expect((await put('fits as well', 1000)).status).toBe(200);
    } finally {
      await tight.close();
    }
  });

  it('of what is there already makes none', async () => {
    const name = await repo();
    const id = await commit(name, [header('one'), inline('a', 'x')]);
    expect(await commit(name, [header('again'), inline('a', 'x')])).toBe(id);
  });

  it('deletes files and folders, and the folders that become empty', async () => {
    const name = await repo();
    await commit(name, [
      header('one'),
      inline('a/b', 'x'),
      inline('c/d', 'x'),
      inline('c/e/f', 'x'),
    ]);
    await commit(name, [
      header('two'),
      deleted('a/b'),
      { key: 'deletedFolder', value: { path: 'c/e/' } },
    ]);
    expect(await paths(name)).toEqual(['c', 'c/d']);
    const missing = await rig.commit(name, [header('three'), deleted('c/x')]);
    expect([missing.status, missing.headers.get('x-error-code')]).toEqual([404, 'EntryNotFound']);
    expect(await missing.json()).toMatchObject({
      error: "A file with this name doesn't exist: c/x",
    });
  });

  it('with a parent that the branch has left is refused with 412, and changes nothing', async () => {
    const name = await repo();
    const first = await commit(name, [header('one'), inline('a', '1')]);
    await commit(name, [header('two', first), inline('a', '2')]);
    const late = await rig.commit(name, [header('late', first), inline('a', '3')]);
    expect(late.status).toBe(412);
    expect(await (await rig.send('GET', `/${name}/resolve/main/a`)).text()).toBe('2');
  });

  it('of several at a time with the same parent is one; the others get 412', async () => {
    const store = createMemoryStore();
    const engine = createEngine();
    const rigs = await Promise.all([0, 1].map(() => createHubRig({ store, engine })));
    const [one] = rigs as [HubRig];
    await one.json('POST', '/api/repos/create', { name: 'same', organization: 'org' });
    const { sha } = await one.json('GET', '/api/models/org/same');
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        (rigs[i % 2] as HubRig).commit('org/same', [header(`c${i}`, sha), inline(`f${i}`, 'x')]),
      ),
    );
    expect(made.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412, 412, 412]);
    expect(await one.json('GET', '/api/models/org/same/tree/main')).toHaveLength(2);
    for (const each of rigs) await each.close();
    await engine.close();
  });

  it.each([
    ['../x', 400],
    ['a//b', 400],
    ['.git/config', 400],
    ['a/./b', 400],
    ['a\\b', 400],
  ])('to %s is refused', async (path, status) => {
    const response = await rig.commit(await repo(), [header('x'), inline(path, 'x')]);
    expect(response.status).toBe(status);
  });

  it('that is no list of lines is refused', async () => {
    const name = await repo();
    for (const lines of [
      'nonsense',
      '{"key":"header"}',
      '{"key":"what","value":{"path":"a"}}',
      '',
    ]) {
      const response = await rig.send('POST', `/api/models/${name}/commit/main`, lines);
      expect(response.status).toBe(400);
    }
    expect((await rig.commit(name, [header('x'), inline('a', 'x')], 'nowhere')).status).toBe(404);
  });

  it('of many at a time on several gateways over one store is lost by none', async () => {
    const store = createMemoryStore();
    const engine = createEngine();
    const rigs = await Promise.all([0, 1].map(() => createHubRig({ store, engine })));
    const [one] = rigs as [HubRig, HubRig];
    await one.json('POST', '/api/repos/create', { name: 'many', organization: 'org' });
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        (rigs[i % 2] as HubRig).commit('org/many', [
          header(`c${i}`),
          inline(`f/${i}`, `file ${i}`),
        ]),
      ),
    );
    expect(made.map(({ status }) => status)).toEqual(Array(20).fill(200));
    const tree = await one.json('GET', '/api/models/org/many/tree/main/f');
    expect(tree).toHaveLength(20);
    const commits = await one.send('GET', '/api/models/org/many/commits/main');
    expect(commits.headers.get('x-total-count')).toBe('21');
    for (const each of rigs) await each.close();
    await engine.close();
  });
});

describe('reading a repository', () => {
  it('pages through trees', async () => {
    const name = await repo();
    const files = Array.from({ length: 7 }, (_, i) => inline(`d${i % 3}/f${i}`, `${i}`));
    await commit(name, [header('one'), ...files]);
    const all = await paths(name);
    expect(all).toHaveLength(10);
    const found: string[] = [];
    let next: string | undefined = `/api/models/${name}/tree/main?recursive=true&limit=3`;
    while (next !== undefined) {
      const page: Response = await rig.send('GET', next);
      found.push(...((await page.json()) as Json).map(({ path }: { path: string }) => path));
      next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(found).toEqual(['.gitattributes', ...all]);
  });

  it('tells which commit changed an entry last', async () => {
    const name = await repo();
    const one = await commit(name, [header('one'), inline('a/x', '1'), inline('a/y', '1')]);
    const two = await commit(name, [header('two'), inline('a/y', '2')]);
    const found = await rig.json('POST', `/api/models/${name}/paths-info/main`, {
      paths: ['a/x', 'a/y', 'a', 'nothing'],
      expand: true,
    });
    const told = found.map((each: Json) => [each.path, each.lastCommit.id, each.lastCommit.title]);
    expect(told).toEqual([
      ['a/x', one, 'one'],
      ['a/y', two, 'two'],
      ['a', two, 'two'],
    ]);
  });

  it('serves heads, ranges and conditions', async () => {
    const name = await repo();
    const text = `${'x'.repeat(300_000)}the end`;
    await commit(name, [header('one'), inline('big.txt', text)]);
    const url = `/${name}/resolve/main/big.txt`;
    const head = await rig.send('HEAD', url);
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '300007']);
    const tail = await rig.send('GET', url, undefined, { range: 'bytes=-7' });
    expect([tail.status, tail.headers.get('content-range'), await tail.text()]).toEqual([
      206,
      'bytes 300000-300006/300007',
      'the end',
    ]);
    const etag = head.headers.get('etag') as string;
    expect((await rig.send('GET', url, undefined, { 'if-none-match': etag })).status).toBe(304);
    const past = await rig.send('GET', url, undefined, { range: 'bytes=300007-' });
    expect([past.status, past.headers.get('content-range')]).toEqual([416, 'bytes */300007']);
    // The client for JavaScript asks for the first byte to learn the size.
    await commit(name, [header('empty'), inline('empty', '')]);
    const empty = await rig.send('GET', `/${name}/resolve/main/empty`, undefined, {
      range: 'bytes=0-0',
    });
    expect([empty.status, empty.headers.get('content-range'), await empty.text()]).toEqual([
      ...[200, 'bytes */0', ''],
    ]);
    const gone = await rig.send('GET', `/${name}/resolve/main/none`);
    expect([gone.status, gone.headers.get('x-error-code')]).toEqual([404, 'EntryNotFound']);
    expect(gone.headers.get('x-repo-commit')).toMatch(/^[0-9a-f]{40}$/);
  });

  it('has branches, tags, a history, and forgets it when asked to', async () => {
    const name = await repo();
    const api = `/api/models/${name}`;
    const one = await commit(name, [header('one'), inline('a', '1')]);
    await rig.json('POST', `${api}/branch/feature%2Fx`, { startingPoint: one }, 201);
    await rig.json('POST', `${api}/branch/feature%2Fx`, {}, 409);
    await rig.json('POST', `${api}/tag/main`, { tag: 'v1' }, 201);
    await commit(name, [header('on branch'), inline('b', '1')], 'feature/x');
    const two = await commit(name, [header('two'), inline('a', '2')]);
    expect(await paths(name, 'feature%2Fx')).toEqual(['a', 'b']);
    expect(await (await rig.send('GET', `/${name}/resolve/v1/a`)).text()).toBe('1');
    const commits = await rig.json('GET', `${api}/commits/main?limit=2`);
    expect(commits.map(({ title }: { title: string }) => title)).toEqual(['two', 'one']);
    expect(commits[0]).toMatchObject({ id: two, authors: [{ user: 'writer' }] });
    expect((await rig.commit(name, [header('x'), inline('a', '3')], 'v1')).status).toBe(400);
    await rig.json('POST', `${api}/super-squash/main`, { message: 'all' });
    expect(await rig.json('GET', `${api}/commits/main`)).toMatchObject([{ title: 'all' }]);
    await rig.json('DELETE', `${api}/branch/feature%2Fx`, undefined, 204);
    await rig.json('DELETE', `${api}/tag/v1`, undefined, 204);
    for (const bad of ['HEAD', 'a..b', '-a', 'a.lock', 'refs/heads/a']) {
      const path = `${api}/branch/${encodeURIComponent(bad)}`;
      expect((await rig.send('POST', path, {})).status, bad).toBe(400);
    }
    expect((await rig.send('DELETE', `${api}/branch/main`)).status).toBe(403);
    const left = await rig.json('GET', `${api}/refs`);
    expect([left.branches.length, left.tags.length]).toEqual([1, 0]);
  });

  it('says how files are to come, and what is there', async () => {
    const name = await repo();
    await commit(name, [header('one'), inline('a', 'hello')]);
    const sample = (text: string): string => Buffer.from(text).toString('base64');
    const { files } = await rig.json('POST', `/api/models/${name}/preupload/main`, {
      files: [
        { path: 'a', size: 5, sample: sample('hello') },
        { path: 'b.bin', size: 9, sample: sample('a\0b') },
        { path: 'c.txt', size: 2_000_000, sample: sample('text') },
        { path: 'none', size: 0, sample: '' },
        { path: 'd/text.bin', size: 4, sample: sample('text') },
      ],
    });
    expect(files.map((each: Json) => [each.uploadMode, each.oid])).toEqual([
      ['regular', 'b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0'],
      ['lfs', undefined],
      ['lfs', undefined],
      ['regular', undefined],
      ['lfs', undefined],
    ]);
  });

  it('asks for files of Git LFS by its .gitattributes, or by those that come along', async () => {
    const name = await repo();
    const modes = async (wanted: readonly string[], more: object = {}): Promise<string[]> => {
      const asked = wanted.map((path) => ({ path, size: 3_000_000, sample: '' }));
      const url = `/api/models/${name}/preupload/main`;
      const { files } = await rig.json('POST', url, { files: asked, ...more });
      return files.map(({ uploadMode }: Json) => uploadMode);
    };
    expect(await modes(['x.txt', 'x.safetensors'])).toEqual(['lfs', 'lfs']);
    await commit(name, [
      header('rules'),
      inline('.gitattributes', '*.txt -filter\n*.bin filter=lfs\n'),
      inline('sub/.gitattributes', 'a.txt filter=lfs -text\n'),
    ]);
    expect(await modes(['x.txt', 'x.bin', 'sub/a.txt', 'sub/b.txt', 'sub/in/a.txt'])).toEqual([
      'regular',
      'lfs',
      'lfs',
      'regular',
      'lfs',
    ]);
    expect(await modes(['x.bin'], { gitAttributes: '*.bin -filter' })).toEqual(['regular']);
  });

  it('leaves out what the .gitignore of the repository names, or the one that comes along', async () => {
    const name = await repo();
    const asked = ['a.log', 'build/x.bin', 'keep.log', 'b.txt', 'sub/c.txt'];
    const ignored = async (more: object = {}): Promise<string[]> => {
      const { files } = await rig.json('POST', `/api/models/${name}/preupload/main`, {
        files: asked.map((path) => ({ path, size: 3, sample: '' })),
        ...more,
      });
      return files.filter((each: Json) => each.shouldIgnore).map(({ path }: Json) => path);
    };
    expect(await ignored()).toEqual([]);
    expect(await ignored({ gitIgnore: '*.txt' })).toEqual(['b.txt', 'sub/c.txt']);
    await commit(name, [
      header('rules'),
      inline('.gitignore', '*.log\n!keep.log\nbuild/\n'),
      inline('sub/.gitignore', '*'),
    ]);
    expect(await ignored()).toEqual(['a.log', 'build/x.bin']);
    expect(await ignored({ gitIgnore: '' })).toEqual([]);
  });

  it('refuses patterns that take too long to match, and takes no rules from a text that is too long', async () => {
    const name = await repo();
    const path = Array.from({ length: 60 }, () => 'a'.repeat(60)).join('/');
    const ask = async (more: object): Promise<Response> =>
      rig.send('POST', `/api/models/${name}/preupload/main`, {
        files: [{ path, size: 3, sample: '' }],
        ...more,
      });
    const hard = `${'**/*a*b/'.repeat(30)}c`;
    const refused = await ask({ gitIgnore: `${hard}\n`.repeat(900) });
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain('take too long');
    const said = await ask({ gitIgnore: `*\n${'#'.repeat(256 * 1024)}` });
    expect(await said.json()).toMatchObject({ files: [{ shouldIgnore: false }] });
  });
});
