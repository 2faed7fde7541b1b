import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { crc64nvme } from '../../src/hash/index.js';
import { grantIn } from '../../src/transport/grants.js';
import type { CasClientOptions } from '../../src/transport/index.js';
import {
  failureOf,
  type Handler,
  pattern,
  type Rig,
  type SeenRequest,
  sendJson,
  someHash,
  startRig,
  startServer,
  type TestServer,
  until,
} from './support.js';

/** The client's side of upload grants: a server of the protocol, and a store on another port. */

const BYTES = pattern(100_000, 3);
const BODY = {
  sizeBytes: BYTES.length,
  pieces: [BYTES.subarray(0, 30_001), BYTES.subarray(30_001)],
};
/** More than `auto` posts at once. */
const LARGE = pattern(5 * 1024 * 1024, 4);
const LARGE_BODY = { sizeBytes: LARGE.length, pieces: [LARGE] };
const HASH = someHash();

let rig: Rig;
let store: TestServer;
afterEach(async () => {
  await rig.close();
  await store.close();
});

/** What each endpoint says; a missing one says what it should. */
interface Responses {
  grant?: (request: SeenRequest, response: ServerResponse, count: number) => unknown;
  put?: (request: SeenRequest, response: ServerResponse, count: number) => unknown;
  commit?: (request: SeenRequest, response: ServerResponse, count: number) => unknown;
}

const kindOf = ({ method, path }: SeenRequest): string => {
  if (path.startsWith('/v1/xorb-grants/')) return 'grant';
  if (path.startsWith('/v1/xorb-commits/')) return 'commit';
  if (method === 'HEAD') return 'head';
  return path.startsWith('/v1/xorbs/') ? 'post' : 'put';
};

const say = (response: ServerResponse, status: number): void => {
  response.writeHead(status).end();
};

async function start(responses: Responses, options: Partial<CasClientOptions> = {}): Promise<void> {
  let puts = 0;
  store = await startServer(async (request, response) => {
    const count = puts++;
    if (responses.put !== undefined) {
      await responses.put(request, response, count);
      return;
    }
    await request.body;
    say(response, 200);
  });
  const counts = { grant: 0, commit: 0 };
  const handler: Handler = async (request, response) => {
    const kind = kindOf(request);
    if (kind === 'head') {
      say(response, 404);
      return;
    }
    if (kind === 'post') {
      await request.body;
      sendJson(response, 200, { was_inserted: true });
      return;
    }
    const step = kind as 'grant' | 'commit';
    const count = counts[step]++;
    const given = responses[step];
    if (given !== undefined) {
      await given(request, response, count);
      return;
    }
    await request.body;
    if (step === 'commit') say(response, 200);
    else sendJson(response, 201, grant(count));
  };
  rig = await startRig(handler, {
    grants: 'always',
    headers: { 'x-custom': 'mine' },
    sessionId: 'session-1',
    retry: { baseDelayMs: 0 },
    ...options,
  });
}

const grant = (count: number): object => ({
  id: `id-${count}`,
  method: 'PUT',
  url: `${store.url}/bucket/incoming/${count}?signature=s3cr3t`,
  headers: { 'If-None-Match': '*', 'X-Amz-Checksum-Crc64nvme': 'sum' },
  unknown: true,
});

const put = (body = BODY, onSent?: (bytes: number) => void) =>
  rig.cas.putXorb(HASH, body, onSent === undefined ? {} : { onSent });
/** What was asked of the server and the store, in words. */
const asked = (): string => rig.server.seen.map(kindOf).join(' ');

