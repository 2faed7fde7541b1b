import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CliContext } from '../../src/cli/context.js';
import { serveCommand } from '../../src/cli/serve.js';
import { type LoadedKernels, loadKernels } from '../../src/compose/chunk.js';
import { createClient } from '../../src/compose/client.js';
import {
  createGateway,
  createMemoryStore,
  createMirror,
  createNodeServer,
  type Gateway,
  type GatewayFault,
  type Mirror,
  type NodeServer,
  type RunningGateway,
  startGateway,
} from '../../src/gateway.js';
import type { OrbweaverClient } from '../../src/index.js';
import { MIB, random } from '../client/upload/support.js';

/** A gateway that fetches what it lacks from another one. */

const kernels: LoadedKernels = await loadKernels();
const CONTENT = random(11, 3 * MIB + 12_345);
const OTHER = random(12, MIB);
const NOWHERE = 'ab'.repeat(32);

/** The far store, and what was asked of it. */
let far: Gateway;
let server: NodeServer;
let hashes: readonly string[] = [];
const asked: string[] = [];
/** Requests for terms wait for this. */
let gate: Promise<void> = Promise.resolve();

beforeAll(async () => {
  far = createGateway({
    store: createMemoryStore(),
    ...kernels,
    tokens: [{ token: 'far', scope: 'write' }],
    options: { onAccess: ({ path }) => void asked.push(path) },
  });
  const gated: Pick<Gateway, 'mount'> = {
    mount: (prefix) => {
      const exchange = far.mount(prefix);
      return async (request) => {
        if (request.url.pathname.includes('/reconstructions/')) await gate;
        return exchange(request);
      };
    },
  };
  server = await createNodeServer(gated, { port: 0 });
  const client = await createClient({
    endpoint: 'http://far.test',
    token: 'far',
    workers: 0,
    exchange: far.exchange,
  });
  const { files } = await client.upload([
    { name: 'content', data: CONTENT },
    { name: 'other', data: OTHER },
  ]);
  hashes = files.map(({ fileHash }) => fileHash);
  await client.close();
});
afterAll(async () => {
  await server.close();
  await far.close();
});

interface Near {
  readonly gateway: Gateway;
  readonly client: OrbweaverClient;
  readonly faults: GatewayFault[];
  close(): Promise<void>;
}

async function near(mirror: Mirror): Promise<Near> {
  const faults: GatewayFault[] = [];
  const gateway = createGateway({
    store: createMemoryStore(),
    ...kernels,
    tokens: [
      { token: 'near', scope: 'read' },
      { token: 'backup', scope: 'append' },
      { token: 'inside', scope: 'append' },
      { token: 'theirs', scope: 'read', tenant: 'other' },
    ],
    upstream: mirror,
    options: { onFault: (fault) => void faults.push(fault) },
  });
  mirror.into({ exchange: gateway.exchange, token: 'inside' });
  const client = await createClient({
    endpoint: 'http://near.test',
    token: 'near',
    workers: 0,
    retry: { retries: 0 },
    exchange: gateway.exchange,
  });
  const close = async (): Promise<void> => {
    await client.close();
    await mirror.close();
    await gateway.close();
  };
  return { gateway, client, faults, close };
}

const ask = (gateway: Gateway, hash: string, token = 'near', method = 'GET'): Promise<Response> => {
  const path = method === 'HEAD' ? 'v1/files' : 'v2/reconstructions';
  const headers = { authorization: `Bearer ${token}` };
  return gateway.handle(new Request(`http://near.test/${path}/${hash}`, { headers, method }));
};

async function bytesOf(client: OrbweaverClient, hash: string, range = {}): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of client.stream(hash, range)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

