import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { ByteRange, RangeReceiver } from '../../src/client/ports.js';
import {
  headLength,
  isPlainRange,
  keepsAlive,
  parseHead,
} from '../../src/transport/answer-head.js';
import type { CasClientOptions } from '../../src/transport/index.js';
import { failureOf, type Handler, pattern, type Rig, startRig, until } from './support.js';

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

interface TestReceiver extends RangeReceiver {
  readonly bytes: () => Buffer;
  /** Lets the receiver have room again. */
  open: () => void;
}

/**
 * Keeps what comes in a ring of `slabBytes` of shared memory. Every `pauseEvery` bytes it has no room
 * until the next turn of the event loop, or until it is opened when `held`.
 */
function receiverOf(
  options: { slabBytes?: number; pauseEvery?: number; held?: boolean } = {},
): TestReceiver {
  const slab = new Uint8Array(new SharedArrayBuffer(options.slabBytes ?? 100_003));
  const { pauseEvery = Number.POSITIVE_INFINITY, held = false } = options;
  const pieces: Buffer[] = [];
  let at = 0;
  let sincePause = 0;
  let paused = false;
  let opened: () => void = () => {};
  return {
    bytes: () => Buffer.concat(pieces),
    open: () => opened(),
    room() {
      if (paused) return null;
      if (at === slab.length) at = 0;
      return slab.subarray(at);
    },
    async ready() {
      await new Promise<void>((resolve) => {
        opened = resolve;
        if (!held) setImmediate(resolve);
      });
      paused = false;
      sincePause = 0;
    },
    received(rangeIndex, count) {
      expect(rangeIndex).toBe(0);
      expect(paused).toBe(false);
      pieces.push(Buffer.from(slab.slice(at, at + count)));
      at += count;
      sincePause += count;
      if (sincePause >= pauseEvery) paused = true;
    },
  };
}

