import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Budget } from '../../src/flow/index.js';
import { guardBody } from '../../src/gateway/body.js';
import { createBodyMemory } from '../../src/gateway/body-memory.js';
import {
  createDiskStore,
  createGateway,
  createNodeServer,
  type Gateway,
  type NodeServer,
} from '../../src/gateway/index.js';
import { bytesBody, piecesBody, readAll } from '../../src/http/index.js';
import { createComputePool, type WorkerPool } from '../../src/workers/index.js';
import {
  buildXorb,
  codec,
  createFakeClock,
  createRig,
  type FakeClock,
  fileOf,
  hasher,
  listed,
  putXorb,
  READ_TOKEN,
  type Rig,
  randomChunks,
  uploadShard,
  WRITE_TOKEN,
} from './support/rig.js';

/** Bodies that do not come, or hardly: they hold nothing that others need, and are not waited for. */

const MIB = 1024 * 1024;
const xorb = buildXorb(randomChunks(95, [100_000, 120_000, 90_000]));
const file = fileOf([[xorb, 0, 3]]);
const shard = uploadShard({ files: [file], xorbs: [listed(xorb)] });

let folder = '';
let pool: WorkerPool;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-bodies-'));
  pool = await createComputePool({ threads: 0, maxMemory: 4 * MIB });
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

interface Served {
  readonly gateway: Gateway;
  readonly server: NodeServer;
  readonly clock: FakeClock;
}

const open: Served[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const { server, gateway } of open.splice(0)) {
    await server.close();
    await gateway.close();
  }
});

async function serve(): Promise<Served> {
  const clock = createFakeClock();
  const gateway = createGateway({
    store: await createDiskStore(await mkdtemp(join(folder, 'store-')), { sync: false }),
    hasher,
    codec,
    clock,
    verifier: { receive: (body) => pool.receiveXorb(body) },
    tokens: [
      { token: WRITE_TOKEN, scope: 'write' },
      { token: READ_TOKEN, scope: 'read' },
    ],
    options: { maxMemory: 64 * MIB, maxWaitingCount: 16 },
  });
  const served = { gateway, clock, server: await createNodeServer(gateway, { port: 0 }) };
  open.push(served);
  return served;
}

/** Waits for the heads of requests: as long as a busy machine takes. */
const arrived = (check: () => void): Promise<void> =>
  vi.waitFor(check, { timeout: 60_000, interval: 20 });

/** A request whose head is sent, and as much of its body. Resolves with all that comes back. */
function halfOpen(
  { server }: Served,
  head: { path: string; token: string; length: number; expect?: boolean },
  body: Uint8Array = new Uint8Array(0),
): Promise<string> {
  const socket = connect(server.port, server.host);
  sockets.add(socket);
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  socket.on('error', () => undefined);
  socket.write(
    `POST ${head.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${head.token}\r\n` +
      `Content-Length: ${head.length}\r\n${head.expect === true ? 'Expect: 100-continue\r\n' : ''}\r\n`,
  );
  socket.write(body);
  return new Promise((resolve) => {
    socket.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')));
  });
}

async function expectHonest({ server }: Served): Promise<void> {
  const headers = { authorization: `Bearer ${WRITE_TOKEN}` };
  const post = (path: string, body: Uint8Array): Promise<Response> =>
    fetch(server.url + path, { method: 'POST', headers, body: body as Uint8Array<ArrayBuffer> });
  const stored = await post(`/v1/xorbs/default/${xorb.hash}`, xorb.bytes);
  expect(await stored.json()).toEqual({ was_inserted: true });
  const registered = await post('/v1/shards', shard);
  expect(await registered.json()).toMatchObject({ result: 1 });
  const asked = await post(
    '/v1/reconstructions',
    Buffer.from(JSON.stringify([{ hash: file.hash }])),
  );
  expect(asked.status).toBe(200);
}

