import { afterEach, describe, expect, it } from 'vitest';
import type { CasClient } from '../../src/client/ports.js';
import { RateLimit } from '../../src/flow/index.js';
import { bytesBody, type Exchange, readAll, textBody } from '../../src/http/index.js';
import { createCasClient } from '../../src/transport/index.js';
import {
  createTestClock,
  pattern,
  readParts,
  sendJson,
  someHash,
  startServer,
  type TestClock,
  type TestServer,
} from './support.js';

const BYTES = pattern(64_000, 7);

let server: TestServer;
let cas: CasClient;
afterEach(async () => {
  await cas.close();
  await server.close();
});

/** Moves time on until `work` is done; how much that was. */
async function timeOf(clock: TestClock, work: Promise<unknown>): Promise<number> {
  const before = clock.now();
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  work.then(over, over);
  while (!isOver) {
    clock.advance(20);
    // All that can go on without time goes on.
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  await work;
  return clock.now() - before;
}

const WIRES = ['sockets', 'fetch', 'in process'] as const;

const inProcess: Exchange = async ({ method, body }) => {
  if (method === 'POST') {
    expect((await readAll(body, 100_000)).length).toBe(BYTES.length);
    return { status: 200, headers: {}, body: textBody('{"was_inserted":true}') };
  }
  const range = `bytes 0-${BYTES.length - 1}/${BYTES.length}`;
  return { status: 206, headers: { 'content-range': range }, body: bytesBody(BYTES) };
};

/** A client with caps, and how often it repeated a request. */
async function start(rate: { upload?: number; download?: number }, wire: (typeof WIRES)[number]) {
  server = await startServer(async (request, response) => {
    if (request.method === 'POST') {
      expect((await request.body).length).toBe(BYTES.length);
      sendJson(response, 200, { was_inserted: true });
      return;
    }
    response.writeHead(206, {
      'content-range': `bytes 0-${BYTES.length - 1}/${BYTES.length}`,
      'content-length': BYTES.length,
    });
    response.end(BYTES);
  });
  const clock = createTestClock();
  const retries: unknown[] = [];
  const rates = {
    upload: new RateLimit(clock, rate.upload),
    download: new RateLimit(clock, rate.download),
  };
  cas = createCasClient({
    endpoint: server.url,
    token: '',
    clock,
    rates,
    // In process: shorter than what a body waits for its share. Sockets need time that is not the clock's.
    stallTimeoutMs: wire === 'in process' ? 400 : 100_000_000,
    onRetry: (event) => retries.push(event),
    ...(wire === 'fetch' ? { fetch: globalThis.fetch } : {}),
    ...(wire === 'in process' ? { exchange: inProcess } : {}),
  });
  return { clock, retries, rates };
}

const put = () => cas.putXorb(someHash(), { sizeBytes: BYTES.length, pieces: [BYTES] });
const read = async (): Promise<void> => {
  const ranges = [{ start: 0, end: BYTES.length }];
  const [part] = await readParts(cas.readRanges(`${server.url}/x`, ranges), 1);
  expect(part?.equals(BYTES)).toBe(true);
};

describe.each(WIRES)('caps, over %s', (wire) => {
  it('hold for all uploads together, and waiting is no silence', async () => {
    const { clock, retries } = await start({ upload: 16_000 }, wire);
    const took = await timeOf(clock, Promise.all([put(), put(), put()]));
    expect(took).toBeGreaterThan((3 * BYTES.length * 0.95) / 16);
    expect(retries).toEqual([]);
  });

  it('hold for all downloads together, and waiting is no silence', async () => {
    const { clock, retries } = await start({ download: 16_000 }, wire);
    const took = await timeOf(clock, Promise.all([read(), read(), read()]));
    expect(took).toBeGreaterThan((3 * BYTES.length * 0.95) / 16);
    expect(retries).toEqual([]);
  });

  it('hold from the moment that they are set, for what is under way', async () => {
    const { clock, rates, retries } = await start({ upload: 2000, download: 2000 }, wire);
    clock.setTimer(4000, () => {
      rates.upload.bytesPerSecond = Number.POSITIVE_INFINITY;
      rates.download.bytesPerSecond = Number.POSITIVE_INFINITY;
    });
    const took = await timeOf(clock, Promise.all([put(), read()]));
    expect(took).toBeGreaterThanOrEqual(4000);
    expect(took).toBeLessThan((BYTES.length / 2000) * 1000);
    expect(retries).toEqual([]);
  });
});
