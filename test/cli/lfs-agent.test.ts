import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../../src/gateway.js';
import { chunkInput } from '../../src/index.js';
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

function start() {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const over = runCli(['lfs-agent', '--workers', '0', '--no-cache'], {
    env: {},
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
