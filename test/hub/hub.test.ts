import { createHash } from 'node:crypto';
import {
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import * as hubs from 'orbweaver/hub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { linkTo } from '../../src/compose/hub-cache.js';
import { readAll } from '../../src/http/index.js';
import { generate } from '../support/generators.js';
import { createFakeHub, type FakeHub, HUB, HUB_TOKEN } from './support/fake-hub.js';

/** Through the package: our client against answers of the real Hub's shape, with our gateway as its store. */

const STORE_TOKEN = 'store-secret-of-the-test';
const repo = 'org/repo';

let top: string;
let gate: gateway.Gateway;
let fake: FakeHub;
let hub: hubs.Hub;
let box: string;
let count = 0;
let sentXorbs: number;
const stored = new Map<string, string>();
const warnings: string[] = [];

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-hub-'));
  const { hasher, codec } = await client.loadKernels();
  gate = gateway.createGateway({
    store: gateway.createMemoryStore(),
    hasher,
    codec,
    tokens: [{ token: STORE_TOKEN, scope: 'write' }],
  });
});
afterAll(async () => {
  await gate?.close();
  await rm(top, { recursive: true, force: true });
});

beforeEach(async () => {
  box = join(top, `box-${count++}`);
  await mkdir(box);
  sentXorbs = 0;
  warnings.length = 0;
  await hub?.close();
  fake = createFakeHub({
    store: async (request) => {
      if (request.method === 'POST' && request.url.pathname.startsWith('/v1/xorbs')) {
        sentXorbs += request.body?.sizeBytes ?? 0;
      }
      return gate.exchange(request);
    },
    storeToken: STORE_TOKEN,
    isLarge: (path) => path.endsWith('.bin'),
    xetHashOf: (sha256) => stored.get(sha256),
  });
  hub = hubs.createHub(options());
});

function options(more: hubs.HubOptions = {}): hubs.HubOptions {
  return {
    hubUrl: HUB,
    accessToken: HUB_TOKEN,
    exchange: fake.exchange,
    workers: 0,
    maxMemory: 16 << 20,
    retry: { retries: 0 },
    onWarning: (message) => warnings.push(message),
    ...more,
  };
}

/** Uploads, and lets the fake know what the store calls it, as the real Hub learns from the shard. */
async function upload(files: readonly hubs.HubFile[], more: Partial<hubs.HubUploadOptions> = {}) {
  for (const { content } of files) {
    if (!(content instanceof Uint8Array)) continue;
    const { hash } = await hashOf(content);
    stored.set(sha256(content), hash);
  }
  return hub.uploadFiles(files, { repo, ...more });
}

async function hashOf(bytes: Uint8Array): Promise<{ hash: string }> {
  const { fileHash } = await client.chunkInput(bytes);
  return { hash: fileHash };
}

/** A line of a commit in a few words. */
const lineOf = (line: unknown): string => {
  const { key, value } = line as { key: string; value: { path: string } };
  return `${key} ${value.path}`;
};

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const random = (seed: number, bytes: number): Uint8Array =>
  generate({ kind: 'splitmix64', seed, bytes });

