import { afterEach, describe, expect, it } from 'vitest';
import { type CasClientOptions, createCasClient } from '../../src/transport/index.js';
import {
  failureOf,
  type Handler,
  type Rig,
  type SeenRequest,
  sendJson,
  someHash,
  startRig,
  startServer,
  type TestServer,
  until,
} from './support.js';

const HUB_TOKEN = 'hub-token-that-is-secret';
const OPTIONS = { authorization: `Bearer ${HUB_TOKEN}`, 'X-Mine': 'too' };

let rig: Rig;
let hub: TestServer;
afterEach(async () => {
  await rig.close();
  await hub.close();
});

/** A store that takes the newest token only, and a URL that gives them. */
async function start({
  give,
  store,
  options = {},
}: {
  readonly give?: Handler;
  readonly store?: Handler;
  readonly options?: Partial<CasClientOptions>;
} = {}): Promise<void> {
  hub = await startServer(
    give ?? ((_, response, index) => sendJson(response, 200, answer(index + 1))),
  );
  rig = await startRig(
    store ??
      (async (request, response) => {
        await request.body;
        sendJson(response, 200, { was_inserted: true });
      }),
    { token: { refreshUrl: `${hub.url}/token?rev=main`, headers: OPTIONS }, ...options },
  );
}

/** An hour, by the clock of the test. */
const answer = (number: number, lifeS = 3600) => ({
  accessToken: `token-${number}`,
  exp: 1_700_000_000 + lifeS,
  casUrl: undefined as string | undefined,
});

const put = () => rig.cas.putXorb(someHash(), { sizeBytes: 3, pieces: [new Uint8Array(3)] });
const sent = (requests: readonly SeenRequest[]) =>
  requests.map(({ headers }) => headers['authorization']);

/** The server's clock is the test's. */
const dated = (response: Parameters<Handler>[1], json: unknown): void => {
  response.setHeader('date', new Date(1_700_000_000_000).toUTCString());
  sendJson(response, 200, json);
};

