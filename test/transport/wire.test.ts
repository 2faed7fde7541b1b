import { createServer as createProxy } from 'node:http';
import { createServer as createSecureProxy } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { MockAgent } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import type { CasClient } from '../../src/client/ports.js';
import { type CasClientOptions, createCasClient } from '../../src/transport/index.js';
import {
  failureOf,
  type Handler,
  pattern,
  readFailure,
  sendJson,
  someHash,
  startRig,
  startServer,
  until,
} from './support.js';
import { OTHER_CERTIFICATE, OTHER_KEY, TEST_CERTIFICATE, TEST_KEY } from './tls-fixture.js';

/** What a test opened, closed in turn. */
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function clientOf(endpoint: string, options: Partial<CasClientOptions> = {}): CasClient {
  const cas = createCasClient({
    endpoint,
    token: 'token-1',
    random: () => 0,
    // Large bodies would ask for them first.
    grants: 'never',
    ...options,
  });
  open.push(() => cas.close());
  return cas;
}

async function serve(handler: Handler, tls = false) {
  const files = tls ? { key: TEST_KEY, cert: TEST_CERTIFICATE } : null;
  const server = await startServer(handler, '127.0.0.1', files);
  open.push(() => server.close());
  return server;
}

const RECONSTRUCTION = { offset_into_first_range: 0, terms: [], xorbs: {} };
const object = pattern(300_000, 3);

/** A small store: takes xorbs, knows every file, serves one object. */
const store: Handler = async (request, response) => {
  if (request.method === 'POST') {
    const body = await request.body;
    sendJson(response, 200, { was_inserted: body.equals(object) });
  } else if (request.headers['range'] === undefined) sendJson(response, 200, RECONSTRUCTION);
  else {
    const [first, last] = request.headers['range'].slice(6).split('-').map(Number) as [
      number,
      number,
    ];
    response.writeHead(206, {
      'content-range': `bytes ${first}-${last}/${object.length}`,
      'content-length': last + 1 - first,
    });
    response.end(object.subarray(first, last + 1));
  }
};

/** Sends the object, reads the reconstruction of a file and ranges into both kinds of memory. */
async function useAll(cas: CasClient, dataUrl: string): Promise<void> {
  expect(await cas.putXorb(someHash(), { sizeBytes: object.length, pieces: [object] })).toEqual({
    inserted: true,
  });
  expect(await cas.getReconstruction(someHash())).not.toBeNull();
  for (const memory of [new ArrayBuffer(250_000), new SharedArrayBuffer(250_000)]) {
    const reader = cas.readRanges(dataUrl, [{ start: 5, end: 200_000 }]);
    const slab = new Uint8Array(memory);
    let at = 0;
    for (let count = -1; count !== 0; at += count) count = await reader.fill(slab.subarray(at));
    expect(Buffer.from(slab.slice(0, at)).equals(object.subarray(5, 200_000))).toBe(true);
  }
}

describe('connections over TLS', () => {
  it('carry every kind of call when the certificate is one that is trusted', async () => {
    const server = await serve(store, true);
    const cas = clientOf(server.url, { ca: TEST_CERTIFICATE });
    await useAll(cas, `${server.url}/data`);
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(1);
  });

  it('ask by the name of the host, which the certificate must have', async () => {
    const server = await serve(store, true);
    const lookup = ((_name: string, _options: unknown, callback: (...all: unknown[]) => void) => {
      callback(null, [{ address: '127.0.0.1', family: 4 }]);
    }) as never;
    const options = { ca: TEST_CERTIFICATE, lookup };
    const named = `https://store.example:${server.port}`;
    await useAll(clientOf(named, options), `${named}/data`);
    const error = await failureOf(
      clientOf(`https://other.example:${server.port}`, options).getReconstruction(someHash()),
    );
    expect(error).toMatchObject({
      code: 'NETWORK',
      fields: { systemCode: 'ERR_TLS_CERT_ALTNAME_INVALID', attempts: 1 },
    });
  });

  it('end at once, without a request, where the certificate is not trusted', async () => {
    const server = await serve(store, true);
    const cas = clientOf(server.url);
    expect(await failureOf(cas.getReconstruction(someHash()))).toMatchObject({
      code: 'NETWORK',
      fields: {
        ...{ systemCode: 'DEPTH_ZERO_SELF_SIGNED_CERT', attempts: 1 },
        hint: expect.stringMatching(/--ca FILE .*SSL_CERT_FILE .*NODE_EXTRA_CA_CERTS/),
      },
    });
    const range = { start: 0, end: 10 };
    expect((await readFailure(cas, `${server.url}/data`, [range])).code).toBe('NETWORK');
    expect(server.seen).toEqual([]);
  });

  it("trust the system's store where Node reads it, from the first certificate that needs it on", async () => {
    const newer = tls as { getCACertificates?: (from: string) => string[] };
    const { getCACertificates: real } = newer;
    const asked: string[] = [];
    newer.getCACertificates = (from) => {
      asked.push(from);
      return from === 'system' ? [TEST_CERTIFICATE] : [];
    };
    open.push(() => {
      if (real === undefined) delete newer.getCACertificates;
      else newer.getCACertificates = real;
    });
    const server = await serve(store, true);
    const cas = clientOf(server.url, { ca: OTHER_CERTIFICATE });
    expect(asked).toEqual([]);
    await Promise.all([1, 2].map((seed) => cas.getReconstruction(someHash(seed))));
    expect(asked).toEqual(['default', 'system', 'default']);
    // What was trusted before is trusted still.
    const files = { key: OTHER_KEY, cert: OTHER_CERTIFICATE };
    const other = await startServer(store, '127.0.0.1', files);
    open.push(() => other.close());
    const reader = cas.readRanges(`${other.url}/data`, [{ start: 0, end: 10 }]);
    expect(await reader.fill(new Uint8Array(20))).toBeGreaterThan(0);
  });
});