describe('a xorb by an upload grant', () => {
  it('is asked for, put without the token, and committed', async () => {
    let received: Buffer = Buffer.alloc(0);
    await start({
      put: async (request, response) => {
        received = await request.body;
        say(response, 200);
      },
    });
    let sent = 0;
    expect(await put(BODY, (bytes) => (sent += bytes))).toEqual({ inserted: true });
    expect(sent).toBe(BYTES.length);
    expect(received.equals(BYTES)).toBe(true);
    expect(asked()).toBe('grant commit');
    const [ask, commit] = rig.server.seen as [SeenRequest, SeenRequest];
    expect(ask.path).toBe(`/v1/xorb-grants/default/${HASH}`);
    expect(ask.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: 'Bearer token-1',
      'x-custom': 'mine',
    });
    expect(commit.path).toBe(`/v1/xorb-commits/default/${HASH}/grant/id-0`);
    expect(commit.headers['authorization']).toBe('Bearer token-1');
    const { headers, method, path } = store.seen[0] as SeenRequest;
    expect([method, path]).toEqual(['PUT', '/bucket/incoming/0?signature=s3cr3t']);
    expect(Object.keys(headers).sort()).toEqual([
      'connection',
      'content-length',
      'host',
      'if-none-match',
      'x-amz-checksum-crc64nvme',
    ]);
  });

  it('announces its length and CRC-64/NVME', async () => {
    let said: unknown;
    await start({
      grant: async (request, response) => {
        said = JSON.parse((await request.body).toString());
        say(response, 200);
      },
    });
    let sent = 0;
    expect(await put(BODY, (bytes) => (sent += bytes))).toEqual({ inserted: false });
    expect(said).toEqual({
      length: BYTES.length,
      checksum: { algo: 'crc64nvme', value: String(crc64nvme(BYTES)) },
    });
    expect(sent).toBe(BYTES.length);
    expect(asked()).toBe('grant');
    expect(store.seen).toEqual([]);
  });

  it('waits for its turn with the bytes only: asks before, commits after', async () => {
    const committing: (() => void)[] = [];
    await start({
      commit: (_, response) => {
        committing.push(() => say(response, 200));
      },
    });
    let give = (): void => {};
    const mayGo = new Promise<void>((resolve) => {
      give = resolve;
    });
    let over = 0;
    const turn = async (): Promise<() => void> => {
      await mayGo;
      return () => {
        over++;
      };
    };
    const done = rig.cas.putXorb(HASH, BODY, { turn });
    await until(() => asked() === 'grant');
    expect(store.seen).toEqual([]);
    give();
    await until(() => committing.length === 1);
    expect(over).toBe(1);
    committing[0]?.();
    expect(await done).toEqual({ inserted: true });
    expect(over).toBe(1);
  });

  it('is stored when the response to a put was lost: 412, then the commit', async () => {
    await start({
      put: async (request, response, count) => {
        await request.body;
        if (count === 0) request.socket.destroy();
        else say(response, 412);
      },
    });
    let sent = 0;
    expect(await put(BODY, (bytes) => (sent += bytes))).toEqual({ inserted: true });
    expect(sent).toBe(BYTES.length);
    expect(asked()).toBe('grant commit');
  });

  it('is committed again when the response to that was lost', async () => {
    await start({
      commit: (request, response, count) => {
        if (count === 0) request.socket.destroy();
        else say(response, 200);
      },
    });
    expect(await put()).toEqual({ inserted: true });
    expect(asked()).toBe('grant commit commit');
    expect(store.seen).toHaveLength(1);
  });

  it.each([
    ['400', 400],
    ['403, as for an expired one', 403],
  ])('takes another grant for a put that is %s, and counts no byte twice', async (_, status) => {
    await start({
      put: async (request, response, count) => {
        await request.body;
        say(response, count === 0 ? status : 200);
      },
    });
    let sent = 0;
    await put(BODY, (bytes) => (sent += bytes));
    expect(asked()).toBe('grant grant commit');
    expect(sent).toBe(BYTES.length);
    expect(rig.server.seen.at(-1)?.path).toContain('/grant/id-1');
  });

  it('repeats a put that is 409, then takes another grant', async () => {
    await start({
      put: async (request, response, count) => {
        await request.body;
        say(response, count < 5 ? 409 : 200);
      },
    });
    await put();
    expect(asked()).toBe('grant grant commit');
    expect(store.seen).toHaveLength(6);
  });

  it('takes another grant when the commit knows none, three in all, then posts', async () => {
    await start({ commit: (_, response) => say(response, 404) });
    let sent = 0;
    expect(await put(BODY, (bytes) => (sent += bytes))).toEqual({ inserted: true });
    expect(asked()).toBe('grant commit grant commit grant commit post');
    expect(sent).toBe(BYTES.length);
    // That says nothing about the next one.
    await put();
    expect(asked().split(' post ')).toHaveLength(2);
  });

  it('asks again at once for a grant that has ended while it waited', async () => {
    let seconds = 0;
    await start({
      grant: async (request, response, count) => {
        await request.body;
        const url = `${store.url}/x?Expires=${count === 0 ? seconds - 1 : seconds + 3600}`;
        sendJson(response, 201, { ...grant(count), url });
      },
    });
    seconds = Math.trunc(rig.clock.unixMs() / 1000);
    await put();
    expect(asked()).toBe('grant grant commit');
    expect(store.seen).toHaveLength(1);
  });

  it('that the server has looked at and refused is final, with its reason', async () => {
    await start({
      commit: (_, response) => sendJson(response, 400, { error: 'expected another xorb' }),
    });
    const error = await failureOf(put());
    expect(error).toMatchObject({ code: 'REJECTED', fields: { status: 400 } });
    expect(error.message).toContain('expected another xorb');
    expect(asked()).toBe('grant commit');
  });

  it('is posted when the commit fails otherwise', async () => {
    await start({ commit: (_, response) => say(response, 403) });
    expect(await put()).toEqual({ inserted: true });
    expect(asked()).toBe('grant commit post');
  });

  it('is asked for again with a newer token after a 401', async () => {
    let token = 'old';
    await start(
      {
        grant: async (request, response, count) => {
          await request.body;
          if (request.headers['authorization'] === 'Bearer old') say(response, 401);
          else sendJson(response, 201, grant(count));
        },
      },
      {
        token: {
          get: async () => token,
          refresh: async () => {
            token = 'new';
            return token;
          },
        },
      },
    );
    await put();
    expect(asked()).toBe('grant grant commit');
  });

  it('ends with its signal, also while it waits for its turn', async () => {
    await start({});
    const controller = new AbortController();
    let given = (_: () => void): void => {};
    let back = 0;
    const turn = (): Promise<() => void> =>
      new Promise((resolve) => {
        given = resolve;
      });
    const done = failureOf(rig.cas.putXorb(HASH, BODY, { turn, signal: controller.signal }));
    await until(() => asked() === 'grant');
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    expect((await done).code).toBe('ABORTED');
    given(() => back++);
    await until(() => back === 1);
  });
});