describe('uploads', () => {
  it('sends what the Hub wants inline in the commit, and all else to the store, hashed once', async () => {
    const model = random(1, 600_000);
    const result = await upload(
      [
        { path: 'README.md', content: new TextEncoder().encode('# hello') },
        { path: 'empty.bin', content: new Uint8Array(0) },
        { path: 'data/model.bin', content: model },
        { path: 'notes.ignored', content: new Uint8Array(3) },
      ],
      { title: 'First', description: 'of all' },
    );
    expect(result.failed).toEqual([]);
    expect(result.files.map(({ path, how }) => [path, how]).sort()).toEqual([
      ['README.md', 'inline'],
      ['data/model.bin', 'stored'],
      ['empty.bin', 'inline'],
    ]);
    expect(fake.commits).toEqual([
      [
        { key: 'header', value: { summary: 'First', description: 'of all' } },
        {
          key: 'lfsFile',
          value: { path: 'data/model.bin', algo: 'sha256', oid: sha256(model), size: 600_000 },
        },
        {
          key: 'file',
          value: { path: 'README.md', content: btoa('# hello'), encoding: 'base64' },
        },
        { key: 'file', value: { path: 'empty.bin', content: '', encoding: 'base64' } },
      ],
    ]);
    expect(result.commits).toHaveLength(1);
    expect(result.commits[0]?.url).toMatch(/\/commit\/[0-9a-f]{40}$/);
  });

  it('makes no commit when nothing differs, and sends only what is new of a new version', async () => {
    const old = random(2, 3_000_000);
    await upload([{ path: 'model.bin', content: old }]);
    const before = sentXorbs;
    expect(before).toBeGreaterThan(2_900_000);
    const same = await upload([{ path: 'model.bin', content: old }]);
    expect(same.commits).toEqual([]);
    expect(same.files).toMatchObject([{ how: 'unchanged' }]);
    const next = Uint8Array.from(old);
    next.set(random(3, 1000), 0);
    const edited = await upload([{ path: 'model.bin', content: next }]);
    expect(edited.files).toMatchObject([{ how: 'stored' }]);
    // The file under that path is the base by itself: its first chunk differs, and nothing else is sent.
    expect(sentXorbs - before).toBeLessThan(300_000);
    expect(fake.requests).toContain('POST /api/models/org/repo/paths-info/main');
  });

  it('commits again on a head that has moved, but not when a parent was asked for', async () => {
    fake.conflicts = 2;
    const content = new TextEncoder().encode('x');
    const result = await upload([{ path: 'a.txt', content }]);
    expect(result.commits).toHaveLength(1);
    const parentCommit = 'b'.repeat(40);
    await expect(upload([{ path: 'b.txt', content }], { parentCommit })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    expect([...fake.files.keys()]).toEqual(['a.txt']);
  });

  it('takes a folder: includes, excludes, and deletes what is gone', async () => {
    await mkdir(join(box, 'sub'));
    await mkdir(join(box, '.git'));
    for (const name of ['a.txt', 'b.log', 'sub/c.txt', '.git/config']) {
      await writeFile(join(box, name), name);
    }
    const common = { repo, folder: box, path: 'docs' };
    await hub.uploadFolder({ ...common, exclude: ['*.log'] });
    expect([...fake.files.keys()].sort()).toEqual(['docs/a.txt', 'docs/sub/c.txt']);
    await rm(join(box, 'a.txt'));
    const result = await hub.uploadFolder({ ...common, deleteRemoved: true, include: ['*.txt'] });
    expect(result.deletedPaths).toEqual(['docs/a.txt']);
    expect([...fake.files.keys()]).toEqual(['docs/sub/c.txt']);
  });

  it('a file that fails loses nothing else', async () => {
    const { files, failed, commits } = await hub.uploadFiles(
      [
        { path: 'gone.bin', content: join(box, 'missing') },
        { path: 'there.txt', content: new Uint8Array([1]) },
      ],
      { repo },
    );
    expect(failed).toMatchObject([{ path: 'gone.bin', code: 'INPUT_NOT_FOUND' }]);
    expect(files).toMatchObject([{ path: 'there.txt' }]);
    expect(commits).toHaveLength(1);
  });

  it('says what is wrong in the words of the Hub, without the token', async () => {
    await expect(
      hub.uploadFiles([{ path: 'a', content: new Uint8Array(1) }], { repo: 'org/other' }),
    ).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('Repository not found'),
    });
    const stranger = hubs.createHub(options({ accessToken: 'hf_wrong' }));
    const failed = await stranger
      .uploadFiles([{ path: 'a', content: new Uint8Array(1) }], { repo })
      .catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'AUTH_REQUIRED' });
    expect(String(failed)).not.toContain('hf_wrong');
    await stranger.close();
  });
});

