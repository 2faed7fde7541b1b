import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { request } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createDiskStore,
  createGateway,
  createNodeServer,
  type NodeServer,
  type NodeServerOptions,
} from '../../src/gateway/index.js';
import { mounted } from './support/mounted.js';
import {
  buildXorb,
  codec,
  fileOf,
  hasher,
  listed,
  READ_TOKEN,
  randomChunks,
  uploadShard,
  WRITE_TOKEN,
} from './support/rig.js';

const xorb = buildXorb(randomChunks(70, [40_000, 50_000, 60_000]));
const file = fileOf([[xorb, 0, 3]]);
const auth = { authorization: `Bearer ${WRITE_TOKEN}` };

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Serves `handle` until the test ends. */
async function serve(
  handle: (request: Request) => Promise<Response>,
  options: NodeServerOptions = {},
): Promise<NodeServer> {
  const server = await createNodeServer(mounted(handle), { port: 0, drainMs: 1000, ...options });
  cleanups.push(() => server.close());
  return server;
}

/** A whole gateway over a disk store. */
async function serveGateway(): Promise<NodeServer> {
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-gateway-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const gateway = createGateway({
    store: await createDiskStore(folder, { sync: false }),
    hasher,
    codec,
    tokens: [
      { token: READ_TOKEN, scope: 'read' },
      { token: WRITE_TOKEN, scope: 'write' },
    ],
  });
  const server = await createNodeServer(gateway, { port: 0, drainMs: 1000 });
  cleanups.push(() => server.close());
  return server;
}

/** Sends raw text and collects what comes back until the connection ends. */
function raw(server: NodeServer, text: string): { socket: Socket; answer: Promise<string> } {
  const socket = connect(server.port, server.host);
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  socket.on('error', () => undefined);
  const answer = new Promise<string>((resolve) => {
    socket.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')));
  });
  socket.write(text);
  return { socket, answer };
}

const echo = async (incoming: Request): Promise<Response> => {
  const body = new Uint8Array(await incoming.arrayBuffer());
  return new Response(JSON.stringify({ url: incoming.url, length: body.length }));
};

/** Enough for the socket buffers of both sides many times over. */
const LARGE_BYTES = 64 * 1024 * 1024;

