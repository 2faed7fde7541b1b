import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { ByteRange } from '../../src/client/ports.js';
import { type CasClientOptions, createCasClient } from '../../src/transport/index.js';
import { rangeParts } from '../support/range-parts.js';
import {
  failureOf,
  type Handler,
  pattern,
  type Rig,
  readFailure,
  type SeenRequest,
  startRig,
  startServer,
  until,
} from './support.js';

const object = pattern(300_000, 9);
let rig: Rig;
afterEach(() => rig.close());

async function start(handler: Handler, options: Partial<CasClientOptions> = {}): Promise<void> {
  rig = await startRig(handler, options);
}

function rangesOf(request: SeenRequest): { start: number; end: number }[] {
  const [, list = ''] = (request.headers['range'] ?? '').split('=');
  return list.split(',').map((pair) => {
    const [first, last] = pair.split('-');
    return { start: Number(first), end: Number(last) + 1 };
  });
}

/** A correct answer to one range. */
function sendRange(response: ServerResponse, { start, end }: ByteRange): void {
  response.writeHead(206, {
    'content-range': `bytes ${start}-${end - 1}/${object.length}`,
    'content-length': end - start,
  });
  response.end(object.subarray(start, end));
}

function sendMultipart(
  response: ServerResponse,
  ranges: readonly ByteRange[],
  boundary = 'B',
  contentType = `multipart/byteranges; boundary=${boundary}`,
): void {
  response.writeHead(206, { 'content-type': contentType });
  for (const { start, end } of ranges) {
    response.write(
      `--${boundary}\r\ncontent-range: bytes ${start}-${end - 1}/${object.length}\r\n\r\n`,
    );
    response.write(object.subarray(start, end));
    response.write('\r\n');
  }
  response.end(`--${boundary}--\r\n`);
}

async function collect(ranges: readonly ByteRange[], signal?: AbortSignal): Promise<Buffer[]> {
  const got = ranges.map(() => Buffer.alloc(0));
  let last = 0;
  for await (const part of rangeParts(rig.cas, `${rig.server.url}/data?sig=s1`, ranges, signal)) {
    expect(part.rangeIndex).toBeGreaterThanOrEqual(last);
    last = part.rangeIndex;
    got[part.rangeIndex] = Buffer.concat([got[part.rangeIndex] as Buffer, part.bytes]);
  }
  return got;
}

function expectBytes(got: readonly Buffer[], ranges: readonly ByteRange[]): void {
  for (const [i, { start, end }] of ranges.entries()) {
    expect(got[i]?.equals(object.subarray(start, end))).toBe(true);
  }
}

const ONE = [{ start: 1000, end: 250_000 }];
const THREE = [
  { start: 10, end: 5000 },
  { start: 8000, end: 8001 },
  { start: 100_000, end: 250_000 },
];

