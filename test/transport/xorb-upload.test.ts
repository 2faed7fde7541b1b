import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  failureOf,
  type Handler,
  pattern,
  type Rig,
  sendJson,
  someHash,
  startRig,
  until,
} from './support.js';

let rig: Rig;
afterEach(() => rig.close());

/** A body of views over shared memory, with gaps between the pieces. */
function sharedBody(sizes: readonly number[]): { body: Body; expected: Buffer } {
  const total = sizes.reduce((sum, size) => sum + size + 13, 0);
  const memory = new Uint8Array(new SharedArrayBuffer(total));
  memory.set(pattern(total, 5));
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(memory.subarray(at, at + size));
    at += size + 13;
  }
  const expected = Buffer.concat(pieces.map((piece) => Uint8Array.from(piece)));
  return { body: { sizeBytes: expected.length, pieces }, expected };
}
interface Body {
  sizeBytes: number;
  pieces: Uint8Array[];
}

const accept: Handler = async (request, response) => {
  await request.body;
  sendJson(response, 200, { was_inserted: true });
};

describe('uploading a xorb', () => {
  it('sends the pieces from shared memory with the headers of the protocol', async () => {
    const { body, expected } = sharedBody([1, 0, 700_000, 65_536, 3]);
    let received: Buffer = Buffer.alloc(0);
    rig = await startRig(
      async (request, response) => {
        received = await request.body;
        sendJson(response, 200, { was_inserted: false });
      },
      { headers: { 'X-Custom': 'mine' }, sessionId: 'session-1', userAgent: 'test/1' },
    );
    const sent: number[] = [];
    const result = await rig.cas.putXorb(someHash(), body, { onSent: (bytes) => sent.push(bytes) });
    expect(result).toEqual({ inserted: false });
    expect(received.equals(expected)).toBe(true);
    expect(sent.reduce((a, b) => a + b, 0)).toBe(expected.length);
    expect(rig.server.seen[0]?.path).toBe(`/v1/xorbs/default/${someHash()}`);
    expect(rig.server.seen[0]?.headers).toMatchObject({
      authorization: 'Bearer token-1',
      'content-length': String(expected.length),
      'content-type': 'application/octet-stream',
      'user-agent': 'test/1',
      'x-custom': 'mine',
      'x-xet-session-id': 'session-1',
    });
    expect(rig.server.seen[0]?.headers['transfer-encoding']).toBeUndefined();
  });

  it('keeps a base path of the endpoint', async () => {
    rig = await startRig(accept);
    const { createCasClient } = await import('../../src/transport/index.js');
    const cas = createCasClient({ endpoint: `${rig.server.url}/some/cas`, token: '' });
    await cas.putXorb(someHash(), { sizeBytes: 1, pieces: [Uint8Array.of(1)] });
    await cas.close();
    expect(rig.server.seen[0]?.path).toBe(`/some/cas/v1/xorbs/default/${someHash()}`);
    expect(rig.server.seen[0]?.headers['authorization']).toBeUndefined();
  });

  it('sends the same bytes again after a cut in the middle, and counts each byte once', async () => {
    const { body, expected } = sharedBody([900_000, 800_000]);
    let received: Buffer = Buffer.alloc(0);
    rig = await startRig(async (request, response, index) => {
      if (index === 0) {
        let seenBytes = 0;
        for await (const piece of request.raw) {
          seenBytes += (piece as Buffer).length;
          if (seenBytes > 500_000) break;
        }
        request.socket.destroy();
        return;
      }
      received = await request.body;
      sendJson(response, 200, { was_inserted: true });
    });
    let sent = 0;
    await rig.cas.putXorb(someHash(), body, {
      onSent: (bytes) => {
        expect(bytes).toBeGreaterThan(0);
        sent += bytes;
      },
    });
    expect(received.equals(expected)).toBe(true);
    expect(sent).toBe(expected.length);
    expect(rig.retries.map(({ code, operation }) => [code, operation])).toEqual([
      ['NETWORK', 'POST /v1/xorbs'],
    ]);
  });

  it.each([500, 502, 503, 504, 408])('tries again after %i', async (status) => {
    const { body } = sharedBody([1000]);
    rig = await startRig(async (request, response, index) => {
      await request.body;
      if (index < 3) response.writeHead(status).end('busy');
      else sendJson(response, 200, { was_inserted: true });
    });
    await rig.cas.putXorb(someHash(), body);
    expect(rig.retries.map((event) => event.status)).toEqual([status, status, status]);
  });

  it.each([
    [400, 'REJECTED'],
    [403, 'FORBIDDEN'],
    [404, 'NOT_FOUND'],
    [409, 'REJECTED'],
    [413, 'REJECTED'],
    [501, 'PROTOCOL'],
  ])('stops at %i with %s, the reason and the request id', async (status, code) => {
    const { body } = sharedBody([1000]);
    rig = await startRig(async (request, response) => {
      await request.body;
      response.writeHead(status, { 'x-request-id': 'req-17' });
      response.end(
        `no: token-1 is wrong, see https://help.example/x?sig=abcdef \u001b[31m${'y'.repeat(5000)}`,
      );
    });
    const error = await failureOf(rig.cas.putXorb(someHash(), body));
    expect(error).toMatchObject({
      code,
      fields: { status, requestId: 'req-17', attempts: 1, host: `127.0.0.1:${rig.server.port}` },
    });
    const text = error.fields['body'] as string;
    expect(text).toMatch(/^no: \*\*\* is wrong, see https:\/\/help\.example\/x\?\*\*\* /);
    expect(text.length).toBeLessThanOrEqual(1025);
    expect(error.message).not.toContain('\u001b');
    expect(rig.server.seen).toHaveLength(1);
  });

  it('gives the last error when the budget is used up', async () => {
    const { body } = sharedBody([10]);
    rig = await startRig(
      async (request, response) => {
        await request.body;
        response.writeHead(503).end('down');
      },
      { retry: { retries: 2 } },
    );
    expect(await failureOf(rig.cas.putXorb(someHash(), body))).toMatchObject({
      code: 'SERVER_ERROR',
      fields: { status: 503, attempts: 3 },
    });
    expect(rig.server.seen).toHaveLength(3);
  });

  it('waits as long as Retry-After says and no less', async () => {
    const { body } = sharedBody([10]);
    rig = await startRig(async (request, response, index) => {
      await request.body;
      if (index === 0) response.writeHead(429, { 'retry-after': '7' }).end();
      else sendJson(response, 200, { was_inserted: true });
    });
    const result = rig.cas.putXorb(someHash(), body);
    await until(() => rig.retries.length === 1);
    expect(rig.retries[0]).toMatchObject({ code: 'RATE_LIMITED', status: 429, delayMs: 7000 });
    rig.clock.advance(6999);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(rig.server.seen).toHaveLength(1);
    rig.clock.advance(1);
    await result;
  });

  it('does not wait for a server that asks for an hour', async () => {
    const { body } = sharedBody([10]);
    rig = await startRig(async (request, response) => {
      await request.body;
      response.writeHead(429, { 'retry-after': '3600' }).end();
    });
    expect(await failureOf(rig.cas.putXorb(someHash(), body))).toMatchObject({
      code: 'RATE_LIMITED',
      fields: { retryAfterMs: 3_600_000 },
    });
  });

  it('refuses redirects of uploads', async () => {
    const { body } = sharedBody([10]);
    rig = await startRig(async (request, response) => {
      await request.body;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(await failureOf(rig.cas.putXorb(someHash(), body))).toMatchObject({
      code: 'PROTOCOL',
      fields: { status: 307 },
    });
    expect(rig.server.seen).toHaveLength(1);
  });

  it.each([
    ['no JSON', 'ok'],
    ['JSON without the field', '{"inserted":true}'],
    ['a field of another type', '{"was_inserted":1}'],
    ['null', 'null'],
    ['an endless answer', `"${'x'.repeat(70_000)}"`],
  ])('refuses %s as an answer', async (_name, text) => {
    const { body } = sharedBody([10]);
    rig = await startRig(async (request, response) => {
      await request.body;
      response.end(text);
    });
    expect((await failureOf(rig.cas.putXorb(someHash(), body))).code).toBe('PROTOCOL');
  });

  it('reads an answer that comes before the body is sent, and takes no more of the pieces', async () => {
    const { body } = sharedBody([30_000_000]);
    rig = await startRig((request, response) => {
      request.raw.pause();
      response.writeHead(403, { connection: 'close' }).end('no');
    });
    const error = await failureOf(rig.cas.putXorb(someHash(), body));
    expect(['FORBIDDEN', 'NETWORK']).toContain(error.code);
  });

  it('says CLOSED after close, also to calls that are under way', async () => {
    const { body } = sharedBody([10]);
    rig = await startRig(async (request) => {
      await request.body;
    });
    const running = failureOf(rig.cas.putXorb(someHash(), body));
    await until(() => rig.server.seen.length === 1);
    await rig.cas.close();
    expect((await running).code).toBe('CLOSED');
    expect((await failureOf(rig.cas.putXorb(someHash(), body))).code).toBe('CLOSED');
  });

  it('is a RangeError when the pieces are not the size they claim', async () => {
    rig = await startRig(accept);
    await expect(
      rig.cas.putXorb(someHash(), { sizeBytes: 3, pieces: [Uint8Array.of(1)] }),
    ).rejects.toThrow(RangeError);
  });
});

describe('time in uploads', () => {
  it('lets the server think for ten minutes after the last byte', async () => {
    const { body } = sharedBody([2000]);
    let answer: (() => void) | null = null;
    let probeCount = 0;
    rig = await startRig(async (request, response, index) => {
      if (request.method === 'HEAD') {
        probeCount++;
        response.writeHead(404).end();
        return;
      }
      await request.body;
      if (index === 0) answer = () => sendJson(response, 200, { was_inserted: true });
    });
    const result = rig.cas.putXorb(someHash(), body);
    await until(() => answer !== null);
    await until(() => rig.server.seen.length === 1 && rig.clock.waiting === 2);
    for (let probe = 1; probe <= 20; probe++) {
      rig.clock.advance(30_000);
      await until(
        () => probeCount === probe && rig.server.seen.length > 2 && rig.clock.waiting === 3,
      );
    }
    (answer as unknown as () => void)();
    expect(await result).toEqual({ inserted: true });
    // Only the second sending beside the first, which goes on.
    expect(rig.retries.map(({ code }) => code)).toEqual(['STALLED']);
    expect(rig.server.seen.filter(({ method }) => method === 'POST')).toHaveLength(2);
    expect(rig.clock.waiting).toBe(0);
  });

  it('is done when a silent server turns out to have the xorb', async () => {
    const { body } = sharedBody([2000]);
    rig = await startRig(async (request, response) => {
      if (request.method === 'HEAD') response.writeHead(200).end();
    });
    const result = rig.cas.putXorb(someHash(), body);
    await until(() => rig.server.seen.length === 1 && rig.clock.waiting === 2);
    rig.clock.advance(30_000);
    expect(await result).toEqual({ inserted: true });
    expect(rig.server.seen.map(({ method }) => method)).toEqual(['POST', 'HEAD']);
    expect(rig.retries).toEqual([]);
    await until(() => rig.server.seen[0]?.socket.destroyed === true);
  });

  it('sends again within 45 s when the host is silent on every connection', async () => {
    const { body } = sharedBody([2000]);
    let dark = true;
    rig = await startRig(async (request, response) => {
      await request.body;
      if (!dark) sendJson(response, 200, { was_inserted: true });
    });
    const result = rig.cas.putXorb(someHash(), body);
    await until(() => rig.server.seen.length === 1 && rig.clock.waiting === 2);
    const started = rig.clock.now();
    rig.clock.advance(30_000);
    await until(() => rig.server.seen.length === 2);
    rig.clock.advance(14_999);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(rig.retries).toEqual([]);
    dark = false;
    rig.clock.advance(1);
    expect(await result).toEqual({ inserted: true });
    expect(rig.clock.now() - started).toBe(45_000);
    expect(rig.retries.map(({ code }) => code)).toEqual(['STALLED']);
  });

  it('gives up a server that lives and never responds, after the response timeout', async () => {
    const { body } = sharedBody([2000]);
    let probeCount = 0;
    rig = await startRig(
      async (request, response) => {
        if (request.method !== 'HEAD') return;
        probeCount++;
        response.writeHead(405).end();
      },
      { responseTimeoutMs: 100_000 },
    );
    const result = failureOf(rig.cas.putXorb(someHash(), body));
    await until(() => rig.server.seen.length === 1 && rig.clock.waiting === 2);
    for (let probe = 1; probe <= 4; probe++) {
      rig.clock.advance(30_000);
      if (probe === 4) break;
      await until(
        () => probeCount === probe && rig.server.seen.length > 2 && rig.clock.waiting === 3,
      );
    }
    // The first ends after 100 s, the second 100 s after it was sent.
    await until(() => rig.clock.waiting <= 2);
    rig.clock.advance(30_000);
    expect((await result).code).toBe('STALLED');
    expect(rig.server.seen.filter(({ method }) => method === 'POST')).toHaveLength(2);
  });

  it('gives a body up that nobody reads, after 30 s without progress, and tries again', async () => {
    const { body } = sharedBody([40_000_000]);
    let blocked = true;
    rig = await startRig(async (request, response) => {
      if (blocked) {
        request.raw.pause();
        return;
      }
      await request.body;
      sendJson(response, 200, { was_inserted: true });
    });
    let sent = 0;
    const result = rig.cas.putXorb(someHash(), body, { onSent: (bytes) => (sent += bytes) });
    await until(() => rig.server.seen.length === 1);
    let before = -1;
    // Until the buffers of both sides are full.
    while (before !== sent) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sent).toBeLessThan(body.sizeBytes);
    blocked = false;
    rig.clock.advance(30_000);
    await result;
    expect(rig.retries.map(({ code }) => code)).toEqual(['STALLED']);
    expect(sent).toBe(body.sizeBytes);
  });

  it('is twice as patient after each stall, because buffers hide slow progress, for five minutes in all', async () => {
    const { body } = sharedBody([40_000_000]);
    rig = await startRig((request) => {
      request.raw.pause();
    });
    const result = failureOf(rig.cas.putXorb(someHash(), body));
    for (const [before, seconds] of [30, 60, 120, 90].entries()) {
      await until(() => rig.server.seen.length === before + 1 && rig.clock.waiting === 1);
      // Until the buffers are full and no write is progress any more.
      await new Promise((resolve) => setTimeout(resolve, 150));
      rig.clock.advance(seconds * 1000 - 1);
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(rig.retries).toHaveLength(before);
      rig.clock.advance(1);
      await until(() => rig.retries.length === before + 1 || before === 3);
    }
    expect(await result).toMatchObject({ code: 'STALLED', fields: { attempts: 4 } });
  });

  it('has no such limit where somebody reads, however slowly', async () => {
    const { body } = sharedBody([30_000_000]);
    let pausedCount = 0;
    rig = await startRig(async (request, response, index) => {
      let readBytes = 0;
      for await (const piece of request.raw.iterator({ destroyOnReturn: false })) {
        readBytes += (piece as Uint8Array).length;
        if (index < 4) rig.clock.advance(300);
        await new Promise((resolve) => setTimeout(resolve, 1));
        // It reads some, and then nothing for longer than the client waits.
        if (index < 4 && readBytes > 4_000_000) {
          pausedCount++;
          return;
        }
      }
      sendJson(response, 200, { was_inserted: true });
    });
    const sending = rig.cas.putXorb(someHash(), body);
    for (const [before, seconds] of [30, 60, 120, 240].entries()) {
      await until(() => pausedCount === before + 1);
      // Until the buffers are full and no write is progress any more.
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(rig.retries).toHaveLength(before);
      rig.clock.advance(seconds * 1000);
      await until(() => rig.retries.length === before + 1);
    }
    await sending;
  });

  it('lets a body live that is read slowly', async () => {
    const { body } = sharedBody([30_000_000]);
    rig = await startRig(async (request, response) => {
      for await (const _ of request.raw) {
        // Each 64 KiB that are read take 0.3 s of the client's time: minutes in all.
        rig.clock.advance(300);
        // Both ends live in this process: the sender needs its turn to notice.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      sendJson(response, 200, { was_inserted: true });
    });
    const started = rig.clock.now();
    await rig.cas.putXorb(someHash(), body);
    expect(rig.clock.now() - started).toBeGreaterThan(60_000);
    expect(rig.retries).toEqual([]);
  });

  it('rejects at once on abort in the middle of a body and closes the socket', async () => {
    const { body } = sharedBody([40_000_000]);
    rig = await startRig((request) => {
      request.raw.pause();
    });
    const controller = new AbortController();
    const result = failureOf(rig.cas.putXorb(someHash(), body, { signal: controller.signal }));
    await until(() => rig.server.seen.length === 1);
    controller.abort(new Error('enough'));
    expect((await result).code).toBe('ABORTED');
    rig.server.seen[0]?.raw.resume();
    await until(() => rig.server.seen[0]?.socket.destroyed === true);
    expect(rig.clock.waiting).toBe(0);
  });

  it('rejects at once on abort while it waits for the next attempt', async () => {
    const { body } = sharedBody([10]);
    rig = await startRig(async (request, response) => {
      await request.body;
      response.writeHead(503, { 'retry-after': '60' }).end();
    });
    const controller = new AbortController();
    const result = failureOf(rig.cas.putXorb(someHash(), body, { signal: controller.signal }));
    await until(() => rig.retries.length === 1);
    controller.abort();
    expect((await result).code).toBe('ABORTED');
    expect(rig.clock.waiting).toBe(0);
  });

  it('sends nothing under a signal that is aborted already', async () => {
    const { body } = sharedBody([10]);
    rig = await startRig(accept);
    const signal = AbortSignal.abort();
    expect((await failureOf(rig.cas.putXorb(someHash(), body, { signal }))).code).toBe('ABORTED');
    expect(rig.server.seen).toHaveLength(0);
  });
});

describe('hosts that are not there', () => {
  it('gives a host that never answered two more chances only', async () => {
    rig = await startRig(accept);
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
      });
    });
    const { createCasClient } = await import('../../src/transport/index.js');
    const attempts: string[] = [];
    const cas = createCasClient({
      endpoint: `http://127.0.0.1:${port}`,
      token: 't',
      clock: rig.clock,
      random: () => 0,
      onRetry: ({ code }) => attempts.push(code),
    });
    const error = await failureOf(
      cas.putXorb(someHash(), { sizeBytes: 1, pieces: [Uint8Array.of(1)] }),
    );
    expect(error).toMatchObject({ code: 'NETWORK', fields: { systemCode: 'ECONNREFUSED' } });
    expect(attempts).toEqual(['NETWORK', 'NETWORK']);
    await cas.close();
  });

  it('is PROTOCOL where something else than HTTP answers', async () => {
    rig = await startRig(accept);
    const server = createServer((socket) => {
      socket.on('error', () => {}).resume();
      socket.end('SSH-2.0-OpenSSH_9.6\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { createCasClient } = await import('../../src/transport/index.js');
    const cas = createCasClient({ endpoint: `http://127.0.0.1:${port}`, token: 't' });
    const error = await failureOf(cas.getReconstruction(someHash()));
    expect(error.code).toBe('PROTOCOL');
    await cas.close();
    await new Promise((resolve) => server.close(resolve));
  });
});
