import { afterEach, describe, expect, it } from 'vitest';
import { type LoadedKernels, loadKernels } from '../../src/compose/chunk.js';
import { createClient } from '../../src/compose/client.js';
import type { OrbweaverClient } from '../../src/compose/client-types.js';
import { createGateway, createMemoryStore, type Gateway } from '../../src/gateway/index.js';
import type { Exchange } from '../../src/http/index.js';
import { decodeShard } from '../../src/shard/index.js';
import { edited, MIB, random } from '../client/upload/support.js';

const TOKENS = [
  { token: 'one', scope: 'write', tenant: 'one' },
  { token: 'two', scope: 'write', tenant: 'two' },
] as const;
const OLD = random(1, 3 * MIB);
const NEW = edited(OLD, 0, random(2, 100));

let gateway: Gateway;
const kernels: LoadedKernels = await loadKernels();
let requests: string[] = [];
const clients: OrbweaverClient[] = [];

function start(dedupOneIn?: number): void {
  gateway = createGateway({
    store: createMemoryStore(),
    ...kernels,
    tokens: TOKENS,
    options: { dedupOneIn },
  });
}

async function machine(token: string, plain = false): Promise<OrbweaverClient> {
  requests = [];
  const exchange: Exchange = async (request) => {
    requests.push(`${request.method} ${request.url.pathname.replace(/\/[0-9a-f]{64}/, '/HASH')}`);
    const response = await gateway.exchange(request);
    if (!plain) return response;
    const { 'x-orbweaver-dedup': _, ...headers } = response.headers;
    return { ...response, headers };
  };
  const client = await createClient({
    endpoint: 'http://gateway.test',
    token,
    workers: 0,
    exchange,
  });
  clients.push(client);
  return client;
}

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await gateway.close();
});

const post = (token: string, body: unknown): Promise<Response> =>
  gateway.handle(
    new Request('http://gateway.test/v1/chunks/default-merkledb', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    }),
  );

describe('dense dedup queries', () => {
  it('find an old version by any listed chunk, without cache and base', async () => {
    start(4);
    await (await machine('one')).upload({ name: 'old', data: OLD });
    const second = await (await machine('one')).upload({ name: 'new', data: NEW });
    expect(second.files[0]?.newBytes).toBeLessThan(MIB / 2);
    // The question about the first chunk tells of the others.
    expect(requests[0]).toBe('GET /v1/chunks/default-merkledb/HASH');
    expect(requests.filter((each) => each.includes('/v1/chunks')).length).toBeLessThanOrEqual(3);
  });

  it('are sent to no server that has not announced them', async () => {
    start(4);
    await (await machine('one')).upload({ name: 'old', data: OLD });
    const second = await (await machine('one', true)).upload({ name: 'new', data: NEW });
    expect(second.files[0]?.newBytes).toBe(NEW.length);
    expect(requests.filter((each) => each.startsWith('POST /v1/chunks'))).toEqual([]);
  });

  it('take a directory of small files in a handful of requests, new or known', async () => {
    start();
    const files = Array.from({ length: 400 }, (_, i) => ({ name: `${i}`, data: random(i, 3000) }));
    await (await machine('one')).upload(files);
    const asked = (): number => requests.filter((each) => each.includes('/v1/chunks')).length;
    expect(asked()).toBeLessThanOrEqual(40);
    const again = await (await machine('one')).upload(files);
    expect(again.files.reduce((sum, file) => sum + file.newBytes, 0)).toBe(0);
    expect(asked()).toBeLessThanOrEqual(40);
  });

  it('tell a tenant nothing of what another has', async () => {
    start(1);
    const { files } = await (await machine('one')).upload({ name: 'old', data: OLD });
    const second = await (await machine('two')).upload({ name: 'new', data: NEW });
    expect(second.files[0]?.newBytes).toBe(NEW.length);
    expect(files[0]?.newBytes).toBe(OLD.length);
  });

  it('are answered with one keyed shard, 204 when nothing is known, 400 beyond the limits', async () => {
    start(1);
    const { files } = await (await machine('one')).upload({ name: 'old', data: OLD });
    const known = await post('one', { chunks: [], files: [files[0]?.fileHash] });
    expect(known.status).toBe(200);
    expect(known.headers.get('x-orbweaver-dedup')).toBe('one-in=1, max-chunks=256');
    const shard = decodeShard(new Uint8Array(await known.arrayBuffer()));
    const chunkCount = shard.xorbs.reduce((sum, xorb) => sum + xorb.chunkLengths.length, 0);
    expect(chunkCount).toBe(files[0]?.chunkCount);
    const none = await post('one', { chunks: ['ab'.repeat(32)], files: ['cd'.repeat(32)] });
    expect(none.status).toBe(204);
    for (const body of [
      { chunks: Array(257).fill('ab'.repeat(32)) },
      { files: Array(17).fill('ab'.repeat(32)) },
      { chunks: ['xyz'] },
      { chunks: 'ab'.repeat(32) },
    ]) {
      expect((await post('one', body)).status, JSON.stringify(body).slice(0, 40)).toBe(400);
    }
    expect((await post('one', null)).status).toBe(204);
    expect((await post('nobody', {})).status).toBe(401);
  });

  it.each([0, 3, 2048, 1.5])('refuse a density of %s', (oneIn) => {
    start();
    expect(() =>
      createGateway({
        store: createMemoryStore(),
        ...kernels,
        options: { dedupOneIn: oneIn },
      }),
    ).toThrow(/"dedupOneIn" expected/);
  });
});
