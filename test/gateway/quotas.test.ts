import { describe, expect, it } from 'vitest';
import {
  createGateway,
  createMemoryStore,
  type GatewayOptions,
  type ObjectStore,
  type Principal,
  recount,
  tenantStore,
} from '../../src/gateway/index.js';
import { createUsageLedger, type Usage } from '../../src/gateway/usage-ledger.js';
import { crc64nvme } from '../../src/hash/index.js';
import type { BuiltXorb } from '../../src/xorb/index.js';
import {
  buildXorb,
  codec,
  createFakeClock,
  createRig,
  fileOf,
  hasher,
  jsonOf,
  keysOf,
  listed,
  makeRequest,
  type Rig,
  randomChunks,
  type SendInit,
  streamBody,
  uploadShard,
} from './support/rig.js';

/** What a tenant may have, and how much one principal may ask for. */

const xorbs = [1, 2, 3, 4].map((seed) => buildXorb(randomChunks(300 + seed, [30_000, 40_000])));
const [one, two] = xorbs as [BuiltXorb, BuiltXorb];
const principals: Readonly<Record<string, Principal>> = {
  'Key anna': { id: 'anna', scope: 'write', tenant: 'north' },
  'Key bert': { id: 'bert', scope: 'write', tenant: 'south' },
  'Key dora': { id: 'dora', scope: 'write' },
};
const as = (rig: Rig, who: string, method: string, path: string, init: SendInit = {}) =>
  rig.send(method, path, {
    ...init,
    token: null,
    headers: { ...init.headers, authorization: `Key ${who}` },
  });
const post = (rig: Rig, xorb: BuiltXorb, who = 'anna') =>
  as(rig, who, 'POST', `/v1/xorbs/default/${xorb.hash}`, { body: xorb.bytes });
const register = (rig: Rig, xorb: BuiltXorb) =>
  as(rig, 'anna', 'POST', '/v1/shards', {
    body: uploadShard({ files: [fileOf([[xorb, 0, 2]])], xorbs: [listed(xorb)] }),
  });
const usageOf = async (store: ObjectStore, tenant = 'north'): Promise<Usage | null> => {
  const stored = await tenantStore(store, tenant).values?.read('usage/bytes');
  return stored ? (JSON.parse(new TextDecoder().decode(stored.bytes)) as Usage) : null;
};
const rigWith = (quotas: NonNullable<GatewayOptions['quotas']>, store?: ObjectStore): Rig =>
  createRig({ principals, options: { quotas }, ...(store === undefined ? {} : { store }) });
/** Records and footer of a xorb of two chunks. */
const stored = (xorb: BuiltXorb, store: ObjectStore) =>
  store.head(`tenants/north/xorbs/${xorb.hash}`).then((info) => info?.sizeBytes ?? 0);