describe('tokens from a URL', () => {
  it('are asked for once, whoever waits, and go to the store alone', async () => {
    await start({ give: (_, response, index) => dated(response, answer(index + 1)) });
    await Promise.all([put(), put(), put()]);
    expect(hub.seen).toHaveLength(1);
    expect(hub.seen[0]).toMatchObject({
      method: 'GET',
      path: '/token?rev=main',
      headers: { authorization: `Bearer ${HUB_TOKEN}`, 'x-mine': 'too' },
    });
    expect(sent(rig.server.seen)).toEqual(Array(3).fill('Bearer token-1'));
    expect(rig.server.seen[0]?.headers).not.toHaveProperty('x-mine');
  });

  it('are replaced a minute before they end, by the clock of the server that gives them', async () => {
    const skewMs = 5 * 3_600_000;
    await start({
      give: (_, response, index) => {
        const nowMs = rig.clock.unixMs() + skewMs;
        response.setHeader('date', new Date(nowMs).toUTCString());
        const exp = Math.floor(nowMs / 1000) + 600;
        sendJson(response, 200, { accessToken: `token-${index + 1}`, exp });
      },
    });
    await put();
    rig.clock.advance(535_000);
    await put();
    expect(hub.seen).toHaveLength(1);
    rig.clock.advance(10_000);
    await put();
    expect(hub.seen).toHaveLength(2);
    expect(sent(rig.server.seen).at(-1)).toBe('Bearer token-2');
  });

  it('that are refused are replaced at once, and only once for all', async () => {
    await start({
      give: (_, response, index) => dated(response, answer(index + 1)),
      store: async (request, response) => {
        await request.body;
        const isOld = request.headers['authorization'] === 'Bearer token-1';
        sendJson(response, isOld ? 401 : 200, { was_inserted: true });
      },
    });
    await Promise.all([put(), put()]);
    expect(hub.seen).toHaveLength(2);
  });

  it('may come in headers', async () => {
    await start({
      give: (_, response) => {
        response.setHeader('x-xet-access-token', 'token-of-a-header');
        response.setHeader('x-xet-token-expiration', '1700009999');
        response.setHeader('x-xet-cas-url', rig.server.url);
        dated(response, {});
      },
    });
    await put();
    expect(sent(rig.server.seen)).toEqual(['Bearer token-of-a-header']);
  });

  it('are used on while they are good when the URL fails, and asked for again', async () => {
    await start({
      give: (_, response, index) => {
        if (index === 1) response.writeHead(503).end();
        else dated(response, answer(index + 1));
      },
    });
    await put();
    rig.clock.advance(3_550_000);
    await put();
    expect(sent(rig.server.seen)).toEqual(['Bearer token-1', 'Bearer token-1']);
    await put();
    expect(sent(rig.server.seen).at(-1)).toBe('Bearer token-3');
  });

  it('are asked for again, as any request, when the URL fails for a moment', async () => {
    await start({
      give: (_, response, index) => {
        if (index === 0) response.writeHead(503, { 'retry-after': '4' }).end();
        else dated(response, answer(index + 1));
      },
    });
    const result = put();
    await until(() => rig.retries.length === 1);
    expect(rig.retries[0]).toMatchObject({ code: 'SERVER_ERROR', delayMs: 4_000 });
    await until(() => rig.clock.waiting > 0);
    rig.clock.advance(4_000);
    expect(await result).toEqual({ inserted: true });
  });

  it.each([
    ['401', (_: SeenRequest, response: never) => reply(response, 401), 'AUTH_REQUIRED'],
    ['403', (_: SeenRequest, response: never) => reply(response, 403), 'FORBIDDEN'],
    ['404', (_: SeenRequest, response: never) => reply(response, 404), 'NOT_FOUND'],
    ['no JSON', (_: SeenRequest, response: never) => reply(response, 200), 'PROTOCOL'],
    ['no token', (_: SeenRequest, response: never) => sendJson(response, 200, {}), 'AUTH_REQUIRED'],
    [
      'a token that is over',
      (_: SeenRequest, response: never) => dated(response, answer(1, -1)),
      'AUTH_REQUIRED',
    ],
    [
      'a token for another store',
      (_: SeenRequest, response: never) =>
        dated(response, { ...answer(1), casUrl: 'https://other.example' }),
      'AUTH_REQUIRED',
    ],
  ])('end the call at once where the URL says %s', async (_, give, code) => {
    await start({ give: give as unknown as Handler });
    const error = await failureOf(put());
    expect(error.code).toBe(code);
    expect(hub.seen).toHaveLength(1);
    expect(rig.server.seen).toHaveLength(0);
    expect(JSON.stringify([error, error.message])).not.toContain(HUB_TOKEN);
  });

  it('are asked for with nothing of the caller’s on another host', async () => {
    const other = await startServer((_, response) => dated(response, answer(1)));
    await start({
      give: (request, response) => {
        const location = request.path.startsWith('/moved') ? `${other.url}/x` : '/moved';
        response.writeHead(307, { location }).end();
      },
    });
    expect(await failureOf(put())).toMatchObject({ code: 'PROTOCOL', fields: { status: 307 } });
    // On its own host it may move.
    expect(hub.seen.map(({ path }) => path)).toEqual(['/token?rev=main', '/moved']);
    expect(other.seen).toHaveLength(0);
    await other.close();
  });

  it.each([
    [{ refreshUrl: 'ftp://x' }, '"token.refreshUrl" expected an http or https URL'],
    [{ refreshUrl: 'https://a:b@x' }, 'expected no user name'],
    [{ refreshUrl: 'https://x', headers: { a: 'b\nc' } }, 'one line of printable ASCII'],
    [{ refreshUrl: 'https://x', header: {} }, '"token" has no member "header"'],
    [{}, 'expected a string, a function, an object with get() or a refreshUrl'],
  ])('refuse what cannot work: %j', async (token, message) => {
    await start();
    const make = () => createCasClient({ endpoint: 'https://x', token: token as never });
    expect(make).toThrow(message);
  });
});

describe('a token that is a function', () => {
  it('is asked for each request', async () => {
    let count = 0;
    await start({ options: { token: () => `token-${++count}` } });
    await put();
    await put();
    expect(sent(rig.server.seen)).toEqual(['Bearer token-1', 'Bearer token-2']);
  });
});

function reply(response: Parameters<Handler>[1], status: number): void {
  response.writeHead(status).end('no such thing');
}
