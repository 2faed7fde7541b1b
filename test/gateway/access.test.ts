import { describe, expect, it } from 'vitest';
import { createGateway, createMemoryStore, createToken } from '../../src/gateway/index.js';
import { codec, createRig, hasher, makeRequest, READ_TOKEN, WRITE_TOKEN } from './support/rig.js';

const HASH = 'ab'.repeat(32);

/** Every endpoint, the scope it needs and the status of a well-formed request for something unknown. */
const ENDPOINTS: readonly {
  method: string;
  path: string;
  scope: 'read' | 'write' | null;
  status: number;
  body?: string;
}[] = [
  { method: 'GET', path: `/v1/reconstructions/${HASH}`, scope: 'read', status: 404 },
  { method: 'GET', path: `/v2/reconstructions/${HASH}`, scope: 'read', status: 404 },
  { method: 'POST', path: '/v1/reconstructions', scope: 'read', status: 200, body: '[]' },
  { method: 'GET', path: `/v1/reconstructions?file_id=${HASH}`, scope: 'read', status: 404 },
  { method: 'GET', path: `/v1/chunks/default/${HASH}`, scope: 'read', status: 404 },
  { method: 'GET', path: `/v1/chunks/default-merkledb/${HASH}`, scope: 'read', status: 404 },
  { method: 'POST', path: `/v1/xorbs/default/${HASH}`, scope: 'write', status: 400, body: 'x' },
  { method: 'HEAD', path: `/v1/xorbs/default/${HASH}`, scope: 'read', status: 404 },
  {
    method: 'POST',
    path: `/v1/xorb-grants/default/${HASH}`,
    scope: 'write',
    status: 400,
    body: 'x',
  },
  { method: 'PUT', path: `/v1/xorb-uploads/${HASH}/x`, scope: null, status: 403, body: 'x' },
  { method: 'POST', path: `/v1/xorb-commits/default/${HASH}/grant/x`, scope: 'write', status: 404 },
  { method: 'GET', path: `/v2/file-chunk-hashes/${HASH}`, scope: 'read', status: 404 },
  { method: 'POST', path: '/v1/shards', scope: 'write', status: 400, body: 'x' },
  { method: 'POST', path: '/v2/shards', scope: 'write', status: 200, body: 'x' },
  { method: 'HEAD', path: `/v1/files/${HASH}`, scope: 'read', status: 404 },
  { method: 'POST', path: '/v1/telemetry', scope: 'read', status: 200, body: '{"event":"x"}' },
  // As zig-xet asks.
  { method: 'GET', path: `/reconstructions/${HASH}`, scope: 'read', status: 404 },
  { method: 'GET', path: `/chunks/default-merkledb/${HASH}`, scope: 'read', status: 404 },
  { method: 'POST', path: `/xorbs/default/${HASH}`, scope: 'write', status: 400, body: 'x' },
  { method: 'POST', path: '/shards', scope: 'write', status: 400, body: 'x' },
  { method: 'GET', path: '/health', scope: null, status: 200 },
  { method: 'HEAD', path: '/health', scope: null, status: 200 },
  { method: 'GET', path: `/v1/fetch/${HASH}`, scope: null, status: 403 },
  { method: 'HEAD', path: `/v1/fetch/${HASH}`, scope: null, status: 403 },
];

describe.each(ENDPOINTS)('$method $path', ({ method, path, scope, status, body }) => {
  const send = async (authorization: string | null): Promise<number> => {
    const response = await createRig().send(method, path, {
      token: null,
      ...(authorization === null ? {} : { headers: { authorization } }),
      ...(body === undefined ? {} : { body: new TextEncoder().encode(body) }),
    });
    await response.arrayBuffer();
    return response.status;
  };

  it(`needs ${scope ?? 'no'} scope`, async () => {
    expect(await send(`Bearer ${WRITE_TOKEN}`)).toBe(status);
    expect(await send(`bearer   ${WRITE_TOKEN} `)).toBe(status);
    expect(await send(`Bearer ${READ_TOKEN}`)).toBe(scope === 'write' ? 403 : status);
    const refused = scope === null ? status : 401;
    expect(await send(null)).toBe(refused);
    expect(await send('Bearer unknown')).toBe(refused);
    expect(await send('Bearer ')).toBe(refused);
    expect(await send(`Basic ${WRITE_TOKEN}`)).toBe(refused);
    expect(await send(`Bearer ${WRITE_TOKEN}x`)).toBe(refused);
    expect(await send(`Bearer ${WRITE_TOKEN.slice(0, -1)}`)).toBe(refused);
    expect(await send(`Bearer ${WRITE_TOKEN}, Bearer ${WRITE_TOKEN}`)).toBe(refused);
  });
});