describe('large files of which the SHA-256 is known', () => {
  it('are not read when nothing has changed, and not sent when the Hub has them', async () => {
    const old = random(31, 200_000);
    await upload([{ path: 'a.bin', content: old }]);
    let reads = 0;
    const unread: client.Source = {
      name: 'unread',
      sizeBytes: old.length,
      reopenable: true,
      open: async () => {
        reads++;
        return { read: async (into) => into.fill(0).length, close: async () => {} };
      },
    };
    const known = { content: unread, sha256: sha256(old).toUpperCase() };
    fake.requests.length = 0;
    const same = await hub.uploadFiles([{ path: 'a.bin', ...known }], { repo });
    expect(same.files).toMatchObject([{ how: 'unchanged', sha256: sha256(old) }]);
    expect([same.commits, fake.lfs.batches, fake.requests.length]).toEqual([[], [], 1]);
    fake.lfs.whole.set(sha256(old), old);
    const copy = await hub.uploadFiles([{ path: 'copy.bin', ...known }], { repo });
    expect(copy).toMatchObject({ files: [{ how: 'stored', newBytes: 0 }], sentBytes: 0 });
    expect(fake.commits.at(-1)?.[1]).toMatchObject({
      value: { path: 'copy.bin', oid: sha256(old), size: old.length },
    });
    expect(fake.lfs.batches).toMatchObject([
      { operation: 'upload', transfers: ['basic', 'multipart', 'xet'], ref: { name: 'main' } },
    ]);
    // Of each only what is looked at to tell text.
    expect(reads).toBe(2);
  });

  it('are refused each by itself, and a quota is told as one', async () => {
    const [good, full, odd] = [32, 33, 34].map((seed) => random(seed, 50_000)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const message = 'Private repository storage limit reached';
    fake.lfs.refused.set(sha256(full), { code: 403, message });
    fake.lfs.refused.set(sha256(odd), { code: 422, message: 'size' });
    const files = [good, full, odd].map((content, i) => {
      return { path: `${i}.bin`, content, sha256: sha256(content) };
    });
    const result = await upload(files);
    expect(result.files).toMatchObject([{ path: '0.bin', how: 'stored' }]);
    expect(result.failed).toMatchObject([
      { path: '1.bin', code: 'QUOTA_EXCEEDED', message: expect.stringContaining(message) },
      { path: '2.bin', code: 'REJECTED' },
    ]);
    expect(sentXorbs).toBeLessThan(60_000);
    expect([...fake.files.keys()]).toEqual(['0.bin']);
  });
});

describe('large files without a store', () => {
  const bytes = random(35, 300_001);
  const name = () => [{ path: 'w.bin', content: bytes }];

  it.each([
    ['basic', 1],
    ['multipart', 3],
  ] as const)(
    'go whole by %s, again where it failed, without the token',
    async (transfer, puts) => {
      Object.assign(fake.lfs, { transfer, hasStore: false, failures: 1 });
      const seen: hubs.HubProgress[] = [];
      const onProgress = (progress: hubs.HubProgress) => void seen.push(progress);
      const path = join(box, 'w.bin');
      await writeFile(path, bytes);
      const content = path;
      const result = await hub.uploadFiles([{ path: 'w.bin', content }], { repo, onProgress });
      expect(result).toMatchObject({
        failed: [],
        sentBytes: bytes.length,
        files: [{ how: 'stored', sha256: sha256(bytes), fileHash: null, newBytes: bytes.length }],
      });
      expect(seen.at(-1)).toMatchObject({ doneBytes: bytes.length, doneFileCount: 1 });
      expect(Math.max(...seen.map(({ wireBytes }) => wireBytes))).toBe(bytes.length);
      expect(fake.elsewhere).toHaveLength(puts + 1);
      for (const headers of fake.elsewhere) expect(headers).not.toHaveProperty('authorization');
      expect(fake.lfs.verified).toEqual(transfer === 'basic' ? [sha256(bytes)] : []);
      expect(warnings).toEqual([expect.stringContaining('takes no chunks')]);
      const to = join(box, 'back');
      expect(await hub.downloadFile({ repo, path: 'w.bin', to })).toMatchObject({ verified: true });
      expect((await readFile(to)).equals(bytes)).toBe(true);
      fake.requests.length = 0;
      // Hashed first, so that it is known to be there.
      const again = hubs.createHub(options({ transport: 'http' }));
      expect(await again.uploadFiles(name(), { repo })).toMatchObject({
        commits: [],
        files: [{ how: 'unchanged' }],
      });
      expect(fake.requests).toHaveLength(1);
      await again.close();
    },
  );

  it('are what useXet: false asks for, and what transport xet refuses', async () => {
    fake.lfs.transfer = 'basic';
    const { hubUrl, accessToken, ...rest } = options();
    await hubs.uploadFiles({
      ...{ hubUrl, accessToken, repo },
      hub: rest,
      useXet: false,
      files: name(),
    });
    expect(fake.lfs.whole.has(sha256(bytes))).toBe(true);
    expect([sentXorbs, warnings]).toEqual([0, []]);
    const strict = hubs.createHub(options({ transport: 'xet' }));
    const known = { path: 'x.bin', content: random(36, 5000), sha256: sha256(random(36, 5000)) };
    await expect(strict.uploadFiles([known], { repo })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    });
    await strict.close();
    // The answer about one file tells the way of all.
    const other = { path: 'y.bin', content: random(37, 5000) };
    const { files } = await hub.uploadFiles([known, other], { repo });
    expect(files.map(({ path, fileHash }) => [path, fileHash])).toEqual([
      ['x.bin', null],
      ['y.bin', null],
    ]);
    expect(fake.lfs.batches.at(-1)?.transfers).toEqual(['basic', 'multipart']);
    fake.lfs.transfer = null;
    await expect(
      hub.uploadFiles([{ path: 'z.bin', content: bytes }], { repo }),
    ).resolves.toMatchObject({
      files: [{ path: 'z.bin', fileHash: expect.any(String) }],
    });
  });
});