describe('fetching ranges', () => {
  it('asks once, with no header that belongs to the CAS', async () => {
    await start((request, response) => sendRange(response, rangesOf(request)[0] as ByteRange), {
      headers: { 'x-custom': 'mine' },
      sessionId: 'session-1',
    });
    expectBytes(await collect(ONE), ONE);
    expect(rig.server.seen).toHaveLength(1);
    const { headers } = rig.server.seen[0] as SeenRequest;
    expect(headers['range']).toBe('bytes=1000-249999');
    for (const name of ['authorization', 'referer', 'cookie', 'x-custom', 'x-xet-session-id']) {
      expect(headers[name]).toBeUndefined();
    }
  });

  it('reads several ranges from one multipart answer', async () => {
    await start((request, response) =>
      sendMultipart(response, rangesOf(request), 'a b', 'MULTIPART/byteranges; boundary="a b"'),
    );
    expectBytes(await collect(THREE), THREE);
    expect(rig.server.seen.map(({ headers }) => headers['range'])).toEqual([
      'bytes=10-4999,8000-8000,100000-249999',
    ]);
  });

  it('gives parts that come in another order in the order asked', async () => {
    await start((request, response) => {
      const ranges = rangesOf(request);
      if (ranges.length > 1) sendMultipart(response, ranges.toReversed());
      else sendRange(response, ranges[0] as ByteRange);
    });
    expectBytes(await collect(THREE), THREE);
  });

  it('cuts what it needs out of a whole object, and out of parts that were not asked', async () => {
    await start((_request, response, index) => {
      if (index === 0) response.writeHead(200, { 'content-length': object.length }).end(object);
      else
        sendMultipart(response, [
          { start: 0, end: 7000 },
          { start: 7500, end: 9000 },
          { start: 90_000, end: 260_000 },
        ]);
    });
    expectBytes(await collect(ONE), ONE);
    expectBytes(await collect(THREE), THREE);
    expect(rig.server.seen).toHaveLength(2);
  });

  it('takes a 200 that holds just the range', async () => {
    await start((_request, response) => {
      response.writeHead(200, { 'content-length': 249_000 }).end(object.subarray(1000, 250_000));
    });
    expectBytes(await collect(ONE), ONE);
  });

  it('asks one range at a time where several are not served, and remembers it', async () => {
    const big = pattern(3_000_000, 4);
    await start((request, response) => {
      const ranges = rangesOf(request);
      if (ranges.length > 1) response.writeHead(200, { 'content-length': big.length }).end(big);
      else sendRange(response, ranges[0] as ByteRange);
    });
    expectBytes(await collect(THREE), THREE);
    expectBytes(await collect(THREE), THREE);
    const asked = rig.server.seen.map((request) => rangesOf(request).length);
    expect(asked).toEqual([3, 1, 1, 1, 1, 1, 1]);
  });

  it('goes on with the other ranges when only the first is answered', async () => {
    await start((request, response) => sendRange(response, rangesOf(request)[0] as ByteRange));
    expectBytes(await collect(THREE), THREE);
    expect(rig.server.seen.map(({ headers }) => headers['range'])).toEqual([
      'bytes=10-4999,8000-8000,100000-249999',
      'bytes=8000-8000',
      'bytes=100000-249999',
    ]);
  });

  it('falls back to single ranges when a multipart answer is garbled', async () => {
    await start((request, response) => {
      const ranges = rangesOf(request);
      if (ranges.length === 1) sendRange(response, ranges[0] as ByteRange);
      else {
        response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=B' });
        response.end('--B\r\ncontent-range: bytes x\r\n\r\n');
      }
    });
    expectBytes(await collect(THREE), THREE);
  });
});

