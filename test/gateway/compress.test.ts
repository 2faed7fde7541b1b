import { once } from 'node:events';
import { request } from 'node:http';
import * as zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codingFor } from '../../src/gateway/compress.js';
import { createNodeServer, type NodeServer } from '../../src/gateway.js';
import { buildXorb, createRig, fileOf, publish, type Rig, randomChunks } from './support/rig.js';

/** Responses that are compressed for who asks. */

const xorb = buildXorb(
  randomChunks(
    8,
    Array.from({ length: 40 }, () => 10_000),
  ),
);
const pieces = (count: number) =>
  Array.from({ length: count }, (_, i) => [xorb, (7 * i) % 39, ((7 * i) % 39) + 1] as const);
/** Written at once, and while it is read. */
const files = { small: fileOf(pieces(1)), large: fileOf(pieces(300)), huge: fileOf(pieces(3000)) };
const { zstdDecompressSync } = zlib as { readonly zstdDecompressSync?: (bytes: Buffer) => Buffer };
const hasZstd = zstdDecompressSync !== undefined;

describe('a reconstruction', () => {
  let rig: Rig;
  let server: NodeServer;
  beforeAll(async () => {
    rig = createRig({ options: { cors: { origins: ['https://app.example'] } } });
    await publish(rig, [xorb], Object.values(files));
    server = await createNodeServer(rig.gateway, { port: 0 });
  });
  afterAll(async () => {
    await server.close();
    await rig.gateway.close();
  });

  async function ask(name: keyof typeof files, coding?: string) {
    const headers = {
      authorization: 'Bearer token-that-reads',
      ...(coding && { 'accept-encoding': coding }),
    };
    const asked = request(`${server.url}/v2/reconstructions/${files[name].hash}`, { headers });
    asked.end();
    const [response] = await once(asked, 'response');
    const bytes: Buffer[] = [];
    for await (const piece of response) bytes.push(piece);
    return { headers: response.headers, bytes: Buffer.concat(bytes) };
  }

  it.each(['large', 'huge'] as const)(
    'is the same in gzip and a fraction of it (%s)',
    async (name) => {
      const plain = await ask(name);
      expect(plain.headers['content-encoding']).toBeUndefined();
      const packed = await ask(name, 'gzip, deflate, br');
      expect(packed.headers['content-encoding']).toBe('gzip');
      expect(packed.headers['content-length']).toBeUndefined();
      expect(packed.headers.vary).toBe('origin, accept-encoding');
      expect(plain.headers.vary).toBe('origin, accept-encoding');
      expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 3);
      const terms = (bytes: Buffer) => JSON.parse(bytes.toString()).terms;
      expect(terms(zlib.gunzipSync(packed.bytes))).toEqual(terms(plain.bytes));
    },
  );

  it.skipIf(!hasZstd)('comes in zstd where this Node has it', async () => {
    const packed = await ask('large', 'gzip, zstd');
    expect(packed.headers['content-encoding']).toBe('zstd');
    const bytes = zstdDecompressSync?.(packed.bytes) ?? Buffer.alloc(0);
    expect(JSON.parse(bytes.toString()).terms).toHaveLength(300);
  });

  it('stays as it is when it is small or nobody asks', async () => {
    for (const [name, coding] of [
      ['small', 'gzip'],
      ['large', 'br'],
      ['large', 'gzip;q=0'],
    ] as const) {
      const { headers, bytes } = await ask(name, coding);
      expect(headers['content-encoding']).toBeUndefined();
      expect(headers['content-length']).toBe(String(bytes.length));
    }
  });

  it('that is left in the middle ends, and holds up no close', async () => {
    const response = await rig.send('GET', `/v2/reconstructions/${files.huge.hash}`, {
      headers: { 'accept-encoding': 'gzip' },
    });
    await response.body?.cancel();
    expect(response.headers.get('content-encoding')).toBe('gzip');
  });
});

describe('the coding', () => {
  it.each([
    [undefined, null],
    ['', null],
    ['identity', null],
    ['br', null],
    ['GZIP', 'gzip'],
    ['gzip;q=0.5, identity;q=1', 'gzip'],
    ['gzip; q=0', null],
    ['gzip;q=nonsense', null],
    ['zstd;q=0.1, gzip', 'gzip'],
    ['*', hasZstd ? 'zstd' : 'gzip'],
    ['zstd', hasZstd ? 'zstd' : null],
  ])('for %j is %j', (header, coding) => {
    expect(codingFor(header)).toBe(coding);
  });
});
