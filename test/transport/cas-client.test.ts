import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCasClient } from '../../src/transport/index.js';
import { failureOf, readFailure, someHash, startRig, startServer } from './support.js';

const endpoint = 'https://cas.example.com';

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

  it('goes on to the next address of a host when the first leads nowhere', async () => {
    const server = await startServer((_request, response) => {
      response.end(JSON.stringify(reconstruction));
    });
    const cas = createCasClient({
      endpoint: `http://two-addresses.example:${server.port}`,
      token: 't',
      addressTimeoutMs: 50,
      lookup: ((_name: string, _options: unknown, callback: (...all: unknown[]) => void) => {
        // A documentation address that nobody answers at, then the real one.
        callback(null, [
          { address: '2001:db8::1', family: 6 },
          { address: '127.0.0.1', family: 4 },
        ]);
      }) as never,
    });
    expect(await cas.getReconstruction(someHash())).not.toBeNull();
    await cas.close();
    await server.close();
  });
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
