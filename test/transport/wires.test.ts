import { lookup as systemLookup } from 'node:dns';
import { createServer as createProxy } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Body, bytesBody } from '../../src/http/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createUrlPolicy } from '../../src/transport/url-policy.js';
import type { ConnectOptions } from '../../src/transport/wires/connect.js';
import { createDispatcherExchange } from '../../src/transport/wires/dispatcher.js';
import { createFetchExchange } from '../../src/transport/wires/fetch.js';
import { createNodeWire } from '../../src/transport/wires/node.js';
import { createSocketWire } from '../../src/transport/wires/socket.js';
import { failureOf, pattern, until } from './support.js';
import { TEST_CERTIFICATE, TEST_KEY } from './tls-fixture.js';
import {
  asFailure,
  ask,
  brokenBody,
  bytesOf,
  type Scenario,
  type WireUnderTest,
} from './wires.conformance.js';

const optionsOf = (lookup: unknown = systemLookup): ConnectOptions => ({
  connectTimeoutMs: 15_000,
  attemptTimeoutMs: 2_500,
  ca: TEST_CERTIFICATE,
  lookup: lookup as never,
  policy: createUrlPolicy({
    endpoint: new URL('http://127.0.0.1'),
    allowHosts: ['nowhere.example'],
    lookup: systemLookup as never,
  }),
  clock: SYSTEM_CLOCK,
});
const undiciAgent = () => new Agent({ connect: { ca: TEST_CERTIFICATE }, pipelining: 1 });
const OWN_SOCKETS =
  'its sockets are its own: a write into a cut connection loses what was not read';