describe('a gateway on a port', () => {
  it('takes a xorb and a shard and gives the file back, over fetch', async () => {
    const { url } = await serveGateway();
    const posted = await fetch(`${url}/v1/xorbs/default/${xorb.hash}`, {
      method: 'POST',
      headers: auth,
      body: xorb.bytes as Uint8Array<ArrayBuffer>,
    });
    expect(await posted.json()).toEqual({ was_inserted: true });
    const shard = uploadShard({ files: [file], xorbs: [listed(xorb)] });
    const registered = await fetch(`${url}/v2/shards`, {
      method: 'POST',
      headers: auth,
      body: shard as Uint8Array<ArrayBuffer>,
    });
    expect(await registered.text()).toMatch(/\{"type":"result","result":1\}\n$/);

    const reconstruction = (await (
      await fetch(`${url}/v2/reconstructions/${file.hash}`, { headers: auth })
    ).json()) as { xorbs: Record<string, { url: string }[]> };
    const fetchUrl = reconstruction.xorbs[xorb.hash.toString()]?.[0]?.url as string;
    expect(fetchUrl.startsWith(`${url}/v1/fetch/`)).toBe(true);
    const data = await fetch(fetchUrl, { headers: { range: `bytes=0-${xorb.bytes.length - 1}` } });
    expect(data.status).toBe(206);
    expect(new Uint8Array(await data.arrayBuffer())).toEqual(xorb.bytes);
  });

  it('takes the same over undici, in pieces of unknown total length', async () => {
    const { url } = await serveGateway();
    const body = Readable.from(
      (function* () {
        for (let at = 0; at < xorb.bytes.length; at += 7001) {
          yield Buffer.from(xorb.bytes.slice(at, at + 7001));
        }
      })(),
    );
    const { statusCode, body: answer } = await request(`${url}/v1/xorbs/default/${xorb.hash}`, {
      method: 'POST',
      headers: auth,
      body,
    });
    expect(statusCode).toBe(200);
    expect(await answer.json()).toEqual({ was_inserted: true });
  });

  it('answers HEAD with the length and no bytes, and keeps the connection', async () => {
    const server = await serveGateway();
    await fetch(`${server.url}/v1/xorbs/default/${xorb.hash}`, {
      method: 'POST',
      headers: auth,
      body: xorb.bytes as Uint8Array<ArrayBuffer>,
    });
    const head = `HEAD /v1/xorbs/default/${xorb.hash} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${READ_TOKEN}\r\n`;
    const { answer } = raw(server, `${head}\r\n${head}Connection: close\r\n\r\n`);
    const [first, second, ...rest] = (await answer).split('HTTP/1.1 200 OK\r\n').slice(1);
    expect(rest).toEqual([]);
    for (const text of [first, second]) {
      expect(text).toMatch(/content-length: 150\d{3}\r\n/);
      expect(text?.endsWith('\r\n\r\n')).toBe(true);
    }
  });

  it('answers errors before the body is sent: the sender still sees them', async () => {
    const { url } = await serveGateway();
    const body = new Uint8Array(20 * 1024 * 1024);
    for (const [path, headers, status] of [
      [`/v1/xorbs/default/${xorb.hash}`, {}, 401],
      [`/v1/xorbs/default/${xorb.hash}`, { authorization: `Bearer ${READ_TOKEN}` }, 403],
      ['/v1/xorb-grants/default/x', auth, 413],
      ['/v1/not-offered/x', auth, 404],
      ['/v1/xorbs/default/xyz', auth, 400],
      ['/v1/telemetry', auth, 413],
    ] as const) {
      const answer = await fetch(url + path, { method: 'POST', headers, body });
      expect(answer.status).toBe(status);
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/);
      await answer.arrayBuffer();
    }
  });

  it('says when its port is taken, and when it cannot listen at all', async () => {
    const { port, host } = await serve(echo);
    await expect(createNodeServer(mounted(echo), { port, host })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      fields: { port, host },
    });
    await expect(
      createNodeServer(mounted(echo), { port: 0, host: '203.0.113.1' }),
    ).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('requests', () => {
  it('keep their target as it is, whatever the Host header says', async () => {
    const server = await serve(echo);
    const send = async (target: string, host = 'gateway.example:99'): Promise<string> =>
      raw(server, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`).answer;
    expect(await send('/a/b?c=d%2Fe')).toContain('"http://gateway.example:99/a/b?c=d%2Fe"');
    expect(await send('//evil/x')).toContain('"http://gateway.example:99//evil/x"');
    for (const [target, host] of [
      ['http://evil/x', 'ok'],
      ['*', 'ok'],
      ['/x', 'a b'],
      ['/x', 'user@evil'],
      ['/x', 'evil/path?'],
      ['/x', 'a:port'],
    ] as const) {
      expect(await send(target, host), `${target} ${host}`).toMatch(/^HTTP\/1.1 400 /);
    }
  });

  it('without a Host header are answered under the local address', async () => {
    const server = await serve(echo);
    const { answer } = raw(server, 'GET /x HTTP/1.0\r\n\r\n');
    expect(await answer).toContain(`"http://127.0.0.1:${server.port}/x"`);
  });

  it('of methods that web requests cannot carry are answered, not a crash', async () => {
    const server = await serveGateway();
    const { answer } = raw(server, 'TRACE /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await answer).toMatch(/^HTTP\/1.1 404 /);
  });

  it('may have headers of 64,000 characters', async () => {
    const { url } = await serve(
      async (incoming) => new Response(String(incoming.headers.get('authorization')?.length)),
    );
    const headers = { authorization: `Bearer ${'x'.repeat(64_000)}` };
    expect(await (await fetch(url, { headers })).text()).toBe('64007');
  });

  it('that ask first are told to go on only when their body is wanted', async () => {
    const server = await serve(async (incoming) =>
      incoming.url.endsWith('/wanted') ? echo(incoming) : new Response(null, { status: 401 }),
    );
    const head = (path: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`;
    const refused = await raw(server, head('/unwanted')).answer;
    expect(refused).toMatch(/^HTTP\/1.1 401 /);
    expect(refused.toLowerCase()).toContain('connection: close');

    const { socket, answer } = raw(server, head('/wanted'));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.write('body');
    setTimeout(() => socket.end(), 50);
    expect(await answer).toMatch(
      /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n[\s\S]*"length":4/,
    );
  });
});

describe('bodies', () => {
  it('are read no faster than they are wanted', async () => {
    let read = (): void => undefined;
    const reading = new Promise<void>((resolve) => {
      read = resolve;
    });
    let received = 0;
    const server = await serve(async (incoming) => {
      await reading;
      for await (const piece of incoming.body ?? []) received += piece.length;
      return new Response(String(received));
    });
    let sent = 0;
    const outgoing = httpRequest({ host: server.host, port: server.port, method: 'POST' });
    const answered = new Promise<string>((resolve) => {
      outgoing.on('response', (response) => {
        response.setEncoding('utf8').on('data', resolve);
      });
    });
    const piece = Buffer.alloc(1024 * 1024);
    // Writes until the other side takes no more.
    while (sent < LARGE_BYTES) {
      sent += piece.length;
      if (outgoing.write(piece)) continue;
      const drained = await Promise.race([
        new Promise((resolve) => outgoing.once('drain', () => resolve(true))),
        new Promise((resolve) => setTimeout(() => resolve(false), 300)),
      ]);
      if (drained === false) break;
    }
    expect(sent).toBeLessThan(LARGE_BYTES);
    read();
    outgoing.end();
    expect(await answered).toBe(String(sent));
  });

  it('of answers are made no faster than they are taken', async () => {
    let made = 0;
    const { url } = await serve(
      async () =>
        new Response(
          new ReadableStream({
            pull(controller): void {
              made += 65_536;
              controller.enqueue(new Uint8Array(65_536));
              if (made >= LARGE_BYTES) controller.close();
            },
          }),
        ),
    );
    const { body } = await request(url);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(made).toBeLessThan(LARGE_BYTES);
    let taken = 0;
    for await (const piece of body) taken += piece.length;
    expect(taken).toBe(LARGE_BYTES);
  });

  it('of a client that leaves end the request: signal fired, stream closed', async () => {
    const log: string[] = [];
    let seen = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      seen = resolve;
    });
    let arrive = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const server = await serve(async (incoming) => {
      arrive();
      incoming.signal.addEventListener('abort', () => log.push('aborted'));
      try {
        await incoming.arrayBuffer();
      } catch {
        log.push('broken');
      }
      seen();
      return new Response('late');
    });
    const { socket } = raw(server, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc');
    await arrived;
    socket.destroy();
    await done;
    expect(log.sort()).toEqual(['aborted', 'broken']);
  });

  it('of answers that nobody takes any more are cancelled', async () => {
    let cancelled = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      cancelled = resolve;
    });
    const { url } = await serve(
      async () =>
        new Response(
          new ReadableStream({
            pull(controller): void {
              controller.enqueue(new Uint8Array(65_536));
            },
            cancel(): void {
              cancelled();
            },
          }),
        ),
    );
    const { body } = await request(url);
    body.on('error', () => undefined).destroy();
    await done;
  });

  it('that break off on our side cut the connection, so that nobody takes them for whole', async () => {
    const { url } = await serve(
      async () =>
        new Response(
          new ReadableStream({
            start(controller): void {
              controller.enqueue(new Uint8Array(10));
              setTimeout(() => controller.error(new Error('disk on fire')), 20);
            },
          }),
        ),
    );
    const { statusCode, body } = await request(url);
    expect(statusCode).toBe(200);
    await expect(body.arrayBuffer()).rejects.toThrow();
  });
});

