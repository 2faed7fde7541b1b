import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as hubs from 'orbweaver/hub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HttpRequest, HttpResponse } from '../../src/http/index.js';
import { error, HUB, json } from './support/fake-hub.js';
import { createFakeRig, type FakeRig, random, sha256 } from './support/rig.js';

/**
 * Answers of the real Hub that are met seldom, in the shape that `huggingface_hub` 2.4, `@huggingface/hub` 2.17
 * and the Hub's own documentation give them.
 */

const repo = 'org/repo';
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

let top: string;
let rig: FakeRig;
let hub: hubs.Hub;
let box: string;
let count = 0;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-answers-'));
  rig = await createFakeRig();
});
afterAll(async () => {
  await hub?.close();
  await rig?.close();
  await rm(top, { recursive: true, force: true });
});
beforeEach(async () => {
  box = join(top, String(count++));
  await mkdir(box);
  rig.fresh();
  await hub?.close();
  hub = hubs.createHub(rig.options());
});

const redirect = (status: number, location: string, headers: Record<string, string> = {}) => ({
  status,
  headers: { location, ...headers },
  body: null,
});

/** Puts a file into the repository; the store has it when it is large. */
async function put(path: string, bytes: Uint8Array): Promise<void> {
  await rig.know(bytes);
  const { failed } = await hub.uploadFiles([{ path, content: bytes }], { repo });
  expect(failed).toEqual([]);
}

const everything = async (items: AsyncIterable<hubs.HubEntry>): Promise<string[]> => {
  const paths: string[] = [];
  for await (const { path } of items) paths.push(path);
  return paths;
};

describe('a repository with another name', () => {
  it('is found where the Hub says, by relative and absolute addresses', async () => {
    const moved = 'org/old';
    const toNew = (request: HttpRequest): HttpResponse | null => {
      const { pathname, search } = request.url;
      if (!pathname.includes(moved)) return null;
      const path = pathname.replace(moved, repo) + search;
      return redirect(307, pathname.startsWith('/api/') ? path : HUB + path);
    };
    rig.fake.intercept = toNew;
    const bytes = random(1, 300_000);
    await rig.know(bytes);
    const files = [
      { path: 'a.bin', content: bytes },
      { path: 'b.txt', content: text('small') },
    ];
    const { failed, commits } = await hub.uploadFiles(files, { repo: moved });
    expect([failed, commits.length]).toEqual([[], 1]);
    expect(await everything(hub.listFiles({ repo: moved }))).toEqual(['a.bin', 'b.txt']);
    const { files: got } = await hub.downloadFolder({ repo: moved, to: box });
    expect(got.map(({ path, verified }) => [path, verified]).sort()).toEqual([
      ['a.bin', true],
      ['b.txt', true],
    ]);
    for (const path of ['a.bin', 'b.txt']) {
      const to = join(box, 'one');
      expect(await hub.downloadFile({ repo: moved, path, to })).toMatchObject({ verified: true });
    }
  });

  it('keeps small files somewhere else on the Hub, and the commit is that of the first answer', async () => {
    await put('config.json', text('{"a":1}'));
    const asked: string[] = [];
    rig.fake.intercept = (request) => {
      const { pathname } = request.url;
      asked.push(`${request.method} ${pathname}`);
      if (pathname === '/org/repo/resolve/main/config.json') {
        const cached = `/api/resolve-cache/models/${repo}/0123/config.json`;
        return redirect(307, cached, { 'x-repo-commit': 'c'.repeat(40) });
      }
      if (!pathname.startsWith('/api/resolve-cache/')) return null;
      const { oid, sizeBytes } = rig.fake.files.get('config.json') as {
        oid: string;
        sizeBytes: number;
      };
      const headers = { etag: `"${oid}"`, 'content-length': String(sizeBytes) };
      const { body } = json({ a: 1 });
      return { status: 200, headers, body: request.method === 'HEAD' ? null : body };
    };
    const to = join(box, 'config.json');
    const file = await hub.downloadFile({ repo, path: 'config.json', to });
    expect(file).toMatchObject({ verified: true, sizeBytes: 7, transport: 'http' });
    expect(asked).toEqual([
      'HEAD /org/repo/resolve/main/config.json',
      'HEAD /api/resolve-cache/models/org/repo/0123/config.json',
      'GET /api/resolve-cache/models/org/repo/0123/config.json',
    ]);
  });

  it('on a mirror that sends elsewhere is asked for there, without the token', async () => {
    await put('config.json', text('{"a":1}'));
    const seen: HttpRequest[] = [];
    rig.fake.intercept = (request) => {
      if (request.url.host === 'mirror.test') {
        seen.push(request);
        return { status: 200, headers: { etag: '"x"', 'content-length': '7' }, body: null };
      }
      if (!request.url.pathname.includes('/resolve/')) return null;
      return redirect(308, `http://mirror.test${request.url.pathname}`);
    };
    const blob = await hubs.downloadFile({ ...common(), path: 'config.json' });
    expect(blob).toMatchObject({ size: 7, etag: 'x' });
    expect(seen.map(({ method, headers }) => [method, headers['authorization']])).toEqual([
      ['HEAD', undefined],
    ]);
  });

  it('is no file without a size, and no endless way', async () => {
    rig.fake.intercept = ({ url }) =>
      url.pathname.includes('/resolve/')
        ? { status: 200, headers: { etag: '"x"' }, body: null }
        : null;
    const file = { repo, path: 'a', to: join(box, 'a') };
    await expect(hub.downloadFile(file)).rejects.toMatchObject({
      code: 'PROTOCOL',
      message: expect.stringContaining('its size'),
    });
    rig.fake.intercept = ({ url }) =>
      url.pathname.includes('/resolve/') ? redirect(302, url.pathname) : null;
    await expect(hub.downloadFile(file)).rejects.toMatchObject({ code: 'PROTOCOL' });
  });
});