describe('what does not work', () => {
  it.each([404, 405, 501])(
    '%d is "not offered": asked for once, and again after a while',
    async (status) => {
      await start({
        grant: async (request, response) => {
          await request.body;
          say(response, status);
        },
      });
      for (let i = 0; i < 3; i++) expect(await put()).toEqual({ inserted: true });
      expect(asked()).toBe('grant post post post');
      rig.clock.advance(600_001);
      await put();
      expect(asked()).toBe('grant post post post grant post');
    },
  );

  it.each([
    ['400', (response: ServerResponse) => say(response, 400)],
    ['a 201 that is no grant', (response: ServerResponse) => sendJson(response, 201, { id: 'x' })],
    [
      'a 201 that is no JSON',
      (response: ServerResponse) => {
        response.writeHead(201);
        response.end('<html>');
      },
    ],
  ])('asking that brings %s means POST, for a minute', async (_, respond) => {
    await start({
      grant: async (request, response) => {
        await request.body;
        respond(response);
      },
    });
    await put();
    await put();
    expect(asked()).toBe('grant post post');
    rig.clock.advance(60_001);
    await put();
    expect(asked()).toBe('grant post post grant post');
  });

  it('asking that fails for a moment is repeated twice', async () => {
    await start({
      grant: async (request, response, count) => {
        await request.body;
        if (count < 2) say(response, 503);
        else sendJson(response, 201, grant(count));
      },
    });
    await put();
    expect(asked()).toBe('grant grant grant commit');
  });

  it('asking that brings nothing means POST, within 15 seconds', async () => {
    await start({ grant: () => {} });
    const done = put();
    await until(() => asked() === 'grant');
    rig.clock.advance(15_000);
    expect(await done).toEqual({ inserted: true });
    expect(asked()).toBe('grant post');
  });

  it('a store that cannot be reached is remembered, and the user is told', async () => {
    await start({});
    const port = store.port;
    await store.close();
    await put();
    await put();
    expect(asked()).toBe('grant post post');
    const last = rig.retries.at(-1);
    expect(last).toMatchObject({
      operation: 'PUT of an upload grant',
      code: 'NETWORK',
      delayMs: 0,
      instead: 'POST /v1/xorbs',
    });
    expect(last?.message).toContain(`127.0.0.1:${port}`);
    expect(JSON.stringify(rig.retries)).not.toContain('s3cr3t');
    rig.clock.advance(300_001);
    await put();
    expect(asked()).toBe('grant post post grant post');
  });

  it.each([401, 404, 405, 501])('a put that is %d means POST', async (status) => {
    await start({
      put: async (request, response) => {
        await request.body;
        say(response, status);
      },
    });
    expect(await put()).toEqual({ inserted: true });
    await put();
    expect(asked()).toBe('grant post post');
    expect(store.seen).toHaveLength(1);
  });

  it('a put that fails at the store is repeated three times', async () => {
    await start({
      put: async (request, response) => {
        await request.body;
        say(response, 500);
      },
    });
    await put();
    expect(asked()).toBe('grant post');
    expect(store.seen).toHaveLength(4);
  });

  it.each([301, 302, 303, 307, 308])('a redirect of a put (%d) leads nowhere', async (status) => {
    const elsewhere: SeenRequest[] = [];
    await start({
      put: async (request, response) => {
        if (request.path.startsWith('/elsewhere')) elsewhere.push(request);
        await request.body;
        response.writeHead(status, { location: `${store.url}/elsewhere` });
        response.end();
      },
    });
    await put();
    expect(asked()).toBe('grant post');
    expect(elsewhere).toEqual([]);
    expect(store.seen).toHaveLength(1);
  });

  it.each([
    ['an address inside of this network', 'http://10.0.0.1/x'],
    ['another scheme', 'file:///etc/passwd'],
    ['a name and password', 'http://user:password@127.0.0.1:1/x'],
  ])('a URL with %s is not asked', async (_, url) => {
    await start({
      grant: async (request, response, count) => {
        await request.body;
        sendJson(response, 201, { ...grant(count), url });
      },
    });
    expect(await put()).toEqual({ inserted: true });
    expect(asked()).toBe('grant post');
    expect(rig.retries.at(-1)?.code).toBe('UNSAFE_URL');
  });
});

