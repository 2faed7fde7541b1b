import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createFastifyPlugin,
  createGateway,
  createMemoryStore,
  createNodeListener,
  type Gateway,
} from '../../src/gateway/index.js';
import { crc64nvme } from '../../src/hash/index.js';
import {
  buildXorb,
  codec,
  fileOf,
  hasher,
  listed,
  randomChunks,
  uploadShard,
  WRITE_TOKEN,
} from './support/rig.js';

/** The adapters, each under the real framework, at the root and under a prefix. */

const xorb = buildXorb(randomChunks(97, [40_000, 60_000, 50_000]));
/** Is put by an upload grant. */
const granted = buildXorb(randomChunks(98, [30_000, 20_000]));
const file = fileOf([[xorb, 0, 3]]);
const auth = { authorization: `Bearer ${WRITE_TOKEN}` };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function makeGateway(): Gateway {
  return createGateway({
    store: createMemoryStore(),
    hasher,
    codec,
    tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
  });
}

async function listen(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const post = (url: string, body: Uint8Array | string, type?: string): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: type === undefined ? auth : { ...auth, 'content-type': type },
    body: body as Uint8Array<ArrayBuffer>,
  });

/** A whole life of a file below `base`, with the URLs that responses name. */
async function expectWhole(base: string): Promise<void> {
  const stored = await post(`${base}/v1/xorbs/default/${xorb.hash}`, xorb.bytes);
  expect(await stored.json()).toEqual({ was_inserted: true });
  const shard = uploadShard({ files: [file], xorbs: [listed(xorb)] });
  const registered = await post(`${base}/v2/shards`, shard, 'application/octet-stream');
  expect(await registered.text()).toContain('{"type":"result","result":1}\n');
  const batch = await post(
    `${base}/v1/reconstructions`,
    JSON.stringify([{ prefix: 'default', hash: file.hash }]),
    'application/json',
  );
  expect(batch.status).toBe(200);
  const answer = (await (
    await fetch(`${base}/v2/reconstructions/${file.hash}`, { headers: auth })
  ).json()) as { xorbs: Record<string, { url: string }[]> };
  const url = answer.xorbs[xorb.hash.toString()]?.[0]?.url ?? '';
  expect(url.startsWith(`${base}/v1/fetch/`)).toBe(true);
  const data = await fetch(url, { headers: { range: `bytes=0-${xorb.bytes.length - 1}` } });
  expect(data.status).toBe(206);
  expect(Buffer.from(await data.arrayBuffer()).equals(xorb.bytes)).toBe(true);
  const head = await fetch(`${base}/v1/files/${file.hash}`, { method: 'HEAD', headers: auth });
  expect(head.headers.get('content-length')).toBe('150000');
  const asked = await post(
    `${base}/v1/xorb-grants/default/${granted.hash}`,
    JSON.stringify({
      length: granted.bytes.length,
      checksum: { algo: 'crc64nvme', value: String(crc64nvme(granted.bytes)) },
    }),
    'application/json',
  );
  expect(asked.status).toBe(201);
  const grant = (await asked.json()) as { id: string; url: string };
  expect(grant.url.startsWith(`${base}/v1/xorb-uploads/`)).toBe(true);
  const put = await fetch(grant.url, { method: 'PUT', body: Buffer.from(granted.bytes) });
  expect(put.status).toBe(200);
  const commit = await fetch(`${base}/v1/xorb-commits/default/${granted.hash}/grant/${grant.id}`, {
    method: 'POST',
    headers: auth,
  });
  expect(commit.status).toBe(200);
  const missing = await post(`${base}/v1/other/default/${xorb.hash}`, '{}', 'application/json');
  expect(missing.status).toBe(404);
  expect((await missing.json()) as object).toMatchObject({ code: 'NOT_FOUND' });
}

describe('node:http', () => {
  it('takes the listener as it is', async () => {
    await expectWhole(await listen(createNodeListener(makeGateway())));
  });

  it('takes it under a prefix; what is not below is not there', async () => {
    const base = await listen(createNodeListener(makeGateway(), { prefix: '/deep/xet/' }));
    await expectWhole(`${base}/deep/xet`);
    expect((await fetch(`${base}/health`)).status).toBe(404);
    expect((await fetch(`${base}/deep/xetra/health`)).status).toBe(404);
    expect((await fetch(`${base}/deep/xet/health`)).status).toBe(200);
  });

  it('refuses a prefix that no path starts with', () => {
    for (const prefix of ['xet', '/x y', '/a//b', '/x?y', '/x#y']) {
      expect(() => createNodeListener(makeGateway(), { prefix }), prefix).toThrow(TypeError);
    }
  });
});

