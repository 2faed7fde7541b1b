import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGateway, createMemoryStore } from '../../../src/gateway/index.js';
import { loadKernels } from '../../../src/index.js';
import { createHubRig, type HubRig, header, inline, type Json, ORIGIN } from './rig.js';

let rig: HubRig;
beforeAll(async () => {
  rig = await createHubRig();
});
afterAll(() => rig.close());

const create = (name: string, type = 'model', status = 200): Promise<Json> => {
  const [organization, own] = name.split('/');
  return rig.json('POST', '/api/repos/create', { name: own, organization, type }, status);
};

describe('repositories', () => {
  it('says who asks', async () => {
    const me = await rig.json('GET', '/api/whoami-v2');
    expect(me).toMatchObject({
      type: 'user',
      name: 'writer',
      auth: { accessToken: { role: 'write' } },
    });
  });

  it('takes tokens with hf_ in front of them, which some clients want', async () => {
    const sent = (token: string): Promise<Response> =>
      rig.send('GET', '/api/whoami-v2', undefined, { authorization: `Bearer ${token}` });
    expect(await (await sent('hf_writer')).json()).toMatchObject({ name: 'writer' });
    expect((await sent('hf_nobody')).status).toBe(401);
  });

  it('are created once, whatever the case of their names, and told where they are', async () => {
    expect(await create('Org/Twice')).toEqual({
      url: `${ORIGIN}/Org/Twice`,
      name: 'Org/Twice',
      id: 'Org/Twice',
    });
    const again = await create('org/twice', 'model', 409);
    expect(again).toMatchObject({
      error: 'You already created this model repo',
      url: `${ORIGIN}/org/twice`,
    });
    expect(await create('org/twice', 'dataset')).toMatchObject({
      url: `${ORIGIN}/datasets/org/twice`,
    });
  });

  it('are listed by page, author and search, and deleted', async () => {
    for (const name of ['list/a', 'list/b', 'list/c', 'other/a']) await create(name, 'space');
    const first = await rig.send('GET', '/api/spaces?author=list&limit=2');
    expect(((await first.json()) as Json).map(({ id }: { id: string }) => id)).toEqual([
      'list/a',
      'list/b',
    ]);
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.get('link') ?? '')?.[1] ?? '';
    const second = await rig.json('GET', next);
    expect(second.map(({ id }: { id: string }) => id)).toEqual(['list/c']);
    const found = await rig.json('GET', '/api/spaces?search=R/A');
    expect(found.map(({ id }: { id: string }) => id)).toEqual(['other/a']);
    const body = { name: 'a', organization: 'other', type: 'space' };
    await rig.json('DELETE', '/api/repos/delete', body, 204);
    expect((await rig.send('DELETE', '/api/repos/delete', body)).headers.get('x-error-code')).toBe(
      'RepoNotFound',
    );
  });

  it('begin with a commit on main that has the rules for large files', async () => {
    await create('new/one');
    const info = await rig.json('GET', '/api/models/new/one');
    expect(info).toMatchObject({ id: 'new/one', private: false });
    expect(info.siblings).toEqual([{ rfilename: '.gitattributes' }]);
    expect(info.sha).toMatch(/^[0-9a-f]{40}$/);
    const rules = await rig.send('GET', '/new/one/resolve/main/.gitattributes');
    expect(await rules.text()).toContain('*.safetensors filter=lfs diff=lfs merge=lfs -text\n');
    expect(await rig.json('GET', '/api/models/new/one/refs')).toEqual({
      branches: [{ name: 'main', ref: 'refs/heads/main', targetCommit: info.sha }],
      tags: [],
      converts: [],
    });
  });

  it('are created with small files, which are in the first commit', async () => {
    const files = [
      { path: 'README.md', content: Buffer.from('# hello').toString('base64'), encoding: 'base64' },
      { path: 'a/empty', content: '', encoding: 'base64' },
      { path: '.gitattributes', content: '*.x filter=lfs\n' },
    ];
    const body = { name: 'files', organization: 'new', type: 'dataset' };
    await rig.json('POST', '/api/repos/create', { ...body, files });
    const commits = await rig.json('GET', '/api/datasets/new/files/commits/main');
    expect(commits).toMatchObject([{ title: 'initial commit' }]);
    const file = (path: string) =>
      rig.send('GET', `/datasets/new/files/resolve/main/${path}`).then((got) => got.text());
    expect(await Promise.all(['README.md', 'a/empty', '.gitattributes'].map(file))).toEqual([
      '# hello',
      '',
      '*.x filter=lfs\n',
    ]);
    const wrong: readonly unknown[] = ['x', [1], [{ path: '../x', content: '' }], [{ path: 'x' }]];
    for (const each of wrong) {
      const asked = { ...body, name: 'wrong', files: each };
      await rig.json('POST', '/api/repos/create', asked, 400);
    }
    await rig.json('POST', '/api/repos/create', { ...body, type: 'bucket', files }, 400);
    expect((await rig.send('GET', '/api/datasets/new/wrong')).status).toBe(404);
  });

  it('are listed with what they hold, of all types', async () => {
    await create('held/a');
    await create('held/b', 'dataset');
    await create('held/code', 'git');
    await rig.json('POST', '/api/buckets/held/c', { visibility: 'private' });
    const before = (await rig.json('GET', '/api/organizations/held/settings/repositories'))[2];
    await rig.commit('held/a', [header('one'), inline('x', 'x'.repeat(1000)), inline('same', 'y')]);
    await rig.commit('held/a', [header('two'), inline('again', 'y')]);
    const path = '/api/organizations/Held/settings/repositories';
    expect(await rig.json('GET', path)).toMatchObject([
      { id: 'held/c', type: 'bucket', visibility: 'private', storage: 0 },
      { id: 'held/b', type: 'dataset', visibility: 'public' },
      { id: 'held/a', type: 'model', storage: before.storage + 1001 },
    ]);
    const pages: string[] = [];
    for (let next: string | undefined = '/api/settings/repositories?limit=2'; next; ) {
      const page: Response = await rig.send('GET', next);
      pages.push(...((await page.json()) as Json).map(({ id }: { id: string }) => id));
      next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(pages).toEqual(expect.arrayContaining(['held/a', 'held/b', 'held/c', 'new/one']));
    expect(new Set(pages).size).toBe(pages.length);
    const tenant = { authorization: 'Bearer tenant' };
    const theirs = await rig.send('GET', '/api/settings/repositories', undefined, tenant);
    expect(await theirs.json()).toEqual([]);
  });

  it('of another tenant are not there', async () => {
    await create('mine/one');
    const asked = await rig.send('GET', '/api/models/mine/one', undefined, {
      authorization: 'Bearer tenant',
    });
    expect(asked.status).toBe(404);
    expect(asked.headers.get('x-error-code')).toBe('RepoNotFound');
  });

  it.each(['api/x', 'v1/x', 'a/--', 'a/b..c', 'a/-b', '_a/b', 'a/b.git', `a/${'b'.repeat(97)}`])(
    'cannot be called %s',
    async (name) => {
      const answer = await create(name, 'model', 400);
      expect(answer.error).toMatch(/expected|namespace/);
    },
  );
});

