import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { ByteRange } from '../../src/client/ports.js';
import type { CasClientOptions } from '../../src/transport/index.js';
import { headLength, parseHead } from '../../src/transport/wires/response-head.js';
import {
  failureOf,
  type Handler,
  pattern,
  type Rig,
  readParts,
  startRig,
  until,
} from './support.js';

const object = pattern(700_000, 5);
let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

async function start(handler: Handler, options: Partial<CasClientOptions> = {}): Promise<Rig> {
  rig = await startRig(handler, options);
  return rig;
}

function readerOf(range: ByteRange, signal?: AbortSignal) {
  const { cas, server } = rig as Rig;
  return cas.readRanges(`${server.url}/x?a=1`, [range], { signal });
}

async function read(range: ByteRange, fillBytes = 100_003): Promise<Buffer> {
  const [part] = await readParts(readerOf(range), 1, { fillBytes });
  return part as Buffer;
}

const headersOf = ({ start: first, end }: ByteRange) => ({
  'content-range': `bytes ${first}-${end - 1}/${object.length}`,
  'content-length': end - first,
});

function askedOf(range: string | undefined): ByteRange {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') as unknown as [
    string,
    ...string[],
  ];
  return { start: Number(first), end: Number(last) + 1 };
}

/**
 * Correct responses, in pieces of `pieceBytes` with a turn of the event loop in between; the second half
 * waits for `middle`.
 */
