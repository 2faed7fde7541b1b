import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import { createMemoryStore, type ObjectStore } from '../../src/gateway/index.js';
import { type BuiltXorb, encodeFooter, XORB_ACCEPT_MAX_BYTES } from '../../src/xorb/index.js';
import {
  buildXorb,
  createRig,
  jsonOf,
  keysOf,
  type Rig,
  randomChunks,
  type SendInit,
  streamBody,
} from './support/rig.js';

const MIB = 1024 * 1024;
/** Whatever can go on without us has gone on. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

const xorb = buildXorb(randomChunks(1, [5000, 1, 70_000, 300]));
const path = `/v1/xorbs/default/${xorb.hash}`;
const post = (rig: Rig, init: SendInit, at = path): Promise<Response> => rig.send('POST', at, init);

describe('uploading a xorb', () => {
  it('stores records and footer once and says whether it did', async () => {
    const rig = createRig();
    const first = await post(rig, { body: xorb.bytes });
    expect(first.status).toBe(200);
    expect(await first.json()).toEqual({ was_inserted: true });
    const stored = (await rig.store.read(`xorbs/${xorb.hash}`)) as Uint8Array;
    expect(stored).toEqual(new Uint8Array([...xorb.bytes, ...encodeFooter(xorb)]));

    const again = await post(rig, { body: xorb.bytes });
    expect(await again.json()).toEqual({ was_inserted: false });
    expect(await rig.store.read(`xorbs/${xorb.hash}`)).toEqual(stored);
  });

  it('works under any prefix and without a declared length', async () => {
    const rig = createRig();
    for (const prefix of ['default', 'default-merkledb', 'Some_other.1']) {
      const at = `/v1/xorbs/${prefix}/${xorb.hash}`;
      const response = await post(rig, { body: streamBody(xorb.bytes) }, at);
      expect(response.status).toBe(200);
    }
    expect(await keysOf(rig.store, 'xorbs/')).toEqual([`xorbs/${xorb.hash}`]);
  });

  it('drops a footer in the body, even a wrong one, and writes its own', async () => {
    const rig = createRig();
    const wrong = encodeFooter({ ...xorb, recordEnds: xorb.recordEnds.map((end) => end + 1) });
    const body = new Uint8Array([...xorb.bytes, ...wrong, 1, 2, 3]);
    expect((await post(rig, { body })).status).toBe(200);
    const stored = (await rig.store.read(`xorbs/${xorb.hash}`)) as Uint8Array;
    expect(stored).toEqual(new Uint8Array([...xorb.bytes, ...encodeFooter(xorb)]));
  });

  it('reads the body to its end when the xorb is there already, so that senders are not cut off', async () => {
    const rig = createRig();
    await post(rig, { body: xorb.bytes });
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller): void {
        pulled += 1;
        if (pulled > 50) controller.close();
        else controller.enqueue(new Uint8Array(1000));
      },
    });
    expect(await (await post(rig, { body })).json()).toEqual({ was_inserted: false });
    expect(pulled).toBe(51);
  });

  it('of two at the same time stores one', async () => {
    const rig = createRig();
    const answers = await Promise.all([1, 2, 3].map(() => jsonOf(post(rig, { body: xorb.bytes }))));
    expect(answers.filter(({ was_inserted }) => was_inserted)).toHaveLength(1);
  });
});

describe('a xorb that is not what its name says', () => {
  const flip = (at: number): Uint8Array => {
    const bytes = xorb.bytes.slice();
    bytes[at] = (bytes[at] as number) ^ 1;
    return bytes;
  };
  const other = buildXorb(randomChunks(2, [5000, 1]));
  const cases: [string, Uint8Array][] = [
    ['nothing at all', new Uint8Array(0)],
    ['one byte', new Uint8Array(1)],
    ['another xorb', other.bytes],
    ['its chunks without the last', xorb.bytes.subarray(0, xorb.recordEnds[2])],
    ['a flipped bit in a chunk', flip(100)],
    ['a flipped bit in a length', flip(1)],
    ['a flipped bit in a version', flip(0)],
    ['a flipped bit in a scheme', flip(4)],
    ['garbage behind it', new Uint8Array([...xorb.bytes, 9, 9, 9])],
    ['its footer only', encodeFooter(xorb)],
    ['zeros', new Uint8Array(1000)],
  ];

  it.each(cases)('(%s) is refused and nothing is stored', async (_name, body) => {
    const rig = createRig();
    const response = await post(rig, { body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'REJECTED', error: /xorb/ });
    expect(await keysOf(rig.store, 'xorbs/')).toEqual([]);
    expect(rig.faults).toEqual([]);
  });

  it('is refused at every length that it is cut to', async () => {
    const rig = createRig();
    for (let length = 0; length < 5200; length += 371) {
      const response = await post(rig, { body: xorb.bytes.subarray(0, length) });
      expect(response.status).toBe(400);
    }
  });

  it('is refused with the name of nothing', async () => {
    const rig = createRig();
    const response = await post(
      rig,
      { body: new Uint8Array(0) },
      `/v1/xorbs/default/${'0'.repeat(64)}`,
    );
    expect(response.status).toBe(400);
  });
});

describe('the size of a body', () => {
  it('above the limit is 413 before a byte is read', async () => {
    const rig = createRig();
    let pulled = false;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(): void {
          pulled = true;
        },
      },
      { highWaterMark: 0, size: () => 1 },
    );
    const headers = { 'content-length': String(XORB_ACCEPT_MAX_BYTES + 1) };
    expect((await post(rig, { body, headers })).status).toBe(413);
    expect(pulled).toBe(false);
  });

  it('above the limit is 413 while streaming, and the stream is cancelled', async () => {
    const rig = createRig();
    const piece = new Uint8Array(8 * 1024 * 1024);
    let cancelled = false;
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller): void {
        sent += piece.length;
        controller.enqueue(piece);
      },
      cancel(): void {
        cancelled = true;
      },
    });
    expect((await post(rig, { body })).status).toBe(413);
    expect(cancelled).toBe(true);
    expect(sent).toBeLessThan(XORB_ACCEPT_MAX_BYTES + 3 * piece.length);
  });

  it('allows what an incompressible xorb of the reference client takes', () => {
    expect(XORB_ACCEPT_MAX_BYTES).toBeGreaterThanOrEqual(64 * 1024 * 1024 + 64 * 1024);
  });

  it.each(['-1', 'abc', '1.5', '99999999999999999'])('of %j is no length', async (length) => {
    const rig = createRig();
    const headers = { 'content-length': length };
    expect((await post(rig, { body: xorb.bytes, headers })).status).toBe(400);
  });

  it('that differs from the declared one is 400 or 413, never stored', async () => {
    const rig = createRig();
    for (const difference of [-1, 1, 1000]) {
      const headers = { 'content-length': String(xorb.bytes.length + difference) };
      const response = await post(rig, { body: xorb.bytes, headers });
      expect([400, 413]).toContain(response.status);
    }
    expect(await keysOf(rig.store, 'xorbs/')).toEqual([]);
  });
});

describe('a body that breaks off', () => {
  it('gives back its memory and stores nothing', async () => {
    const rig = createRig({ options: { maxMemory: 16 * MIB } });
    const broken = new ReadableStream<Uint8Array>({
      start(controller): void {
        controller.enqueue(xorb.bytes.subarray(0, 100));
        controller.error(new Error('gone'));
      },
    });
    expect((await post(rig, { body: broken })).status).toBe(400);
    expect((await post(rig, { body: xorb.bytes })).status).toBe(200);
  });
});

describe('memory for bodies', () => {
  it('is shared: what does not fit waits, and too many waiting get 503', async () => {
    // The part of xorbs is smaller than the largest one: one body at a time grows.
    const rig = createRig({ options: { maxMemory: 16 * MIB, maxWaitingCount: 1 } });
    const [first, second, third] = [3, 4, 5].map((seed) =>
      buildXorb(randomChunks(seed, [90_000, 90_000])),
    ) as [BuiltXorb, BuiltXorb, BuiltXorb];
    const at = ({ hash }: BuiltXorb): string => `/v1/xorbs/default/${hash}`;
    let finish = (): void => undefined;
    const slow = new ReadableStream<Uint8Array>({
      start(controller): void {
        controller.enqueue(first.bytes.slice(0, 100_000));
        finish = () => {
          controller.enqueue(first.bytes.slice(100_000));
          controller.close();
        };
      },
    });
    const running = post(rig, { body: slow }, at(first));
    await settle();
    const waiting = post(rig, { body: streamBody(second.bytes, 50_000) }, at(second));
    await settle();
    const refused = await post(rig, { body: third.bytes }, at(third));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    finish();
    expect((await running).status).toBe(200);
    expect((await waiting).status).toBe(200);
    expect(rig.faults).toEqual([]);
    expect(rig.gateway.usage().usedBytes).toBeLessThan(MIB);
  });
});

describe('HEAD of a xorb', () => {
  it('says the stored length or 404', async () => {
    const rig = createRig();
    expect((await rig.send('HEAD', path)).status).toBe(404);
    await post(rig, { body: xorb.bytes });
    const response = await rig.send('HEAD', path);
    expect(response.status).toBe(200);
    const stored = xorb.bytes.length + encodeFooter(xorb).length;
    expect(response.headers.get('content-length')).toBe(String(stored));
    expect(response.body).toBeNull();
  });
});

describe('a store in trouble', () => {
  const failing = (code: 'DISK_FULL' | 'STORAGE_FAILED', name: string): ObjectStore => ({
    ...createMemoryStore(),
    async put(): Promise<boolean> {
      throw new OrbweaverError(code, `secret path /srv/data/${name}`);
    },
  });

  it('is 507 when it is full and 500 otherwise; the client learns no paths', async () => {
    for (const [code, status] of [
      ['DISK_FULL', 507],
      ['STORAGE_FAILED', 500],
    ] as const) {
      const rig = createRig({ store: failing(code, 'x') });
      const response = await post(rig, { body: xorb.bytes });
      expect(response.status).toBe(status);
      const text = await response.text();
      expect(JSON.parse(text).code).toBe(code);
      expect(text).not.toContain('/srv');
      expect(rig.faults).toMatchObject([{ status, method: 'POST', path }]);
      expect(rig.faults[0]?.requestId).toBe(response.headers.get('x-request-id'));
    }
  });

  it('or a verifier in trouble is 500, never a stored xorb', async () => {
    const rig = createRig({
      verifier: {
        async verify(): Promise<never> {
          throw new Error('a worker died');
        },
      },
    });
    const response = await post(rig, { body: xorb.bytes });
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('worker died');
    expect(await keysOf(rig.store, 'xorbs/')).toEqual([]);
  });

  it('or a verifier that answers for another xorb is not believed', async () => {
    const other = buildXorb(randomChunks(2, [50]));
    const rig = createRig({
      verifier: { verify: async () => ({ ...other, recordsBytes: other.bytes.length }) },
    });
    expect((await post(rig, { body: xorb.bytes })).status).toBe(400);
    expect(await keysOf(rig.store, 'xorbs/')).toEqual([]);
  });
});
