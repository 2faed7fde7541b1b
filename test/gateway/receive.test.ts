import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  createDiskStore,
  createGateway,
  createNodeServer,
  type Gateway,
  type NodeServer,
  type ObjectStore,
} from '../../src/gateway/index.js';
import { createComputePool, type WorkerPool } from '../../src/workers/index.js';
import { encodeFooter, XORB_ACCEPT_MAX_BYTES } from '../../src/xorb/index.js';
import { buildXorb, codec, hasher, randomChunks, streamBody, WRITE_TOKEN } from './support/rig.js';

/** Uploads that are verified and written while they arrive: a gateway over a pool and a disk. */

const MIB = 1024 * 1024;
const auth = { authorization: `Bearer ${WRITE_TOKEN}` };
const xorbs = [1, 2, 3, 4, 5, 6].map((seed) =>
  buildXorb(
    randomChunks(
      seed,
      Array.from({ length: 12 }, (_, i) => 100_000 + 1000 * i + seed),
    ),
  ),
);
const [first, second] = xorbs as unknown as [(typeof xorbs)[0], (typeof xorbs)[0]];

let folder = '';
let store: ObjectStore;
let pool: WorkerPool;
let gateway: Gateway;
let server: NodeServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-receive-'));
  store = await createDiskStore(folder, { sync: false });
  pool = await createComputePool({ threads: 0, maxMemory: 4 * MIB });
  gateway = createGateway({
    store,
    hasher,
    codec,
    verifier: { receive: (body) => pool.receiveXorb(body) },
    tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
  });
  server = await createNodeServer(gateway, { port: 0 });
});

afterAll(async () => {
  await server.close();
  await gateway.close();
  await store.close?.();
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const pathOf = (hash: unknown): string => `/v1/xorbs/default/${hash}`;
const post = (path: string, body: Uint8Array): Promise<Response> =>
  fetch(server.url + path, {
    method: 'POST',
    headers: auth,
    body: body as Uint8Array<ArrayBuffer>,
  });
const temporaryFiles = (): Promise<string[]> => readdir(join(folder, 'tmp'));

async function expectNothingHeld(): Promise<void> {
  await vi.waitFor(async () => {
    expect(pool.freeSlabs).toBe(pool.slabCount);
    expect(await temporaryFiles()).toEqual([]);
  });
}

describe('an upload that is stored while it arrives', () => {
  it('is stored with our footer, whatever stood behind its records', async () => {
    const wrong = encodeFooter({ ...first, recordEnds: first.recordEnds.map((end) => end + 1) });
    const body = Buffer.concat([first.bytes, wrong, Buffer.alloc(70_000)]);
    expect(await (await post(pathOf(first.hash), body)).json()).toEqual({ was_inserted: true });
    const stored = (await store.read(`xorbs/${first.hash}`)) as Uint8Array;
    expect(Buffer.compare(stored, Buffer.concat([first.bytes, encodeFooter(first)]))).toBe(0);
    expect(await (await post(pathOf(first.hash), body)).json()).toEqual({ was_inserted: false });
    await expectNothingHeld();
  });

  it('is taken without a length, and as a web Request', async () => {
    const request = new Request(`http://gateway.test${pathOf(second.hash)}`, {
      method: 'POST',
      headers: auth,
      body: streamBody(second.bytes, 33_333),
      duplex: 'half',
    } as RequestInit);
    expect(await (await gateway.handle(request)).json()).toEqual({ was_inserted: true });
    await expectNothingHeld();
  });

  it('goes on beside others, more than there is memory for, and each name is given once', async () => {
    const uploads = [...xorbs, ...xorbs, ...xorbs].map(async (xorb) => {
      const answer = await post(pathOf(xorb.hash), xorb.bytes);
      expect(answer.status).toBe(200);
      return ((await answer.json()) as { was_inserted: boolean }).was_inserted;
    });
    const inserted = (await Promise.all(uploads)).filter(Boolean);
    expect(inserted.length).toBe(xorbs.length - 2);
    for (const xorb of xorbs) {
      const stored = (await store.read(`xorbs/${xorb.hash}`)) as Uint8Array;
      expect(Buffer.compare(stored.subarray(0, xorb.bytes.length), xorb.bytes)).toBe(0);
    }
    await expectNothingHeld();
  });

  it('gets no name and leaves nothing when it is not what its name says', async () => {
    const name = 'ab'.repeat(32);
    const flipped = first.bytes.slice();
    flipped[600_000] = (flipped[600_000] as number) ^ 1;
    const header = first.bytes.slice();
    header[first.recordEnds[5] as number] = 9;
    for (const [body, text] of [
      [first.bytes, /"xorb hash" expected abab/],
      [flipped, /"xorb hash" expected/],
      [header, /"record version" expected 0, got 9 at offset \d{6}/],
      [first.bytes.subarray(0, 900_000), /"payload" expected/],
      [encodeFooter(first), /"chunk count" expected at least 1/],
    ] as const) {
      const answer = await post(pathOf(name), body);
      expect(answer.status).toBe(400);
      expect(((await answer.json()) as { error: string }).error).toMatch(text);
      expect(await store.head(`xorbs/${name}`)).toBeNull();
    }
    await expectNothingHeld();
  });

  it('is 413 above the limit, declared or not, before more is taken', async () => {
    const name = 'cd'.repeat(32);
    const declared = new Request(`http://gateway.test${pathOf(name)}`, {
      method: 'POST',
      headers: { ...auth, 'content-length': String(XORB_ACCEPT_MAX_BYTES + 1) },
      body: streamBody(first.bytes),
      duplex: 'half',
    } as RequestInit);
    expect((await gateway.handle(declared)).status).toBe(413);
    const record = new Uint8Array(131_080);
    record.set([0, 0, 0, 2, 0, 0, 0, 2]);
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller): void {
        pulled++;
        controller.enqueue(record.slice());
      },
    });
    const unknown = new Request(`http://gateway.test${pathOf(name)}`, {
      method: 'POST',
      headers: auth,
      body: endless,
      duplex: 'half',
    } as RequestInit);
    expect((await gateway.handle(unknown)).status).toBe(413);
    expect(pulled).toBeLessThan(XORB_ACCEPT_MAX_BYTES / record.length + 5);
    await expectNothingHeld();
  });

  it('is refused when it is shorter than declared', async () => {
    const name = 'ce'.repeat(32);
    const request = new Request(`http://gateway.test${pathOf(name)}`, {
      method: 'POST',
      headers: { ...auth, 'content-length': String(first.bytes.length + 1) },
      body: streamBody(first.bytes, 50_000),
      duplex: 'half',
    } as RequestInit);
    const answer = await gateway.handle(request);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toMatch(/content-length/);
    await expectNothingHeld();
  });

  it('of a client that leaves frees memory and disk', async () => {
    const name = 'ef'.repeat(32);
    const { port } = server;
    const leaving = httpRequest({
      port,
      path: pathOf(name),
      method: 'POST',
      headers: { ...auth, 'content-length': 5_000_000 },
    });
    leaving.on('error', () => undefined);
    leaving.write(first.bytes.subarray(0, 900_000));
    await vi.waitFor(async () => {
      expect(pool.freeSlabs).toBeLessThan(pool.slabCount);
      expect(await temporaryFiles()).toHaveLength(1);
    });
    leaving.destroy();
    await expectNothingHeld();
    expect(await store.head(`xorbs/${name}`)).toBeNull();
  });
});
