import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { Budget } from '../../src/flow/index.js';
import { encodeReconstructionV2 } from '../../src/plan/index.js';
import { type CasClientOptions, createCasClient } from '../../src/transport/index.js';
import { sampleReconstruction } from '../plan/support.js';
import {
  failureOf,
  type Handler,
  pattern,
  type Rig,
  readFailure,
  readParts,
  sendJson,
  someHash,
  startRig,
  until,
} from './support.js';

let rig: Rig;
afterEach(() => rig.close());

async function start(handler: Handler, options: Partial<CasClientOptions> = {}): Promise<void> {
  rig = await startRig(handler, options);
}

const object = pattern(2_000_000, 9);
const RANGE = [{ start: 0, end: object.length }];
const body = { sizeBytes: 1000, pieces: [object.subarray(0, 1000)] };
const turn = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

/** Every kind of request, by a name. */
const CALLS: readonly (readonly [string, (url: string) => Promise<unknown>])[] = [
  ['a xorb', () => rig.cas.putXorb(someHash(), body)],
  ['a shard', () => rig.cas.putShard(object.subarray(0, 100))],
  ['a reconstruction', () => rig.cas.getReconstruction(someHash())],
  ['a range', (url) => rig.cas.readRanges(`${url}/x`, RANGE).fill(new Uint8Array(10))],
];

describe('a server that asks for fewer requests', () => {
  it.each(CALLS)('is asked for %s exactly once, and everybody waits', async (_name, call) => {
    let limited = true;
    await start(
      async (request, response) => {
        await request.body;
        if (limited) response.writeHead(429, { 'retry-after': '2' }).end('slow down');
        else response.writeHead(404).end();
      },
      { retry: { retries: 0 } },
    );
    expect((await failureOf(call(rig.server.url))).code).toBe('RATE_LIMITED');
    expect(rig.server.seen).toHaveLength(1);
    limited = false;
    const next = failureOf(
      rig.cas.readRanges(`${rig.server.url}/x`, RANGE).fill(new Uint8Array(1)),
    );
    await turn();
    rig.clock.advance(1_999);
    await turn();
    expect(rig.server.seen).toHaveLength(1);
    rig.clock.advance(1);
    expect((await next).code).toBe('NOT_FOUND');
  });

  it.each([429, 503])(
    'by %i for dedup queries gets fewer of them, and nothing waits',
    async (status) => {
      await start(async (request, response) => {
        await request.body;
        if (request.path.startsWith('/v1/chunks')) {
          response.writeHead(status, { 'retry-after': '20' }).end();
        } else sendJson(response, 200, { was_inserted: true });
      });
      expect(await rig.cas.queryDedup(someHash())).toBeNull();
      expect(await rig.cas.putXorb(someHash(), body)).toEqual({ inserted: true });
      expect(await rig.cas.queryDedup(someHash())).toBeNull();
      expect(rig.server.seen.map(({ path }) => path.split('/')[2])).toEqual(['chunks', 'xorbs']);
      rig.clock.advance(20_000);
      expect(await rig.cas.queryDedup(someHash())).toBeNull();
      expect(rig.server.seen).toHaveLength(3);
    },
  );

  it.each([
    ['years', '99999999999'],
    ['a date far ahead', 'Fri, 01 Jan 2100 00:00:00 GMT'],
    ['more than a timer takes', '2147484'],
  ])('is not waited for beyond the cap: %s', async (_name, retryAfter) => {
    let asked = 0;
    await start(async (request, response) => {
      await request.body;
      if (asked++ < 2) response.writeHead(429, { 'retry-after': retryAfter }).end();
      else if (request.method === 'POST') sendJson(response, 200, { was_inserted: true });
      else response.writeHead(404).end();
    });
    expect(await rig.cas.queryDedup(someHash())).toBeNull();
    expect((await failureOf(rig.cas.putXorb(someHash(), body))).code).toBe('RATE_LIMITED');
    const next = rig.cas.putXorb(someHash(), body);
    await until(() => rig.clock.waiting === 1);
    rig.clock.advance(300_000);
    expect(await next).toEqual({ inserted: true });
    rig.clock.advance(300_000);
    await rig.cas.queryDedup(someHash());
    expect(rig.server.seen.length).toBeGreaterThan(3);
  });
});

describe('a clock that is set back', () => {
  it('changes nothing', async () => {
    await start(async (request, response, index) => {
      await request.body;
      if (index === 0) response.writeHead(503, { 'retry-after': '7' }).end();
      else if (index === 1) response.writeHead(429, { 'retry-after': '5' }).end();
      else sendJson(response, 200, { was_inserted: true });
    });
    const result = rig.cas.putXorb(someHash(), body);
    await until(() => rig.retries.length === 1);
    rig.clock.setBack(3_600_000);
    rig.clock.advance(7_000);
    await until(() => rig.retries.length === 2);
    rig.clock.setBack(3_600_000);
    rig.clock.advance(5_000);
    // What the limiter spaces out after a refusal.
    await turn();
    rig.clock.advance(4_000);
    expect(await result).toEqual({ inserted: true });
  });
});