describe('fetching ranges over a bad connection', () => {
  it('goes on from where it stopped when the connection is cut at any byte', async () => {
    const cuts = [0, 1, 999, 65_536, 200_000];
    await start((request, response) => {
      const { start, end } = rangesOf(request)[0] as ByteRange;
      const cut = cuts.shift();
      if (cut === undefined) return sendRange(response, { start, end });
      response.writeHead(206, {
        'content-range': `bytes ${start}-${end - 1}/${object.length}`,
        'content-length': end - start,
      });
      response.write(object.subarray(start, start + Math.min(cut, end - start - 1)), () =>
        setTimeout(() => request.socket.destroy(), 5),
      );
    });
    expectBytes(await collect(ONE), ONE);
    const starts = rig.server.seen.map((request) => rangesOf(request)[0]?.start ?? -1);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(new Set(starts).size).toBeGreaterThan(2);
    expect(rig.retries.every(({ code }) => code === 'NETWORK')).toBe(true);
  });

  it('counts failures anew when bytes have arrived between them', async () => {
    let next = ONE[0]?.start ?? 0;
    await start(
      (request, response) => {
        const { start, end } = rangesOf(request)[0] as ByteRange;
        expect(start).toBe(next);
        if (end - start <= 30_000) return sendRange(response, { start, end });
        next = start + 20_000;
        response.writeHead(206, {
          'content-range': `bytes ${start}-${end - 1}/${object.length}`,
          'content-length': end - start,
        });
        response.write(object.subarray(start, next), () =>
          setTimeout(() => request.socket.destroy(), 5),
        );
      },
      { retry: { retries: 1 } },
    );
    expectBytes(await collect(ONE), ONE);
    expect(rig.server.seen.length).toBeGreaterThan(10);
  });

  it('asks for the whole range when the signature does not cover the rest of it', async () => {
    await start((request, response, index) => {
      const range = rangesOf(request)[0] as ByteRange;
      if (index === 0) {
        response.writeHead(206, {
          'content-range': `bytes ${range.start}-${range.end - 1}/${object.length}`,
          'content-length': range.end - range.start,
        });
        response.write(object.subarray(range.start, 100_000), () =>
          setTimeout(() => request.socket.destroy(), 5),
        );
      } else if (range.start !== 1000) response.writeHead(403).end('range not signed');
      else sendRange(response, range);
    });
    expectBytes(await collect(ONE), ONE);
    const starts = rig.server.seen.map((request) => rangesOf(request)[0]?.start);
    expect(starts).toEqual([1000, 100_000, 1000]);
  });

  it('goes on inside of a multipart answer', async () => {
    await start((request, response, index) => {
      const ranges = rangesOf(request);
      if (index > 0) {
        if (ranges.length > 1) sendMultipart(response, ranges);
        else sendRange(response, ranges[0] as ByteRange);
        return;
      }
      response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=B' });
      response.write(`--B\r\ncontent-range: bytes 10-4999/${object.length}\r\n\r\n`);
      response.write(object.subarray(10, 3000), () =>
        setTimeout(() => request.socket.destroy(), 5),
      );
    });
    expectBytes(await collect(THREE), THREE);
    expect(rig.server.seen[1]?.headers['range']).toBe('bytes=3000-4999,8000-8000,100000-249999');
  });

  it('replaces a connection on which nothing moves, and says so', async () => {
    let stalled = false;
    await start((request, response, index) => {
      const range = rangesOf(request)[0] as ByteRange;
      if (index > 0) return sendRange(response, range);
      response.writeHead(206, {
        'content-range': `bytes ${range.start}-${range.end - 1}/${object.length}`,
        'content-length': range.end - range.start,
      });
      response.write(object.subarray(range.start, range.start + 1000));
      stalled = true;
    });
    const result = collect(ONE);
    await until(() => stalled);
    // Let the first bytes arrive, so that the stall is one in the middle.
    await new Promise((resolve) => setTimeout(resolve, 50));
    rig.clock.advance(30_000);
    expectBytes(await result, ONE);
    expect(rig.retries.map(({ code }) => code)).toEqual(['STALLED']);
    expect(rig.server.seen[1]?.headers['range']).toBe('bytes=2000-249999');
  });

  it('lets a slow trickle live', async () => {
    const small = [{ start: 0, end: 40 }];
    await start(async (_request, response) => {
      response.writeHead(206, {
        'content-range': `bytes 0-39/${object.length}`,
        'content-length': 40,
      });
      for (let at = 0; at < 40; at++) {
        await new Promise<void>((resolve) =>
          response.write(object.subarray(at, at + 1), () => resolve()),
        );
        // A byte, and then 20 seconds of nothing: 13 minutes in all.
        await until(() => received > at);
        // After the last byte the next test may be under way, with a clock of its own.
        if (at < 39) rig.clock.advance(20_000);
      }
      response.end();
    });
    let received = 0;
    const got: Uint8Array[] = [];
    for await (const part of rangeParts(rig.cas, `${rig.server.url}/data`, small)) {
      received += part.bytes.length;
      got.push(Uint8Array.from(part.bytes));
    }
    expectBytes([Buffer.concat(got)], small);
    expect(rig.retries).toEqual([]);
  });

  it('does not count the time in which the caller pauses', async () => {
    await start((request, response) => sendRange(response, rangesOf(request)[0] as ByteRange));
    const got: Buffer[] = [];
    for await (const part of rangeParts(rig.cas, `${rig.server.url}/data`, ONE)) {
      got.push(Buffer.from(part.bytes));
      rig.clock.advance(300_000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expectBytes([Buffer.concat(got)], ONE);
    expect(rig.server.seen).toHaveLength(1);
    expect(rig.retries).toEqual([]);
  });

  it('ends at once with ABORTED and closes the connection when the caller gives up', async () => {
    await start((_request, response) => {
      response.writeHead(206, {
        'content-range': 'bytes 0-99999/300000',
        'content-length': 100_000,
      });
      response.write(object.subarray(0, 10));
    });
    const controller = new AbortController();
    const result = failureOf(collect([{ start: 0, end: 100_000 }], controller.signal));
    await until(() => rig.server.seen.length === 1);
    controller.abort();
    expect((await result).code).toBe('ABORTED');
    await until(() => rig.server.seen[0]?.socket.destroyed === true);
  });

  it('closes the connection when the caller stops reading early', async () => {
    await start((_request, response) => {
      response.writeHead(206, {
        'content-range': 'bytes 0-99999/300000',
        'content-length': 100_000,
      });
      response.write(object.subarray(0, 10));
    });
    for await (const _ of rangeParts(rig.cas, `${rig.server.url}/d`, [
      { start: 0, end: 100_000 },
    ])) {
      break;
    }
    await until(() => rig.server.seen[0]?.socket.destroyed === true);
  });
});

describe('refusals of data URLs', () => {
  const inFuture = Math.floor(1_700_000_000 + 86_400 * 365 * 50);
  it.each([
    ['without a date, so a new URL may help', 'sig=1', 'denied', true],
    ['that has ended', 'Expires=1700000000&sig=1', 'denied', true],
    ['that has not ended', `Expires=${inFuture}&sig=1`, 'denied', false],
    ['that says so itself', `Expires=${inFuture}&sig=1`, 'Request has expired', true],
    ['signed like S3 and over', 'X-Amz-Date=20200101T000000Z&X-Amz-Expires=60', 'denied', true],
    ['signed like S3 and valid', 'X-Amz-Date=20700101T000000Z&X-Amz-Expires=60', 'denied', false],
  ])('tells whether a 403 is one of a URL %s', async (_name, query, body, expired) => {
    await start((_request, response) => response.writeHead(403).end(body));
    const error = await failureOf(
      rangeParts(rig.cas, `${rig.server.url}/d?${query}`, ONE)[Symbol.asyncIterator]().next(),
    );
    expect(error).toMatchObject({ code: 'FORBIDDEN', fields: { status: 403, expired } });
    expect(rig.server.seen).toHaveLength(1);
    expect(JSON.stringify([error.message, error.fields])).not.toContain('sig=1');
  });

  it('names the public URL where a URL of the server lacks the path that a proxy takes away', async () => {
    await start((_request, response) => response.writeHead(404).end());
    const { url } = rig.server;
    const below = createCasClient({ endpoint: `${url}/store`, token: '' });
    const range = [{ start: 0, end: 10 }];
    const missing = await readFailure(below, `${url}/v1/fetch/x`, range);
    expect(missing.code).toBe('NOT_FOUND');
    expect(missing.fields['hint']).toMatch(/--public-url/);
    const known = await readFailure(below, `${url}/store/v1/fetch/x`, range);
    expect([known.code, known.fields['hint']]).toEqual(['NOT_FOUND', undefined]);
    await below.close();
  });

  it('gives up on a range that never comes', async () => {
    await start((_request, response) => response.writeHead(206, { 'content-length': 0 }).end(), {
      retry: { retries: 2 },
    });
    const error = await failureOf(collect(ONE));
    expect(error).toMatchObject({ code: 'PROTOCOL', fields: { attempts: 3 } });
  });

  it('refuses a Content-Range that its length contradicts', async () => {
    await start((_request, response) => {
      response.writeHead(206, { 'content-range': 'bytes 1000-249999/300000', 'content-length': 5 });
      response.end('hello');
    });
    expect((await failureOf(collect(ONE))).code).toBe('PROTOCOL');
  });

  it('refuses a Content-Range that cannot be read', async () => {
    await start((_request, response) => {
      const range = 'bytes 1000-99999999999999999999/300000';
      response.writeHead(206, { 'content-range': range, 'content-length': 249_000 });
      response.end(Buffer.alloc(249_000));
    });
    expect((await failureOf(collect(ONE))).code).toBe('PROTOCOL');
  });

  it('follows a redirect of a GET to another host without any credential', async () => {
    const other = await startServer((request, response) =>
      sendRange(response, rangesOf(request)[0] as ByteRange),
    );
    await start((_request, response) =>
      response.writeHead(302, { location: `${other.url}/moved?sig=2` }).end(),
    );
    expectBytes(await collect(ONE), ONE);
    const { headers } = other.seen[0] as SeenRequest;
    expect(headers['range']).toBe('bytes=1000-249999');
    expect(headers['authorization']).toBeUndefined();
    expect(headers['referer']).toBeUndefined();
    await other.close();
  });

  it('follows at most three redirects', async () => {
    await start((_request, response, index) =>
      response.writeHead(307, { location: `/again/${index}` }).end(),
    );
    expect(await failureOf(collect(ONE))).toMatchObject({
      code: 'PROTOCOL',
      fields: { status: 307 },
    });
    expect(rig.server.seen).toHaveLength(4);
  });

  it('does not follow a redirect into the private network', async () => {
    await start((_request, response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
    );
    expect((await failureOf(collect(ONE))).code).toBe('UNSAFE_URL');
  });

  it('refuses a name that resolves to a private address at the time of connecting', async () => {
    const answers = ['93.184.216.34', '10.0.0.7'];
    await start(() => {}, {
      lookup: ((_name: string, _options: unknown, callback: (...all: unknown[]) => void) => {
        callback(null, [{ address: answers.pop(), family: 4 }]);
      }) as never,
      retry: { retries: 0 },
    });
    const error = await failureOf(
      rangeParts(rig.cas, 'http://rebind.example.com/x', ONE)[Symbol.asyncIterator]().next(),
    );
    expect(error).toMatchObject({ code: 'UNSAFE_URL', fields: { host: 'rebind.example.com' } });
  });
});
