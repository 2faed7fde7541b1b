import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createGateway, createMemoryStore } from '../../src/gateway.js';
import type { Exchange } from '../../src/http/index.js';
import { createClient, createLimits, loadKernels } from '../../src/index.js';
import { generate } from '../support/generators.js';

describe('caps of a client', () => {
  it('are its own, are read and changed while it lives', async () => {
    const client = await createClient({ endpoint: null, workers: 0, limitUpload: 5000 });
    expect({ ...client.limits }).toMatchObject({
      upload: 5000,
      download: Number.POSITIVE_INFINITY,
    });
    client.limits.upload = Number.POSITIVE_INFINITY;
    client.limits.download = 7;
    expect([client.limits.upload, client.limits.download]).toEqual([Number.POSITIVE_INFINITY, 7]);
    expect(() => {
      client.limits.upload = 0;
    }).toThrow(RangeError);
    await client.close();
  });

  it('may be shared', async () => {
    const limits = createLimits({ upload: 9000 });
    const one = await createClient({ endpoint: null, workers: 0, limits });
    const two = await createClient({ endpoint: null, workers: 0, limits });
    limits.upload = 10_000;
    expect([one.limits.upload, two.limits.upload]).toEqual([10_000, 10_000]);
    await one.close();
    await two.close();
  });

  it.each([
    ['a cap of nothing', { limitUpload: 0 }],
    [
      'caps that nobody made',
      { endpoint: 'http://127.0.0.1:1', limits: { upload: 1, download: 1 } },
    ],
    ['two answers to one question', { limits: createLimits(), limitDownload: 5 }],
  ])('are refused: %s', async (_, options) => {
    await expect(createClient({ endpoint: null, ...options })).rejects.toThrow(/limit/);
  });
});

describe('a token of a file', () => {
  it('is read again when the server refuses it, and said to be missing with its name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-token-'));
    const file = join(folder, 'token');
    const seen: unknown[] = [];
    const exchange: Exchange = async ({ headers }) => {
      seen.push(headers['authorization']);
      const status = headers['authorization'] === 'Bearer second' ? 404 : 401;
      return { status, headers: {}, body: null };
    };
    const options = { endpoint: 'http://127.0.0.1', workers: 0, exchange };
    const client = await createClient({ ...options, token: { file } });
    const ask = () => client.isFolder('ab'.repeat(32));
    await expect(ask()).rejects.toMatchObject({ code: 'INPUT_NOT_FOUND', fields: { path: file } });
    await writeFile(file, 'first\n');
    const refused = ask();
    await expect(refused).rejects.toMatchObject({ code: 'AUTH_REQUIRED' });
    await writeFile(file, 'second\n');
    await expect(ask()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(seen.at(0)).toBe('Bearer first');
    expect(seen.at(-1)).toBe('Bearer second');
    await client.close();
    await expect(createClient({ ...options, token: { file: '' } })).rejects.toThrow('token.file');
    await rm(folder, { recursive: true });
  });
});

describe('the size of xorbs', () => {
  it('is held below what a proxy lets through', async () => {
    const { hasher, codec } = await loadKernels();
    const gateway = createGateway({
      store: createMemoryStore(),
      hasher,
      codec,
      tokens: [{ token: 'writer', scope: 'write' }],
    });
    const sizes: number[] = [];
    const exchange: Exchange = (request) => {
      if (request.url.pathname.startsWith('/v1/xorbs/') && request.method === 'POST') {
        sizes.push(request.body?.sizeBytes ?? Number.POSITIVE_INFINITY);
      }
      return gateway.exchange(request);
    };
    const endpoint = 'http://127.0.0.1';
    const client = await createClient({ endpoint, token: 'writer', workers: 0, exchange });
    const data = generate({ kind: 'splitmix64', seed: 5, bytes: 3_000_000 });
    const maxXorbBytes = 1024 * 1024;
    const { failed } = await client.upload({ name: 'data', data }, { maxXorbBytes });
    expect(failed).toEqual([]);
    expect(sizes.length).toBeGreaterThanOrEqual(3);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(maxXorbBytes);
    sizes.length = 0;
    const old = await client.upload({ name: 'small', data: data.subarray(0, 1000) });
    sizes.length = 0;
    const more = generate({ kind: 'splitmix64', seed: 6, bytes: 3_000_000 });
    await client.append(old.files[0]?.fileHash as string, more, { maxXorbBytes });
    expect(sizes.length).toBeGreaterThanOrEqual(3);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(maxXorbBytes);
    await expect(client.upload([], { maxXorbBytes: 5 })).rejects.toThrow(RangeError);
    await client.close();
    await gateway.close();
  });
});
