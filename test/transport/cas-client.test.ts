import { spawn } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/index.js';
import { createCasClient } from '../../src/transport/index.js';
import { failureOf, readFailure, someHash, startRig, startServer } from './support.js';

const endpoint = 'https://cas.example.com';

const HAS_IPV6 = networkInterfaces()['lo']?.some(({ address }) => address === '::1') === true;

/** A port of ::1 whose queue of connections is full and never taken from: the system drops what comes. */
async function startBlackHole(port: number) {
  const program = `require('node:net').createServer().listen({ port: ${port}, host: '::1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, 'up');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  })`;
  const child = spawn(process.execPath, ['-e', program]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const fillers = Array.from({ length: 4 }, () =>
    connect({ host: '::1', port }).on('error', () => {}),
  );
  await Promise.all(fillers.slice(0, 2).map((socket) => once(socket, 'connect')));
  return {
    /** The last ones wait still, as whoever comes now does. */
    isOpen: () => fillers.slice(2).every((socket) => socket.connecting),
    close() {
      for (const socket of fillers) socket.destroy();
      child.kill('SIGKILL');
    },
  };
}

describe('creating a client', () => {
  it.each([
    ['an endpoint that is no URL', { endpoint: 'cas.example.com' }],
    ['an endpoint of another scheme', { endpoint: 'ftp://cas.example.com' }],
    ['an endpoint with a query', { endpoint: 'https://cas.example.com/?x=1' }],
    ['an endpoint with a password', { endpoint: 'https://u:p@cas.example.com/' }],
    ['a token with a line break', { token: 'a\nb' }],
    ['a token that is no token', { token: 5 }],
    ['an agent with a line break', { userAgent: 'a\r\nb' }],
    ['a header that is not the caller’s to set', { headers: { Authorization: 'x' } }],
    ['a header name with a space', { headers: { 'a b': 'x' } }],
    ['a header value with a line break', { headers: { a: 'x\ny' } }],
    ['a time that is no number', { stallTimeoutMs: '5' }],
  ] as [string, object][])('is a TypeError for %s', (_name, options) => {
    const create = () => createCasClient({ endpoint, token: 't', ...options } as never);
    expect(create).toThrow(TypeError);
    expect(create).not.toThrow(/a\nb/);
  });

  it.each([
    ['no time at all', { stallTimeoutMs: 0 }],
    ['a time that timers do not take', { responseTimeoutMs: 2 ** 31 }],
    ['half a retry', { retry: { retries: 0.5 } }],
  ] as [string, object][])('is a RangeError for %s', (_name, options) => {
    expect(() => createCasClient({ endpoint, token: 't', ...options } as never)).toThrow(
      RangeError,
    );
  });

  it('puts one listener on a signal however many calls share it, and none in the end', async () => {
    const rig = await startRig(() => {});
    const { signal } = new AbortController();
    let listeners = 0;
    let most = 0;
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    signal.addEventListener = (...all: Parameters<typeof addEventListener>) => {
      most = Math.max(most, ++listeners);
      addEventListener.apply(signal, all);
    };
    signal.removeEventListener = (...all: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, all);
    };
    const calls = Array.from({ length: 30 }, () =>
      failureOf(rig.cas.getReconstruction(someHash(), undefined, signal)),
    );
    await rig.cas.close();
    for (const error of await Promise.all(calls)) expect(error.code).toBe('CLOSED');
    expect([most, listeners]).toEqual([1, 0]);
    await rig.server.close();
  });

  it('can be closed twice', async () => {
    const cas = createCasClient({ endpoint, token: 't' });
    await cas.close();
    await cas.close();
  });
});

describe('addresses of hosts', () => {
  const reconstruction = { offset_into_first_range: 0, terms: [], xorbs: {} };

  it.each(['127.0.0.1', '::1'])('reaches a host that only has %s', async (host) => {
    const server = await startServer((_request, response) => {
      response.end(JSON.stringify(reconstruction));
    }, host);
    const cas = createCasClient({ endpoint: server.url, token: 't' });
    expect(await cas.getReconstruction(someHash())).not.toBeNull();
    await cas.close();
    await server.close();
  });

  it.skipIf(!HAS_IPV6)(
    'goes on to the next address of a host, or proxy, when the first swallows everything',
    async () => {
      const server = await startServer((_request, response) => {
        response.writeHead(404).end();
      });
      const proxy = createServer().on('connect', (_request, socket) => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(connect(server.port, '127.0.0.1')).pipe(socket);
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      const proxyPort = (proxy.address() as AddressInfo).port;
      const holes = await Promise.all([server.port, proxyPort].map(startBlackHole));
      const real = dns.lookup;
      dns.lookup = ((_name: string, _options: unknown, callback: (...all: unknown[]) => void) => {
        callback(null, [
          { address: '::1', family: 6 },
          { address: '127.0.0.1', family: 4 },
        ]);
      }) as never;
      syncBuiltinESMExports();
      try {
        for (const more of [{}, { proxy: `http://two-addresses.example:${proxyPort}` }]) {
          const client = await createClient({
            endpoint: `http://two-addresses.example:${server.port}`,
            addressTimeoutMs: 50,
            connectTimeoutMs: 2_000,
            retry: { retries: 0 },
            workers: 0,
            ...more,
          });
          const asked = client.isFolder(someHash().toString());
          await expect(asked).rejects.toMatchObject({ code: 'NOT_FOUND' });
          await client.close();
        }
        expect(server.seen.length).toBeGreaterThan(1);
        expect(holes.map((hole) => hole.isOpen())).toEqual([true, true]);
      } finally {
        dns.lookup = real;
        syncBuiltinESMExports();
        for (const hole of holes) hole.close();
        await server.close();
        proxy.close();
      }
    },
  );
});

describe('what errors and events say', () => {
  it('never contains the token or a signature, whatever the server says', async () => {
    const echo: { status: number; body: string } = { status: 400, body: '' };
    const rig = await startRig((request, response) => {
      request.raw.resume();
      request.raw.on('end', () => {
        response.writeHead(echo.status, {
          'x-request-id': `id ${request.headers['authorization']}`,
        });
        response.end(`${echo.body} ${JSON.stringify(request.headers)} ${request.path}`);
      });
    });
    await fc.assert(
      fc.asyncProperty(
        fc.stringMatching(/^[A-Za-z0-9._~+/=-]{16,80}$/),
        fc.stringMatching(/^[A-Za-z0-9]{16,40}$/),
        fc.constantFrom(400, 401, 403, 404, 500, 501),
        fc.string({ maxLength: 1100 }),
        async (token, signature, status, noise) => {
          Object.assign(echo, { status, body: noise });
          const events: unknown[] = [];
          const cas = createCasClient({
            endpoint: rig.server.url,
            token,
            clock: rig.clock,
            random: () => 0,
            retry: { retries: 1, maxRetryAfterMs: 0 },
            onRetry: (event) => events.push(event),
          });
          const range = [{ start: 0, end: 1 }];
          const url = `${rig.server.url}/d?X-Amz-Signature=${signature}`;
          const errors = [
            await failureOf(cas.putXorb(someHash(), { sizeBytes: 1, pieces: [Uint8Array.of(1)] })),
            await readFailure(cas, url, range),
          ];
          await cas.close();
          for (const error of errors) {
            const said = [error.message, error.fields, String(error.cause), events];
            const text = JSON.stringify(said) + String((error as unknown as Error).stack);
            expect(text).not.toContain(token);
            expect(text).not.toContain(signature);
          }
        },
      ),
      { numRuns: 60, seed: 21 },
    );
    await rig.close();
  });
});