function common(): hubs.HubCredentials & { repo: string } {
  const { hubUrl, accessToken, ...rest } = rig.options();
  return { repo, hubUrl, accessToken, hub: rest };
}

describe('what may not be seen', () => {
  const gated =
    'Access to model org/repo is restricted and you are not in the authorized list. Visit https://hub.test/org/repo to ask for access.';

  it.each([
    [403, 'GatedRepo', gated, 'FORBIDDEN'],
    [401, 'GatedRepo', 'Access to model org/repo is restricted. Please log in.', 'AUTH_REQUIRED'],
    [401, 'RepoNotFound', 'Repository not found', 'AUTH_REQUIRED'],
    [403, '', 'Access to this resource is disabled.', 'FORBIDDEN'],
    [404, 'RevisionNotFound', 'Invalid rev id: none', 'NOT_FOUND'],
  ] as const)('is told as the Hub says it: %d %s', async (status, hubCode, words, code) => {
    await put('a.txt', text('a'));
    await put('b.bin', random(2, 100_000));
    // The list of a gated repository is open, its files are not.
    rig.fake.intercept = ({ url }) =>
      url.pathname.includes('/tree/') ? null : error(status, words, hubCode || undefined);
    const to = join(box, 'a');
    await expect(hub.downloadFile({ repo, path: 'a.txt', to })).rejects.toMatchObject({ code });
    const { files, failed } = await hub.downloadFolder({ repo, to: box });
    expect(files).toEqual([]);
    expect(failed).toHaveLength(2);
    for (const each of failed) {
      expect(each).toMatchObject({ code, message: expect.stringContaining(words.slice(0, 40)) });
    }
    const upload = hub.uploadFiles([{ path: 'c.txt', content: text('c') }], { repo });
    await expect(upload).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
      fields: hubCode === '' ? { status } : { status, hubCode },
    });
  });

  it('is made or used: who may not make a repository may use one that is there', async () => {
    rig.fake.intercept = ({ url }) =>
      url.pathname === '/api/repos/create' ? error(403, 'no rights to create') : null;
    const made = hub.createRepo({ repo: 'datasets/org/other', existOk: true });
    await expect(made).rejects.toMatchObject({ code: 'FORBIDDEN' });
    rig.fake.intercept = ({ url }) => {
      if (url.pathname === '/api/repos/create') return error(403, 'no rights to create');
      return url.pathname === '/api/datasets/org/there' ? json({ id: 'org/there' }) : null;
    };
    expect(await hub.createRepo({ repo: 'datasets/org/there', existOk: true })).toMatchObject({
      isNew: false,
      url: `${HUB}/datasets/org/there`,
    });
    await expect(hub.createRepo({ repo: 'datasets/org/there' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('no rights to create'),
    });
    // Another one of the same account is being made: that is no repository that is there.
    let busy = 1;
    rig.fake.intercept = ({ url }) =>
      url.pathname === '/api/repos/create' && busy-- > 0
        ? error(409, 'Cannot create repo: another conflicting operation is in progress')
        : null;
    expect(await hub.createRepo({ repo: 'org/new', existOk: true })).toMatchObject({ isNew: true });
  });
});

describe('too many requests', () => {
  it('are told with the pause that RateLimit asks for, where nothing is left', async () => {
    const limits = {
      ratelimit: '"api";r=0;t=400',
      'ratelimit-policy': '"fixed window";"api";q=500;w=300',
    };
    rig.fake.intercept = () => ({ status: 429, headers: limits, body: null });
    await expect(everything(hub.listFiles({ repo }))).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      fields: { status: 429, retryAfterMs: 400_000 },
    });
  });
});

describe('commits', () => {
  it('are refused in the words of the Hub, and not sent again', async () => {
    const words =
      'Your push was rejected because it contains files larger than 10 MiB. Please use https://git-lfs.github.com/';
    let sent = 0;
    for (const [status, code] of [
      [400, 'REJECTED'],
      [409, 'CONFLICT'],
      [422, 'REJECTED'],
      [500, 'SERVER_ERROR'],
    ] as const) {
      rig.fake.intercept = ({ url }) => {
        if (!url.pathname.includes('/commit/')) return null;
        sent++;
        return error(status, words);
      };
      const upload = hub.uploadFiles([{ path: 'a.txt', content: text('a') }], { repo });
      await expect(upload).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
    }
    expect(sent).toBe(4);
  });
});