function receive(
  { start: first, end }: ByteRange,
  receiver: RangeReceiver,
  signal?: AbortSignal,
): Promise<number> {
  const { cas, server } = rig as Rig;
  const call = cas.receiveRange?.(`${server.url}/x?a=1`, { start: first, end }, receiver, signal);
  return call ?? Promise.reject(new Error('no receiveRange'));
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

/** Correct answers, in pieces of `pieceBytes` with a turn of the event loop in between. */
async function sendSlowly(
  response: ServerResponse,
  range: ByteRange,
  pieceBytes: number,
): Promise<void> {
  response.writeHead(206, headersOf(range));
  for (let at = range.start; at < range.end; at += pieceBytes) {
    response.write(object.subarray(at, Math.min(range.end, at + pieceBytes)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  response.end();
}

describe('a range read into the memory of the caller', () => {
  it('arrives whole, whatever pieces, room and pauses there are', async () => {
    let pieceBytes = 1;
    await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), pieceBytes),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: object.length - 1 }),
        fc.integer({ min: 1, max: 300_000 }),
        fc.integer({ min: 700, max: 300_000 }),
        fc.integer({ min: 1, max: 200_000 }),
        fc.integer({ min: 500, max: 400_000 }),
        async (first, length, piece, slabBytes, pauseEvery) => {
          pieceBytes = piece;
          const range = { start: first, end: Math.min(object.length, first + length) };
          const receiver = receiverOf({ slabBytes: Math.max(slabBytes, 64), pauseEvery });
          expect(await receive(range, receiver)).toBe(range.end - range.start);
          expect(receiver.bytes().equals(object.subarray(range.start, range.end))).toBe(true);
        },
      ),
      { numRuns: 40, seed: 4 },
    );
  }, 30_000);

  it('uses a connection again, and asks without token or custom headers', async () => {
    const { server } = await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), 90_000),
    );
    for (let i = 0; i < 3; i++) await receive({ start: i, end: 200_000 }, receiverOf());
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
    await receive({ start: 0, end: 1000 }, receiverOf());
    await receive({ start: 0, end: 1000 }, receiverOf());
    server.seen[1]?.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await receive({ start: 0, end: 1000 }, receiverOf())).toBe(1000);
    expect(new Set(server.seen.map(({ socket }) => socket)).size).toBe(3);
  });

  it('resolves with what came when the connection breaks', async () => {
    await start((request, response) => {
      const range = askedOf(request.headers['range']);
      response.writeHead(206, headersOf(range));
      response.write(object.subarray(range.start, range.start + 150_000), () =>
        setTimeout(() => request.socket.destroy(), 20),
      );
    });
    const receiver = receiverOf();
    const count = await receive({ start: 10, end: 400_000 }, receiver);
    expect(count).toBe(150_000);
    expect(receiver.bytes().equals(object.subarray(10, 150_010))).toBe(true);
  });

  it('resolves with 0 for every other answer, and does not ask such an origin again', async () => {
    const answers: [number, Record<string, string | number>, boolean][] = [
      [200, { 'content-length': 100 }, false],
      [302, { location: '/y', 'content-length': 0 }, false],
      [206, { 'content-range': 'bytes 0-99/700000' }, false],
      [206, { ...headersOf({ start: 1, end: 101 }) }, false],
      [206, { ...headersOf({ start: 0, end: 100 }), 'content-encoding': 'gzip' }, false],
      [206, { 'content-type': 'multipart/byteranges; boundary=B' }, false],
      [403, { 'content-length': 100 }, true],
      [503, { 'content-length': 100 }, true],
    ];
    for (const [status, headers, asksAgain] of answers) {
      const { server } = await start((_, response) => {
        response.writeHead(status, headers);
        response.end(headers['content-length'] === 0 ? '' : object.subarray(0, 100));
      });
      const receiver = receiverOf();
      expect(await receive({ start: 0, end: 100 }, receiver), String(status)).toBe(0);
      expect(await receive({ start: 0, end: 100 }, receiver), String(status)).toBe(0);
      expect(receiver.bytes().length).toBe(0);
      expect(server.seen.length, `${status} ${JSON.stringify(headers)}`).toBe(asksAgain ? 2 : 1);
      await rig?.close();
    }
  });

  it('resolves with 0 where nobody listens and for answers that are not HTTP', async () => {
    const { server } = await start((request) => {
      request.socket.end('220 mail.example.com ESMTP\r\n\r\n');
    });
    expect(await receive({ start: 0, end: 100 }, receiverOf())).toBe(0);
    await server.close();
    expect(await receive({ start: 0, end: 100 }, receiverOf())).toBe(0);
  });

  it('gives up a connection that is silent, but not one that waits for room', async () => {
    const { clock } = await start((request, response) => {
      const range = askedOf(request.headers['range']);
      response.writeHead(206, headersOf(range));
      response.write(object.subarray(range.start, range.start + 60_000));
      if (range.start === 1) response.end(object.subarray(60_001, range.end));
    });
    const waiting = receiverOf({ pauseEvery: 50_000, held: true });
    const held = receive({ start: 1, end: 300_000 }, waiting);
    await until(() => waiting.room() === null);
    clock.advance(10 * 60_000);
    const pump = setInterval(() => waiting.open(), 1);
    expect(await held).toBe(299_999);
    clearInterval(pump);

    const silent = receiverOf();
    const stalled = receive({ start: 2, end: 300_000 }, silent);
    await until(() => silent.bytes().length === 60_000);
    clock.advance(10 * 60_000);
    expect(await stalled).toBe(60_000);
  });

  it('writes nothing any more once it was cancelled', async () => {
    await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), 5_000),
    );
    const controller = new AbortController();
    const receiver = receiverOf();
    const receiving = receive({ start: 0, end: 600_000 }, receiver, controller.signal);
    await until(() => receiver.bytes().length > 20_000);
    controller.abort();
    const length = receiver.bytes().length;
    expect((await failureOf(receiving)).code).toBe('ABORTED');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(receiver.bytes().length).toBe(length);
    expect((await failureOf(receive({ start: 0, end: 9 }, receiver, controller.signal))).code).toBe(
      'ABORTED',
    );
  });

  it('keeps one listener on the signal of the caller, however many ranges run', async () => {
    await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), 9_000),
    );
    const { signal } = new AbortController();
    const running = Array.from({ length: 30 }, (_, i) =>
      receive({ start: i, end: 50_000 }, receiverOf(), signal),
    );
    expect(getEventListeners(signal, 'abort').length).toBe(1);
    await Promise.all(running);
    expect(getEventListeners(signal, 'abort').length).toBe(0);
  });

  it('fails with what the receiver throws, and with CLOSED when the client is closed', async () => {
    const { cas } = await start((request, response) =>
      sendSlowly(response, askedOf(request.headers['range']), 5_000),
    );
    const refusing = receiverOf();
    refusing.received = () => {
      throw new RangeError('no more');
    };
    await expect(receive({ start: 0, end: 600_000 }, refusing)).rejects.toThrow('no more');

    const held = receiverOf({ pauseEvery: 1, held: true });
    const receiving = receive({ start: 0, end: 600_000 }, held);
    await until(() => held.room() === null);
    await cas.close();
    expect((await failureOf(receiving)).code).toBe('CLOSED');
  });

  it('continues with fetchRanges where it broke off, within the signed range', async () => {
    const asked: string[] = [];
    const { cas, server } = await start(async (request, response) => {
      asked.push(request.headers['range'] ?? '');
      const range = askedOf(request.headers['range']);
      // A signature that covers the whole range only.
      if (range.start === 100) await sendSlowly(response, range, 9_000);
      else response.writeHead(403).end('signed for another range');
    });
    const got: Buffer[] = [];
    const range = { start: 100, end: 40_100 };
    for await (const part of cas.fetchRanges(`${server.url}/x`, [range], undefined, 15_000)) {
      got.push(Buffer.from(part.bytes));
    }
    expect(Buffer.concat(got).equals(object.subarray(15_100, 40_100))).toBe(true);
    expect(asked).toEqual(['bytes=15100-40099', 'bytes=100-40099']);
  });
});