async function expectAllCut(served: Served, responses: Promise<string>[]): Promise<void> {
  // The heads have arrived when the gateway waits for their bodies: a timer for each.
  await arrived(() => expect(served.clock.timerCount).toBeGreaterThanOrEqual(responses.length));
  served.clock.advance(20_000);
  for (const text of await Promise.all(responses)) {
    expect(text).toMatch(/HTTP\/1.1 408 [\s\S]*connection: close/i);
  }
  expect(served.gateway.usage().usedBytes).toBeLessThan(MIB);
}

const xorbPath = `/v1/xorbs/default/${'ab'.repeat(32)}`;

describe('bodies that never come', () => {
  it('(300 of them, half shards, half with a read token) stop nobody and are cut', async () => {
    const served = await serve();
    const responses = Array.from({ length: 300 }, (_, index) =>
      index % 2 === 0
        ? halfOpen(served, { path: '/v1/shards', token: WRITE_TOKEN, length: 67_000_000 })
        : halfOpen(served, { path: '/v1/reconstructions', token: READ_TOKEN, length: 1_000_000 }),
    );
    await arrived(() => expect(served.clock.timerCount).toBeGreaterThanOrEqual(300));
    await expectHonest(served);
    await expectAllCut(served, responses);
  });

  it('(one shard of 67 MB) hold no memory', async () => {
    const served = await serve();
    const response = halfOpen(served, {
      path: '/v1/shards',
      token: WRITE_TOKEN,
      length: 67_000_000,
    });
    await arrived(() => expect(served.clock.timerCount).toBe(1));
    expect(served.gateway.usage().usedBytes).toBe(0);
    await expectHonest(served);
    await expectAllCut(served, [response]);
  });

  it('(40 that asked to be told first) hold nothing', async () => {
    const served = await serve();
    const responses = Array.from({ length: 40 }, () =>
      halfOpen(served, { path: xorbPath, token: WRITE_TOKEN, length: 67_000_000, expect: true }),
    );
    await arrived(() => expect(served.clock.timerCount).toBeGreaterThanOrEqual(40));
    await expectHonest(served);
    served.clock.advance(20_000);
    for (const text of await Promise.all(responses))
      expect(text).toMatch(/ 100 Continue[\s\S]* 408 /);
  });

  it('(24 xorbs that begin and stop) take no memory of the threads from an honest one', async () => {
    const served = await serve();
    const responses = Array.from({ length: 24 }, () =>
      halfOpen(
        served,
        { path: xorbPath, token: WRITE_TOKEN, length: 60_000_000 },
        xorb.bytes.subarray(0, 10_000),
      ),
    );
    await arrived(() => expect(served.clock.timerCount).toBeGreaterThanOrEqual(24));
    expect(pool.freeSlabs).toBe(pool.slabCount);
    await expectHonest(served);
    await expectAllCut(served, responses);
  });
});

describe('a body that trickles', () => {
  async function trickle(rig: Rig, path: string, bytesPerSecond: number, seconds: number) {
    let send = (_bytes: Uint8Array): void => undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        send = (bytes) => controller.enqueue(bytes);
      },
    });
    let status = 0;
    const done = rig.send('POST', path, { body }).then((response) => {
      status = response.status;
    });
    for (let second = 0; second < seconds && status === 0; second++) {
      send(new Uint8Array(bytesPerSecond));
      rig.clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { done, status: () => status };
  }

  it('is cut when it brings less than a KiB a second, a byte at a time or more', async () => {
    for (const path of [xorbPath, '/v1/shards', '/v1/telemetry']) {
      for (const rate of [1, 900]) {
        const rig = createRig();
        const body = await trickle(rig, path, rate, 400);
        await body.done;
        // A shard of zeros is refused for what it is.
        expect([408, path === '/v1/shards' ? 400 : 408]).toContain(body.status());
        expect(rig.gateway.usage().usedBytes).toBe(0);
      }
    }
  });

  it('is waited for when it brings more, for as long as it takes', async () => {
    const rig = createRig();
    const body = await trickle(rig, '/v1/telemetry', 1200, 600);
    expect(body.status()).toBe(0);
  });

  it('is asked for more while others wait for the memory that it holds', async () => {
    const clock = createFakeClock();
    let scarce = false;
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        clock.advance(1000);
        yield new Uint8Array(2000);
      }
    };
    const rules = {
      limitBytes: MIB,
      minRate: 1024,
      graceMs: 20_000,
      isScarce: () => scarce,
      clock,
    };
    const body = guardBody(piecesBody(pieces()), null, rules);
    for (let second = 0; second < 100; second++)
      expect(await body.fill(new Uint8Array(4000))).toBe(2000);
    scarce = true;
    let seconds = 0;
    const read = async (): Promise<void> => {
      for (; ; seconds++) await body.fill(new Uint8Array(4000));
    };
    await expect(read()).rejects.toMatchObject({ fields: { status: 408 } });
    expect(seconds).toBeLessThan(25);
  });

  it('earns nothing by having been fast: silence of 20 s ends it', async () => {
    const clock = createFakeClock();
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(MIB);
      await new Promise(() => undefined);
    };
    const rules = {
      limitBytes: 9 * MIB,
      minRate: 1024,
      graceMs: 20_000,
      isScarce: () => false,
      clock,
    };
    const body = guardBody(piecesBody(pieces()), null, rules);
    await body.fill(new Uint8Array(MIB));
    const reading = readAll(body, 9 * MIB);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(19_999);
    expect(clock.timerCount).toBe(1);
    clock.advance(1);
    await expect(reading).rejects.toMatchObject({ fields: { status: 408 } });
    expect(clock.timerCount).toBe(0);
  });
});