/** A server that handles bare connections. */
async function serveBare(handler: (socket: Socket, index: number) => void): Promise<string> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    handler(socket, count++);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('answers that come while the body is sent', () => {
  const body = { sizeBytes: 60_000_000, pieces: [new Uint8Array(60_000_000)] };

  it.each([
    [401, 'AUTH_REQUIRED'],
    [413, 'REJECTED'],
    [503, 'SERVER_ERROR'],
  ])('with %i are read, and the connection is not used again', async (status, code) => {
    const sockets: Socket[] = [];
    const endpoint = await serveBare((socket) => {
      sockets.push(socket);
      socket.once('data', () => {
        // Nothing more is read, so that the client stays in the middle of the body.
        socket.pause();
        socket.write(
          `HTTP/1.1 ${status} No\r\ncontent-length: 9\r\nx-request-id: early\r\n\r\nnot today`,
        );
      });
    });
    const error = await failureOf(
      clientOf(endpoint, { retry: { retries: 1, baseDelayMs: 0 } }).putXorb(someHash(), body),
    );
    expect(error).toMatchObject({
      code,
      fields: { status, requestId: 'early', body: 'not today', attempts: status === 503 ? 2 : 1 },
    });
    expect(sockets).toHaveLength(status === 503 ? 2 : 1);
    // They come to their end although the announced bytes were never sent.
    for (const socket of sockets) {
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      await closed;
      expect(socket.bytesRead).toBeLessThan(body.sizeBytes);
    }
  });

  it('only begin early leave the body to be sent to its end', async () => {
    const server = await serve(async (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      await new Promise((resolve) => setTimeout(resolve, 20));
      response.end(JSON.stringify({ was_inserted: (await request.body).equals(object) }));
    });
    const cas = clientOf(server.url);
    const pieces = [object.subarray(0, 100_000), object.subarray(100_000)];
    for (let round = 0; round < 2; round++) {
      expect(await cas.putXorb(someHash(), { sizeBytes: object.length, pieces })).toEqual({
        inserted: true,
      });
    }
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(1);
  });
});

describe('connections that are kept', () => {
  it('are replaced when the server closed them, at once or with the next request', async () => {
    const used = new Map<Socket, number>();
    const rig = await startRig((request, response) => {
      const count = (used.get(request.socket) ?? 0) + 1;
      used.set(request.socket, count);
      if (count === 2) request.socket.destroy();
      else sendJson(response, 200, RECONSTRUCTION);
    });
    open.push(() => rig.close());
    for (let i = 0; i < 4; i++) {
      expect(await rig.cas.getReconstruction(someHash(i))).not.toBeNull();
    }
    expect(used.size).toBe(4);
    expect(rig.retries.map(({ code }) => code)).toEqual(['NETWORK', 'NETWORK', 'NETWORK']);
  });

  it('are as many as there are calls at the same time', async () => {
    const server = await serve(async (_request, response) => {
      await until(() => server.seen.length >= 5);
      sendJson(response, 200, RECONSTRUCTION);
    });
    const cas = clientOf(server.url);
    const ask = () => Promise.all([1, 2, 3, 4, 5].map((i) => cas.getReconstruction(someHash(i))));
    await ask();
    await ask();
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(5);
  });

  it('are closed with the client', async () => {
    const server = await serve(store);
    const cas = createCasClient({ endpoint: server.url, token: '' });
    await cas.getReconstruction(someHash());
    const socket = server.seen[0]?.socket;
    expect(socket?.destroyed).toBe(false);
    await cas.close();
    await until(() => socket?.destroyed === true);
  });
});

describe('connections that do not stand', () => {
  it('are given up after the time for them, as a host that was never reached', async () => {
    const rig = await startRig(() => {}, {
      endpoint: 'http://nowhere.example',
      lookup: (() => {}) as never,
    });
    open.push(() => rig.close());
    const result = failureOf(rig.cas.getReconstruction(someHash()));
    for (let attempt = 0; attempt < 3; attempt++) {
      await until(() => rig.clock.waiting === 2);
      rig.clock.advance(15_000);
      await until(() => rig.clock.waiting === 0 || attempt < 2);
    }
    expect(await result).toMatchObject({
      code: 'NETWORK',
      fields: { systemCode: 'ERR_CONNECT_TIMEOUT', attempts: 3 },
    });
  });

  it('end at once on abort', async () => {
    const rig = await startRig(() => {}, {
      endpoint: 'http://nowhere.example',
      lookup: (() => {}) as never,
    });
    open.push(() => rig.close());
    const controller = new AbortController();
    const result = failureOf(rig.cas.getReconstruction(someHash(), undefined, controller.signal));
    await until(() => rig.clock.waiting === 2);
    controller.abort();
    expect((await result).code).toBe('ABORTED');
    await until(() => rig.clock.waiting === 0);
  });
});

