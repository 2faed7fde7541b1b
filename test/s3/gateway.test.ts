import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'orbweaver';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';
import { type S3Server, startS3Server } from './support/s3-server.js';

const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');

let server: S3Server;
let folder: string;
const closers: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  server = await startS3Server();
  Object.assign(process.env, server.env);
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-s3-gateway-'));
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(place: string, onAccess: (line: string) => void): Promise<RunningGateway> {
  const gateway = await startGateway({
    data: place,
    s3: { endpoint: server.endpoint },
    port: 0,
    workers: 1,
    onAccess: ({ method, path }) => onAccess(`${method} ${path}`),
  });
  closers.push(() => gateway.close());
  return gateway;
}

describe('a gateway over a bucket', () => {
  it('takes xorbs by grants into the bucket, and gives files back', async () => {
    const seen: string[] = [];
    const gateway = await start(`s3://${server.bucket}/plain`, (line) => seen.push(line));
    const client = await createClient({ endpoint: gateway.url, token: gateway.writeToken });
    closers.push(() => client.close());
    const path = join(folder, 'one');
    await writeFile(path, generate({ kind: 'splitmix64', seed: 5, bytes: 40_000_000 }));
    const { files } = await client.upload([path], { maxXorbBytes: 20 * 1024 * 1024 });
    const bodies = seen.filter((line) => /^(POST \/v1\/xorbs\/|PUT )/.test(line));
    expect(bodies).toEqual([]);
    expect(seen.filter((line) => line.startsWith('POST /v1/xorb-commits/'))).not.toEqual([]);
    const out = join(folder, 'one.out');
    await client.download(files[0]?.fileHash ?? '', { to: out });
    expect((await readFile(out)).equals(await readFile(path))).toBe(true);
    const again = await client.upload([path]);
    expect(again.xorbCount).toBe(0);
  });

  it('has the secrets and tokens of every other one over it', async () => {
    const place = `s3://${server.bucket}/shared`;
    const [one, two] = await Promise.all([start(place, () => {}), start(place, () => {})]);
    expect(one?.writeToken).toBe(two?.writeToken);
    const args = ['token', '--data', place, '--s3-endpoint', server.endpoint, '--scope', 'read'];
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let token = '';
    for await (const text of child.stdout) token += text;
    const url = `${two?.url}/v1/reconstructions/${'0'.repeat(63)}1`;
    const headers = { authorization: `Bearer ${token.trim()}` };
    expect((await fetch(url, { headers })).status).toBe(404);
    expect((await fetch(url)).status).toBe(401);
  });

  it('loses nothing when another one is killed in the middle of an upload to both', async () => {
    const place = `s3://${server.bucket}/both`;
    const one = await start(place, () => {});
    const args = ['serve', '--data', place, '--s3-endpoint', server.endpoint, '--port', '0'];
    const other = spawn(process.execPath, [MAIN, ...args, '--json', '--workers', '1', '--quiet'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = (await once(other.stdout, 'data')) as [Buffer];
    const { url } = JSON.parse(String(line)) as { url: string };
    const balancer = await balance([one.url, url], other);
    const client = await createClient({ endpoint: balancer.url, token: one.writeToken });
    closers.push(() => client.close());
    const paths = await Promise.all(
      [1, 2, 3, 4].map(async (seed) => {
        const path = join(folder, `both-${seed}`);
        await writeFile(path, generate({ kind: 'splitmix64', seed, bytes: 16_000_000 }));
        return path;
      }),
    );
    const { files, failed } = await client.upload(paths, { maxXorbBytes: 8 * 1024 * 1024 });
    expect(failed).toEqual([]);
    expect(balancer.killed()).toBe(true);
    for (const [index, path] of paths.entries()) {
      const out = `${path}.out`;
      await client.download(files[index]?.fileHash ?? '', { to: out });
      expect((await readFile(out)).equals(await readFile(path))).toBe(true);
    }
  });
});

/** Commits of grants after which the second gateway is killed. */
const KILL_AFTER_COMMITS = 4;

/** Sends requests to each in turn; kills the second one in the middle, which then answers nothing. */
async function balance(
  urls: readonly string[],
  victim: ChildProcess,
): Promise<{ readonly url: string; killed(): boolean }> {
  let turn = 0;
  let commits = 0;
  const balancer: Server = createServer((incoming, outgoing) => {
    if (incoming.url?.startsWith('/v1/xorb-commits/') && ++commits === KILL_AFTER_COMMITS) {
      victim.kill('SIGKILL');
    }
    const isDead = commits > KILL_AFTER_COMMITS;
    const target = new URL(incoming.url ?? '', isDead ? urls[0] : urls[turn++ % urls.length]);
    const { method, headers } = incoming;
    const onward = request(target, { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
      response.on('error', () => outgoing.destroy());
    });
    // As a balancer says it of a backend that is gone.
    onward.on('error', () => {
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(502).end();
    });
    incoming.pipe(onward);
  });
  balancer.listen(0, '127.0.0.1');
  await once(balancer, 'listening');
  closers.push(async () => {
    balancer.closeAllConnections();
    balancer.close();
    if (victim.exitCode === null && victim.signalCode === null) victim.kill('SIGKILL');
  });
  const { port } = balancer.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, killed: () => commits >= KILL_AFTER_COMMITS };
}
