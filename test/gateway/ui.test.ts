import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import {
  createGateway,
  createMemoryStore,
  type Gateway,
  type ObjectStore,
  type Principal,
} from '../../src/gateway/index.js';
import { createRing, PERIOD_MS, PERIODS } from '../../src/gateway/ui/ring.js';
import {
  buildXorb,
  codec,
  createFakeClock,
  type FakeClock,
  fileOf,
  hasher,
  listed,
  makeRequest,
  randomChunks,
  uploadShard,
} from './support/rig.js';

/** The server's side of the operator's page: its files, who may ask what, and what is kept in memory. */

const PRINCIPALS: Readonly<Record<string, Principal>> = {
  'Bearer reader': { id: 'reader', scope: 'read' },
  'Bearer writer': { id: 'writer', scope: 'write' },
  'Bearer appender': { id: 'appender', scope: 'append' },
  'Bearer acme': { id: 'acme', scope: 'write', tenant: 'acme' },
  'Bearer admin': { id: 'admin', scope: 'admin' },
};

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const PAGE = {
  files: [
    { path: 'index.html', bytes: text('<!doctype html><title>page</title>') },
    { path: 'main-ABCD1234.js', bytes: text(`//${'x'.repeat(5000)}`) },
  ],
};

// biome-ignore lint/suspicious/noExplicitAny: anything that JSON can be; tests look into it
type Json = any;

interface UiRig {
  readonly gateway: Gateway;
  readonly clock: FakeClock;
  get(path: string, token?: string | null, headers?: Record<string, string>): Promise<Response>;
  json(path: string, token: string): Promise<Json>;
}

function createUiRig(parts: { store?: ObjectStore; ui?: boolean; publicUrl?: string } = {}): UiRig {
  const clock = createFakeClock();
  const gateway = createGateway({
    store: parts.store ?? createMemoryStore({ clock }),
    hasher,
    codec,
    clock,
    ui: parts.ui === false ? undefined : PAGE,
    authenticate: ({ headers }) => PRINCIPALS[headers['authorization'] ?? ''] ?? null,
    options: { publicUrl: parts.publicUrl },
  });
  const get: UiRig['get'] = (path, token = null, headers = {}) =>
    gateway.handle(makeRequest('GET', path, { token, headers }));
  return {
    gateway,
    clock,
    get,
    json: async (path, token) => (await get(path, token)).json(),
  };
}

describe('the files of the page', () => {
  it('are there without a token, and only when the page is switched on', async () => {
    const off = createUiRig({ ui: false });
    expect((await off.get('/ui/')).status).toBe(404);
    expect((await off.get('/ui/api/session', 'reader')).status).toBe(404);
    const { get } = createUiRig();
    const page = await get('/ui/');
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await page.text()).toContain('<title>page</title>');
    const from = await get('/ui');
    expect([from.status, from.headers.get('location')]).toEqual([308, 'ui/']);
    expect((await get('/ui/other.js')).status).toBe(404);
    expect((await get('/ui/../secrets.json')).status).toBe(404);
  });

  it('let nothing foreign into the page and isolate it', async () => {
    const { get } = createUiRig({ publicUrl: 'https://store.example/cas' });
    for (const path of ['/ui/', '/ui/main-ABCD1234.js']) {
      const { headers } = await get(path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'self'; script-src 'self' 'wasm-unsafe-eval'");
      expect(policy).toContain("connect-src 'self' https://store.example;");
      expect(policy).not.toContain('unsafe-inline');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('cross-origin-embedder-policy')).toBe('require-corp');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  it('are kept for ever where their name says what is in them, and asked for again where not', async () => {
    const { get } = createUiRig();
    const script = await get('/ui/main-ABCD1234.js', null, { 'accept-encoding': 'gzip' });
    expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(script.headers.get('content-encoding')).toBe('gzip');
    const page = await get('/ui/');
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const etag = page.headers.get('etag') as string;
    const again = await get('/ui/', null, { 'if-none-match': etag });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await get('/ui/', null, { 'if-none-match': '"other"' })).status).toBe(200);
  });
});