describe('without a word from the caller', () => {
  it('grants are used where the store is another host; the first request finds out', async () => {
    const sums: string[] = [];
    await start(
      {
        grant: async (request, response, count) => {
          sums.push(JSON.parse((await request.body).toString()).checksum.value);
          sendJson(response, 201, grant(count));
        },
      },
      { grants: 'auto' },
    );
    const all = await Promise.all([put(LARGE_BODY), put(LARGE_BODY), put(LARGE_BODY)]);
    expect(all).toEqual([{ inserted: true }, { inserted: true }, { inserted: true }]);
    const sum = String(crc64nvme(LARGE));
    expect(sums).toEqual(['0', sum, sum, sum]);
    expect(asked()).not.toContain('post');
    expect(store.seen).toHaveLength(3);
  });

  it('they are not where the store is the server itself', async () => {
    await start(
      {
        grant: async (request, response, count) => {
          await request.body;
          sendJson(response, 201, { ...grant(count), url: `${rig.server.url}/put` });
        },
      },
      { grants: 'auto' },
    );
    await Promise.all([put(LARGE_BODY), put(LARGE_BODY)]);
    await put(LARGE_BODY);
    expect(asked()).toBe('grant post post post');
  });

  it('nothing is asked for small ones, nor with "never"', async () => {
    await start({}, { grants: 'auto' });
    await put();
    expect(asked()).toBe('post');
    await rig.close();
    await store.close();
    await start({}, { grants: 'never' });
    await put(LARGE_BODY);
    expect(asked()).toBe('post');
  });
});

describe('what counts as a grant', () => {
  const good = { id: 'a/../b?c', method: 'PUT', url: 'https://s.example/x', headers: { A: 'b' } };

  it('is taken with its headers by lower-case name, without those of the connection', () => {
    const headers = { 'Content-Length': '5', Host: 's.example', 'If-None-Match': '*' };
    expect(grantIn({ ...good, headers, more: 1 }, 5)).toEqual({
      ...good,
      headers: { 'if-none-match': '*' },
    });
    expect(grantIn({ ...good, headers: {} }, 5)?.headers).toEqual({});
  });

  it.each([
    ['no object', null],
    ['no id', { ...good, id: undefined }],
    ['an empty id', { ...good, id: '' }],
    ['an id that climbs', { ...good, id: '..' }],
    ['an id that stays', { ...good, id: '.' }],
    ['an id that no URL can hold', { ...good, id: '\ud800' }],
    ['a number for an id', { ...good, id: 5 }],
    ['no method', { ...good, method: '' }],
    ['a method with a line end', { ...good, method: 'PUT\r\nX: y' }],
    ['a method without a body', { ...good, method: 'GET' }],
    ['no URL', { ...good, url: 'not a url' }],
    ['a relative URL', { ...good, url: '/put' }],
    ['an endless URL', { ...good, url: `https://s.example/${'x'.repeat(20_000)}` }],
    ['no headers', { ...good, headers: null }],
    ['a list of headers', { ...good, headers: [['a', 'b']] }],
    ['a header that is no text', { ...good, headers: { a: 1 } }],
    ['a header with a line end', { ...good, headers: { a: 'b\r\nc: d' } }],
    ['a header name with a space', { ...good, headers: { 'a b': 'c' } }],
    ['a header twice', { ...good, headers: { a: 'b', A: 'c' } }],
    ['another length', { ...good, headers: { 'content-length': '6' } }],
    ['another host', { ...good, headers: { host: 'other.example' } }],
    ['a chunked body', { ...good, headers: { 'transfer-encoding': 'chunked' } }],
    ['an Expect', { ...good, headers: { expect: '100-continue' } }],
  ])('is not: %s', (_, json) => {
    expect(grantIn(json, 5)).toBeNull();
  });
});
