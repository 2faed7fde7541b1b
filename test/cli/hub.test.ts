import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createGateway, createMemoryStore, type Gateway } from '../../src/gateway.js';
import { bytesBody } from '../../src/http/index.js';
import { chunkInput, loadKernels } from '../../src/index.js';
import { type ListeningServer, listen } from '../../src/target-servers/index.js';
import { listTransfers, type StoredUpload } from '../../src/targets.js';
import { createFakeHub, error, type FakeHub, HUB_TOKEN } from '../hub/support/fake-hub.js';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';
import { start } from './run-binary.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** `hf://` addresses on the command line, against a Hub on loopback, with our gateway as its store. */

let folder: string;
let gate: Gateway;
let fake: FakeHub;
let server: ListeningServer;
let env: Record<string, string>;
/** Bytes of each xorb that the store was sent. */
let sentXorbs: number[] = [];
/** The same xorbs by name. */
let namedXorbs: string[] = [];
/** Requests for data, and sent xorbs, that get through; the others have to wait. */
let passes = Number.POSITIVE_INFINITY;
const held: (() => void)[] = [];
/** Hashes in the store by SHA-256, as the real Hub learns them. */
const stored = new Map<string, string>();
const model = generate({ kind: 'splitmix64', seed: 61, bytes: 3_000_000 });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-hub-'));
  const { hasher, codec } = await loadKernels();
  const tokens = [{ token: 'store', scope: 'write' as const }];
  gate = createGateway({ store: createMemoryStore(), hasher, codec, tokens });
  stored.set(createHash('sha256').update(model).digest('hex'), (await chunkInput(model)).fileHash);
  fake = createFakeHub({
    store: async (request) => {
      if (request.method === 'POST' && request.url.pathname.startsWith('/v1/xorbs')) {
        await turn();
        sentXorbs.push(request.body?.sizeBytes ?? 0);
        namedXorbs.push(request.url.pathname);
      } else if (request.url.pathname.startsWith('/v1/fetch/')) await turn();
      return gate.exchange(request);
    },
    storeToken: 'store',
    storeUrl: () => server.url,
    isLarge: (path) => path.endsWith('.bin'),
    xetHashOf: (sha256) => stored.get(sha256),
  });
  server = await listen((request) => fake.exchange(request));
  await mkdir(join(folder, 'data/sub'), { recursive: true });
  await writeFile(join(folder, 'data/a.txt'), 'a');
  await writeFile(join(folder, 'data/sub/b.txt'), 'bb');
  await writeFile(join(folder, 'token'), `${HUB_TOKEN}\n`);
  env = {
    HOME: folder,
    HF_ENDPOINT: server.url,
    HF_TOKEN_PATH: join(folder, 'token'),
    // Of a store, which is none of the Hub's business.
    ORBWEAVER_ENDPOINT: 'http://127.0.0.1:1',
    ORBWEAVER_TOKEN: 'other',
  };
});
afterAll(async () => {
  await server?.close();
  await gate?.close();
  await rm(folder, { recursive: true, force: true });
});

async function turn(): Promise<void> {
  if (passes-- <= 0) await new Promise<void>((resolve) => held.push(resolve));
}

/** Runs a command until so many requests got through and something is listed as unfinished, and cancels it. */
async function cutOff(args: readonly string[], requests: number) {
  const state = ['--state-dir', 'state'];
  const stop = new AbortController();
  passes = requests;
  const running = inProcess([...args, ...state, '--workers', '0'], {
    ...{ env, cwd: folder, signal: stop.signal },
  });
  const listed = async () => (await listTransfers(join(folder, 'state'))) as StoredUpload[];
  const isWaiting = async () =>
    held.length > 0 && (await listed()).some((each) => each.doneBytes > 0);
  while (!(await isWaiting())) await new Promise((resolve) => setTimeout(resolve, 2));
  stop.abort();
  const { stderr } = await running;
  passes = Number.POSITIVE_INFINITY;
  for (const release of held.splice(0)) release();
  const [found] = await listed();
  expect(stderr).toContain(`so does orbweaver transfers resume ${found?.id}.`);
  const resume = ['transfers', 'resume', found?.id ?? '', ...state, '--json', '--workers', '0'];
  return { found, resume: () => inProcess(resume, { env, cwd: folder }), left: listed };
}