describe('what is left out by the rules of the repository', () => {
  it('is not sent, and told; rules that come along are sent with the question', async () => {
    await writeFile(join(box, '.gitignore'), '*.ignored\n');
    await writeFile(join(box, '.gitattributes'), '*.bin filter=lfs\n');
    await writeFile(join(box, 'a.ignored'), 'secret');
    await writeFile(join(box, 'a.txt'), 'text');
    const seen: hubs.HubProgress[] = [];
    const onProgress = (progress: hubs.HubProgress) => void seen.push(progress);
    const { files, skipped } = await hub.uploadFolder({ repo, folder: box, onProgress });
    expect(files.map(({ path }) => path).sort()).toEqual(['.gitattributes', '.gitignore', 'a.txt']);
    expect(skipped).toEqual([{ path: 'a.ignored', reason: expect.stringContaining('.gitignore') }]);
    expect([...rig.fake.files.keys()]).not.toContain('a.ignored');
    expect(rig.fake.preuploads).toMatchObject([
      { gitIgnore: '*.ignored\n', gitAttributes: '*.bin filter=lfs\n' },
    ]);
    const { doneBytes, totalBytes, doneFileCount, fileCount } = seen.at(-1) as hubs.HubProgress;
    expect([doneBytes, doneFileCount]).toEqual([totalBytes, fileCount]);
    // Below the top they are files like others.
    await hub.uploadFolder({ repo, folder: box, path: 'sub' });
    expect(rig.fake.preuploads[1]).not.toHaveProperty('gitIgnore');
  });
});

describe('lists', () => {
  it.each([
    ['on the Hub', (next: string) => `<${next}>; rel="next"`],
    ['by a path', (next: string) => `<${next.replace(HUB, '')}>; rel="next"`],
    [
      'of a Hub behind a mirror',
      (next: string) => `<${next.replace(HUB, 'https://hub.origin')}>; rel="next"`,
    ],
    ['among others', (next: string) => `<${HUB}/first>; rel="first", <${next}>; rel="next"`],
  ])('go on where the next page is said to be: %s', async (_, linkOf) => {
    for (const path of ['a', 'b', 'c']) await put(path, text(path));
    rig.fake.pageSize = 2;
    const next = `${HUB}/api/models/org/repo/tree/main?recursive=false&cursor=2`;
    rig.fake.intercept = ({ url }) => {
      if (!url.pathname.includes('/tree/') || url.searchParams.has('cursor')) return null;
      const two = ['a', 'b'].map((path) => ({ type: 'file', path, size: 1, oid: 'a'.repeat(40) }));
      return json(two, { link: linkOf(next) });
    };
    expect(await everything(hub.listFiles({ repo }))).toEqual(['a', 'b', 'c']);
  });

  it('that go on nobody knows where are no whole lists', async () => {
    rig.fake.intercept = ({ url }) =>
      url.pathname.includes('/tree/')
        ? json([], { link: '<https://else.test/x>; rel="next"' })
        : null;
    await expect(everything(hub.listFiles({ repo }))).rejects.toMatchObject({ code: 'PROTOCOL' });
  });

  it('have folders without a size, and files of which nothing is known but the name', async () => {
    rig.fake.intercept = ({ url }) =>
      url.pathname.includes('/tree/')
        ? json([
            { type: 'directory', oid: 'b'.repeat(40), path: 'd' },
            { type: 'file', oid: 'c'.repeat(40), size: 3, path: 'f', unknown: { field: 1 } },
          ])
        : null;
    const entries: hubs.HubEntry[] = [];
    for await (const entry of hub.listFiles({ repo })) entries.push(entry);
    expect(entries).toEqual([
      { type: 'directory', path: 'd', size: 0, oid: 'b'.repeat(40) },
      { type: 'file', path: 'f', size: 3, oid: 'c'.repeat(40) },
    ]);
  });
});

describe('downloadFile of the JavaScript client', () => {
  it('gives the pointer of a large file with raw, and a small file as it is', async () => {
    const bytes = random(3, 200_000);
    await put('w.bin', bytes);
    await put('s.txt', text('small'));
    const pointer = await hubs.downloadFile({ ...common(), path: 'w.bin', raw: true });
    const words = `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(bytes)}\nsize 200000\n`;
    expect([pointer?.size, await pointer?.text()]).toEqual([words.length, words]);
    expect(await pointer?.slice(8, 13).text()).toBe('https');
    const small = await hubs.downloadFile({ ...common(), path: 's.txt', raw: true });
    expect(await small?.text()).toBe('small');
    expect(await hubs.downloadFile({ ...common(), path: 'none', raw: true })).toBeNull();
    const whole = await hubs.downloadFile({ ...common(), path: 'w.bin', raw: false });
    expect(Buffer.from((await whole?.bytes()) ?? []).equals(bytes)).toBe(true);
    expect(await readFile(join(box, 'none')).catch(() => null)).toBeNull();
  });
});