describe('downloads', () => {
  const model = random(5, 900_000);
  const text = new TextEncoder().encode('some words');

  beforeEach(async () => {
    await upload([
      { path: 'data/model.bin', content: model },
      { path: 'README.md', content: text },
    ]);
  });

  it('a folder, from the store and as plain HTTP, each held against its hash', async () => {
    fake.pageSize = 1;
    const { files, failed } = await hub.downloadFolder({ repo, to: join(box, 'out') });
    expect(failed).toEqual([]);
    expect(
      files.map(({ path, transport, verified }) => [path, transport, verified]).sort(),
    ).toEqual([
      ['README.md', 'http', true],
      ['data/model.bin', 'xet', true],
    ]);
    expect((await readFile(join(box, 'out/data/model.bin'))).equals(model)).toBe(true);
    expect((await readFile(join(box, 'out/README.md'))).equals(text)).toBe(true);
  });

  it('goes on where a connection broke off, and refuses other bytes', async () => {
    fake.cutAfter = 4;
    const to = join(box, 'README.md');
    await hub.close();
    hub = hubs.createHub(options({ retry: { retries: 1, baseDelayMs: 1 } }));
    const got = await hub.downloadFile({ repo, path: 'README.md', to });
    expect(got).toMatchObject({ requestCount: 2, verified: true, sizeBytes: text.length });
    expect((await readFile(to)).equals(text)).toBe(true);
    const file = fake.files.get('README.md');
    if (file?.bytes !== undefined) file.bytes[0] = 0;
    await expect(
      hub.downloadFile({ repo, path: 'README.md', to: join(box, 'bad') }),
    ).rejects.toMatchObject({ code: 'INTEGRITY' });
    expect(await readdir(box)).toEqual(['README.md']);
  });

  it('outlives silence, a request to wait and an old token, and ends when a Hub stays silent', async () => {
    const silence = () => new Promise<never>(() => {});
    const retried: client.RetryEvent[] = [];
    let token = HUB_TOKEN;
    const refresh = async () => {
      token = fake.token;
      return token;
    };
    const tokens = { get: async () => token, refresh };
    const patient = hubs.createHub(
      options({
        ...{ accessToken: tokens, stallTimeoutMs: 40, retry: { retries: 2, baseDelayMs: 1 } },
        onRetry: (event) => retried.push(event),
      }),
    );
    const file = { repo, path: 'README.md', to: join(box, 'README.md') };
    const refused = () => {
      fake.token = 'hf_new';
      return { status: 401, headers: {}, body: null };
    };
    const later = () => ({ status: 429, headers: { 'retry-after': '0.05' }, body: null });
    fake.reads.push(refused, silence, later);
    expect(await patient.downloadFile(file)).toMatchObject({ verified: true, requestCount: 3 });
    expect(fake.readFrom).toHaveLength(4);
    expect(retried).toMatchObject([{ code: 'STALLED' }, { code: 'RATE_LIMITED', status: 429 }]);
    expect(retried[1]?.delayMs).toBeGreaterThanOrEqual(50);
    fake.reads.push(silence, silence, silence);
    await expect(patient.downloadFile(file)).rejects.toMatchObject({ code: 'STALLED' });
    await patient.close();
  });

  it('goes on as plain HTTP with what an earlier run wrote, and not with what is damaged', async () => {
    const bytes = random(8, 6_000_000);
    const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
    fake.files.set('large.dat', { sizeBytes: bytes.length, oid, bytes });
    const file = { repo, path: 'large.dat', to: join(box, 'large.dat') };
    /** 5,000,000 bytes come, and then the connection breaks. */
    const cut = async (): Promise<string> => {
      fake.cutAfter = 5_000_000;
      fake.readFrom.length = 0;
      await expect(hub.downloadFile(file)).rejects.toMatchObject({ code: 'TRUNCATED' });
      expect(fake.readFrom).toEqual([0]);
      const [part = ''] = (await readdir(box)).filter((name) => name.endsWith('-part'));
      return join(box, part);
    };
    await cut();
    const seen: hubs.HubProgress[] = [];
    const onProgress = (progress: hubs.HubProgress) => void seen.push(progress);
    const got = await hub.downloadFile({ ...file, onProgress });
    expect(got).toMatchObject({ fetchedBytes: 1_000_000, sizeBytes: 6_000_000, verified: true });
    expect([fake.readFrom, seen[0]?.doneBytes]).toEqual([[0, 5_000_000], 5_000_000]);
    expect((await readFile(file.to)).equals(bytes)).toBe(true);
    const part = await cut();
    const damaged = await readFile(part);
    damaged[4_000_000] = 1 ^ (damaged[4_000_000] as number);
    await writeFile(part, damaged);
    expect(await hub.downloadFile(file)).toMatchObject({ fetchedBytes: 7_000_000, verified: true });
    expect((await readFile(file.to)).equals(bytes)).toBe(true);
    expect((await readdir(box)).filter((name) => name !== 'large.dat')).toEqual([]);
  });

  it('keeps to its limits as plain HTTP, too', async () => {
    const limits = client.createLimits({ download: 1 });
    const slow = hubs.createHub(options({ limits, transport: 'http' }));
    const large = fake.files.get('data/model.bin');
    fake.files.set('data/model.bin', { ...(large as object), bytes: model } as never);
    const to = join(box, 'model.bin');
    const running = slow.downloadFile({ repo, path: 'data/model.bin', to });
    let isOver = false;
    running.then(
      () => (isOver = true),
      () => (isOver = true),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isOver).toBe(false);
    limits.download = Number.POSITIVE_INFINITY;
    expect(await running).toMatchObject({ sizeBytes: model.length });
    await slow.close();
  });

  it('gives up a store that is down for plain HTTP, once, and tells no other host the token', async () => {
    const large = fake.files.get('data/model.bin');
    fake.files.set('data/model.bin', { ...(large as object), bytes: model } as never);
    fake.storeIsDown = true;
    const file = await hub.downloadFile({ repo, path: 'data/model.bin', to: join(box, 'm') });
    expect(file).toMatchObject({ transport: 'http', verified: true });
    expect(warnings).toHaveLength(1);
    await hub.downloadFile({ repo, path: 'data/model.bin', to: join(box, 'n') });
    expect(warnings).toHaveLength(1);
    expect(fake.elsewhere).toHaveLength(2);
    for (const headers of fake.elsewhere) expect(headers).not.toHaveProperty('authorization');
    const strict = hubs.createHub(options({ transport: 'xet' }));
    await expect(
      strict.downloadFile({ repo, path: 'data/model.bin', to: join(box, 'o') }),
    ).rejects.toMatchObject({ code: 'SERVER_ERROR' });
    await strict.close();
  });

  it('lays out the cache of the Python client, and fetches nothing twice', async () => {
    const first = await hub.downloadFolder({ repo, to: box, cache: true });
    expect(first.fetchedBytes).toBeGreaterThan(900_000);
    const [repoFolder] = await readdir(box);
    expect(repoFolder).toBe('models--org--repo');
    const commit = await readFile(join(box, 'models--org--repo/refs/main'), 'utf8');
    const snapshot = join(box, 'models--org--repo/snapshots', commit);
    expect(first.folder).toBe(snapshot);
    expect((await lstat(join(snapshot, 'data/model.bin'))).isSymbolicLink()).toBe(true);
    expect(await readlink(join(snapshot, 'data/model.bin'))).toBe(
      `../../../blobs/${sha256(model)}`,
    );
    expect((await readFile(join(snapshot, 'data/model.bin'))).equals(model)).toBe(true);
    const tree = await readFile(join(box, `models--org--repo/trees/${commit}.json`), 'utf8');
    const { oid, xetHash } = fake.files.get('data/model.bin') as { oid: string; xetHash: string };
    expect(JSON.parse(tree)).toEqual({
      format_version: 1,
      files: {
        'README.md': { size: text.length, blob_id: fake.files.get('README.md')?.oid },
        'data/model.bin': {
          ...{ size: 900_000, blob_id: oid, xet_hash: xetHash },
          ...{ lfs_sha256: sha256(model), lfs_size: 900_000 },
        },
      },
    });
    const again = await hub.downloadFolder({ repo, to: box, cache: true });
    expect(again).toMatchObject({ fetchedBytes: 0, requestCount: 0 });
  });

  it.each([
    [['symlink'], 2],
    [['symlink', 'link'], 1],
  ] as const)('shows a blob where %s is not possible', async (missing, names) => {
    const refuse = async () => {
      throw Object.assign(new Error('not for you'), { code: 'EPERM' });
    };
    const links = { symlink, link, ...Object.fromEntries(missing.map((name) => [name, refuse])) };
    const [blob, shown] = [join(box, 'blob'), join(box, 'shown')];
    await writeFile(blob, 'content');
    await writeFile(shown, 'old');
    await linkTo(blob, shown, links);
    expect(await readFile(shown, 'utf8')).toBe('content');
    expect([(await lstat(shown)).isFile(), (await lstat(blob)).nlink]).toEqual([true, names]);
  });

  it('small files of the store together, and one of which the Hub is wrong by itself', async () => {
    const small = [41, 42, 43, 44, 45, 46, 47, 48].map((seed) => ({
      path: `s/${seed}.bin`,
      content: random(seed, 900),
    }));
    await upload(small);
    const storeRequests = async (): Promise<number> => {
      const { requestCount } = await hub.downloadFolder({ repo, path: 's', to: join(box, 's') });
      return requestCount;
    };
    expect(await storeRequests()).toBeLessThan(small.length);
    const wrong = fake.files.get('s/42.bin');
    fake.files.set('s/42.bin', { ...(wrong as object), sizeBytes: 901 } as never);
    const { files, failed } = await hub.downloadFolder({ repo, path: 's', to: join(box, 't') });
    expect(failed).toMatchObject([{ path: 's/42.bin', code: 'SIZE_MISMATCH' }]);
    const right = small.filter(({ path }) => path !== 's/42.bin');
    expect(files.map(({ path }) => path).sort()).toEqual(right.map(({ path }) => path));
    for (const { path, content } of right) {
      expect((await readFile(join(box, 't', path.slice(2)))).equals(content)).toBe(true);
    }
  });

  it('refuses names that would leave the folder', async () => {
    fake.files.set('CON/x', { sizeBytes: 0, oid: 'a'.repeat(40), bytes: new Uint8Array(0) });
    const { failed } = await hub.downloadFolder({ repo, to: join(box, 'out') });
    expect(failed).toMatchObject([{ path: 'CON/x', code: 'UNSAFE_PATH' }]);
  });
});