describe('a gateway with an upstream', () => {
  let one: Near;
  beforeEach(async () => {
    gate = Promise.resolve();
    one = await near(createMirror({ endpoint: server.url, token: 'far' }));
    asked.length = 0;
  });
  afterEach(() => one.close());

  it('fetches a file once for all who ask, and serves it from then on alone', async () => {
    const [hash = ''] = hashes;
    const all = await Promise.all([1, 2, 3].map(() => bytesOf(one.client, hash)));
    for (const bytes of all) expect(Buffer.compare(bytes, CONTENT)).toBe(0);
    const count = asked.filter((path) => path.includes('/reconstructions/')).length;
    asked.length = 0;
    expect(Buffer.compare(await bytesOf(one.client, hash), CONTENT)).toBe(0);
    const range = await bytesOf(one.client, hash, { offset: 1000, length: 70_000 });
    expect(Buffer.compare(range, CONTENT.subarray(1000, 71_000))).toBe(0);
    expect(asked).toEqual([]);
    // One stream: in blocks, so a few reconstructions, and not three times as many.
    expect(count).toBeLessThan(4);
  });

  it('says 404 for what upstream does not have either', async () => {
    expect((await ask(one.gateway, NOWHERE)).status).toBe(404);
    expect(one.faults).toEqual([]);
  });

  it('brings a file that is looked up, for whoever may read it', async () => {
    const [, hash = ''] = hashes;
    expect((await ask(one.gateway, hash, 'backup', 'HEAD')).status).toBe(404);
    expect((await ask(one.gateway, hash, 'theirs')).status).toBe(404);
    expect(asked).toEqual([]);
    const found = await ask(one.gateway, hash, 'near', 'HEAD');
    expect([found.status, found.headers.get('content-length')]).toEqual([200, String(MIB)]);
    // What came in belongs to those who name no tenant.
    expect((await ask(one.gateway, hash, 'theirs')).status).toBe(404);
  });
});

describe('an upstream', () => {
  it('that takes long makes no request wait for ever; the file comes all the same', async () => {
    let open = (): void => undefined;
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const { gateway, close } = await near(
      createMirror({ endpoint: server.url, token: 'far', waitMs: 1 }),
    );
    const [hash = ''] = hashes;
    const first = await ask(gateway, hash);
    expect(first.status).toBe(503);
    expect(first.headers.get('retry-after')).toBe('1');
    expect(await first.json()).toMatchObject({ error: /on its way from the upstream store/ });
    open();
    while ((await ask(gateway, hash)).status !== 200);
    await close();
  });

  it('that refuses the token is a 502 which says so, and an operator hears of it', async () => {
    const { gateway, faults, close } = await near(
      createMirror({ endpoint: server.url, token: 'wrong' }),
    );
    const response = await ask(gateway, hashes[0] ?? '');
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({
      code: 'SERVER_ERROR',
      error: expect.stringMatching(/does not accept the token of this gateway/),
    });
    expect(faults).toHaveLength(1);
    await close();
  });

  it('that gives other bytes than asked for has nothing stored and nothing served', async () => {
    const lying = createGateway({
      store: createMemoryStore(),
      ...kernels,
      tokens: [{ token: 'far', scope: 'write' }],
    });
    const client = await createClient({
      endpoint: 'http://far.test',
      token: 'far',
      workers: 0,
      exchange: lying.exchange,
    });
    const { files } = await client.upload({ name: 'other', data: random(13, MIB) });
    await client.close();
    // Whatever is asked for, it gives this file.
    const swap = (text: string): string => text.replace(/[0-9a-f]{64}$/, files[0]?.fileHash ?? '');
    const liar = await createNodeServer(
      {
        mount: (prefix) => {
          const exchange = lying.mount(prefix);
          return (request) => {
            const isTerms = request.url.pathname.includes('/reconstructions/');
            const url = new URL(isTerms ? swap(request.url.href) : request.url.href);
            return exchange({ ...request, url, signal: request.signal });
          };
        },
      },
      { port: 0 },
    );
    const { gateway, close } = await near(createMirror({ endpoint: liar.url, token: 'far' }));
    expect((await ask(gateway, hashes[0] ?? '')).status).toBe(502);
    expect((await ask(gateway, files[0]?.fileHash ?? '', 'backup', 'HEAD')).status).toBe(404);
    await close();
    await liar.close();
    await lying.close();
  });
});

