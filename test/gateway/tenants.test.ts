import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createDiskStore,
  createMemoryStore,
  type ObjectStore,
  type Principal,
  tenantStore,
  tenantsOf,
} from '../../src/gateway/index.js';
import { crc64nvme, MerkleHash } from '../../src/hash/index.js';
import {
  buildXorb,
  bytesOf,
  createFakeClock,
  createRig,
  fileOf,
  jsonOf,
  keysOf,
  listed,
  ORIGIN,
  type Rig,
  randomChunks,
  type SendInit,
  uploadShard,
} from './support/rig.js';

/** A tenant meets nothing of what others have: statuses, headers and bodies are those of a store alone. */

const xorb = buildXorb(randomChunks(201, [4000, 5000, 6000]));
const file = fileOf([[xorb, 0, 3]]);
const shard = uploadShard({ files: [file], xorbs: [listed(xorb)] });
const other = buildXorb(randomChunks(202, [3000, 2000]));
const first = MerkleHash.from(xorb.chunkHashes, 0);

const principals: Readonly<Record<string, Principal>> = {
  'Key anna': { id: 'anna', scope: 'write', tenant: 'north' },
  'Key bert': { id: 'bert', scope: 'write', tenant: 'south' },
  'Key dora': { id: 'dora', scope: 'write' },
  'Key back': { id: 'back', scope: 'append', tenant: 'north' },
  'Key look': { id: 'look', scope: 'read', tenant: 'north' },
  'Key boss': { id: 'boss', scope: 'admin', tenant: 'north' },
  'Key odd': { id: 'odd', scope: 'write', tenant: '../north' },
};

const as = (rig: Rig, who: string, method: string, path: string, init: SendInit = {}) =>
  rig.send(method, path, {
    ...init,
    token: null,
    headers: { ...init.headers, authorization: `Key ${who}` },
  });

async function publishAs(rig: Rig, who: string): Promise<void> {
  const put = await as(rig, who, 'POST', `/v1/xorbs/default/${xorb.hash}`, { body: xorb.bytes });
  expect(put.status).toBe(200);
  expect((await as(rig, who, 'POST', '/v1/shards', { body: shard })).status).toBe(200);
}

const grantBody = JSON.stringify({
  length: xorb.bytes.length,
  checksum: { algo: 'crc64nvme', value: String(crc64nvme(xorb.bytes)) },
});

/** Everything that a client can ask about this content. */
const questions: Readonly<Record<string, (rig: Rig, who: string) => Promise<Response>>> = {
  'HEAD xorb': (rig, who) => as(rig, who, 'HEAD', `/v1/xorbs/default/${xorb.hash}`),
  'POST xorb': (rig, who) =>
    as(rig, who, 'POST', `/v1/xorbs/default/${xorb.hash}`, { body: xorb.bytes }),
  'a damaged xorb': (rig, who) =>
    as(rig, who, 'POST', `/v1/xorbs/default/${xorb.hash}`, { body: other.bytes }),
  grant: (rig, who) =>
    as(rig, who, 'POST', `/v1/xorb-grants/default/${xorb.hash}`, { body: grantBody }),
  commit: (rig, who) => as(rig, who, 'POST', `/v1/xorb-commits/default/${xorb.hash}/grant/x`),
  'POST shard': (rig, who) => as(rig, who, 'POST', '/v1/shards', { body: shard }),
  'POST v2 shard': (rig, who) => as(rig, who, 'POST', '/v2/shards', { body: shard }),
  'v1 reconstruction': (rig, who) => as(rig, who, 'GET', `/v1/reconstructions/${file.hash}`),
  'v2 reconstruction': (rig, who) => as(rig, who, 'GET', `/v2/reconstructions/${file.hash}`),
  batch: (rig, who) =>
    as(rig, who, 'POST', '/v1/reconstructions', {
      body: JSON.stringify([{ hash: `${file.hash}` }]),
    }),
  'batch by query': (rig, who) => as(rig, who, 'GET', `/v1/reconstructions?file_id=${file.hash}`),
  chunk: (rig, who) => as(rig, who, 'GET', `/v1/chunks/default/${first}`),
  chunks: (rig, who) =>
    as(rig, who, 'POST', '/v1/chunks/default', {
      body: JSON.stringify({ chunks: [`${first}`], files: [`${file.hash}`] }),
    }),
  'chunk hashes': (rig, who) =>
    as(rig, who, 'GET', `/v2/file-chunk-hashes/${file.hash}`, {
      headers: { 'x-range-dirty': 'bytes=0-9' },
    }),
  'HEAD file': (rig, who) => as(rig, who, 'HEAD', `/v1/files/${file.hash}`),
};

/** A response without what is new in each: the id of the request, ids and signatures of grants and URLs. */
async function seen(response: Response): Promise<unknown> {
  const headers = Object.fromEntries(response.headers);
  delete headers['x-request-id'];
  const bytes = await bytesOf(response);
  const isText = /json/.test(headers['content-type'] ?? '');
  const body = isText
    ? new TextDecoder()
        .decode(bytes)
        .replaceAll(/[0-9a-f]{32}-(\d+-\d+)-[0-9a-f]{32}/g, 'grant-$1')
        .replaceAll(/(X-Xet-Signature=)[0-9a-f]{64}/g, '$1')
    : Buffer.from(bytes).toString('hex');
  return { status: response.status, headers, body };
}