describe('connections that bring next to nothing', () => {
  it.each([1, 100])('are not progress: cut after %i bytes each, the read ends', async (count) => {
    await start((request, response) => {
      const first = Number(/=(\d+)-/.exec(request.headers['range'] ?? '')?.[1]);
      response.writeHead(206, {
        'content-range': `bytes ${first}-${object.length - 1}/${object.length}`,
        'content-length': object.length - first,
      });
      response.write(object.subarray(first, first + count), () =>
        setTimeout(() => request.socket.destroy(), 3),
      );
    });
    const reader = rig.cas.readRanges(`${rig.server.url}/x`, RANGE);
    const error = await failureOf(readParts(reader, 1));
    expect(error).toMatchObject({ code: 'NETWORK', fields: { attempts: 7 } });
    expect(rig.server.seen).toHaveLength(7);
  });
});

describe('refusals of ranges', () => {
  it('are no expiry when a proxy took the range away from a URL that is valid', async () => {
    await start((_request, response) => {
      response.writeHead(403).end('the URL is signed for other ranges');
    });
    const url = `${rig.server.url}/v1/fetch/x?X-Xet-Signed-Range=bytes%3D0-9&X-Xet-Expires=4000000000`;
    expect(await readFailure(rig.cas, url, RANGE)).toMatchObject({
      code: 'FORBIDDEN',
      fields: { expired: false },
    });
  });

  it.each([400, 416, 501])('of several at once (%i) are remembered per host', async (status) => {
    await start((request, response) => {
      const ranges = (request.headers['range'] ?? '').slice(6).split(',');
      if (ranges.length > 1) return void response.writeHead(status).end('one at a time');
      const [first, last] = (ranges[0] as string).split('-').map(Number) as [number, number];
      response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${object.length}` });
      response.end(object.subarray(first, last + 1));
    });
    const ranges = [
      { start: 5, end: 50 },
      { start: 100, end: 1000 },
    ];
    for (let round = 0; round < 2; round++) {
      const parts = await readParts(rig.cas.readRanges(`${rig.server.url}/x`, ranges), 2);
      expect(parts[1]?.equals(object.subarray(100, 1000))).toBe(true);
    }
    const asked = rig.server.seen.map(({ headers }) => headers['range']?.split(',').length);
    expect(asked).toEqual([2, 1, 1, 1, 1]);
  });
});

describe('responses that are cut where nothing tells', () => {
  it('are asked for again: a reconstruction without a length', async () => {
    const text = JSON.stringify(encodeReconstructionV2(sampleReconstruction()));
    await start((request, response, index) => {
      response.shouldKeepAlive = false;
      request.socket.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n');
      request.socket.end(index === 0 ? text.slice(0, -20) : text);
    });
    expect(await rig.cas.getReconstruction(someHash())).not.toBeNull();
    expect(rig.retries.map(({ code }) => code)).toEqual(['TRUNCATED']);
  });

  it('are asked for again: the events of a shard', async () => {
    await start(async (request, _response, index) => {
      await request.body;
      request.socket.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{"type":"validating"}\n');
      request.socket.end(index === 0 ? '{"type":"res' : '{"type":"result","result":1}\n');
    });
    expect(await rig.cas.putShard(object.subarray(0, 10))).toEqual({ registered: true });
    expect(rig.retries.map(({ code }) => code)).toEqual(['SERVER_ERROR']);
  });

  it('and too early is tried again', async () => {
    await start(async (request, response, index) => {
      await request.body;
      if (index === 0) response.writeHead(425).end();
      else sendJson(response, 200, { was_inserted: true });
    });
    expect(await rig.cas.putXorb(someHash(), body)).toEqual({ inserted: true });
    expect(rig.retries.map(({ status }) => status)).toEqual([425]);
  });
});

describe('what servers that are not ours to judge say', () => {
  it('is plain when https meets a server of http', async () => {
    await start(() => {});
    const cas = createCasClient({ endpoint: `https://127.0.0.1:${rig.server.port}`, token: '' });
    const error = await failureOf(cas.getReconstruction(someHash()));
    expect(error.code).toBe('PROTOCOL');
    expect(error.message).toContain('speaks http, not https');
    expect(error.fields['attempts']).toBe(1);
    await cas.close();
  });

  it('is its refusal, although it cut the connection at once', async () => {
    await start(() => {});
    // On a thread of its own: on the same one, both ends would take turns that do not exist.
    const server = new Worker(REFUSING_SERVER, { eval: true });
    const [port] = (await once(server, 'message')) as [number];
    const endpoint = `http://127.0.0.1:${port}`;
    const large = { sizeBytes: 20_000_000, pieces: [new Uint8Array(20_000_000)] };
    for (let round = 0; round < 10; round++) {
      const cas = createCasClient({ endpoint, token: '', retry: { baseDelayMs: 1 } });
      const error = await failureOf(cas.putXorb(someHash(), large));
      expect(error).toMatchObject({ code: 'REJECTED', fields: { status: 413 } });
      await cas.close();
    }
    await server.terminate();
  });
});

const REFUSING_SERVER = `
  const { createServer } = require('node:net');
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => {
      socket.pause();
      const text = 'HTTP/1.1 413 Large\\r\\ncontent-length: 9\\r\\n\\r\\ntoo large';
      socket.write(text, () => socket.destroy());
    });
  });
  server.listen(0, '127.0.0.1', () => {
    require('node:worker_threads').parentPort.postMessage(server.address().port);
  });
`;

describe('memory of responses that are held', () => {
  it('comes from the budget as they arrive, and goes back', async () => {
    const budget = new Budget({ capacityBytes: 8 << 20 });
    const shard = Buffer.from(pattern(3 << 20, 3));
    let goOn = (): void => {};
    await start(
      async (_request, response) => {
        response.writeHead(200, { 'content-length': shard.length });
        response.write(shard.subarray(0, 1000));
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
        response.end(shard.subarray(1000));
      },
      { budget },
    );
    const result = rig.cas.queryDedup(someHash());
    await until(() => budget.usedBytes > 0);
    await turn();
    // 3 MiB are announced and a thousand bytes have come.
    expect(budget.usedBytes).toBeLessThan(200_000);
    goOn();
    expect(await result).toHaveLength(shard.length);
    expect(budget.peakBytes).toBeGreaterThanOrEqual(shard.length);
    expect(budget.usedBytes).toBe(0);
  });

  it('that is not there makes a dedup query a miss, in its time', async () => {
    const budget = new Budget({ capacityBytes: 1 << 20 });
    const others = budget.tryAcquire(900_000);
    await start((_request, response) => response.end(Buffer.alloc(500_000)), { budget });
    const result = rig.cas.queryDedup(someHash());
    await until(() => budget.usedBytes > 900_000 && rig.clock.waiting > 1);
    rig.clock.advance(5_000);
    expect(await result).toBeNull();
    others?.release();
    expect(budget.usedBytes).toBe(0);
  });
});

describe('a mistake of the program in a dedup query', () => {
  it('is not hidden as a miss', async () => {
    const budget = {
      acquire: () => {
        throw new TypeError('a mistake');
      },
    };
    await start((_request, response) => response.end('shard'), { budget: budget as never });
    await expect(rig.cas.queryDedup(someHash())).rejects.toThrow('a mistake');
  });
});

describe('an exchange in the same process', () => {
  it('takes every kind of request, without a socket, and holds the reader’s pace', async () => {
    await start(() => {});
    const fills: number[] = [];
    let got: Uint8Array | null = null;
    const cas = createCasClient({
      endpoint: 'http://gateway.invalid',
      token: 'token-1',
      exchange: async ({ method, headers, body: sent }) => {
        if (method === 'POST') {
          const into = new Uint8Array(sent?.sizeBytes ?? 0);
          for (let at = 0, count = -1; count !== 0; at += count) {
            count = (await sent?.fill(into.subarray(at))) ?? 0;
          }
          got = into;
          const json = new TextEncoder().encode('{"was_inserted":true}');
          const { bytesBody } = await import('../../src/http/index.js');
          return { status: 200, headers: {}, body: bytesBody(json) };
        }
        expect(headers['range']).toBe(`bytes=0-${object.length - 1}`);
        let at = 0;
        return {
          status: 206,
          headers: { 'content-range': `bytes 0-${object.length - 1}/${object.length}` },
          body: {
            async fill(into) {
              const piece = object.subarray(at, at + into.length);
              into.set(piece);
              at += piece.length;
              fills.push(piece.length);
              return piece.length;
            },
            cancel: () => {},
          },
        };
      },
    });
    expect(await cas.putXorb(someHash(), body)).toEqual({ inserted: true });
    expect(got).toEqual(object.subarray(0, 1000));
    const reader = cas.readRanges('http://gateway.invalid/x', RANGE);
    const into = new Uint8Array(300_000);
    expect(await reader.fill(into)).toBe(300_000);
    await turn();
    expect(fills).toEqual([300_000]);
    const [rest] = await readParts(reader, 1, { fillBytes: 300_000 });
    expect(rest?.equals(object.subarray(300_000))).toBe(true);
    await cas.close();
  });
});