describe('a quota of stored bytes', () => {
  it('is held before a body is read, with a status that every client takes as final', async () => {
    const rig = rigWith({ north: { storedBytes: 100_000 } });
    expect((await post(rig, one)).status).toBe(200);
    let isRead = false;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          isRead = true;
          controller.enqueue(two.bytes.slice());
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const headers = { 'content-length': String(two.bytes.length) };
    const refused = await as(rig, 'anna', 'POST', `/v1/xorbs/default/${two.hash}`, {
      body,
      headers,
    });
    expect(refused.status).toBe(413);
    expect(await jsonOf(refused)).toEqual({
      code: 'QUOTA_EXCEEDED',
      error: expect.stringMatching(
        /^the quota of 100000 bytes of stored data is used up: 7\d+ bytes/,
      ),
    });
    expect(isRead).toBe(false);
    // What is there already needs no room, and neither do others.
    expect((await post(rig, one)).status).toBe(200);
    expect((await post(rig, two, 'bert')).status).toBe(200);
    expect((await post(rig, two, 'dora')).status).toBe(200);
    expect((await usageOf(rig.store))?.storedBytes).toBe(await stored(one, rig.store));
  });

  it('takes a body of unknown length for the longest there may be', async () => {
    const path = `/v1/xorbs/default/${one.hash}`;
    const chunked = (rig: Rig) => as(rig, 'anna', 'POST', path, { body: streamBody(one.bytes) });
    const tight = rigWith({ north: { storedBytes: 1_000_000 } });
    const refused = await chunked(tight);
    expect([refused.status, await jsonOf(refused)]).toEqual([
      413,
      { code: 'QUOTA_EXCEEDED', error: expect.stringMatching(/0 bytes are there, 6\d{7} more/) },
    ]);
    expect(await stored(one, tight.store)).toBe(0);
    const roomy = rigWith({ north: { storedBytes: 100_000_000 } });
    expect((await chunked(roomy)).status).toBe(200);
    expect((await usageOf(roomy.store))?.storedBytes).toBe(await stored(one, roomy.store));
  });

  it('is not used up by what was refused, broke off or was there', async () => {
    const rig = rigWith({ '*': { storedBytes: 1_000_000 } });
    const path = `/v1/xorbs/default/${one.hash}`;
    expect((await as(rig, 'anna', 'POST', path, { body: two.bytes })).status).toBe(400);
    expect((await as(rig, 'anna', 'POST', path, { body: one.bytes.slice(0, 99) })).status).toBe(
      400,
    );
    expect(await usageOf(rig.store)).toMatchObject({ storedBytes: 0, logicalBytes: 0 });
    const twice = await Promise.all([post(rig, one), post(rig, one)]);
    expect(twice.map(({ status }) => status)).toEqual([200, 200]);
    expect((await usageOf(rig.store))?.storedBytes).toBe(await stored(one, rig.store));
  });

  describe('of uploads by grants', () => {
    const secret = new Uint8Array(32).fill(7);
    const granting = (storedBytes: number, before?: Rig): Rig =>
      createRig({
        principals,
        options: { quotas: { north: { storedBytes } }, secret },
        ...(before === undefined ? {} : { store: before.store, clock: before.clock }),
      });
    const grant = async (rig: Rig, xorb: BuiltXorb) => {
      const checksum = { algo: 'crc64nvme', value: String(crc64nvme(xorb.bytes)) };
      const body = JSON.stringify({ length: xorb.bytes.length, checksum });
      const path = `/v1/xorb-grants/default/${xorb.hash}`;
      const response = await as(rig, 'anna', 'POST', path, { body });
      const json = (await response.json()) as { id: string; url: string; error?: string };
      return { status: response.status, ...json };
    };
    const put = async (rig: Rig, url: string, xorb: BuiltXorb) =>
      (await rig.send('PUT', url, { token: null, body: xorb.bytes })).status;
    const commit = async (rig: Rig, xorb: BuiltXorb, id: string) =>
      (await as(rig, 'anna', 'POST', `/v1/xorb-commits/default/${xorb.hash}/grant/${id}`)).status;
    const held = async (rig: Rig): Promise<number> => {
      const usage = (await usageOf(rig.store)) as (Usage & { held?: [number, number][] }) | null;
      return (usage?.held ?? []).reduce((sum, [, bytes]) => sum + bytes, 0);
    };

    it('has room for what may be put, from the grant to the commit', async () => {
      const rig = granting(100_000);
      const first = await grant(rig, one);
      expect([first.status, await held(rig)]).toEqual([201, one.bytes.length]);
      expect(await grant(rig, two)).toMatchObject({
        status: 413,
        error: expect.stringContaining(
          `0 bytes are there, room for ${one.bytes.length} is kept for upload grants`,
        ),
      });
      expect((await post(rig, two)).status).toBe(413);
      await put(rig, first.url, one);
      expect(await commit(rig, one, first.id)).toBe(200);
      expect(await usageOf(rig.store)).toEqual({
        version: 1,
        logicalBytes: 0,
        storedBytes: await stored(one, rig.store),
      });
      expect((await grant(rig, two)).status).toBe(413);
    });

    it('gives the room back when a grant has ended, and what was put is deleted', async () => {
      const rig = granting(100_000);
      await put(rig, (await grant(rig, one)).url, one);
      rig.clock.advance(2 * 3_600_000 - 60_000);
      expect((await grant(rig, two)).status).toBe(413);
      rig.clock.advance(120_000);
      expect((await grant(rig, two)).status).toBe(201);
      expect(await held(rig)).toBe(two.bytes.length);
      expect(await keysOf(tenantStore(rig.store, 'north'), 'incoming/')).toEqual([]);
    });

    it('gives it back once, whoever commits and however often', async () => {
      const rig = granting(1_000_000);
      const [mine, theirs] = [await grant(rig, one), await grant(rig, one)] as const;
      const other = await grant(rig, two);
      for (const { url } of [mine, theirs]) await put(rig, url, one);
      for (let times = 0; times < 2; times++) expect(await commit(rig, one, mine.id)).toBe(200);
      expect(await held(rig)).toBe(one.bytes.length + two.bytes.length);
      for (let times = 0; times < 2; times++) expect(await commit(rig, one, theirs.id)).toBe(200);
      expect(await held(rig)).toBe(two.bytes.length);
      // Nothing was put: the grant is as it was.
      expect(await commit(rig, two, other.id)).toBe(404);
      expect(await held(rig)).toBe(two.bytes.length);
      expect(await recount(tenantStore(rig.store, 'north'), { hasher, clock: rig.clock })).toEqual({
        storedBytes: await stored(one, rig.store),
        logicalBytes: 0,
      });
      expect(await held(rig)).toBe(two.bytes.length);
    });

    it('keeps no room for bytes that are no such xorb, or for which there is none any more', async () => {
      const rig = granting(1_000_000);
      const [first, second] = [await grant(rig, one), await grant(rig, two)] as const;
      const part = tenantStore(rig.store, 'north');
      await part.put(`incoming/${first.id}`, two.bytes);
      expect(await commit(rig, one, first.id)).toBe(400);
      expect(await held(rig)).toBe(two.bytes.length);
      await put(rig, second.url, two);
      expect(await commit(granting(1000, rig), two, second.id)).toBe(413);
      expect([await held(rig), await keysOf(part, 'incoming/')]).toEqual([0, []]);
    });

    it('repairs what is damaged when there is no room at all', async () => {
      const rig = granting(100_000);
      expect((await post(rig, one)).status).toBe(200);
      const part = tenantStore(rig.store, 'north');
      const key = `xorbs/${one.hash}`;
      const bytes = (await part.read(key)) as Uint8Array;
      await part.put(key, bytes.with(100, (bytes[100] as number) ^ 1), { replace: true });
      const again = granting(1, rig);
      const repair = await grant(again, one);
      expect([repair.status, await held(again)]).toEqual([201, 0]);
      await put(again, repair.url, one);
      expect(await commit(again, one, repair.id)).toBe(200);
      expect(await part.read(key)).toEqual(bytes);
    });
  });
});