describe('memory for bodies', () => {
  const signal = new AbortController().signal;
  const make = (maxWaiting = 8) => {
    const parent = new Budget({ capacityBytes: 1000 });
    const memory = createBodyMemory({
      parent,
      capacityBytes: 300,
      largestBytes: 200,
      maxWaiting,
      clock: createFakeClock(),
    });
    return { memory, parent };
  };

  it('grows with what came; one body at a time goes on when it is used up', async () => {
    const { memory, parent } = make();
    const [a, b, c] = [memory.open(signal), memory.open(signal), memory.open(signal)];
    await a.grow(60);
    await b.grow(40);
    expect(parent.usedBytes).toBe(100);
    await a.grow(200);
    const order: string[] = [];
    const waiting = [
      b.grow(80).then(() => order.push('b')),
      c.grow(10).then(() => order.push('c')),
    ];
    expect(memory.isScarce).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    a.release();
    a.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(['b']);
    b.release();
    await Promise.all(waiting);
    c.release();
    expect(parent.usedBytes).toBe(0);
    expect(memory.isScarce).toBe(false);
  });

  it('turns away more than may wait, and forgets who left', async () => {
    const { memory } = make(1);
    const [a, b, c] = [memory.open(signal), memory.open(signal), memory.open(signal)];
    await a.grow(150);
    const leaving = new AbortController();
    const gone = memory.open(leaving.signal).grow(150);
    await expect(b.grow(150)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    leaving.abort();
    await expect(gone).rejects.toMatchObject({ code: 'ABORTED' });
    const waiting = c.grow(150);
    a.release();
    await waiting;
  });
});

describe('a body in memory', () => {
  it('is refused by its declared length before a byte is read', () => {
    const rules = {
      limitBytes: 10,
      minRate: 1,
      graceMs: 1,
      isScarce: () => false,
      clock: createFakeClock(),
    };
    expect(() => guardBody(bytesBody(new Uint8Array(11)), 11, rules)).toThrow(/larger than 10/);
  });

  it('of one kind does not wait for those of another', async () => {
    const rig = createRig({ options: { maxMemory: 16 * MIB } });
    const stuck = (path: string, bytes: Uint8Array): Promise<Response> =>
      rig.send('POST', path, {
        body: new ReadableStream<Uint8Array>({
          start(controller) {
            controller.enqueue(bytes);
          },
        }),
      });
    void stuck(xorbPath, xorb.bytes.slice(0, 200_000));
    void stuck('/v1/reconstructions', new Uint8Array(200_000));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const large = new Uint8Array(200_000);
    large.set(shard);
    const response = await rig.send('POST', '/v1/shards', { body: large });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('is not stored');
    rig.clock.advance(20_000);
    await putXorb(rig, xorb);
  });
});