describe('what the page asks', () => {
  it('needs a token that reads, and says whose it is', async () => {
    const { get, json } = createUiRig();
    for (const path of ['session', 'store', 'now', 'history']) {
      expect((await get(`/ui/api/${path}`)).status).toBe(401);
      expect((await get(`/ui/api/${path}`, 'reader')).headers.get('cache-control')).toBe(
        'no-store',
      );
    }
    expect((await get('/ui/api/session', 'appender')).status).toBe(200);
    expect((await get('/ui/api/now', 'appender')).status).toBe(403);
    expect(await json('/ui/api/session', 'acme')).toMatchObject({
      ...{ id: 'acme', scope: 'write', tenant: 'acme', hasRepositories: false },
    });
  });

  it('counts the store in the background, each tenant its own, and not again at once', async () => {
    const { gateway, json, clock } = createUiRig();
    const xorb = buildXorb(randomChunks(7, [40_000, 50_000]));
    const file = fileOf([[xorb, 0, 2]]);
    for (const [path, body] of [
      [`/v1/xorbs/default/${xorb.hash}`, xorb.bytes],
      ['/v1/shards', uploadShard({ files: [file], xorbs: [listed(xorb)] })],
    ] as const) {
      await (await gateway.handle(makeRequest('POST', path, { token: 'acme', body }))).text();
    }
    expect(await json('/ui/api/store', 'acme')).toMatchObject({ stats: null, isCounting: true });
    const counted = async (token: string): Promise<Json> => {
      for (;;) {
        const counts = await json('/ui/api/store', token);
        if (!counts.isCounting) return counts;
      }
    };
    const { stats } = await counted('acme');
    expect(stats).toMatchObject({ files: 1, logicalBytes: 90_000, uniqueBytes: 90_000 });
    expect((await counted('reader')).stats).toMatchObject({ files: 0, logicalBytes: 0 });
    clock.advance(14_000);
    expect((await json('/ui/api/store', 'acme')).isCounting).toBe(false);
    clock.advance(2_000);
    expect((await json('/ui/api/store', 'acme')).isCounting).toBe(true);
  });

  it('shows to each tenant its own requests, and to an admin those of all', async () => {
    const { gateway, json } = createUiRig();
    const post = (token: string, body: Uint8Array): Promise<Response> =>
      gateway.handle(makeRequest('POST', '/v1/telemetry', { token, body }));
    await (await post('acme', new Uint8Array(300))).text();
    await (await post('writer', new Uint8Array(20))).text();
    const sums = async (token: string): Promise<Json> => {
      const { samples } = await json('/ui/api/history', token);
      return [samples.requests.at(-1), samples.receivedBytes.at(-1)];
    };
    expect(await sums('acme')).toEqual([1, 300]);
    expect(await sums('reader')).toEqual([1, 20]);
    expect(await sums('admin')).toEqual([2, 320]);

    // A response that nobody has read to its end is still in flight.
    const open = await gateway.handle(makeRequest('GET', '/api/whoami', { token: 'acme' }));
    const [acme, writer, admin] = [
      await json('/ui/api/now', 'acme'),
      await json('/ui/api/now', 'writer'),
      await json('/ui/api/now', 'admin'),
    ];
    // Nothing has such a path, so nobody was asked who it is: only an admin is told.
    expect([acme.activeCount, writer.activeCount, admin.activeCount]).toEqual([0, 0, 1]);
    expect(admin.active[0]).toMatchObject({ method: 'GET', path: '/api/whoami', tenant: null });
    expect(admin.memory.maxBytes).toBeGreaterThan(0);
    expect(acme.memory).toBeNull();
    await open.text();
    expect((await json('/ui/api/now', 'admin')).activeCount).toBe(0);
  });

  it('tells faults in words, with what they are about for admins only', async () => {
    const fail = (): never => {
      throw new OrbweaverError('STORAGE_FAILED', 'cannot read /srv/store');
    };
    const store: ObjectStore = { ...createMemoryStore(), head: fail, open: fail, list: fail };
    const { get, json } = createUiRig({ store });
    await (await get(`/v1/reconstructions/${'a'.repeat(64)}`, 'reader')).text();
    const seen = async (token: string): Promise<Json> =>
      (await json('/ui/api/history', token)).faults;
    expect(await seen('acme')).toEqual([]);
    const [forReader] = await seen('reader');
    expect(forReader).toMatchObject({ method: 'GET', status: 500, code: 'STORAGE_FAILED' });
    expect(forReader.message).not.toContain('/srv/store');
    expect((await seen('admin'))[0].message).toContain('cannot read /srv/store');
    expect((await json('/ui/api/history', 'admin')).samples.failed.at(-1)).toBe(1);
  });
});

describe('the ring of samples', () => {
  it('keeps an hour, whatever passes', () => {
    const clock = createFakeClock();
    const ring = createRing(clock);
    ring.add('requests', 1);
    expect(ring.samples().requests).toEqual([1]);
    clock.advance(PERIOD_MS);
    ring.add('requests', 2);
    clock.advance(PERIOD_MS);
    expect(ring.samples().requests).toEqual([1, 2, 0]);
    for (let i = 0; i < 2 * PERIODS; i++) {
      ring.add('sentBytes', i);
      clock.advance(PERIOD_MS);
    }
    const { requests, sentBytes } = ring.samples();
    expect([requests.length, sentBytes.length]).toEqual([PERIODS, PERIODS]);
    expect(sentBytes.at(-2)).toBe(2 * PERIODS - 1);
    clock.advance(100 * PERIODS * PERIOD_MS);
    ring.add('failed', 1);
    expect(ring.samples().sentBytes.every((sum) => sum === 0)).toBe(true);
    expect(ring.samples().failed.at(-1)).toBe(1);
  });
});