const calls = new WeakMap<ObjectStore, { count: number }>();
const callsOf = (store: ObjectStore): number => calls.get(store)?.count ?? 0;

/** A store that counts what is asked of it. */
function countedStore(): ObjectStore {
  const counter = { count: 0 };
  const store = new Proxy(createMemoryStore({ clock: createFakeClock() }), {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        counter.count++;
        return Reflect.apply(member, target, args) as unknown;
      };
    },
  });
  calls.set(store, counter);
  return store;
}

describe('a tenant', () => {
  it('gets the same responses whether others have stored the content or not', async () => {
    const names = Object.keys(questions);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 6 }),
        fc.constantFrom('anna', 'dora'),
        async (asked, owner) => {
          const secret = new Uint8Array(32).fill(7);
          const alone = createRig({ principals, options: { secret }, store: countedStore() });
          const shared = createRig({ principals, options: { secret }, store: countedStore() });
          await publishAs(shared, owner);
          for (const name of asked) {
            const ask = questions[name] as (typeof questions)[string];
            const before = [shared, alone].map(({ store }) => callsOf(store));
            expect(await seen(await ask(shared, 'bert')), name).toEqual(
              await seen(await ask(alone, 'bert')),
            );
            // What is asked of the store is what takes its time.
            const [ofShared, ofAlone] = [shared, alone].map(
              ({ store }, index) => callsOf(store) - (before[index] as number),
            );
            expect(ofShared, name).toBe(ofAlone);
          }
        },
      ),
      { numRuns: 40, seed: 11 },
    );
  });

  it('has what it stored, below a prefix of its own, and is listed', async () => {
    const rig = createRig({ principals });
    await publishAs(rig, 'anna');
    for (const name of ['HEAD xorb', 'v2 reconstruction', 'HEAD file', 'chunk', 'chunk hashes']) {
      const ask = questions[name] as (typeof questions)[string];
      expect((await ask(rig, 'anna')).status, name).toBe(200);
      expect((await ask(rig, 'bert')).status, name).toBe(404);
      expect((await ask(rig, 'dora')).status, name).toBe(404);
    }
    expect(await keysOf(tenantStore(rig.store, 'north'), 'xorbs/')).toEqual([`xorbs/${xorb.hash}`]);
    expect(await keysOf(rig.store, 'xorbs/')).toEqual([]);
    // Who only asks leaves no trace.
    const tenants: string[] = [];
    for await (const tenant of tenantsOf(rig.store)) tenants.push(tenant);
    expect(tenants).toEqual(['north']);
  });

  it('has URLs that are good for its own xorbs only', async () => {
    const rig = createRig({ principals });
    for (const who of ['anna', 'bert', 'dora']) await publishAs(rig, who);
    const urlFor = async (who: string): Promise<URL> => {
      const response = await as(rig, who, 'GET', `/v2/reconstructions/${file.hash}`);
      const { xorbs } = (await response.json()) as { xorbs: Record<string, { url: string }[]> };
      return new URL(xorbs[`${xorb.hash}`]?.[0]?.url ?? '');
    };
    const fetched = async (url: URL): Promise<number> => {
      const end = /bytes=0-(\d+)/.exec(url.searchParams.get('X-Xet-Signed-Range') ?? '')?.[1];
      const headers = { range: `bytes=0-${end}` };
      return (await rig.send('GET', url.href, { token: null, headers })).status;
    };
    const north = await urlFor('anna');
    expect(north.searchParams.get('X-Xet-Tenant')).toBe('north');
    expect(await fetched(north)).toBe(206);
    for (const tenant of ['south', '../x', null]) {
      const moved = new URL(north);
      if (tenant === null) moved.searchParams.delete('X-Xet-Tenant');
      else moved.searchParams.set('X-Xet-Tenant', tenant);
      expect(await fetched(moved), `${tenant}`).toBe(403);
    }
    const root = await urlFor('dora');
    expect(root.searchParams.has('X-Xet-Tenant')).toBe(false);
    expect(await fetched(root)).toBe(206);
    // A gateway with the same secret and store knows them, whoever asks it first.
    expect(north.href.startsWith(ORIGIN)).toBe(true);
  });

  it('puts and commits by grants of its own, which nobody else can use', async () => {
    const rig = createRig({ principals });
    const path = `/v1/xorb-grants/default/${xorb.hash}`;
    const granted = await as(rig, 'anna', 'POST', path, { body: grantBody });
    const { id, url } = (await granted.json()) as { id: string; url: string };
    const moved = new URL(url);
    moved.searchParams.set('X-Xet-Tenant', 'south');
    expect((await rig.send('PUT', moved.href, { token: null, body: xorb.bytes })).status).toBe(403);
    expect((await rig.send('PUT', url, { token: null, body: xorb.bytes })).status).toBe(200);
    const commit = `/v1/xorb-commits/default/${xorb.hash}/grant/${id}`;
    expect((await as(rig, 'bert', 'POST', commit)).status).toBe(404);
    expect((await as(rig, 'dora', 'POST', commit)).status).toBe(404);
    expect((await as(rig, 'anna', 'POST', commit)).status).toBe(200);
    expect((await questions['HEAD xorb']?.(rig, 'anna'))?.status).toBe(200);
    expect((await questions['HEAD xorb']?.(rig, 'bert'))?.status).toBe(404);
  });

  it('whose name is none is a fault of whoever names it', async () => {
    const rig = createRig({ principals });
    expect((await as(rig, 'odd', 'HEAD', `/v1/files/${file.hash}`)).status).toBe(500);
    expect(rig.faults).toHaveLength(1);
    expect(() => tenantStore(createMemoryStore(), 'Upper')).toThrow('"tenant" expected');
  });

  it('lies on a disk as in memory, over a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-tenants-'));
    try {
      const open = (): Promise<ObjectStore> => createDiskStore(folder, { sync: false });
      const options = { secret: new Uint8Array(32).fill(3) };
      await publishAs(createRig({ principals, store: await open(), options }), 'anna');
      const store = await open();
      const again = createRig({ principals, store, options, clock: createFakeClock() });
      expect((await questions['v2 reconstruction']?.(again, 'anna'))?.status).toBe(200);
      expect((await questions['v2 reconstruction']?.(again, 'bert'))?.status).toBe(404);
      expect(await keysOf(tenantStore(store, 'north'), 'xorbs/')).toEqual([`xorbs/${xorb.hash}`]);
      const tenants: string[] = [];
      for await (const tenant of tenantsOf(store)) tenants.push(tenant);
      expect(tenants).toEqual(['north']);
      await store.close?.();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is one of many that share one budget of caches', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 200 }, (_, index): [string, Principal] => [
        `Key t${index}`,
        { id: `t${index}`, scope: 'write', tenant: `t${index}` },
      ]),
    );
    const maxMemory = 16 * 1024 * 1024;
    const rig = createRig({ principals: many, options: { maxMemory } });
    for (let index = 0; index < 200; index++) await publishAs(rig, `t${index}`);
    expect(rig.gateway.usage().usedBytes).toBeLessThan(maxMemory / 4);
    expect((await questions['v2 reconstruction']?.(rig, 't0'))?.status).toBe(200);
    expect((await questions['chunk']?.(rig, 't7'))?.status).toBe(200);
  });
});