describe('serve --upstream', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-mirror-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is one over a folder, and what it has survives the end of the other store', async () => {
    gate = Promise.resolve();
    const source = await startGateway({
      data: join(folder, 'far'),
      port: 0,
      workers: 0,
      token: 'far',
    });
    const upload = await createClient({ endpoint: source.url, token: 'far', workers: 0 });
    const { files } = await upload.upload([
      { name: 'a', data: CONTENT },
      { name: 'b', data: OTHER },
    ]);
    await upload.close();
    const [a = '', b = ''] = files.map(({ fileHash }) => fileHash);
    await writeFile(join(folder, 'token'), 'far\n');
    const start = (): Promise<RunningGateway> =>
      startGateway({
        data: join(folder, 'near'),
        port: 0,
        workers: 0,
        token: 'near',
        upstream: { endpoint: source.url, token: 'far', retry: { retries: 0 } },
      });
    let mirror = await start();
    const reader = await createClient({ endpoint: mirror.url, token: 'near', workers: 0 });
    expect(Buffer.compare(await bytesOf(reader, a), CONTENT)).toBe(0);
    await reader.close();
    await mirror.close();
    await source.close();
    mirror = await start();
    const later = await createClient({
      endpoint: mirror.url,
      token: 'near',
      workers: 0,
      retry: { retries: 0 },
    });
    expect(Buffer.compare(await bytesOf(later, a), CONTENT)).toBe(0);
    await expect(bytesOf(later, b)).rejects.toMatchObject({
      message: expect.stringMatching(/the upstream store cannot be reached/),
    });
    await later.close();
    await mirror.close();
  });

  it('asks a URL for tokens where those of the other store end', async () => {
    gate = Promise.resolve();
    const source = await startGateway({
      data: join(folder, 'ends'),
      port: 0,
      workers: 0,
      token: 'far',
    });
    const client = await createClient({ endpoint: source.url, token: 'far', workers: 0 });
    const { files } = await client.upload([{ name: 'a', data: CONTENT }]);
    await client.close();
    const asked: (string | undefined)[] = [];
    const hub = createServer(({ headers }, response) => {
      asked.push(headers.authorization);
      const exp = Math.floor(Date.now() / 1000) + 3600;
      response.end(JSON.stringify({ accessToken: 'far', exp, casUrl: source.url }));
    });
    await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
    const { port } = hub.address() as AddressInfo;
    const stopping = new AbortController();
    let tell = (_line: string): void => undefined;
    const line = new Promise<string>((resolve) => {
      tell = resolve;
    });
    const args = ['--data', 'taker', '--port', '0', '--workers', '0', '--json', '--quiet'];
    const status = serveCommand.run(
      [
        ...[...args, '--token', 'near', '--upstream', source.url],
        ...['--upstream-token-url', `http://127.0.0.1:${port}/api/models/o/m/xet-read-token/main`],
      ],
      {
        cwd: folder,
        env: { ORBWEAVER_UPSTREAM_TOKEN: 'hub-token' },
        signal: stopping.signal,
        stdout: { write: tell },
        stderr: { write: () => undefined },
      } as unknown as CliContext,
    );
    const { url } = JSON.parse(await Promise.race([line, status.then(String)])) as { url: string };
    const reader = await createClient({ endpoint: url, token: 'near', workers: 0 });
    expect(Buffer.compare(await bytesOf(reader, files[0]?.fileHash ?? ''), CONTENT)).toBe(0);
    expect(asked).toEqual(['Bearer hub-token']);
    await reader.close();
    stopping.abort();
    await status;
    hub.close();
    await source.close();
  });
});
