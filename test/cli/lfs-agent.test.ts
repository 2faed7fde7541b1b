import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lfsFolder } from '../../src/cli/lfs-seeds.js';
import { type RunningGateway, startGateway } from '../../src/gateway.js';
import { textBody } from '../../src/http/index.js';
import { chunkInput } from '../../src/index.js';
import { listen } from '../../src/target-servers/index.js';
import { generate } from '../support/generators.js';
import { runCli } from './run-cli.js';

/** The agent as git-lfs talks to it, against a real gateway. */

let folder: string;
let gateway: RunningGateway;
const bytes = generate({ kind: 'splitmix64', seed: 4, bytes: 700_000 });
const oid = createHash('sha256').update(bytes).digest('hex');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-lfs-'));
  await mkdir(join(folder, '.git/lfs/tmp'), { recursive: true });
  await writeFile(join(folder, 'file.bin'), bytes);
  gateway = await startGateway({ data: join(folder, 'store'), port: 0, workers: 0 });
});
afterAll(async () => {
  await gateway?.close();
  await rm(folder, { recursive: true, force: true });
});

function start(env: Record<string, string> = {}) {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const over = runCli(['lfs-agent', '--workers', '0', '--no-cache'], {
    env,
    cwd: folder,
    stdin,
    stdout,
    stderr,
    interactive: false,
    columns: 80,
    signal: new AbortController().signal,
  });
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    over,
    stderr,
    say: (value: object | string) =>
      stdin.write(`${typeof value === 'string' ? value : JSON.stringify(value)}\n`),
    hear: async () => JSON.parse((await lines.next()).value ?? 'null'),
    end: () => stdin.end(),
  };
}

/** All that it says until a file is complete. */
async function complete(agent: ReturnType<typeof start>): Promise<Record<string, unknown>[]> {
  const heard: Record<string, unknown>[] = [];
  do heard.push(await agent.hear());
  while (heard.at(-1)?.['event'] !== 'complete');
  return heard;
}

const header = (token: string) => ({ 'X-Xet-Cas-Url': gateway.url, 'X-Xet-Access-Token': token });

describe('the agent of Git LFS', () => {
  it('uploads and downloads what git-lfs asks for, and tells how far it is', async () => {
    const agent = start();
    agent.say({ event: 'init', operation: 'upload', remote: 'origin', concurrent: false });
    expect(await agent.hear()).toEqual({});
    const up = { event: 'upload', oid, size: bytes.length, path: 'file.bin' };
    agent.say({ ...up, action: { href: 'x', header: header(gateway.writeToken) } });
    const sent = await complete(agent);
    expect(sent.at(-1)).toEqual({ event: 'complete', oid });
    expect(sent.at(-2)).toMatchObject({ event: 'progress', oid, bytesSoFar: bytes.length });
    const { fileHash } = await chunkInput(bytes);
    const down = { event: 'download', oid, size: bytes.length };
    const read = { ...header(gateway.readToken), 'X-Xet-Hash': fileHash };
    agent.say({ ...down, action: { header: read } });
    const got = (await complete(agent)).at(-1) as { path: string };
    expect(got.path).toContain(join(folder, '.git/lfs/tmp'));
    expect((await readFile(got.path)).equals(bytes)).toBe(true);
    agent.say({ event: 'terminate' });
    expect(await agent.over).toBe(0);
  });

  it('asks where it was told for another token, once the old one ends or is refused', async () => {
    const asked: (string | undefined)[] = [];
    const server = await listen(async ({ url, headers }) => {
      asked.push(headers['authorization']);
      const token = { accessToken: gateway.writeToken, casUrl: gateway.url, exp: 4e9 };
      const casUrl = url.pathname === '/elsewhere' ? 'http://127.0.0.1:1' : token.casUrl;
      return { status: 200, headers: {}, body: textBody(JSON.stringify({ ...token, casUrl })) };
    });
    const agent = start({ HF_ENDPOINT: `${server.url}/hub`, HF_TOKEN: 'hf_mine' });
    const move = async (href: string, more: object, seconds = 3600) => {
      const exp = String(Math.floor(Date.now() / 1000) + seconds);
      const all = { ...header('ended'), 'X-Xet-Token-Expiration': exp, ...more };
      agent.say({
        event: 'upload',
        oid,
        size: bytes.length,
        path: 'file.bin',
        action: { href, header: all },
      });
      return (await complete(agent)).at(-1);
    };
    const done = { event: 'complete', oid };
    const own = { Authorization: 'Bearer given' };
    expect(await move(`${server.url}/token`, own, 10)).toEqual(done);
    expect(await move(`${server.url}/token`, own)).toEqual(done);
    expect(await move(`${server.url}/token`, {})).toEqual(done);
    expect(asked).toEqual(['Bearer given', 'Bearer given', 'Bearer hf_mine']);
    expect(await move(`${server.url}/elsewhere`, own)).toMatchObject({ error: { code: 7 } });
    // Whoever has nothing to do with the Hub or the store is told no token.
    asked.length = 0;
    const stranger = server.url.replace('127.0.0.1', 'localhost');
    expect(await move(`${stranger}/token`, {})).toMatchObject({ error: { code: 4 } });
    expect(asked).toEqual([]);
    agent.end();
    await agent.over;
    await server.close();
  });

  it.each([
    ['a submodule', 'gitdir: ../top/modules/x\n', {}],
    ['a worktree', 'gitdir: ../top/worktrees/y\n', {}],
    ['a folder that is named', null, { GIT_DIR: '../top/worktrees/y' }],
  ])('finds where git-lfs keeps its own, of %s', async (_, link, env: Record<string, string>) => {
    const top = join(folder, 'repos');
    const cwd = join(top, 'work');
    await rm(top, { recursive: true, force: true });
    for (const each of ['work', 'top/modules/x', 'top/worktrees/y']) {
      await mkdir(join(top, each), { recursive: true });
    }
    await writeFile(join(top, 'top/worktrees/y/commondir'), '../..\n');
    if (link !== null) await writeFile(join(cwd, '.git'), link);
    const at = link?.includes('modules') === true ? 'top/modules/x' : 'top';
    expect(await lfsFolder({ env, cwd })).toBe(join(top, at, 'lfs'));
  });

  it('a file that fails is told of, without the token, and the next one goes on', async () => {
    const agent = start();
    agent.say({ event: 'init', operation: 'upload' });
    await agent.hear();
    const up = { event: 'upload', oid, size: bytes.length };
    agent.say({ ...up, path: 'none', action: { header: header(gateway.writeToken) } });
    const [missing] = await complete(agent);
    expect(missing).toMatchObject({ oid, error: { code: 3 } });
    expect(JSON.stringify(missing)).not.toContain(gateway.writeToken);
    agent.say({ ...up, path: 'file.bin', action: null });
    expect((await complete(agent)).at(-1)).toMatchObject({ error: { code: 7 } });
    agent.say({ ...up, path: 'file.bin', action: { header: header(gateway.writeToken) } });
    expect((await complete(agent)).at(-1)).toEqual({ event: 'complete', oid });
    agent.end();
    expect(await agent.over).toBe(0);
  });

  it('ends with a plain sentence when somebody else talks to it', async () => {
    const agent = start();
    agent.say('hello');
    expect(await agent.over).toBe(7);
    expect(String(agent.stderr.read())).toContain('git-lfs expected to give an object');
  });
});
