import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  createDiskStore,
  createMemoryStore,
  type ObjectStore,
  type SignedPutOptions,
} from '../../src/gateway/index.js';
import { crc64nvme } from '../../src/hash/index.js';
import type { Body } from '../../src/http/index.js';
import { createComputePool } from '../../src/workers/index.js';
import { encodeFooter, XORB_ACCEPT_MAX_BYTES } from '../../src/xorb/index.js';
import {
  buildXorb,
  createFakeClock,
  createRig,
  keysOf,
  ORIGIN,
  READ_TOKEN,
  type Rig,
  randomChunks,
} from './support/rig.js';

const xorb = buildXorb(randomChunks(1, [3000, 1, 2000, 300]));
const other = buildXorb(randomChunks(2, [2000, 900]));
const stored = new Uint8Array([...xorb.bytes, ...encodeFooter(xorb)]);
const HOUR = 3_600_000;

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});
async function diskStore(): Promise<ObjectStore> {
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-grants-'));
  folders.push(folder);
  return createDiskStore(folder, { sync: false });
}

interface GrantJson {
  readonly id: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
}

function announcement(bytes: Uint8Array): string {
  const checksum = { algo: 'crc64nvme', value: String(crc64nvme(bytes)) };
  return JSON.stringify({ length: bytes.length, checksum });
}

async function ask(rig: Rig, of = xorb, token?: string): Promise<Response> {
  return rig.send('POST', `/v1/xorb-grants/default/${of.hash}`, {
    ...(token === undefined ? {} : { headers: { authorization: token }, token: null }),
    body: announcement(of.bytes),
  });
}

async function grantOf(rig: Rig, of = xorb): Promise<GrantJson> {
  const response = await ask(rig, of);
  expect(response.status).toBe(201);
  return (await response.json()) as GrantJson;
}

const put = (rig: Rig, grant: GrantJson, body = xorb.bytes): Promise<Response> =>
  rig.send(grant.method, grant.url, { token: null, headers: grant.headers, body });

const commit = (rig: Rig, id: string, of = xorb): Promise<Response> =>
  rig.send('POST', `/v1/xorb-commits/default/${of.hash}/grant/${id}`);

