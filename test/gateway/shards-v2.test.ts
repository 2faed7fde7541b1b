import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import { createMemoryStore } from '../../src/gateway/index.js';
import { download } from './support/reader.js';
import {
  buildXorb,
  createRig,
  fileOf,
  keysOf,
  listed,
  putXorb,
  type Rig,
  randomChunks,
  uploadShard,
} from './support/rig.js';

const xorb = buildXorb(randomChunks(20, [4000, 50_000, 700]));
const file = fileOf([[xorb, 0, 3]]);
const body = uploadShard({ files: [file], xorbs: [listed(xorb)] });

async function lines(response: Response): Promise<{ type: string; [key: string]: unknown }[]> {
  const text = await response.text();
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line));
}

const post = (rig: Rig, bytes: Uint8Array | ReadableStream<Uint8Array>): Promise<Response> =>
  rig.send('POST', '/v2/shards', { body: bytes });

describe('POST /v2/shards', () => {
  it('streams validating, committing and the result', async () => {
    const rig = createRig();
    await putXorb(rig, xorb);
    const response = await post(rig, body);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(response.headers.get('cache-control')).toBe('no-cache');
    const all = await lines(response);
    expect(all[0]).toEqual({ type: 'validating', verified: 0, total: 0 });
    expect(all).toContainEqual({ type: 'validating', verified: 2, total: 2 });
    expect(all.slice(-3)).toEqual([
      { type: 'committing', stage: 'uploading' },
      { type: 'committing', stage: 'syncing' },
      { type: 'result', result: 1 },
    ]);
    expect((await lines(await post(rig, body))).at(-1)).toEqual({ type: 'result', result: 0 });
    expect((await download(rig, file.hash.toString())).length).toBe(54_700);
  });

  it('says what is wrong in a terminal line that is not worth a retry', async () => {
    const rig = createRig();
    const all = await lines(await post(rig, body));
    expect(all.at(-1)).toEqual({
      type: 'error',
      code: 'REJECTED',
      message: `xorb ${xorb.hash} is not stored: upload it before the shard`,
      retryable: false,
    });
    const cut = await lines(await post(rig, body.subarray(0, 100)));
    expect(cut.at(-1)).toMatchObject({ type: 'error', retryable: false });
    expect(rig.faults).toEqual([]);
  });

  it('says that a fault of the store is worth a retry, and a full one is not', async () => {
    for (const [code, retryable] of [
      ['STORAGE_FAILED', true],
      ['DISK_FULL', false],
    ] as const) {
      const memory = createMemoryStore();
      const rig = createRig({
        store: {
          ...memory,
          async put(key, bytes): Promise<boolean> {
            if (key.startsWith('xorbs/')) return memory.put(key, bytes);
            throw new OrbweaverError(code, 'secret path /srv');
          },
        },
      });
      await putXorb(rig, xorb);
      const last = (await lines(await post(rig, body))).at(-1);
      expect(last).toMatchObject({ type: 'error', retryable });
      expect(JSON.stringify(last)).not.toContain('/srv');
      expect(rig.faults).toHaveLength(1);
      expect(rig.faults[0]?.requestId).toMatch(/^[0-9a-f]{16}$/);
    }
  });

  it('answers at once and repeats its last line while the sender is slow', async () => {
    const rig = createRig({ options: { bodyGraceMs: 120_000 } });
    await putXorb(rig, xorb);
    let sender: ReadableStreamDefaultController<Uint8Array> | null = null;
    const slow = new ReadableStream<Uint8Array>({
      start(controller): void {
        sender = controller;
      },
    });
    const response = await post(rig, slow);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const next = async (): Promise<unknown> => {
      const { value } = await reader.read();
      return JSON.parse(new TextDecoder().decode(value));
    };
    const first = { type: 'validating', verified: 0, total: 0 };
    expect(await next()).toEqual(first);
    for (let beat = 0; beat < 3; beat++) {
      rig.clock.advance(20_000);
      expect(await next()).toEqual(first);
    }
    (sender as unknown as ReadableStreamDefaultController<Uint8Array>).enqueue(body);
    (sender as unknown as ReadableStreamDefaultController<Uint8Array>).close();
    let last: unknown;
    for (let line = await next(); ; line = await next()) {
      last = line;
      if ((line as { type: string }).type === 'result') break;
    }
    expect(last).toEqual({ type: 'result', result: 1 });
    expect((await reader.read()).done).toBe(true);
    expect(rig.clock.timerCount).toBe(0);
  });

  it('commits nothing for a client that left while it was sending', async () => {
    const rig = createRig();
    await putXorb(rig, xorb);
    const stuck = new ReadableStream<Uint8Array>({
      start(controller): void {
        controller.enqueue(body.subarray(0, 100));
        setTimeout(() => controller.error(new Error('gone')), 10);
      },
    });
    const response = await post(rig, stuck);
    await response.body?.cancel();
    await rig.gateway.close();
    expect(rig.clock.timerCount).toBe(0);
    expect(await keysOf(rig.store, 'index/')).toEqual([]);
  });

  it('is waited for when the gateway closes', async () => {
    const rig = createRig();
    await putXorb(rig, xorb);
    const response = await post(rig, body);
    await rig.gateway.close();
    expect(await keysOf(rig.store, 'index/')).toHaveLength(1);
    await response.body?.cancel();
  });
});