describe('errors of the Hub', () => {
  it('have its form, also where nothing is offered', async () => {
    const unknown = await rig.send('GET', '/api/collections');
    expect([unknown.status, await unknown.json()]).toEqual([
      404,
      expect.objectContaining({ error: 'this gateway has no such path' }),
    ]);
    expect(unknown.headers.get('x-error-message')).toBe('this gateway has no such path');
    const anonymous = await rig.send('GET', '/api/whoami-v2', undefined, {
      authorization: 'Bearer no',
    });
    expect([anonymous.status, anonymous.headers.get('x-error-message')]).toEqual([
      401,
      'Invalid credentials in Authorization header',
    ]);
    const without = await rig.gateway.handle(new Request(`${ORIGIN}/api/models/org/x`));
    expect([without.status, without.headers.get('x-error-message')]).toEqual([
      401,
      'expected a bearer token in "authorization"',
    ]);
    const reader = await rig.send(
      'POST',
      '/api/repos/create',
      { name: 'x' },
      { authorization: 'Bearer reader' },
    );
    expect(reader.status).toBe(403);
    expect(reader.headers.get('x-error-message')).toContain('scope read');
  });

  it('are no faults, whatever is asked', async () => {
    await rig.json('POST', '/api/repos/create', { name: 'odd', organization: 'org' });
    const long = 'x'.repeat(3000);
    const batch = '/org/odd.git/info/lfs/objects/batch';
    const oid = 'a'.repeat(64);
    for (const [method, path, body, status] of [
      ['GET', `/api/models/${long}/fz`, undefined, 404],
      ['GET', `/${long}/fz/resolve/main/a`, undefined, 404],
      ['GET', '/api/models/%00/fz', undefined, 404],
      ['GET', '/%00/fz/resolve/main/a', undefined, 404],
      ['POST', '/api/models/org/odd/preupload/main', { files: [null] }, 400],
      ['POST', '/api/models/org/odd/paths-info/main', 'null', 200],
      ['POST', batch, { operation: 'upload', objects: [null] }, 400],
      ['POST', batch, { operation: 'upload' }, 400],
      ['POST', batch, { operation: 'download', objects: [{ oid, size: -1 }] }, 400],
    ] as const) {
      expect((await rig.send(method, path, body)).status, `${method} ${path.slice(0, 60)}`).toBe(
        status,
      );
    }
    expect(rig.faults).toEqual([]);
  });

  it('are those of the gateway where the Hub is not served', async () => {
    const { hasher, codec } = await loadKernels();
    const gateway = createGateway({ store: createMemoryStore(), hasher, codec });
    const response = await gateway.handle(new Request(`${ORIGIN}/api/whoami-v2`));
    expect(response.status).toBe(404);
    await gateway.close();
  });
});
