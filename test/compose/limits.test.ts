import { describe, expect, it } from 'vitest';
import { createClient, createLimits } from '../../src/index.js';

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