/** Servers of tests by their ports: the proxy hands connections on to them as they are. */
const servers = new Map<number, Server>();
const proxy = createProxy();
proxy.on('connect', ({ url = '' }, socket: Socket) => {
  const server = servers.get(Number(url.split(':').at(-1)));
  socket.allowHalfOpen = false;
  if (server === undefined) socket.end('HTTP/1.1 502 Nobody\r\n\r\n');
  else socket.write('HTTP/1.1 200 OK\r\n\r\n', () => server.emit('connection', socket));
});
let proxyUrl: URL;
beforeAll(async () => {
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  proxyUrl = new URL(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
});
afterAll(() => void proxy.close());

const WIRES: readonly WireUnderTest[] = [
  {
    name: 'node',
    protocols: ['http', 'https'],
    make: (lookup) => createNodeWire(optionsOf(lookup)),
    mostConnections: 1,
    skips: { 'bare LF': 'the parser of Node refuses such heads, at once' },
  },
  {
    name: 'proxied node',
    protocols: ['http', 'https'],
    make: (lookup) => createNodeWire(optionsOf(lookup), proxyUrl),
    mostConnections: 1,
    skips: {
      'bare LF': 'the parser of Node refuses such heads, at once',
      connecting: 'the proxy resolves names',
    },
  },
  {
    name: 'plain socket',
    protocols: ['http'],
    make: (lookup) => createSocketWire(optionsOf(lookup)),
    mostConnections: 1,
    skips: {
      'sends bodies': 'it is for reads; requests with a body go over node:http',
      'sends views': 'it is for reads; requests with a body go over node:http',
      'refusal with a cut': 'it is for reads; requests with a body go over node:http',
    },
  },
  {
    name: 'undici',
    protocols: ['http', 'https'],
    make: () => {
      const agent = undiciAgent();
      return { exchange: createDispatcherExchange(agent), close: () => agent.destroy() };
    },
    mostConnections: 4,
    skips: {
      'refusal with a cut': OWN_SOCKETS,
      'bare LF': 'its parser refuses such heads, at once',
      connecting: 'the dispatcher resolves names by itself',
    },
  },
  {
    name: 'fetch',
    protocols: ['http', 'https'],
    make: () => {
      const dispatcher = undiciAgent();
      const fetch = ((url: URL, init: object) =>
        undiciFetch(url, { ...init, dispatcher })) as never;
      return { exchange: createFetchExchange(fetch), close: () => dispatcher.destroy() };
    },
    mostConnections: 4,
    skips: {
      'sends views': 'fetch takes memory of its own, so the body is copied',
      'refusal with a cut': OWN_SOCKETS,
      'bare LF': 'its parser refuses such heads, at once',
      connecting: 'fetch resolves names by itself',
    },
  },
];

/** What a test opened, closed in turn. */
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

type Serve = (socket: Socket, index: number) => void;

/** That of Node is undici's. */
const NATIVE_FETCH: WireUnderTest = {
  name: 'native fetch',
  protocols: ['http'],
  make: () => ({ exchange: createFetchExchange(fetch), close: async () => {} }),
  mostConnections: 4,
  skips: {
    'sends views': 'fetch takes memory of its own, so the body is copied',
    'refusal with a cut': OWN_SOCKETS,
    'bare LF': 'its parser refuses such heads, at once',
    connecting: 'fetch resolves names by itself',
  },
};
const isNode = process.versions['bun'] === undefined && process.versions['deno'] === undefined;

for (const wire of isNode ? WIRES : [...WIRES, NATIVE_FETCH]) {
  for (const protocol of wire.protocols) {
    describe(`the ${wire.name} wire over ${protocol}`, () => {
      const scenario = (name: Scenario | null, title: string, run: () => Promise<void>): void => {
        const reason = name === null ? undefined : wire.skips[name];
        it.skipIf(reason !== undefined)(reason === undefined ? title : `${title}: ${reason}`, run);
      };
      const make = (lookup?: unknown) => {
        const made = wire.make(lookup);
        open.push(() => made.close());
        return made.exchange;
      };
      const serve = async (handler: Serve): Promise<string> => {
        let count = 0;
        const sockets = new Set<Socket>();
        const onSocket = (socket: Socket): void => {
          sockets.add(socket.on('error', () => {}));
          handler(socket, count++);
        };
        const server: Server =
          protocol === 'http'
            ? createServer(onSocket)
            : createSecureServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }, onSocket);
        server.on('tlsClientError', () => {});
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        const { port } = server.address() as AddressInfo;
        servers.set(port, server);
        open.push(() => {
          for (const socket of sockets) socket.destroy();
          server.close();
        });
        return `${protocol}://127.0.0.1:${port}/x`;
      };
      /** Answers each request without a body with the next of these texts or pieces. */
      const answering =
        (...answers: readonly (string | Uint8Array | readonly (string | Uint8Array)[])[]): Serve =>
        (socket, index) => {
          let next = index;
          let head = '';
          socket.on('data', async (bytes) => {
            head += bytes.toString('latin1');
            if (!head.includes('\r\n\r\n')) return;
            head = '';
            const answer = answers[Math.min(next++, answers.length - 1)] as string;
            for (const piece of typeof answer === 'string' ? [answer] : (answer as string[])) {
              socket.write(piece);
              await new Promise((resolve) => setImmediate(resolve));
            }
          });
        };

      it('holds the sender up while nobody reads, and loses no byte', async () => {
        const big = Buffer.from(pattern(24 << 20, 7));
        let sentBytes = 0;
        const url = await serve((socket) => {
          socket.once('data', async () => {
            socket.write(`HTTP/1.1 206 P\r\ncontent-length: ${big.length}\r\n\r\n`);
            for (let at = 0; at < big.length; at += 65_536) {
              const piece = big.subarray(at, at + 65_536);
              const taken = new Promise((resolve) => socket.write(piece, resolve));
              await taken;
              sentBytes = at + piece.length;
            }
          });
        });
        const { body, status } = await ask(make(), url);
        expect(status).toBe(206);
        expect(body?.sizeBytes).toBe(big.length);
        // Nobody reads: what is on the way comes to rest.
        for (let before = -1; before !== sentBytes; ) {
          before = sentBytes;
          await new Promise((resolve) => setTimeout(resolve, 60));
        }
        expect(sentBytes).toBeLessThan(big.length);
        let readBytes = 0;
        const got = await bytesOf(body, {
          fillBytes: 1 << 18,
          onFill: async () => {
            if (++readBytes % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
          },
        });
        expect(got.equals(big)).toBe(true);
      }, 20_000);

      it('reads bodies of a known length in fills of any size, over one connection', async () => {
        const object = pattern(200_000, 3);
        const head = `HTTP/1.1 200 OK\r\nContent-Length: ${object.length}\r\nX-A: 1\r\nX-A: 2\r\n\r\n`;
        let connectionCount = 0;
        const url = await serve((socket) => {
          connectionCount++;
          answering([
            head,
            object.subarray(0, 5),
            object.subarray(5, 70_000),
            object.subarray(70_000),
          ])(socket, 0);
        });
        const exchange = make();
        for (const fillBytes of [1_000, 511, 512, 513, 300_000, 77]) {
          const { status, headers, body } = await ask(exchange, url);
          expect(status).toBe(200);
          expect(headers['x-a']).toBe('1, 2');
          expect((await bytesOf(body, { fillBytes })).equals(object)).toBe(true);
        }
        expect(connectionCount).toBeLessThanOrEqual(wire.mostConnections);
      });

      it('reads a head of any length after a response whose body came with its head', async () => {
        const head = `HTTP/1.1 206 Partial\r\nX-A: ${'a'.repeat(2000)}\r\ncontent-length: 2\r\n\r\n`;
        const url = await serve(
          answering('HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!', `${head}ok`),
        );
        const exchange = make();
        for (const [expected, text] of [
          [403, 'no!'],
          [206, 'ok'],
        ]) {
          const { status, body } = await ask(exchange, url);
          expect([status, (await bytesOf(body)).toString()]).toEqual([expected, text]);
        }
      });

      it('reads chunked bodies, wherever they are cut', async () => {
        const object = Buffer.from(pattern(30_000, 4));
        const coded: Buffer[] = [];
        for (let at = 0, size = 1; at < object.length; at += size, size = (size * 7) % 4001) {
          const part = object.subarray(at, at + size);
          coded.push(Buffer.from(`${part.length.toString(16)};x=y\r\n`), part, Buffer.from('\r\n'));
        }
        coded.push(Buffer.from('0\r\nTrailer: x\r\n\r\n'));
        const whole = Buffer.concat(coded);
        const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
        const slices = Array.from({ length: 20 }, (_, i) =>
          whole.subarray((i * whole.length) / 20, ((i + 1) * whole.length) / 20),
        );
        const url = await serve(answering([head, ...slices]));
        const exchange = make();
        for (const fillBytes of [333, 65_536]) {
          const { body } = await ask(exchange, url);
          expect(body?.sizeBytes).toBeUndefined();
          expect((await bytesOf(body, { fillBytes })).equals(object)).toBe(true);
        }
      });

      it('reads to the end of the connection where there is no length', async () => {
        const object = Buffer.from(pattern(100_000, 5));
        const url = await serve((socket) => {
          socket.once('data', () => {
            socket.write('HTTP/1.0 200 OK\r\n\r\n');
            socket.end(object);
          });
        });
        const { body } = await ask(make(), url);
        expect((await bytesOf(body)).equals(object)).toBe(true);
      });

      scenario('early hints', 'passes over informational responses', async () => {
        const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n';
        const url = await serve(
          answering(`${hints}${hints}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`, [
            hints,
            hints,
            'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
          ]),
        );
        const exchange = make();
        for (let i = 0; i < 3; i++) {
          const { status, body } = await ask(exchange, url);
          expect(status).toBe(200);
          expect((await bytesOf(body)).toString()).toBe('ok');
        }
      });

      scenario('bare LF', 'reads heads whose lines end with a bare LF', async () => {
        const url = await serve(answering('HTTP/1.1 206 P\nContent-Length: 2\n\nok'));
        const { status, body } = await ask(make(), url);
        expect([status, (await bytesOf(body)).toString()]).toEqual([206, 'ok']);
      });

      it('does not wait for the rest of a head with bare LF', async () => {
        const url = await serve(answering('HTTP/1.1 206 P\nContent-Length: 2\n\nok'));
        const settled = ask(make(), url).then(
          () => 'read',
          (error: unknown) => asFailure(error).error.code,
        );
        expect(['read', 'PROTOCOL']).toContain(await settled);
      });

      it('replaces a connection that the server closed before its next use', async () => {
        let connectionCount = 0;
        const url = await serve((socket) => {
          connectionCount++;
          socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
        });
        const exchange = make();
        for (let i = 0; i < 3; i++) {
          expect((await bytesOf((await ask(exchange, url)).body)).toString()).toBe('ok');
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        expect(connectionCount).toBe(3);
      });

      it.each([
        ['of a known length, ended', 'content-length: 1000', false],
        ['of a known length, reset', 'content-length: 1000', true],
        ['chunked, ended', 'transfer-encoding: chunked', false],
      ])('tells that a body is cut: %s', async (_name, header, resets) => {
        const isChunked = header.includes('chunked');
        const url = await serve((socket) => {
          socket.once('data', () => {
            socket.write(`HTTP/1.1 200 OK\r\n${header}\r\n\r\n${isChunked ? '3e8\r\n' : ''}`);
            socket.write(Buffer.alloc(400, 1), () =>
              setTimeout(() => (resets ? socket.destroy() : socket.end()), 10),
            );
          });
        });
        const { body } = await ask(make(), url);
        const { bytes, failure } = await brokenBody(body);
        expect(bytes.length).toBeLessThanOrEqual(400);
        expect([failure.error.code, failure.retry]).toEqual(['NETWORK', true]);
      });

      it('tells that a connection ended before a response', async () => {
        const url = await serve((socket) => socket.once('data', () => socket.end()));
        const error = await ask(make(), url).catch((reason: unknown) => reason);
        expect(asFailure(error)).toMatchObject({ retry: true, error: { code: 'NETWORK' } });
      });

      it('tells that what came is not HTTP', async () => {
        const url = await serve(answering('220 mail.example.com ESMTP\r\n\r\n'));
        const error = await ask(make(), url).catch((reason: unknown) => reason);
        expect(asFailure(error)).toMatchObject({ retry: false, error: { code: 'PROTOCOL' } });
      });

      it.each(['cancel', 'signal'])('ends the connection in mid body by %s', async (way) => {
        let closed = false;
        const url = await serve((socket) => {
          socket.on('close', () => {
            closed = true;
          });
          answering(['HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n', Buffer.alloc(1000)])(
            socket,
            0,
          );
        });
        const controller = new AbortController();
        const { body } = await ask(make(), url, { signal: controller.signal });
        const into = new Uint8Array(100_000);
        await body?.fill(into);
        const waiting = (async () => {
          while (((await body?.fill(into)) ?? 0) > 0);
        })().then(
          () => 'ended',
          () => 'rejected',
        );
        await new Promise((resolve) => setTimeout(resolve, 10));
        if (way === 'cancel') body?.cancel();
        else controller.abort(new Error('enough'));
        if (way === 'signal') expect(await waiting).toBe('rejected');
        await until(() => closed);
        body?.cancel();
      });

      it('sends nothing under a signal that has fired', async () => {
        let connectionCount = 0;
        const url = await serve(() => connectionCount++);
        const reason = new Error('too late');
        const asked = ask(make(), url, { signal: AbortSignal.abort(reason) });
        await expect(asked).rejects.toThrow();
        expect(connectionCount).toBe(0);
      });

      scenario('connecting', 'obeys the signal while it connects', async () => {
        const controller = new AbortController();
        const exchange = make(() => {});
        const asked = ask(exchange, `${protocol}://nowhere.example/x`, controller);
        setTimeout(() => controller.abort(new Error('enough')), 5);
        await expect(asked).rejects.toThrow('enough');
      });

      it('has no body for HEAD, 204 and 304, and keeps the connection', async () => {
        let connectionCount = 0;
        const texts = [
          'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
          'HTTP/1.1 204 No\r\n\r\n',
          'HTTP/1.1 304 Same\r\ncontent-length: 5\r\n\r\n',
          'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
        ];
        const url = await serve((socket) => {
          connectionCount++;
          socket.on('data', () => socket.write(texts.shift() as string));
        });
        const exchange = make();
        for (const [method, status] of [
          ['HEAD', 200],
          ['GET', 204],
          ['GET', 304],
        ] as const) {
          const response = await ask(exchange, url, { method });
          expect([response.status, response.body]).toEqual([status, null]);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        expect((await bytesOf((await ask(exchange, url)).body)).toString()).toBe('hello');
        expect(connectionCount).toBeLessThanOrEqual(wire.mostConnections);
      });

      /** Reads a request with a body to its end and gives its body. */
      const received = (socket: Socket, onEnd: (body: Buffer) => void): void => {
        let all = Buffer.alloc(0);
        socket.on('data', (bytes) => {
          all = Buffer.concat([all, bytes]);
          const at = all.indexOf('\r\n\r\n');
          const length = Number(/content-length: (\d+)/i.exec(all.toString('latin1', 0, at))?.[1]);
          if (at >= 0 && all.length >= at + 4 + length) onEnd(all.subarray(at + 4));
        });
      };
      const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
      const object = pattern(3_000_000, 8);
      const post = { method: 'POST', headers: { 'content-type': 'a/b' } };

      scenario('sends bodies', 'sends a body with its length', async () => {
        let got: Buffer = Buffer.alloc(0);
        const url = await serve((socket) =>
          received(socket, (body) => {
            got = body;
            socket.write(OK);
          }),
        );
        const response = await ask(make(), url, { ...post, body: bytesBody(object) });
        expect((await bytesOf(response.body)).toString()).toBe('ok');
        expect(got.equals(object)).toBe(true);
      });

      scenario(
        'sends views',
        'sends views of a body without a copy, shared memory too',
        async () => {
          const shared = new Uint8Array(new SharedArrayBuffer(object.length));
          shared.set(object);
          const inner = bytesBody(shared);
          const body: Body = {
            sizeBytes: object.length,
            nextView: (most) => inner.nextView?.(Math.min(most, 500_000)) as Uint8Array,
            fill: () => Promise.reject(new Error('this would be a copy')),
            cancel: () => {},
          };
          let got: Buffer = Buffer.alloc(0);
          const url = await serve((socket) =>
            received(socket, (bytes) => {
              got = bytes;
              socket.write(OK);
            }),
          );
          await bytesOf((await ask(make(), url, { ...post, body })).body);
          expect(got.equals(object)).toBe(true);
        },
      );

      scenario('sends bodies', 'gives a response that comes before the body is sent', async () => {
        const url = await serve((socket) => {
          socket.once('data', () => {
            socket.pause();
            socket.write('HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno');
          });
        });
        const body = bytesBody(new Uint8Array(60_000_000));
        const response = await ask(make(), url, { ...post, body });
        expect(response.status).toBe(403);
        expect((await bytesOf(response.body)).toString()).toBe('no');
      });

      scenario('sends bodies', 'is ended by the signal when the server never reads', async () => {
        const url = await serve((socket) => {
          socket.pause();
        });
        const controller = new AbortController();
        const body = bytesBody(new Uint8Array(60_000_000));
        const asked = failureOf(ask(make(), url, { ...post, body, signal: controller.signal }));
        await new Promise((resolve) => setTimeout(resolve, 100));
        controller.abort(new Error('enough'));
        expect((await asked).message).toMatch(/enough|abort/i);
      });

      scenario('refusal with a cut', 'tells a refusal although the connection is cut', async () => {
        const url = await serve((socket) => {
          socket.once('data', () => {
            socket.pause();
            socket.write('HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nno', () =>
              socket.destroy(),
            );
          });
        });
        const exchange = make();
        for (let round = 0; round < 20; round++) {
          const body = bytesBody(new Uint8Array(20_000_000));
          expect((await ask(exchange, url, { ...post, body })).status).toBe(413);
        }
      });
    });
  }
}