beforeEach(() => {
  sentXorbs = [];
  namedXorbs = [];
  fake.files.clear();
  fake.commits.length = 0;
  fake.requests.length = 0;
});

const run = (...args: string[]) => inProcess([...args, '--workers', '0'], { env, cwd: folder });
const linesOf = ({ stdout }: { readonly stdout: Buffer }): string[] =>
  stdout.toString('utf8').trimEnd().split('\n');

describe('hf:// addresses', () => {
  it('upload, ls, download and rm', async () => {
    const up = await run('upload', 'data', 'hf://org/repo/x', '--create', '-m', 'All', '--json');
    expect(up.stderr).toBe('');
    expect(up.json()).toMatchObject({
      type: 'result',
      repo: 'org/repo',
      repoType: 'model',
      files: [{ how: 'inline' }, { how: 'inline' }],
      commits: [{ oid: expect.stringMatching(/^[0-9a-f]{40}$/) }],
    });
    const ls = await run('ls', 'hf://org/repo', '--json');
    expect(linesOf(ls).map((line) => JSON.parse(line).path)).toEqual(['x/a.txt', 'x/sub/b.txt']);
    const down = await run(
      'download',
      'hf://org/repo/x',
      '-o',
      'out',
      '--concurrency',
      '3',
      '--json',
    );
    expect(down.json()).toMatchObject({ fileCount: 2, sizeBytes: 3, verified: true });
    expect(await readFile(join(folder, 'out/sub/b.txt'), 'utf8')).toBe('bb');
    const one = await run('download', 'hf://org/repo/x/a.txt', '-o', 'one', '--json');
    expect(one.json()).toMatchObject({ fileCount: 1 });
    expect(await readFile(join(folder, 'one/a.txt'), 'utf8')).toBe('a');
    const cached = await run('download', 'hf://org/repo', '--hf-cache');
    expect(cached.status).toBe(0);
    const [snapshot] = cached.stdout.toString('utf8').split('\n');
    expect(snapshot).toContain(join(folder, '.cache/huggingface/hub/models--org--repo/snapshots'));
    expect(await readFile(join(snapshot ?? '', 'x/a.txt'), 'utf8')).toBe('a');
    expect((await run('rm', 'hf://org/repo/x/')).status).toBe(0);
    expect(fake.files.size).toBe(0);
  });

  it('tell with --dry-run what would be sent and committed, and change nothing', async () => {
    await mkdir(join(folder, 'dry'), { recursive: true });
    await writeFile(join(folder, 'dry/model.bin'), model);
    await writeFile(join(folder, 'dry/a.txt'), 'new');
    await run('upload', 'data', 'hf://org/repo/x', '-q');
    const before = [...fake.files];
    const args = ['upload', 'dry', 'hf://org/repo/x', '--create', '--delete-removed', '--dry-run'];
    const dry = await run(...args, '--json');
    expect([dry.stderr, dry.status]).toEqual(['', 0]);
    expect(dry.json()).toMatchObject({
      dryRun: true,
      commits: [],
      files: [
        { path: 'x/model.bin', how: 'stored', sizeBytes: 3_000_000, newBytes: 3_000_000 },
        { path: 'x/a.txt', how: 'inline' },
      ],
      deletedPaths: ['x/sub/b.txt'],
    });
    expect(dry.json()['sentBytes']).toBeGreaterThan(2_900_000);
    const said = await run(...args);
    expect(linesOf(said)).toEqual([
      'stored  x/model.bin',
      'inline  x/a.txt',
      'deleted  x/sub/b.txt',
    ]);
    expect(said.stderr).toMatch(/^2 files, .*, 0 unchanged, would send 2\.9 MiB/);
    expect([[...fake.files], fake.commits.length]).toEqual([before, 1]);
    expect([sentXorbs, fake.created.length]).toEqual([[], 1]);
  });

  it('take of a folder what its options say, and xorbs no larger than was asked for', async () => {
    const top = join(folder, 'chosen');
    await mkdir(join(top, 'sub'), { recursive: true });
    for (const name of ['.hidden', 'a.txt', 'b.log', 'sub/c.txt', 'CON']) {
      await writeFile(join(top, name), name);
    }
    await writeFile(join(top, 'model.bin'), model);
    await symlink('a.txt', join(top, 'link'));
    await writeFile(join(folder, 'list'), 'sub\n.hidden\na.txt\n');
    const upload = async (...args: string[]): Promise<string[]> => {
      fake.files.clear();
      const done = await run('upload', 'chosen', 'hf://org/repo', '--json', ...args);
      expect(done.status, done.stderr).toBe(args.includes('--names=portable') ? 9 : 0);
      return [...fake.files.keys()].sort();
    };
    const plain = ['--exclude', '*.bin', '--exclude', 'CON'];
    expect(
      await upload(...plain, '--no-hidden', '--symlinks', 'skip', '--exclude', '*.log'),
    ).toEqual(['a.txt', 'sub/c.txt']);
    expect(await upload(...plain, '--include', '*.txt', '--include', 'link')).toEqual([
      ...['a.txt', 'link', 'sub/c.txt'],
    ]);
    expect(await upload('--files-from', 'list')).toEqual(['.hidden', 'a.txt', 'sub/c.txt']);
    expect(await upload('--names=portable', '--exclude', '*.bin')).not.toContain('CON');
    // Half of it is the store's already: a base that the repository does not name.
    await writeFile(join(folder, 'old.bin'), model.subarray(0, 1_500_000));
    await run('upload', 'old.bin', 'hf://org/repo/old/old.bin', '--no-cache');
    sentXorbs = [];
    await upload(
      '--max-xorb-bytes',
      '1MiB',
      '--base',
      'old.bin',
      '--no-cache',
      '--include',
      '*.bin',
    );
    expect(Math.max(...sentXorbs)).toBeLessThanOrEqual(1 << 20);
    expect(sentXorbs.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1_700_000);
    const got = await run('download', 'hf://org/repo', '-o', 'got', '--json=stream');
    expect(linesOf(got).map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ type: 'file', path: 'model.bin', verified: true }),
    );
    expect((await readFile(join(folder, 'got/model.bin'))).equals(model)).toBe(true);
  });

  it('go on after a kill with what they have of a file that comes as plain HTTP', async () => {
    const bytes = generate({ kind: 'splitmix64', seed: 62, bytes: 6_000_000 });
    const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
    fake.files.set('large.dat', { sizeBytes: bytes.length, oid, bytes });
    const some = bytesBody(bytes.subarray(0, 5_500_000));
    fake.reads.push(() => {
      const fill = async (into: Uint8Array) =>
        (await some.fill(into)) || new Promise<number>(() => {});
      return { status: 200, headers: {}, body: { sizeBytes: bytes.length, fill, cancel() {} } };
    });
    fake.readFrom.length = 0;
    const args = [
      'download',
      'hf://org/repo/large.dat',
      '-o',
      'killed',
      '--workers',
      '0',
      '--json',
    ];
    const child = start(args, { env, cwd: folder });
    const ended = once(child, 'exit');
    const listBytes = async (): Promise<number> => {
      const names = await readdir(join(folder, 'killed')).catch(() => []);
      const list = names.find((name) => name.endsWith('-ledger'));
      return list === undefined ? 0 : (await stat(join(folder, 'killed', list))).size;
    };
    // 3 MiB at least: at least a quarter of one with 124 bytes.
    while ((await listBytes()) < 12 * 124) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill('SIGKILL');
    await ended;
    const again = await run(...args);
    expect(again.json()).toMatchObject({ fileCount: 1, sizeBytes: 6_000_000, verified: true });
    const [first, second = 0] = fake.readFrom;
    expect([first, again.json()['fetchedBytes']]).toEqual([0, 6_000_000 - second]);
    expect(second).toBeGreaterThan(3_000_000);
    expect((await readFile(join(folder, 'killed/large.dat'))).equals(bytes)).toBe(true);
  });

  it('go on by their number when they were cut off, and commit', async () => {
    const bytes = generate({ kind: 'splitmix64', seed: 63, bytes: 6_000_000 });
    stored.set(
      createHash('sha256').update(bytes).digest('hex'),
      (await chunkInput(bytes)).fileHash,
    );
    await mkdir(join(folder, 'cut'));
    for (const name of ['a.txt', 'b.tmp']) await writeFile(join(folder, 'cut', name), name);
    await writeFile(join(folder, 'cut/big.bin'), bytes);
    const small = ['--max-xorb-bytes', '1MiB', '--no-cache', '--concurrency', '1'];
    const up = await cutOff(
      ['upload', 'cut', 'hf://org/repo/to', '-m', 'Cut off', '--exclude', '*.tmp', ...small],
      3,
    );
    expect(up.found).toMatchObject({
      ...{ kind: 'upload', paths: [join(folder, 'cut')] },
      hub: { url: server.url, address: 'hf://models/org/repo/to' },
    });
    expect(fake.commits).toEqual([]);
    const before = new Set(namedXorbs.splice(0).slice(0, 3));
    const done = await up.resume();
    expect([done.stderr, done.json()]).toMatchObject(['', { commits: [{}], files: [{}, {}] }]);
    expect(namedXorbs.filter((path) => before.has(path))).toEqual([]);
    expect(fake.commits).toMatchObject([
      [{ key: 'header', value: { summary: 'Cut off' } }, {}, {}],
    ]);
    expect([...fake.files.keys()].sort()).toEqual(['to/a.txt', 'to/big.bin']);
    expect(await up.left()).toEqual([]);

    const down = await cutOff(
      ['download', 'hf://org/repo/to', '-o', 'back', '--include', '*.bin', '--concurrency', '1'],
      5,
    );
    expect(down.found).toMatchObject({ kind: 'download', path: join(folder, 'back/big.bin') });
    const rest = (await down.resume()).json();
    expect(rest).toMatchObject({ path: join(folder, 'back'), fileCount: 1, verified: true });
    expect(rest['fetchedBytes']).toBeLessThan(2_500_000);
    expect((await readFile(join(folder, 'back/big.bin'))).equals(bytes)).toBe(true);
    expect(await readdir(join(folder, 'back'))).toEqual(['big.bin']);
    expect(await down.left()).toEqual([]);
  });

  it('delete what is gone, propose, make a private repository, and tell of each file', async () => {
    await run('upload', 'data', 'hf://org/repo/x', '-q');
    const args = ['--delete-removed', '--exclude', 'sub', '--pr', '--create', '--private'];
    const up = await run('upload', 'data', 'hf://org/repo/x', ...args, '--json=stream');
    const events = linesOf(up).map((line) => JSON.parse(line));
    expect(events.filter(({ type }) => type === 'file')).toMatchObject([
      { path: 'x/a.txt', how: 'unchanged' },
    ]);
    expect(events.at(-1)).toMatchObject({ type: 'result', deletedPaths: ['x/sub/b.txt'] });
    expect(fake.requests).toContain('POST /api/models/org/repo/commit/main?create_pr=1');
    expect(fake.created.at(-1)).toMatchObject({ visibility: 'private' });
  });

  it('say where the commit is although a file has failed', async () => {
    const up = await run('upload', 'data/a.txt', 'missing.txt', 'hf://org/repo/y');
    expect([up.status, linesOf(up)]).toEqual([9, [expect.stringContaining('/commit/')]]);
    expect([...fake.files.keys()]).toEqual(['y/a.txt']);
  });

  it.each([
    ['HF_TOKEN', { HF_TOKEN: HUB_TOKEN }],
    ['HUGGING_FACE_HUB_TOKEN', { HUGGING_FACE_HUB_TOKEN: ` ${HUB_TOKEN}\n` }],
    ['$HF_HOME/token', { HF_HOME: '.', HF_HUB_CACHE: '' }],
    ['$HF_HUB_CACHE', { HF_TOKEN: HUB_TOKEN, HF_HUB_CACHE: 'hub-cache', HF_HOME: '/nowhere' }],
  ])('take their credentials and cache from %s', async (_, given: Record<string, string>) => {
    const paths = Object.entries(given).map(([name, value]) => [
      name,
      name.endsWith('TOKEN') || value === '' ? value : join(folder, value),
    ]);
    const home = { HOME: join(folder, 'home'), HF_ENDPOINT: server.url };
    const options = { env: { ...home, ...Object.fromEntries(paths) }, cwd: folder };
    fake.files.set('a.txt', {
      sizeBytes: 0,
      oid: 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391',
      bytes: new Uint8Array(0),
    });
    const down = await inProcess(
      ['download', 'hf://org/repo', '--hf-cache', '--workers=0'],
      options,
    );
    expect([down.status, down.stderr.includes('1 file')], down.stderr).toEqual([0, true]);
    const cache = given['HF_HUB_CACHE']
      ? 'hub-cache'
      : given['HF_HOME']
        ? 'hub'
        : 'home/.cache/huggingface/hub';
    expect(await readdir(join(folder, cache))).toEqual(['models--org--repo']);
  });

  it.each([
    [['upload', 'data', 'hf://org/repo', '--private'], '--private is for --create'],
    [['upload', 'data', 'hf://org/repo', '--symlinks=keep'], 'has no links'],
    [
      ['upload', 'data', 'hf://org/repo', '--files-from=token', '--delete-removed'],
      'a whole folder',
    ],
    [['upload', 'data', 'hf://org/repo', '--max-xorb-bytes=1'], 'at least 1MiB'],
    [['download', 'hf://org/repo', '-o', '-'], 'not to -'],
    [['upload', 'hf://org/repo'], 'at least one PATH'],
    [['upload', '-', 'hf://org/repo'], 'standard input'],
    [['upload', 'data', 'hf://org'], 'expected hf://'],
    [['download', 'hf://org/repo'], 'say where'],
    [['rm', 'hf://org/repo'], 'a path in the repository'],
    [['rm', 'hf://org/a/x', 'hf://org/b/x'], 'one repository'],
  ])('%j is refused', async (args, message) => {
    const { status, stderr } = await run(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });

  it('says the next step in the words of the Hub', async () => {
    fake.intercept = ({ url }) =>
      url.pathname.includes('new%2Fbranch')
        ? error(404, 'Invalid rev id', 'RevisionNotFound')
        : null;
    const rev = await run('upload', 'data', 'hf://org/repo@new%2Fbranch');
    expect(rev.stderr).not.toContain('--create');
    expect(rev.stderr).toContain('Check the branch, tag or commit');
    const none = await run('upload', 'data', 'hf://org/none');
    expect([none.status, none.stderr]).toEqual([5, expect.stringContaining('--create makes')]);
    expect(none.stderr).toContain('Check the name of the repository, and its kind');
    const path = await run('ls', 'hf://org/repo/none');
    expect(path.stderr).toContain('Check the path');
    const nobody = { ...env, HF_ENDPOINT: 'http://127.0.0.1:9' };
    const alone = await inProcess(['ls', 'hf://org/repo'], { env: nobody, cwd: folder });
    expect(alone.stderr).toContain('Check the address of the Hub (--endpoint, HF_ENDPOINT)');
  });

  it('takes an empty file by its path', async () => {
    await writeFile(join(folder, 'nothing'), '');
    const up = await run('upload', 'nothing', 'hf://org/repo/nothing.txt', '--json');
    expect(up.json()).toMatchObject({ files: [{ path: 'nothing.txt', sizeBytes: 0 }] });
    expect(fake.files.get('nothing.txt')?.sizeBytes).toBe(0);
    const proc = await run('upload', '/proc/self/status', 'hf://org/repo/status');
    expect([proc.status !== 0, fake.files.has('status')]).toEqual([true, false]);
  });

  it('says that the token is missing or wrong, and does not show it', async () => {
    const { status, stderr } = await inProcess(['ls', 'hf://org/repo', '--token', 'hf_other'], {
      env: { HF_ENDPOINT: server.url, HOME: folder },
    });
    expect(status).toBe(4);
    expect(stderr).not.toContain('hf_other');
    expect(stderr).toContain('Pass a valid token of the Hub in HF_TOKEN');
  });
});
