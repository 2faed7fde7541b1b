import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { generate } from '../support/generators.js';
import { BINARY, cleanEnv, orbweaver, type Served, serve } from './run-binary.js';

/** Downloads whose process is killed, as a user runs them. */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const SIZE_BYTES = 24_000_000;

let folder: string;
let gateway: Served;
let proxy: Server;
let endpoint: string;
let fileHash: string;
let bytes: Uint8Array;
/** Bytes that the proxy passes on in all; then it stalls. */
let limitBytes = Number.POSITIVE_INFINITY;
let passedBytes = 0;
const sockets = new Set<Socket>();
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  const store = await mkdtemp(join(tmpdir(), 'orbweaver-kill-'));
  folder = store;
  gateway = await serve(['--data', at('store'), '--port', '0']);
  proxy = createServer((socket) => {
    const upstream = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    for (const each of [socket, upstream]) {
      sockets.add(each);
      each.on('error', () => {});
      each.on('close', () => {
        sockets.delete(each);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream);
    upstream.on('data', (piece) => {
      const passed = piece.subarray(0, Math.max(0, limitBytes - passedBytes));
      passedBytes += passed.length;
      if (passed.length > 0) socket.write(passed);
      upstream.pause();
      // As a link does it: bit by bit.
      if (passed.length === piece.length) setTimeout(() => upstream.resume(), 5);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  endpoint = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`;
  bytes = generate({ kind: 'splitmix64', seed: 11, bytes: SIZE_BYTES });
  await writeFile(at('input'), bytes);
  const args = ['--endpoint', gateway.url, '--token', gateway.writeToken, '--json'];
  const run = await orbweaver(['upload', at('input'), ...args]);
  const { files } = run.json() as { files: { fileHash: string }[] };
  fileHash = files[0]?.fileHash as string;
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  proxy?.close();
  await gateway?.stop();
  await rm(folder, { recursive: true, force: true });
});

let out: string;
beforeEach(async () => {
  out = await mkdtemp(at('out-'));
  passedBytes = 0;
  limitBytes = Number.POSITIVE_INFINITY;
});
afterEach(() => rm(out, { recursive: true }));

function download(...args: string[]): ReturnType<typeof orbweaver> {
  const server = ['--endpoint', endpoint, '--token', gateway.readToken];
  return orbweaver(['download', fileHash, '-o', join(out, 'file'), ...server, ...args]);
}

/** A download that stalls after so many bytes; resolves when what came is written down. */
async function stalled(
  bytesUntil: number,
  ...more: string[]
): Promise<{ child: ChildProcess; text: () => string }> {
  limitBytes = passedBytes + bytesUntil;
  const args = ['download', fileHash, '-o', join(out, 'file'), '--endpoint', endpoint];
  const child = spawn(process.execPath, [BINARY, ...args, '--token', gateway.readToken, ...more], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: cleanEnv(),
  });
  let stderr = '';
  child.stderr?.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  for (let known = -1; ; ) {
    const name = (await readdir(out)).find((each) => each.endsWith('-ledger'));
    const size = name === undefined ? 0 : (await stat(join(out, name))).size;
    // Until nothing is added any more: what has come is decoded and written.
    if (size > 0 && size === known && passedBytes >= limitBytes) break;
    known = size;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { child, text: () => stderr };
}

async function expectWhole(): Promise<void> {
  expect(Buffer.compare(await readFile(join(out, 'file')), bytes)).toBe(0);
  expect(await readdir(out)).toEqual(['file']);
}

describe('a download whose process is killed', () => {
  it('goes on with the same command, and fetches what is missing', async () => {
    for (const share of [0.3, 0.2]) {
      const { child } = await stalled(share * SIZE_BYTES);
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (const socket of sockets) socket.destroy();
    }
    limitBytes = Number.POSITIVE_INFINITY;
    const run = await download('--json');
    expect(run.status).toBe(0);
    const result = run.json() as { resumedBytes: number; fetchedBytes: number };
    expect(result.resumedBytes).toBeGreaterThan(0);
    expect(result.fetchedBytes).toBeLessThan(1.01 * (SIZE_BYTES - result.resumedBytes));
    await expectWhole();
  });

  it('tells on Ctrl-C which command goes on, without the token', async () => {
    const { child, text } = await stalled(0.5 * SIZE_BYTES);
    child.kill('SIGINT');
    const [code] = await once(child, 'exit');
    expect(code).toBe(130);
    expect(text()).toContain(`to go on: orbweaver download ${fileHash} -o ${join(out, 'file')}`);
    expect(text()).toMatch(/bytes of ".*file" are kept/);
    expect(text()).not.toContain(gateway.readToken);
    expect((await readdir(out)).length).toBe(2);
    limitBytes = Number.POSITIVE_INFINITY;
    const anew = await download('--no-resume', '--json');
    expect(anew.json()).toMatchObject({ resumedBytes: 0 });
    // What was left is still there for whoever does want it.
    const run = await download('--json');
    expect(run.json()).toMatchObject({ verified: true });
    expect(Number(run.json()['resumedBytes'])).toBeGreaterThan(0);
    await expectWhole();
  });

  it('is listed until it is done or dropped, and resumed by its number', async () => {
    const state = ['--state-dir', join(out, 'state')];
    for (const action of ['resume', 'drop'] as const) {
      const { child } = await stalled(0.6 * SIZE_BYTES, ...state);
      await vi.waitFor(
        async () => expect(await readdir(join(out, 'state'))).toHaveLength(1),
        60_000,
      );
      child.kill('SIGKILL');
      await once(child, 'exit');
      limitBytes = Number.POSITIVE_INFINITY;
      const listed = (await orbweaver(['transfers', '--json', ...state])).json();
      expect(listed).toMatchObject({ kind: 'download', fileHash, endpoint, busy: false });
      expect(Number(listed['doneBytes'])).toBeGreaterThan(4 << 20);
      const token = action === 'resume' ? ['--token', gateway.readToken] : [];
      const run = await orbweaver(['transfers', action, String(listed['id']), ...state, ...token]);
      expect(run.status).toBe(0);
      expect((await orbweaver(['transfers', '--json', ...state])).stdout.length).toBe(0);
      if (action === 'resume') {
        expect(run.stderr).toMatch(/were there already/);
        expect(Buffer.compare(await readFile(join(out, 'file')), bytes)).toBe(0);
        await rm(join(out, 'file'));
      }
      expect(await readdir(out)).toEqual(['state']);
    }
  });

  it('goes on through a link, and takes chunks of seeds and of the old file', async () => {
    await writeFile(at('old'), bytes.subarray(0, 20_000_000));
    await symlink(join(out, 'real'), join(out, 'file'));
    const run = await download('--seed', at('old'), '--json');
    expect(run.json()).toMatchObject({ verified: true, seedNote: null });
    expect(Number(run.json()['seededBytes'])).toBeGreaterThan(19_000_000);
    expect((await lstat(join(out, 'file'))).isSymbolicLink()).toBe(true);
    const again = await download();
    expect(again.stderr).toMatch(/fetched 0 B .* came from local files/);
    await rm(join(out, 'real'));
    await rm(join(out, 'file'));
    for (const [args, message] of [
      [['--seed', at('nothing')], /nothing/],
      [['--seed', at('old'), '--length', '5'], /--seed is for a whole file/],
    ] as const) {
      const refused = await download(...args);
      expect(refused.status).toBeGreaterThan(0);
      expect(refused.stderr).toMatch(message);
    }
    const stdout = await orbweaver(['download', fileHash, '-o', '-', '--seed', at('old')]);
    expect(stdout.status).toBe(2);
    expect(await readdir(out)).toEqual([]);
  });
});