describe('scopes', () => {
  /** Statuses for read, append, write, admin. */
  const matrix: Readonly<Record<string, readonly [boolean, boolean, boolean, boolean]>> = {
    'HEAD xorb': [true, true, true, true],
    'POST xorb': [false, true, true, true],
    grant: [false, true, true, true],
    commit: [false, true, true, true],
    'POST shard': [false, true, true, true],
    'POST v2 shard': [false, true, true, true],
    'v1 reconstruction': [true, false, true, true],
    'v2 reconstruction': [true, false, true, true],
    batch: [true, false, true, true],
    'batch by query': [true, false, true, true],
    chunk: [true, true, true, true],
    chunks: [true, true, true, true],
    'chunk hashes': [true, false, true, true],
    'HEAD file': [true, true, true, true],
  };

  for (const [name, allowed] of Object.entries(matrix)) {
    it(`allow ${name} to those who may`, async () => {
      const rig = createRig({ principals });
      await publishAs(rig, 'anna');
      const ask = questions[name] as (typeof questions)[string];
      for (const [index, who] of ['look', 'back', 'anna', 'boss'].entries()) {
        const response = await ask(rig, who);
        expect(response.status === 403, `${name} by ${who}`).toBe(!allowed[index]);
      }
    });
  }

  it('say what would do', async () => {
    const rig = createRig({ principals });
    const refused = await as(rig, 'back', 'GET', `/v2/reconstructions/${file.hash}`);
    expect(await jsonOf(refused)).toEqual({
      error: 'the token has scope append, this needs read or write or admin',
      code: 'FORBIDDEN',
    });
  });

  it('that only append replace nothing that is sound, and repair what is not', async () => {
    const rig = createRig({ principals });
    await publishAs(rig, 'anna');
    const key = `tenants/north/xorbs/${xorb.hash}`;
    const stored = (await rig.store.read(key)) as Uint8Array;
    // A start later nobody has looked at it yet: the memory store vouches for nothing.
    const later = createRig({ principals, store: rig.store });
    const version = (await rig.store.head(key))?.version;
    expect(await jsonOf(questions['POST xorb']?.(later, 'back') as Promise<Response>)).toEqual({
      was_inserted: false,
    });
    expect((await rig.store.head(key))?.version).toBe(version);
    const flipped = stored.slice();
    flipped[100] = (flipped[100] as number) ^ 1;
    await rig.store.put(key, flipped, { replace: true });
    expect((await questions['POST xorb']?.(later, 'back'))?.status).toBe(200);
    expect(await rig.store.read(key)).toEqual(stored);
  });
});