describe('a quota of files', () => {
  it('counts each file once, by its size', async () => {
    const rig = rigWith({ north: { logicalBytes: 140_000 } });
    for (const xorb of xorbs) expect((await post(rig, xorb)).status).toBe(200);
    expect((await register(rig, one)).status).toBe(200);
    expect((await register(rig, one)).status).toBe(200);
    expect(await usageOf(rig.store)).toMatchObject({ logicalBytes: 70_000 });
    expect((await register(rig, two)).status).toBe(200);
    const refused = await register(rig, xorbs[2] as BuiltXorb);
    expect(refused.status).toBe(413);
    expect(await jsonOf(refused)).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect((await register(rig, two)).status).toBe(200);
    expect(await usageOf(rig.store)).toMatchObject({ logicalBytes: 140_000 });
  });
});

describe('the count', () => {
  it('is one for all gateways over a store', async () => {
    const store = createMemoryStore();
    const quotas = { north: { storedBytes: 150_000 } };
    const rigs = [rigWith(quotas, store), rigWith(quotas, store)] as const;
    let isOver = false;
    const posts = Promise.all(
      xorbs.map(async (xorb, index) => (await post(rigs[index % 2] as Rig, xorb)).status),
    );
    void posts.finally(() => {
      isOver = true;
    });
    // Whoever was slower waits a little.
    while (!isOver) {
      for (const { clock } of rigs) clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const statuses = await posts;
    expect(statuses.filter((status) => status === 200)).toHaveLength(2);
    expect(statuses.filter((status) => status === 413)).toHaveLength(2);
  });

  it('starts with what is there, and is set right by counting', async () => {
    const plain = createRig({ principals });
    await post(plain, one);
    await register(plain, one);
    expect(await usageOf(plain.store)).toBeNull();
    const rig = rigWith({ north: { storedBytes: 1_000_000 } }, plain.store);
    await post(rig, two);
    const part = tenantStore(rig.store, 'north');
    const both = (await stored(one, rig.store)) + (await stored(two, rig.store));
    expect(await usageOf(rig.store)).toMatchObject({ storedBytes: both, logicalBytes: 70_000 });
    await part.delete(`xorbs/${two.hash}`);
    expect(await recount(part, { hasher })).toEqual({
      storedBytes: await stored(one, rig.store),
      logicalBytes: 70_000,
    });
    expect(await usageOf(rig.store)).toMatchObject({ storedBytes: await stored(one, rig.store) });
  });

  it('never goes below nothing, whatever is written there', async () => {
    const { values } = createMemoryStore();
    if (values === undefined) throw new Error('the memory store keeps values');
    const clock = createFakeClock();
    const random = (bytes: number) => new Uint8Array(bytes);
    const count = async () => ({ logicalBytes: 5, storedBytes: 5 });
    const ledger = createUsageLedger({ values, clock, random, count });
    const less = await ledger.change(() => ({ logicalBytes: -1, storedBytes: 2, held: [] }));
    expect(less).toEqual({ logicalBytes: 0, storedBytes: 2, held: [] });
    const version = (await values.read('usage/bytes'))?.version ?? null;
    await values.write('usage/bytes', new TextEncoder().encode('{"version":1}'), version);
    expect(await ledger.read()).toBeNull();
    expect(await ledger.change((usage) => usage)).toMatchObject({
      logicalBytes: 5,
      storedBytes: 5,
    });
  });

  it('needs a store that keeps values, and quotas that mean something', () => {
    const { values, ...store } = createMemoryStore();
    expect(values).toBeDefined();
    const make = (quotas: object, over: ObjectStore = createMemoryStore()) =>
      createGateway({ store: over, hasher, codec, options: { quotas } as GatewayOptions });
    expect(() => make({ north: {} }, store)).toThrow('expected a store that keeps values');
    expect(() => make({ North: {} })).toThrow('"quotas" expected names of tenants');
    expect(() => make({ north: { bytes: 1 } })).toThrow('got "bytes"');
    expect(() => make({ north: { storedBytes: -1 } })).toThrow('expected bytes');
  });
});

describe('limits of what one principal asks for', () => {
  const file = '/v1/files/'.padEnd(74, '0');
  it('give 429 with the time to wait, to nobody else', async () => {
    const rig = createRig({ principals, options: { rateLimit: { requestsPerSecond: 2 } } });
    const ask = (who: string) => as(rig, who, 'HEAD', file);
    for (let times = 0; times < 20; times++) expect((await ask('anna')).status).toBe(404);
    const refused = await ask('anna');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await ask('bert')).status).toBe(404);
    expect((await rig.send('GET', '/health', { token: null })).status).toBe(200);
    rig.clock.advance(1000);
    expect((await ask('anna')).status).toBe(404);
    expect((await ask('anna')).status).toBe(404);
    expect((await ask('anna')).status).toBe(429);
  });

  it('count the bytes of bodies both ways, and hold back what comes after', async () => {
    const rig = createRig({ principals, options: { rateLimit: { bytesPerSecond: 1000 } } });
    expect((await post(rig, one)).status).toBe(200);
    const refused = await post(rig, two);
    expect(refused.status).toBe(429);
    // 70,000 bytes and some, less the 10,000 that may come at once.
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(59);
    expect(await jsonOf(refused)).toMatchObject({ code: 'RATE_LIMITED' });
    rig.clock.advance(62_000);
    expect((await post(rig, two)).status).toBe(200);
  });

  it('hold for signed URLs by address, where that is known', async () => {
    const rig = createRig({ principals, options: { rateLimit: { requestsPerSecond: 0.1 } } });
    const path = `/v1/fetch/${one.hash}`;
    const from = async (client: string | undefined) => {
      const { headers, method } = makeRequest('GET', path, { token: null });
      const { status } = await rig.gateway.exchange({
        method,
        url: new URL(`http://x${path}`),
        headers: Object.fromEntries(headers),
        client,
        body: null,
        signal: new AbortController().signal,
      });
      return status;
    };
    expect([await from('10.0.0.1'), await from('10.0.0.1')]).toEqual([403, 429]);
    expect(await from('10.0.0.2')).toBe(403);
    expect([await from(undefined), await from(undefined)]).toEqual([403, 403]);
  });

  it('are numbers above 0', () => {
    const make = (rateLimit: object) =>
      createGateway({ store: createMemoryStore(), hasher, codec, options: { rateLimit } });
    expect(() => make({ requestsPerSecond: 0 })).toThrow('"rateLimit.requestsPerSecond" expected');
    expect(() => make({ perSecond: 1 })).toThrow('got "perSecond"');
  });
});