describe('paths that are not offered', () => {
  const NOT_OFFERED = [
    ['PUT', '/simulation/xorb-uploads/1'],
    ['GET', `/v1/get_xorb/default/${HASH}/`],
    ['GET', '/v1/fetch_term?term=x'],
    ['POST', '/v3/shards'],
    ['GET', `/v3/reconstructions/${HASH}`],
    ['GET', `/v1/reconstructions/${HASH}/`],
    ['GET', `/v1/reconstructions/${HASH}/more`],
    ['GET', `//v1/reconstructions/${HASH}`],
    ['HEAD', '/v1/files/'],
    ['GET', '/'],
    ['GET', '/%2e%2e/%2e%2e/etc/passwd'],
    ['DELETE', `/v1/objects/${HASH}`],
  ] as const;

  const GRANTS = [
    ['POST', `/v1/xorb-grants/default/${HASH}`],
    ['GET', `/v1/xorb-grants/default/${HASH}`],
    ['OPTIONS', `/v1/xorb-grants/default/${HASH}`],
    ['POST', `/v1/xorb-commits/default/${HASH}/grant/1`],
    ['PUT', `/v1/xorb-uploads/${HASH}/1`],
  ] as const;

  it.each(NOT_OFFERED)('%s %s is 404, whatever the token', async (method, path) => {
    for (const token of [WRITE_TOKEN, READ_TOKEN, 'unknown', null]) {
      const response = await createRig().send(method, path, { token });
      expect(response.status).toBe(404);
      expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/);
    }
  });

  it.each(GRANTS)('%s %s is 404 where grants are off', async (method, path) => {
    for (const token of [WRITE_TOKEN, READ_TOKEN, 'unknown', null]) {
      const rig = createRig({ options: { grants: false } });
      expect((await rig.send(method, path, { token })).status).toBe(404);
    }
  });

  it.each([
    ['PUT', `/v1/xorbs/default/${HASH}`, 'HEAD, POST'],
    ['DELETE', `/v1/files/${HASH}`, 'HEAD'],
    ['GET', '/v1/shards', 'POST'],
    ['PUT', '/v1/reconstructions', 'GET, POST'],
  ])('%s %s is 405 and names what is allowed', async (method, path, allow) => {
    const response = await createRig().send(method, path);
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allow);
  });
});

describe('hashes in paths', () => {
  const BAD = [
    'ab'.repeat(31),
    'ab'.repeat(33),
    `${'ab'.repeat(31)}zz`,
    '..%2f..%2fetc%2fpasswd',
    `%00${'ab'.repeat(31)}`,
    `${'a'.repeat(63)}%61`,
    `${'ab'.repeat(32)}%0a`,
    `default.${'ab'.repeat(32)}`,
    '%E2%80%AE',
  ];

  it.each(BAD)('%j is 400 and never a key', async (hash) => {
    const rig = createRig();
    const requests = [
      ['GET', `/v1/reconstructions/${hash}`],
      ['GET', `/v2/reconstructions/${hash}`],
      ['GET', `/v1/chunks/default/${hash}`],
      ['HEAD', `/v1/xorbs/default/${hash}`],
      ['HEAD', `/v1/files/${hash}`],
      ['GET', `/v1/fetch/${hash}`],
    ] as const;
    for (const [method, path] of requests) {
      expect((await rig.send(method, path)).status, path).toBe(400);
    }
    const body = new Uint8Array(10);
    expect((await rig.send('POST', `/v1/xorbs/default/${hash}`, { body })).status).toBe(400);
    expect(rig.faults).toEqual([]);
  });

  it.each(['..%2f', '%2e%2e', 'a b', '-x', '.hidden', 'x'.repeat(65)])(
    'behind the prefix %j are 400',
    async (prefix) => {
      const response = await createRig().send('HEAD', `/v1/xorbs/${prefix}/${HASH}`);
      expect([400, 404]).toContain(response.status);
    },
  );

  it('may be written in upper case', async () => {
    const response = await createRig().send('GET', `/v1/chunks/default/${HASH.toUpperCase()}`);
    expect(response.status).toBe(404);
  });
});