describe('the head of an answer', () => {
  const text = 'HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-9/20\r\nContent-Length: 5\r\n\r\n';

  it('ends at the first empty line, wherever pieces are cut', () => {
    const bytes = Buffer.from(`${text}\r\n\r\nbody`, 'latin1');
    for (let length = 0; length <= bytes.length; length++) {
      const expected = length < text.length ? -1 : text.length;
      expect(headLength(bytes.subarray(0, length))).toBe(expected);
    }
  });

  it('is plain for exactly the asked range in no coding', () => {
    const range = { start: 5, end: 10 };
    const plain = (from: string, to: string): boolean | null => {
      const head = parseHead(text.replace(from, to));
      return head === null ? null : isPlainRange(head, range);
    };
    expect(plain('', '')).toBe(true);
    expect(plain('206', '200')).toBe(false);
    expect(plain('5-9', '5-8')).toBe(false);
    expect(plain('/20', '/*')).toBe(true);
    expect(plain('Length: 5', 'Length: 05')).toBe(false);
    expect(plain('Content-Length: 5', 'Content-Length: 5\r\nContent-Length: 5')).toBe(false);
    expect(plain('Content-Length: 5', 'Transfer-Encoding: chunked')).toBe(false);
    expect(plain('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n')).toBe(false);
    expect(plain('\r\n\r\n', '\r\nContent-Encoding: identity\r\n\r\n')).toBe(true);
    for (const odd of ['HTTP/1.0', 'HTTP/2', 'http/1.1', 'ICY']) {
      expect(plain('HTTP/1.1', odd), odd).toBeNull();
    }
    expect(plain('Content-Length', ' Content-Length')).toBeNull();
    expect(plain('Content-Length:', 'Content-Length :')).toBeNull();
    expect(plain('206 Partial', '206 Par\ntial')).toBeNull();
  });

  it('keeps the connection unless it says otherwise', () => {
    const keeps = (header: string): boolean => {
      const head = parseHead(text.replace('\r\n\r\n', `\r\n${header}\r\n\r\n`));
      return head !== null && keepsAlive(head);
    };
    expect(keeps('X-A: b')).toBe(true);
    expect(keeps('Connection: Keep-Alive')).toBe(true);
    expect(keeps('Connection: close')).toBe(false);
    expect(keeps('Connection: keep-alive\r\nConnection: close')).toBe(false);
  });
});
