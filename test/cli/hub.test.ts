import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGateway, createMemoryStore, type Gateway } from '../../src/gateway.js';
import { loadKernels } from '../../src/index.js';
import { type ListeningServer, listen } from '../../src/target-servers/index.js';
import { createFakeHub, type FakeHub, HUB, HUB_TOKEN } from '../hub/support/fake-hub.js';
import { inProcess } from './in-process.js';

/** `hf://` addresses on the command line, against a Hub on loopback that keeps small files itself. */

let folder: string;
let gate: Gateway;
let fake: FakeHub;
let server: ListeningServer;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-hub-'));
  const { hasher, codec } = await loadKernels();
  const tokens = [{ token: 'store', scope: 'write' as const }];
  gate = createGateway({ store: createMemoryStore(), hasher, codec, tokens });
  fake = createFakeHub({
    store: gate.exchange,
    storeToken: 'store',
    isLarge: () => false,
    xetHashOf: () => undefined,
  });
  // The fake knows its own name only.
  server = await listen((request) =>
    fake.exchange({ ...request, url: new URL(request.url.pathname + request.url.search, HUB) }),
  );
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

const run = (...args: string[]) => inProcess([...args, '--workers', '0'], { env, cwd: folder });

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
    const lines = ls.stdout.toString('utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).path)).toEqual(['x/a.txt', 'x/sub/b.txt']);
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

  it.each([
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

  it('says that the token is missing or wrong, and does not show it', async () => {
    const { status, stderr } = await inProcess(['ls', 'hf://org/repo', '--token', 'hf_other'], {
      env: { HF_ENDPOINT: server.url, HOME: folder },
    });
    expect(status).toBe(4);
    expect(stderr).not.toContain('hf_other');
  });
});