async function sendSlowly(
  response: ServerResponse,
  range: ByteRange,
  pieceBytes: number,
  middle?: Promise<void>,
): Promise<void> {
  response.writeHead(206, headersOf(range));
  for (let at = range.start; at < range.end; at += pieceBytes) {
    if (at - range.start >= (range.end - range.start) / 2) await middle;
    response.write(object.subarray(at, Math.min(range.end, at + pieceBytes)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  response.end();
}

describe('a range read over a plain connection', () => {
  it('arrives whole in shared memory, whatever pieces, fills and pauses there are', async () => {
    let pieceBytes = 1;
    await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), pieceBytes),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: object.length - 1 }),
        fc.integer({ min: 1, max: 300_000 }),
        fc.integer({ min: 700, max: 300_000 }),
        fc.array(fc.integer({ min: 200, max: 200_000 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 12 }),
        async (first, length, piece, fills, pauseEvery) => {
          pieceBytes = piece;
          const range = { start: first, end: Math.min(object.length, first + length) };
          const expected = object.subarray(range.start, range.end);
          const slab = new Uint8Array(new SharedArrayBuffer(200_000));
          const reader = readerOf(range);
          const parts: Buffer[] = [];
          for (let turn = 0; ; turn++) {
            const into = slab.subarray(0, fills[turn % fills.length]);
            const count = await reader.fill(into);
            if (count === 0) break;
            expect(count).toBeLessThanOrEqual(into.length);
            parts.push(Buffer.from(into.slice(0, count)));
            if (turn % pauseEvery === 0) await new Promise((resolve) => setImmediate(resolve));
          }
          expect(Buffer.concat(parts).equals(expected)).toBe(true);
        },
      ),
      { numRuns: 40, seed: 4 },
    );
  }, 30_000);

  it('uses a connection again, and asks without token or custom headers', async () => {
    const { server } = await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), 90_000),
    );
    for (let i = 0; i < 3; i++) await read({ start: i, end: 200_000 });
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(1);
    for (const { headers, path } of server.seen) {
      expect(path).toBe('/x?a=1');
      expect(headers['authorization']).toBeUndefined();
      expect(headers['referer']).toBeUndefined();
      expect(headers['user-agent']).toBe('orbweaver');
    }
  });

  it('opens another connection where the server closed the last, or said that it would', async () => {
    const { server } = await start((request, response, index) => {
      if (index === 0) response.setHeader('connection', 'close');
      return sendSlowly(response, askedOf(request.headers['range']), 90_000);
    });
    await read({ start: 0, end: 1000 });
    await read({ start: 0, end: 1000 });
    server.seen[1]?.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await read({ start: 0, end: 1000 })).toHaveLength(1000);
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(3);
    expect(rig?.retries).toEqual([]);
  });

  it('goes on with what is missing when the connection breaks', async () => {
    const { server } = await start(async (request, response, index) => {
      const range = askedOf(request.headers['range']);
      if (index > 0) return sendSlowly(response, range, 90_000);
      response.writeHead(206, headersOf(range));
      response.write(object.subarray(range.start, range.start + 150_000), () =>
        setTimeout(() => request.socket.destroy(), 20),
      );
    });
    const got = await read({ start: 10, end: 400_000 });
    expect(got.equals(object.subarray(10, 400_000))).toBe(true);
    expect(server.seen.map(({ headers }) => headers['range'])).toEqual([
      'bytes=10-399999',
      'bytes=150010-399999',
    ]);
  });

  it('understands every form of response at once, and asks each thing once', async () => {
    const range = { start: 0, end: 100 };
    const bytes = object.subarray(0, 100);
    const shapes: [number, Record<string, string | number>][] = [
      [200, { 'content-length': 100 }],
      [206, { 'content-range': 'bytes 0-99/700000' }],
      [206, { ...headersOf(range), 'content-encoding': 'identity' }],
      [206, {}],
    ];
    for (const [status, headers] of shapes) {
      const { server, retries } = await start((_, response) => {
        response.writeEarlyHints({ link: '</a>; rel=preload' });
        response.writeHead(status, headers).end(bytes);
      });
      expect((await read(range)).equals(bytes), JSON.stringify(headers)).toBe(true);
      expect((await read(range)).equals(bytes), JSON.stringify(headers)).toBe(true);
      expect(server.seen).toHaveLength(2);
      expect(retries).toEqual([]);
      await rig?.close();
    }
  });

  it('gives up a connection that is silent, but not one whose reader pauses', async () => {
    const { clock, retries } = await start(async (request, response, index) => {
      const range = askedOf(request.headers['range']);
      if (index === 1) return sendSlowly(response, range, 90_000);
      response.writeHead(206, headersOf(range));
      response.write(object.subarray(range.start, range.start + 60_000));
    });
    const reader = readerOf({ start: 1, end: 300_000 });
    const into = new Uint8Array(60_000);
    let received = await reader.fill(into);
    clock.advance(10 * 60_000);
    while (received < 60_000) received += await reader.fill(into.subarray(received));
    expect(retries).toEqual([]);
    const waiting = reader.fill(into);
    await until(() => clock.waiting > 0);
    clock.advance(29_999);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(retries).toEqual([]);
    clock.advance(1);
    expect(await waiting).toBeGreaterThan(0);
    expect(retries.map(({ code }) => code)).toEqual(['STALLED']);
    reader.cancel();
  });

  it('goes on with a new request when the server gave up on a reader that paused', async () => {
    const { clock, server, retries } = await start(
      async (request, response, index) => {
        const range = askedOf(request.headers['range']);
        if (index > 0) return sendSlowly(response, range, 90_000);
        response.writeHead(206, headersOf(range));
        response.write(object.subarray(range.start, range.start + 1000), () =>
          setTimeout(() => request.socket.destroy(), 5),
        );
      },
      { retry: { retries: 0 } },
    );
    const reader = readerOf({ start: 0, end: 300_000 });
    const into = new Uint8Array(500);
    expect(await reader.fill(into)).toBeGreaterThan(0);
    await until(() => server.seen[0]?.socket.destroyed === true);
    clock.advance(60_000);
    const rest = new Uint8Array(300_000);
    let at = 0;
    for (let count = -1; count !== 0; at += count) count = await reader.fill(rest.subarray(at));
    expect(at).toBeGreaterThan(290_000);
    expect(server.seen).toHaveLength(2);
    expect(retries).toEqual([]);
  });

  it('writes nothing any more once it was cancelled', async () => {
    let cancelled = (): void => {};
    const middle = new Promise<void>((resolve) => {
      cancelled = resolve;
    });
    // However late the timer is, not all has come by then.
    await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), 5_000, middle),
    );
    const controller = new AbortController();
    const reader = readerOf({ start: 0, end: 600_000 }, controller.signal);
    const into = new Uint8Array(10_000);
    await reader.fill(into);
    const pending = failureOf(
      (async () => {
        for (;;) await reader.fill(into);
      })(),
    );
    await new Promise((resolve) => setTimeout(resolve, 3));
    controller.abort();
    expect((await pending).code).toBe('ABORTED');
    into.fill(0);
    cancelled();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(into.every((byte) => byte === 0)).toBe(true);
    expect((await failureOf(reader.fill(into))).code).toBe('ABORTED');
  });

  it('keeps one listener on the signal of the caller, however many ranges run', async () => {
    await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), 9_000),
    );
    const { signal } = new AbortController();
    const running = Array.from({ length: 30 }, (_, i) =>
      readParts(readerOf({ start: i, end: 50_000 }, signal), 1),
    );
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(getEventListeners(signal, 'abort').length).toBe(1);
    await Promise.all(running);
    await until(() => getEventListeners(signal, 'abort').length === 0);
  });

  it('fails with CLOSED when the client is closed', async () => {
    const { cas } = await start((request, response) => {
      response.writeHead(206, headersOf(askedOf(request.headers['range'])));
      response.write(object.subarray(0, 1000));
    });
    const reader = readerOf({ start: 0, end: 600_000 });
    const into = new Uint8Array(10_000);
    await reader.fill(into);
    const pending = failureOf(
      (async () => {
        for (;;) await reader.fill(into);
      })(),
    );
    await cas.close();
    expect((await pending).code).toBe('CLOSED');
  });
});