describe('Express', () => {
  it('mounts it at the root and under a path, which the fetch URLs carry', async () => {
    const root = express();
    root.use(createNodeListener(makeGateway(), { prefix: '' }));
    await expectWhole(await listen(root));
    const app = express();
    app.get('/own', (_request, response) => {
      response.send('mine');
    });
    app.use('/storage/xet', createNodeListener(makeGateway()));
    const base = await listen(app);
    await expectWhole(`${base}/storage/xet`);
    expect(await (await fetch(`${base}/own`)).text()).toBe('mine');
  });

  it('may have parsers in front: what they read is the body', async () => {
    const app = express();
    app.use(express.json(), express.raw({ limit: '2mb' }), express.text({ type: 'text/*' }));
    app.use('/xet', createNodeListener(makeGateway()));
    await expectWhole(`${await listen(app)}/xet`);
  });

  it('gets on with what is not below the prefix', async () => {
    const app = express();
    app.use(createNodeListener(makeGateway(), { prefix: '/xet' }));
    app.get('/own', (_request, response) => {
      response.send('mine');
    });
    const base = await listen(app);
    expect(await (await fetch(`${base}/own`)).text()).toBe('mine');
    expect((await fetch(`${base}/xet/health`)).status).toBe(200);
  });
});

describe('Fastify', () => {
  it('takes the plugin, under a prefix and beside its own parsers', async () => {
    const app = fastify();
    app.addContentTypeParser('application/x-own', { parseAs: 'string' }, (_request, body, done) =>
      done(null, body),
    );
    app.post('/own', async (request) => request.body);
    await app.register(createFastifyPlugin(makeGateway()), { prefix: '/xet' });
    cleanups.push(() => app.close());
    const base = await app.listen({ port: 0, host: '127.0.0.1' });
    await expectWhole(`${base}/xet`);
    expect(await (await post(`${base}/own`, '{"a":1}', 'application/json')).json()).toEqual({
      a: 1,
    });
  });

  it('takes it at the root', async () => {
    const app = fastify({ bodyLimit: 1000 });
    await app.register(createFastifyPlugin(makeGateway()));
    cleanups.push(() => app.close());
    await expectWhole(await app.listen({ port: 0, host: '127.0.0.1' }));
  });
});

describe('web Requests', () => {
  /** A server of web handlers, for those who have none. */
  const serveWeb = (handle: (request: Request) => Promise<Response> | Response): Promise<string> =>
    listen(async (incoming, outgoing) => {
      const pieces: Buffer[] = [];
      for await (const piece of incoming) pieces.push(piece as Buffer);
      const { method = 'GET', headers, url } = incoming;
      const body = method === 'GET' || method === 'HEAD' ? null : Buffer.concat(pieces);
      const response = await handle(
        new Request(`http://${headers.host}${url}`, {
          method,
          headers: headers as Record<string, string>,
          body,
        }),
      );
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(Buffer.from(await response.arrayBuffer()));
    });

  it('are handled by Hono under a path', async () => {
    const app = new Hono();
    const gateway = makeGateway();
    app.get('/own', (context) => context.text('mine'));
    app.all('/xet/*', (context) => gateway.handle(context.req.raw, { prefix: '/xet' }));
    const base = await serveWeb(app.fetch);
    await expectWhole(`${base}/xet`);
    expect(await (await fetch(`${base}/own`)).text()).toBe('mine');
  });

  it('are handled alone', async () => {
    const gateway = makeGateway();
    await expectWhole(await serveWeb((request) => gateway.handle(request)));
  });
});

describe('a public URL with a path', () => {
  it('stands in the fetch URLs in place of origin and prefix', async () => {
    const gateway = createGateway({
      store: createMemoryStore(),
      hasher,
      codec,
      tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
      options: { publicUrl: 'https://cdn.example/data/' },
    });
    const base = await listen(createNodeListener(gateway, { prefix: '/xet' }));
    await post(`${base}/xet/v1/xorbs/default/${xorb.hash}`, xorb.bytes);
    await post(`${base}/xet/v1/shards`, uploadShard({ files: [file], xorbs: [] }));
    const text = await (
      await fetch(`${base}/xet/v2/reconstructions/${file.hash}`, { headers: auth })
    ).text();
    expect(text).toContain('"https://cdn.example/data/v1/fetch/');
  });
});