describe.each([
  ['memory', async () => createMemoryStore({ clock: createFakeClock() })],
  ['disk', diskStore],
] as const)('upload grants over a %s store', (_, open) => {
  it('put a xorb in three steps, and the store has what POST would have stored', async () => {
    const rig = createRig({ store: await open() });
    const grant = await grantOf(rig);
    expect(grant).toMatchObject({ method: 'PUT', headers: { 'If-None-Match': '*' } });
    expect(grant.url.startsWith(`${ORIGIN}/v1/xorb-uploads/${xorb.hash}/${grant.id}?`)).toBe(true);
    expect((await put(rig, grant)).status).toBe(200);
    expect(await rig.store.read(`xorbs/${xorb.hash}`)).toBeNull();
    const head = `/v1/xorbs/default/${xorb.hash}`;
    expect((await rig.send('HEAD', head)).status).toBe(404);

    const done = await commit(rig, grant.id);
    expect([done.status, await done.text()]).toEqual([200, '']);
    expect(await rig.store.read(`xorbs/${xorb.hash}`)).toEqual(stored);
    expect(await keysOf(rig.store, 'incoming/')).toEqual([]);
    expect((await rig.send('HEAD', head)).status).toBe(200);
    expect(rig.faults).toEqual([]);
  });

  it('are committed again and again, also when the grant is gone', async () => {
    const rig = createRig({ store: await open() });
    const grant = await grantOf(rig);
    await put(rig, grant);
    const both = await Promise.all([commit(rig, grant.id), commit(rig, grant.id)]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect((await commit(rig, grant.id)).status).toBe(200);
    expect((await commit(rig, 'anything')).status).toBe(200);
    expect((await ask(rig)).status).toBe(200);
  });

  it('survive a restart between the bytes and the commit, which then reads them once', async () => {
    const store = await open();
    const secret = new Uint8Array(32).fill(7);
    const before = createRig({ store, options: { secret } });
    const grant = await grantOf(before);
    await put(before, grant);
    const after = createRig({ store, options: { secret } });
    expect((await commit(after, grant.id)).status).toBe(200);
    expect(await store.read(`xorbs/${xorb.hash}`)).toEqual(stored);
    expect(await keysOf(store, 'incoming/')).toEqual([]);
  });

  it('replace a xorb that is there and damaged', async () => {
    const store = await open();
    const damaged = stored.slice();
    damaged[100] = (damaged[100] as number) ^ 1;
    await store.put(`xorbs/${xorb.hash}`, damaged);
    // Whatever the disk store sealed was damaged before.
    const unsealed: ObjectStore = {
      ...store,
      head: async (key) => {
        const info = await store.head(key);
        return info === null ? null : { ...info, intact: false };
      },
    };
    const rig = createRig({ store: unsealed });
    const grant = await grantOf(rig);
    expect((await put(rig, grant)).status).toBe(200);
    expect((await commit(rig, grant.id)).status).toBe(200);
    expect(await store.read(`xorbs/${xorb.hash}`)).toEqual(stored);
  });

  it('of several clients do not meet: each puts under a key of its own', async () => {
    const rig = createRig({ store: await open() });
    const [first, second] = [await grantOf(rig), await grantOf(rig)];
    expect(first.id).not.toBe(second.id);
    expect((await put(rig, first)).status).toBe(200);
    expect((await put(rig, second)).status).toBe(200);
    const done = await Promise.all([commit(rig, first.id), commit(rig, second.id)]);
    expect(done.map(({ status }) => status)).toEqual([200, 200]);
    expect(await keysOf(rig.store, 'incoming/')).toEqual([]);
  });

  it('forget what was put and never committed, an hour after its end', async () => {
    const clock = createFakeClock();
    const rig = createRig({ store: await open(), clock });
    const abandoned = await grantOf(rig);
    await put(rig, abandoned);
    clock.advance(HOUR + HOUR / 2);
    const late = await grantOf(rig, other);
    await put(rig, late, other.bytes);
    expect(await keysOf(rig.store, 'incoming/')).toHaveLength(2);
    clock.advance(HOUR);
    await ask(rig, other);
    await rig.gateway.close();
    expect(await keysOf(rig.store, 'incoming/')).toEqual([`incoming/${late.id}`]);
  });
});

describe('a grant', () => {
  it('takes other bytes for no xorb, and keeps nothing of them', async () => {
    const rig = createRig();
    const wrong = xorb.bytes.slice();
    wrong[50] = (wrong[50] as number) ^ 1;
    expect((await put(rig, await grantOf(rig), wrong)).status).toBe(400);
    const grant = await grantOf(rig);
    expect((await put(rig, grant, xorb.bytes.subarray(1))).status).toBe(400);
    expect(await keysOf(rig.store, 'incoming/')).toEqual([]);
    expect((await commit(rig, grant.id)).status).toBe(404);
    expect(rig.faults).toEqual([]);
  });

  it('says 412 for what was put already', async () => {
    const rig = createRig();
    const grant = await grantOf(rig);
    expect((await put(rig, grant)).status).toBe(200);
    expect((await put(rig, grant)).status).toBe(412);
    expect((await commit(rig, grant.id)).status).toBe(200);
  });

  it('is for its xorb, its length and its time', async () => {
    const clock = createFakeClock();
    const rig = createRig({ clock, store: createMemoryStore({ clock }) });
    const grant = await grantOf(rig);
    const changed = (from: string | RegExp, to: string): GrantJson => ({
      ...grant,
      url: grant.url.replace(from, to),
    });
    for (const wrong of [
      changed(String(xorb.hash), String(other.hash)),
      changed(/X-Xet-Length=\d+/, `X-Xet-Length=${other.bytes.length}`),
      changed(/X-Xet-Expires=\d+/, 'X-Xet-Expires=99999999999'),
      changed(/Signature=../, 'Signature=zz'),
      changed(/\?.*/, ''),
    ]) {
      expect((await put(rig, wrong)).status, wrong.url).toBe(403);
    }
    expect((await commit(rig, grant.id, other)).status).toBe(404);
    clock.advance(HOUR + 2000);
    expect((await put(rig, grant)).status).toBe(403);
  });

  it('needs a token that writes, and a body that says what comes', async () => {
    const rig = createRig();
    expect((await ask(rig, xorb, `Bearer ${READ_TOKEN}`)).status).toBe(403);
    expect((await ask(rig, xorb, 'Bearer nobody')).status).toBe(401);
    const checksum = { algo: 'crc64nvme', value: '1' };
    for (const [body, status] of [
      ['', 400],
      ['[]', 400],
      ['{"length":0,"checksum":{"algo":"crc64nvme","value":"1"}}', 400],
      [JSON.stringify({ length: 5, checksum: { ...checksum, value: 1 } }), 400],
      [
        JSON.stringify({ length: 5, checksum: { ...checksum, value: '18446744073709551616' } }),
        400,
      ],
      [JSON.stringify({ length: 5, checksum: { ...checksum, algo: 'md5' } }), 400],
      [JSON.stringify({ length: XORB_ACCEPT_MAX_BYTES + 1, checksum }), 413],
    ] as const) {
      const response = await rig.send('POST', `/v1/xorb-grants/default/${xorb.hash}`, { body });
      expect(response.status, body).toBe(status);
    }
  });

  it('of one tenant is no grant of another', async () => {
    const rig = createRig({
      principals: {
        'Bearer a': { id: 'a', scope: 'write', tenant: 'a' },
        'Bearer b': { id: 'b', scope: 'write', tenant: 'b' },
      },
    });
    const response = await ask(rig, xorb, 'Bearer a');
    const grant = (await response.json()) as GrantJson;
    await put(rig, grant);
    const as = (authorization: string): Promise<Response> =>
      rig.send('POST', `/v1/xorb-commits/default/${xorb.hash}/grant/${grant.id}`, {
        token: null,
        headers: { authorization },
      });
    expect((await as('Bearer b')).status).toBe(404);
    expect((await as('Bearer a')).status).toBe(200);
  });

  it('is not offered when it is switched off: 404, whatever the token', async () => {
    const rig = createRig({ options: { grants: false } });
    expect((await ask(rig)).status).toBe(404);
    expect((await ask(rig, xorb, 'Bearer nobody')).status).toBe(404);
  });

  it('names a URL below the public one', async () => {
    const rig = createRig({ options: { publicUrl: 'https://cdn.example/data' } });
    const { url } = await grantOf(rig);
    expect(url.startsWith('https://cdn.example/data/v1/xorb-uploads/')).toBe(true);
  });

  it('lets web pages put where CORS lets them in', async () => {
    const cors = { origins: ['https://app.example'] };
    const rig = createRig({ options: { cors } });
    const grant = await grantOf(rig);
    const preflight = await rig.send('OPTIONS', grant.url, {
      token: null,
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'if-none-match',
      },
    });
    expect(preflight.status).toBe(204);
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': expect.stringContaining('PUT'),
      'access-control-allow-headers': 'if-none-match',
    });
  });
});