describe('the head of a response', () => {
  const text = 'HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-9/20\r\nContent-Length: 5\r\n\r\n';

  it.each([text, text.replaceAll('\r', '')])(
    'ends at the first empty line, wherever pieces are cut',
    (head) => {
      const bytes = Buffer.from(`${head}\r\n\r\nbody`, 'latin1');
      for (let length = 0; length <= bytes.length; length++) {
        const expected = length < head.length ? -1 : head.length;
        expect(headLength(bytes.subarray(0, length))).toBe(expected);
      }
    },
  );

  it.each([
    ['a length', '', '', { kind: 'length', sizeBytes: 5 }],
    [
      'a length twice',
      'Content-Length: 5',
      'Content-Length: 5\r\nContent-Length: 5',
      { kind: 'length', sizeBytes: 5 },
    ],
    ['chunks', 'Content-Length: 5', 'Transfer-Encoding: Chunked', { kind: 'chunked' }],
    ['the connection', 'Content-Length: 5', 'X: y', { kind: 'close' }],
    ['no body', '206 Partial', '204 No', { kind: 'none' }],
    ['an empty body', 'Length: 5', 'Length: 0', { kind: 'none' }],
  ])('finds the end of a body by %s', (_name, from, to, framing) => {
    expect(parseHead(text.replace(from, to))?.framing).toEqual(framing);
  });

  it.each([
    ['two lengths', 'Content-Length: 5', 'Content-Length: 5\r\nContent-Length: 6'],
    ['a length and chunks', '\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['another coding', 'Content-Length: 5', 'Transfer-Encoding: gzip, chunked'],
    ['a length that is none', 'Length: 5', 'Length: 5x'],
    ['another version', 'HTTP/1.1', 'HTTP/2'],
    ['no version', 'HTTP/1.1', 'ICY'],
    ['a folded line', 'Content-Length', ' Content-Length'],
    ['a space before the colon', 'Content-Length:', 'Content-Length :'],
    ['a control character', 'Partial', 'Par\u0001tial'],
  ])('is refused with %s', (_name, from, to) => {
    expect(parseHead(text.replace(from, to))).toBeNull();
  });

  it('keeps the connection unless it says otherwise', () => {
    const keeps = (header: string, version = '1.1'): boolean | undefined =>
      parseHead(text.replace('1.1', version).replace('\r\n\r\n', `\r\n${header}\r\n\r\n`))
        ?.keepsAlive;
    expect(keeps('X-A: b')).toBe(true);
    expect(keeps('Connection: Keep-Alive')).toBe(true);
    expect(keeps('Connection: close')).toBe(false);
    expect(keeps('Connection: keep-alive\r\nConnection: close')).toBe(false);
    expect(keeps('X-A: b', '1.0')).toBe(false);
    expect(keeps('Connection: keep-alive', '1.0')).toBe(true);
  });
});