describe('the functions of the JavaScript client', () => {
  const common = (): hubs.HubCredentials & { repo: string } => {
    const { hubUrl, accessToken, ...rest } = options();
    return { repo, hubUrl, accessToken, hub: rest };
  };

  it('upload, list, read parts of, and delete', async () => {
    const bytes = random(7, 400_000);
    stored.set(sha256(bytes), (await hashOf(bytes)).hash);
    const made = await hubs.uploadFiles({
      ...common(),
      files: [
        { path: 'w.bin', content: new Blob([Uint8Array.from(bytes)]) },
        new File(['hi'], 'hi.txt'),
      ],
      commitTitle: 'Add',
    });
    expect(made?.commit.oid).toMatch(/^[0-9a-f]{40}$/);
    const listed: string[] = [];
    for await (const { path } of hubs.listFiles({ ...common(), recursive: true }))
      listed.push(path);
    expect(listed).toEqual(['hi.txt', 'w.bin']);
    const blob = await hubs.downloadFile({ ...common(), path: 'w.bin' });
    expect(blob?.size).toBe(400_000);
    const part = await blob?.slice(1000, 3000).bytes();
    expect(Buffer.from(part ?? []).equals(bytes.subarray(1000, 3000))).toBe(true);
    const pieces: Uint8Array[] = [];
    for await (const piece of blob?.slice(-5000).stream() ?? []) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(bytes.subarray(-5000))).toBe(true);
    expect(await (await hubs.downloadFile({ ...common(), path: 'hi.txt' }))?.text()).toBe('hi');
    expect(await hubs.downloadFile({ ...common(), path: 'none' })).toBeNull();
    await hubs.deleteFile({ ...common(), path: 'hi.txt' });
    await hubs.commit({
      ...common(),
      title: 'Both',
      operations: [
        { operation: 'addOrUpdate', path: 'x.txt', content: new TextEncoder().encode('x') },
        { operation: 'delete', path: 'w.bin' },
      ],
    });
    expect([...fake.files.keys()]).toEqual(['x.txt']);
    await expect(hubs.createRepo(common())).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('make a repository as it is to be seen', async () => {
    const of = (more: object) => hubs.createRepo({ ...common(), repo: 'org/new', ...more });
    const made = { repoUrl: `${HUB}/org/new`, id: 'org/new' };
    expect(await of({ visibility: 'private', license: 'mit', resourceGroupId: 'g' })).toEqual(made);
    await of({ private: true });
    await of({ private: true, visibility: 'public' });
    await of({});
    expect(fake.created).toEqual([
      { type: 'model', visibility: 'private', license: 'mit', resourceGroupId: 'g' },
      { type: 'model', visibility: 'private' },
      { type: 'model', visibility: 'public' },
      { type: 'model' },
    ]);
  });

  it('count operations in their order, and give back what a folder lost that a file needs', async () => {
    const add = (path: string, text = path) =>
      ({ operation: 'addOrUpdate', path, content: new TextEncoder().encode(text) }) as const;
    const drop = (path: string) => ({ operation: 'delete', path }) as const;
    const make = (...operations: hubs.CommitFileOperation[]) =>
      hubs.commit({ ...common(), title: 'Change', operations });
    await make(add('f/same.txt'), add('f/other.txt'), add('file'), add('gone'));
    await make(
      ...[drop('gone'), add('gone', 'again')],
      ...[add('f/late.txt'), drop('f/'), add('f/same.txt')],
      ...[drop('file'), add('file/inside')],
    );
    expect([...fake.files.keys()].sort()).toEqual(['f/same.txt', 'file/inside', 'gone']);
    expect(fake.commits.at(-1)?.slice(1).map(lineOf)).toEqual([
      'deletedFolder f',
      'deletedFile file',
      'file gone',
      'file f/same.txt',
      'file file/inside',
    ]);
    await make(add('new'), drop('gone'));
    expect(fake.commits.at(-1)?.slice(1).map(lineOf)).toEqual(['file new', 'deletedFile gone']);
  });

  it('tell where an upload is, take options that change nothing, and refuse others', async () => {
    const seen: hubs.HubProgress[] = [];
    await writeFile(join(box, 'a.txt'), 'text');
    const onProgress = (progress: hubs.HubProgress) => void seen.push(progress);
    await hubs.uploadFolder({ ...common(), folder: box, onProgress });
    expect(seen.at(-1)).toMatchObject({ doneBytes: 4, totalBytes: 4, doneFileCount: 1 });
    const file = { path: 'b.txt', content: new Blob(['b']) };
    const harmless = { useWebWorkers: true, maxFolderDepth: 2, rangeEditCache: new Map() };
    seen.length = 0;
    await hubs.uploadFile({ ...common(), file, ...harmless, useXet: true, onProgress });
    expect(seen.at(-1)).toMatchObject({ doneFileCount: 1 });
    const refused = async (call: Promise<unknown>, text: string) => {
      await expect(call).rejects.toThrow(TypeError);
      await expect(call).rejects.toThrow(text);
    };
    const misspelt = { ...common(), files: [file], comitTitle: 'x' };
    await refused(hubs.uploadFiles(misspelt), '"comitTitle" is no option of uploadFiles');
    const known = { ...common(), path: 'b.txt', downloadInfo: {} as unknown as undefined };
    await refused(hubs.downloadFile(known), '"downloadInfo" expected nothing: the Hub is asked');
    await refused(hub.uploadFiles([], { repo, branch: 'x' } as never), '"branch" is no option');
    expect(() => hubs.createHub(options({ endpoint: HUB } as never))).toThrow('"endpoint" is no');
    const operations = [{ operation: 'rename', path: 'a' }] as never;
    await refused(hubs.commit({ ...common(), title: 'x', operations }), 'got "rename"');
  });

  it('send their requests by the function that they are given', async () => {
    const asked: string[] = [];
    const { hub: rest, ...at } = common();
    const { exchange: _, ...network } = rest ?? {};
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const url = new URL(String(input));
      asked.push(url.pathname);
      const headers = Object.fromEntries(new Headers(init?.headers));
      const { signal } = new AbortController();
      const request = { method: init?.method ?? 'GET', url, headers, body: null, signal };
      const { status, headers: told, body } = await fake.exchange(request);
      return new Response(body === null ? null : Uint8Array.from(await readAll(body, 1 << 20)), {
        status,
        headers: told,
      });
    };
    const bytes = random(8, 100_000);
    await upload([{ path: 'w.bin', content: bytes }]);
    const blob = await hubs.downloadFile({ ...at, hub: network, fetch, path: 'w.bin' });
    expect(Buffer.from((await blob?.bytes()) ?? []).equals(bytes)).toBe(true);
    expect(asked.some((path) => path.includes('/reconstructions/'))).toBe(true);
    // Without the store: as one plain read.
    const file = fake.files.get('w.bin');
    fake.files.set('w.bin', { ...(file as object), bytes } as never);
    asked.length = 0;
    const plain = { ...at, hub: network, fetch, path: 'w.bin', xet: false };
    const part = await (await hubs.downloadFile(plain))?.slice(10, 20).bytes();
    expect(Buffer.from(part ?? []).equals(bytes.subarray(10, 20))).toBe(true);
    expect(asked.some((path) => path.includes('/reconstructions/'))).toBe(false);
  });
});

describe('many at a time', () => {
  it('are no warning of Node, with a signal of their own or not', async () => {
    const told: string[] = [];
    const onWarning = ({ name }: Error) => void told.push(name);
    process.on('warning', onWarning);
    const { signal } = new AbortController();
    const made = Array.from({ length: 30 }, (_, i) =>
      hub.createRepo({ repo, existOk: true, ...(i % 2 === 0 ? { signal } : {}) }),
    );
    await Promise.all(made);
    // They are told of in the next turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(told).toEqual([]);
  });
});

describe('tokens of the store', () => {
  it('are asked for again before they end, one question at a time', async () => {
    fake.tokenSeconds = 30;
    await upload([{ path: 'a.bin', content: random(9, 100_000) }]);
    const asked = fake.requests.filter((line) => line.includes('xet-write-token'));
    // The first one has less than a minute left, so each request to the store gets a newer one.
    expect(asked.length).toBeGreaterThan(1);
    expect(fake.requests.some((line) => line.includes('xet-read-token'))).toBe(false);
  });
});