describe('other ways to send', () => {
  it.each([
    ['http', 'http'],
    ['http', 'https'],
    ['https', 'http'],
    ['https', 'https'],
  ])(
    'goes through a proxy (%s) with everything (%s), and never shows its password',
    async (way, protocol) => {
      const server = await serve(store, protocol === 'https');
      const asked: string[] = [];
      let refuse = false;
      const proxy =
        way === 'http'
          ? createProxy()
          : createSecureProxy({ key: TEST_KEY, cert: TEST_CERTIFICATE });
      proxy.on('connect', (request, socket: Socket, head) => {
        asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
        socket.on('error', () => {});
        if (refuse) {
          socket.end('HTTP/1.1 407 No\r\n\r\nnot with s3cr3t-word');
          return;
        }
        const [host = '', port] = (request.url ?? '').split(':');
        const onward = connect(Number(port), host, () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          onward.write(head);
          onward.pipe(socket).pipe(onward);
        }).on('error', () => {});
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      open.push(() => {
        proxy.closeAllConnections();
        proxy.close();
      });
      const { port } = proxy.address() as AddressInfo;
      const options = {
        proxy: `${way}://user:s3cr3t-word@127.0.0.1:${port}`,
        ca: TEST_CERTIFICATE,
      };
      const cas = clientOf(server.url, options);
      await useAll(cas, `${server.url}/data`);
      const basic = Buffer.from('user:s3cr3t-word').toString('base64');
      expect(new Set(asked)).toEqual(new Set([`127.0.0.1:${server.port} Basic ${basic}`]));
      refuse = true;
      const error = await failureOf(clientOf(server.url, options).getReconstruction(someHash()));
      expect(error).toMatchObject({
        code: 'NETWORK',
        fields: { systemCode: 'ERR_PROXY_REFUSED', attempts: 1 },
      });
      expect(JSON.stringify([error.message, error.fields])).not.toMatch(/s3cr3t/);
    },
  );

  it('tells a proxy that is not there from the host behind it', async () => {
    const options = { proxy: 'http://127.0.0.1:1', retry: { retries: 0 } };
    const error = await failureOf(
      clientOf('http://127.0.0.1:9', options).getReconstruction(someHash()),
    );
    expect(error.message).toMatch(/no way to the proxy 127\.0\.0\.1:1: .*ECONNREFUSED/);
  });

  it('goes over a dispatcher of the caller, with its retries and types, and leaves it open', async () => {
    const mock = new MockAgent();
    open.push(() => mock.close());
    mock.disableNetConnect();
    const pool = mock.get('https://cas.example.com');
    const path = `/v1/xorbs/default/${someHash()}`;
    pool.intercept({ method: 'POST', path }).reply(503, 'busy');
    pool
      .intercept({ method: 'POST', path, headers: { authorization: 'Bearer token-1' } })
      .reply(200, { was_inserted: true });
    pool
      .intercept({ path: `/v2/reconstructions/${someHash()}` })
      .reply(403, 'no', { headers: { 'x-request-id': 'r1' } });
    const events: number[] = [];
    const cas = clientOf('https://cas.example.com', {
      dispatcher: mock,
      retry: { baseDelayMs: 0 },
      onRetry: ({ status }) => events.push(status ?? 0),
    });
    const body = { sizeBytes: 3, pieces: [Uint8Array.of(1, 2), Uint8Array.of(3)] };
    expect(await cas.putXorb(someHash(), body)).toEqual({ inserted: true });
    expect(events).toEqual([503]);
    expect(await failureOf(cas.getReconstruction(someHash()))).toMatchObject({
      code: 'FORBIDDEN',
      fields: { status: 403, requestId: 'r1', body: 'no' },
    });
    await cas.close();
    mock.get('https://x.example').intercept({ path: '/' }).reply(200, 'open');
    const answer = await mock.request({ origin: 'https://x.example', path: '/', method: 'GET' });
    expect(await answer.body.text()).toBe('open');
  });

  it.each([
    ['a proxy that is no URL', { proxy: 'proxy:3128' }],
    ['a dispatcher that is none', { dispatcher: {} }],
    ['certificates that are none', { ca: 'trust me' }],
    ['both ways', { proxy: 'http://p:1', dispatcher: { request: () => {} } }],
  ] as [string, object][])('is a TypeError for %s', (_name, options) => {
    const create = () => createCasClient({ endpoint: 'http://x', token: '', ...options } as never);
    expect(create).toThrow(TypeError);
  });
});