describe('silence', () => {
  it('of a client that has to send ends the connection', async () => {
    const server = await serve(echo, { idleMs: 100 });
    const { answer } = raw(server, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc');
    expect(await answer).toBe('');
  });

  it('of a client that has to take bytes ends the connection', async () => {
    let cancelled = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      cancelled = resolve;
    });
    const server = await serve(
      async () =>
        new Response(
          new ReadableStream({
            pull(controller): void {
              controller.enqueue(new Uint8Array(1024 * 1024));
            },
            cancel(): void {
              cancelled();
            },
          }),
        ),
      { idleMs: 100 },
    );
    const { socket } = raw(server, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.pause();
    await done;
    socket.destroy();
  });

  it('is not held against a client that waits for us', async () => {
    const { url } = await serve(
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 400));
        return new Response('worth it');
      },
      { idleMs: 100 },
    );
    expect(await (await fetch(url)).text()).toBe('worth it');
  });

  it('is not held against a client that sends slowly but steadily', async () => {
    const server = await serve(echo, { idleMs: 1000 });
    const { socket, answer } = raw(
      server,
      'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n',
    );
    // Longer in all than the silence that is allowed, each step far shorter.
    for (let sent = 0; sent < 10; sent++) {
      await new Promise((resolve) => setTimeout(resolve, 120));
      socket.write('x');
    }
    expect(await answer).toContain('"length":10');
  });
});

describe('closing', () => {
  it('lets running requests end, takes no new ones and closes idle connections', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let arrive = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const server = await createNodeServer(
      mounted(async (incoming) => {
        if (incoming.url.endsWith('/slow')) {
          arrive();
          await held;
        }
        return new Response('whole');
      }),
      { port: 0, drainMs: 5000 },
    );
    expect(await (await fetch(`${server.url}/quick`)).text()).toBe('whole');
    const slow = fetch(`${server.url}/slow`);
    await arrived;
    const closed = server.close();
    await expect(fetch(`${server.url}/quick`)).rejects.toThrow();
    release();
    const answer = await slow;
    expect(answer.headers.get('connection')).toBe('close');
    expect(await answer.text()).toBe('whole');
    await closed;
  });

  it('cuts off what does not end in time', async () => {
    const server = await createNodeServer(
      mounted(() => new Promise<Response>(() => undefined)),
      { port: 0, drainMs: 100 },
    );
    const stuck = fetch(server.url);
    stuck.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.close();
    await expect(stuck).rejects.toThrow();
  });

  it('works twice', async () => {
    const server = await createNodeServer(mounted(echo), { port: 0 });
    await server.close();
    await server.close();
  });
});
