import { describe, expect, it } from 'vitest';
import { type Authenticate, createGateway, createMemoryStore } from '../../src/gateway/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import { decodeShard } from '../../src/shard/index.js';
import {
  buildXorb,
  bytesOf,
  codec,
  createRig,
  fileOf,
  hasher,
  listed,
  makeRequest,
  type Rig,
  randomChunks,
  uploadShard,
} from './support/rig.js';

/** Who is asking is said by a port; what a principal names decides what it sees. */

const xorb = buildXorb(randomChunks(101, [4000, 5000]));
const file = fileOf([[xorb, 0, 2]]);
const first = MerkleHash.from(xorb.chunkHashes, 0);

const principals = {
  'Key anna': { id: 'anna', scope: 'write', tenant: 'north' },
  'Key bert': { id: 'bert', scope: 'write', tenant: 'south' },
  'Key carl': { id: 'carl', scope: 'read', tenant: 'north', repository: 'north/models' },
  'Key dora': { id: 'dora', scope: 'write' },
} as const;

const as = (rig: Rig, who: string, method: string, path: string, body?: Uint8Array) =>
  rig.send(method, path, {
    token: null,
    headers: { authorization: `Key ${who}` },
    ...(body === undefined ? {} : { body }),
  });

async function publishAs(rig: Rig, who: string): Promise<void> {
  await as(rig, who, 'POST', `/v1/xorbs/default/${xorb.hash}`, xorb.bytes);
  const shard = uploadShard({ files: [file], xorbs: [listed(xorb)] });
  expect((await as(rig, who, 'POST', '/v1/shards', shard)).status).toBe(200);
}

describe('authentication', () => {
  it('is whatever the port says, a promise or not', async () => {
    const asked: string[] = [];
    const authenticate: Authenticate = async ({ method, url, headers }) => {
      asked.push(`${method} ${url.pathname}`);
      return headers['x-user'] === 'reader' ? { id: 'reader', scope: 'read' } : null;
    };
    const gateway = createGateway({ store: createMemoryStore(), hasher, codec, authenticate });
    const send = async (method: string, path: string, headers: Record<string, string> = {}) =>
      (await gateway.handle(makeRequest(method, path, { token: null, headers }))).status;
    const path = `/v1/files/${file.hash}`;
    expect(await send('HEAD', path)).toBe(401);
    expect(await send('HEAD', path, { 'x-user': 'reader' })).toBe(404);
    expect(await send('POST', '/v1/shards', { 'x-user': 'reader' })).toBe(403);
    expect(asked).toEqual([`HEAD ${path}`, `HEAD ${path}`, 'POST /v1/shards']);
    // Nobody is asked for what needs no permission, or is not there.
    expect(await send('GET', '/health')).toBe(200);
    expect(await send('GET', '/nothing')).toBe(404);
    expect(await send('OPTIONS', path)).toBe(204);
    expect(asked).toHaveLength(3);
  });

  it('that fails is a fault of the server, and nobody gets in', async () => {
    const faults: unknown[] = [];
    const gateway = createGateway({
      store: createMemoryStore(),
      hasher,
      codec,
      authenticate: async () => {
        throw new Error('the directory is down at ldap://secret');
      },
      options: { onFault: (fault) => faults.push(fault) },
    });
    const response = await gateway.handle(makeRequest('HEAD', `/v1/files/${file.hash}`));
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('ldap');
    expect(faults).toHaveLength(1);
  });
});

describe('tenants', () => {
  const ask = async (rig: Rig, who: string) => {
    const response = await as(rig, who, 'GET', `/v1/chunks/default/${first}`);
    return response.status === 200 ? decodeShard(await bytesOf(response)) : response.status;
  };
  const keyOf = (shard: Awaited<ReturnType<typeof ask>>): string =>
    typeof shard === 'number'
      ? `${shard}`
      : Buffer.from(shard.footer?.hmacKey ?? []).toString('hex');

  it('find what they have uploaded themselves, and nothing else', async () => {
    const rig = createRig({ principals });
    await publishAs(rig, 'anna');
    expect(keyOf(await ask(rig, 'anna'))).toMatch(/^[0-9a-f]{64}$/);
    expect(keyOf(await ask(rig, 'carl'))).toBe(keyOf(await ask(rig, 'anna')));
    expect(await ask(rig, 'bert')).toBe(404);
    expect(await ask(rig, 'dora')).toBe(404);
    await publishAs(rig, 'bert');
    expect(keyOf(await ask(rig, 'bert'))).toMatch(/^[0-9a-f]{64}$/);
    // After a start too: the names in the index do not depend on the secret.
    const again = createRig({ principals, store: rig.store });
    expect(keyOf(await ask(again, 'anna'))).toMatch(/^[0-9a-f]{64}$/);
    expect(await ask(again, 'dora')).toBe(404);
  });

  it('get their responses under keys of their own', async () => {
    const rig = createRig({ principals });
    for (const who of ['anna', 'bert', 'dora']) await publishAs(rig, who);
    const keys = await Promise.all(
      ['anna', 'bert', 'dora'].map((who) => ask(rig, who).then(keyOf)),
    );
    expect(new Set(keys).size).toBe(3);
  });
});

describe('web pages', () => {
  const origin = 'https://app.example';
  const cors = { origins: [origin] };
  const preflight = (rig: Rig, path: string, from = origin) =>
    rig.send('OPTIONS', path, {
      token: null,
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, range',
      },
    });

  it('are told what they may do before they do it, without a token', async () => {
    const rig = createRig({ options: { cors } });
    const response = await preflight(rig, `/v1/xorbs/default/${xorb.hash}`);
    expect(response.status).toBe(204);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'HEAD, POST, OPTIONS',
      'access-control-allow-headers': 'authorization, range',
      'access-control-max-age': '86400',
      vary: 'origin',
      allow: 'HEAD, POST, OPTIONS',
    });
    expect((await preflight(rig, `/v1/fetch/${xorb.hash}`)).status).toBe(204);
    expect((await preflight(rig, '/v1/nothing')).status).toBe(404);
  });

  it('can read responses and errors alike, and others cannot', async () => {
    const rig = createRig({ options: { cors } });
    for (const path of ['/health', `/v1/files/${file.hash}`, '/nothing']) {
      const mine = await rig.send('GET', path, { token: null, headers: { origin } });
      expect(mine.headers.get('access-control-allow-origin'), path).toBe(origin);
      expect(mine.headers.get('access-control-expose-headers')).toContain('content-range');
      const other = await rig.send('GET', path, {
        token: null,
        headers: { origin: 'https://evil.example' },
      });
      expect(other.headers.get('access-control-allow-origin'), path).toBeNull();
      expect(other.headers.get('vary')).toBe('origin');
    }
  });

  it('may be all of them, or none', async () => {
    const all = createRig({ options: { cors: { origins: '*' } } });
    const open = await preflight(all, '/v1/shards', 'https://anything.example');
    expect(open.headers.get('access-control-allow-origin')).toBe('*');
    expect(open.headers.get('vary')).toBeNull();
    const none = createRig();
    const closed = await preflight(none, '/v1/shards');
    expect(closed.status).toBe(204);
    expect([...closed.headers.keys()].filter((name) => name.startsWith('access'))).toEqual([]);
  });

  it('cannot have anything put in a header', async () => {
    const rig = createRig({ options: { cors: { origins: '*' } } });
    const response = await rig.send('OPTIONS', '/v1/shards', {
      token: null,
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'a; b="c"',
      },
    });
    expect(response.headers.get('access-control-allow-headers')).toBeNull();
  });
});