/** A store that signs by itself: what is put arrives without passing the gateway, and unproved. */
function signingStore(bucket: ObjectStore, keepsParts: boolean) {
  const asked: { key: string; options: SignedPutOptions }[] = [];
  let readBytes = 0;
  const { putFrom, ...without } = bucket;
  const store: ObjectStore = {
    ...without,
    ...(keepsParts && putFrom !== undefined ? { putFrom } : {}),
    async open(key) {
      const reader = await bucket.open(key);
      if (reader === null) return null;
      return {
        ...reader,
        readAt(into, offset) {
          if (key.startsWith('incoming/')) readBytes += into.length;
          return reader.readAt(into, offset);
        },
      };
    },
    async signedPut(key, options) {
      asked.push({ key, options });
      const headers = { 'If-None-Match': '*', 'x-amz-checksum-crc64nvme': 'from the store' };
      return { method: 'PUT', url: `https://bucket.example/${key}?signature=s`, headers };
    },
  };
  return { store, asked, readBytes: () => readBytes };
}

describe.each([
  ['that copies by itself', true],
  ['that has to be read and written', false],
] as const)('grants of a store that signs, %s', (_, keepsParts) => {
  it('name its URL; the commit reads the bytes once and makes them a xorb', async () => {
    const bucket = createMemoryStore();
    const { store, asked, readBytes } = signingStore(bucket, keepsParts);
    const rig = createRig({ store });
    const grant = await grantOf(rig);
    const key = `incoming/${grant.id}`;
    expect(grant).toMatchObject({
      method: 'PUT',
      url: `https://bucket.example/${key}?signature=s`,
      headers: { 'If-None-Match': '*', 'x-amz-checksum-crc64nvme': 'from the store' },
    });
    const options = { sizeBytes: xorb.bytes.length, crc64nvme: crc64nvme(xorb.bytes) };
    expect(asked).toEqual([{ key, options: { ...options, lifetimeMs: HOUR } }]);
    expect((await commit(rig, grant.id)).status).toBe(404);

    await bucket.put(key, xorb.bytes);
    expect((await commit(rig, grant.id)).status).toBe(200);
    expect(await bucket.read(`xorbs/${xorb.hash}`)).toEqual(stored);
    expect(await bucket.head(key)).toBeNull();
    expect(readBytes()).toBe(xorb.bytes.length);
  });

  it('with bytes that are another xorb, or none, are 400 and gone', async () => {
    const bucket = createMemoryStore();
    const { store } = signingStore(bucket, keepsParts);
    const rig = createRig({ store });
    for (const bytes of [other.bytes, xorb.bytes.subarray(0, 3000), new Uint8Array(0)]) {
      const { id } = await grantOf(rig);
      await bucket.put(`incoming/${id}`, bytes);
      expect((await commit(rig, id)).status).toBe(400);
      expect((await commit(rig, id)).status).toBe(404);
    }
    expect(await keysOf(bucket, 'xorbs/')).toEqual([]);
    expect(rig.faults).toEqual([]);
  });

  it('are verified in a pool as well', async () => {
    const bucket = createMemoryStore();
    const { store } = signingStore(bucket, keepsParts);
    const pool = await createComputePool({ threads: 0, maxMemory: 4 * 1024 * 1024 });
    try {
      const verifier = { receive: (body: Pick<Body, 'fill'>) => pool.receiveXorb(body) };
      const rig = createRig({ store, verifier });
      const { id } = await grantOf(rig);
      await bucket.put(`incoming/${id}`, xorb.bytes);
      expect((await commit(rig, id)).status).toBe(200);
      expect(await bucket.read(`xorbs/${xorb.hash}`)).toEqual(stored);
    } finally {
      await pool.close();
    }
  });
});