describe('tokens', () => {
  const parts = { store: createMemoryStore(), hasher, codec };

  it('are random and can be sent in a header', async () => {
    const made = [createToken(), createToken()];
    expect(made[0]).not.toBe(made[1]);
    expect(made[0]).toMatch(/^orb_[0-9a-f]{48}$/);
    const gateway = createGateway({
      ...parts,
      tokens: [{ token: made[0] as string, scope: 'read' }],
    });
    const response = await gateway.handle(
      makeRequest('GET', `/v1/reconstructions/${HASH}`, { token: made[0] as string }),
    );
    expect(response.status).toBe(404);
  });

  it('with the same text in both scopes may write', async () => {
    const gateway = createGateway({
      ...parts,
      tokens: [
        { token: 'same', scope: 'write' },
        { token: 'same', scope: 'read' },
      ],
    });
    const response = await gateway.handle(
      makeRequest('POST', '/v1/shards', { token: 'same', body: new Uint8Array(1) }),
    );
    expect(response.status).toBe(400);
  });

  it('that no header could carry are a mistake at once', () => {
    for (const token of ['', 'a b', 'tab\t', 'ü', 'line\nbreak']) {
      expect(() => createGateway({ ...parts, tokens: [{ token, scope: 'read' }] })).toThrow(
        TypeError,
      );
    }
    const scope = 'root' as 'read';
    expect(() => createGateway({ ...parts, tokens: [{ token: 'a', scope }] })).toThrow(TypeError);
  });

  it('never appear in an answer', async () => {
    const rig = createRig();
    for (const { method, path, body } of ENDPOINTS) {
      const response = await rig.send(method, path, {
        token: 'a-secret-that-is-wrong',
        ...(body === undefined ? {} : { body: new TextEncoder().encode(body) }),
      });
      const text = (await response.text()) + JSON.stringify([...response.headers]);
      expect(text).not.toContain('a-secret-that-is-wrong');
      expect(text).not.toContain(WRITE_TOKEN);
    }
  });
});

describe('options', () => {
  const make = (options: object) => () =>
    createGateway({ store: createMemoryStore(), hasher, codec, tokens: [], options });

  it.each([
    [{ urlLifetimeMs: 0 }],
    [{ maxMemory: -1 }],
    [{ maxMemory: 1024 }],
    [{ minBodyRate: 1.5 }],
    [{ cors: { origins: ['app.example'] } }],
    [{ urlLifetime: 5 }],
    [{ heartbeatMs: Number.NaN }],
    [{ maxWaitingCount: Number.POSITIVE_INFINITY }],
    [{ secret: new Uint8Array(31) }],
    [{ publicUrl: 'gateway.example' }],
    [{ publicUrl: 'ftp://gateway.example' }],
    [{ publicUrl: 'https://user@gateway.example' }],
    [{ publicUrl: 'https://gateway.example/?x=1' }],
  ])('%j cannot be meant', (options) => {
    expect(make(options)).toThrow();
  });
});

describe('a closed gateway', () => {
  it('answers 503, and still 404 for what it does not offer', async () => {
    const rig = createRig();
    await rig.gateway.close();
    expect((await rig.send('GET', '/health')).status).toBe(503);
    expect((await rig.send('POST', `/v1/not-offered/${HASH}`)).status).toBe(404);
    expect(rig.faults).toEqual([]);
  });
});
