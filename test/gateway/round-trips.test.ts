import { beforeAll, describe, expect, it } from 'vitest';
import {
  collectGarbage,
  createMemoryStore,
  type ObjectStore,
  scrubStore,
} from '../../src/gateway/index.js';
import {
  buildXorb,
  codec,
  createRig,
  fileOf,
  hasher,
  publish,
  randomChunks,
} from './support/rig.js';

interface Counted {
  readonly store: ObjectStore;
  /** Round trips one after another: what is asked for at the same time is one. */
  trips: number;
  requests: number;
}

/** A store as far away as S3: nothing is answered before everybody who can ask has asked. */
function distant(inner: ObjectStore): Counted {
  const counted = { trips: 0, requests: 0 };
  let waiting: (() => void)[] = [];
  const answer = (): void => {
    counted.trips++;
    const all = waiting;
    waiting = [];
    for (const go of all) go();
  };
  const trip = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    counted.requests++;
    await new Promise<void>((go) => {
      waiting.push(go);
      // Work between two requests gives way now and then; it is not a round trip.
      if (waiting.length === 1) afterTurns(8, answer);
    });
    return run();
  };
  const store: ObjectStore = {
    ...inner,
    head: (key) => trip(() => inner.head(key)),
    read: (key, range) => trip(() => inner.read(key, range)),
    readTail: (key, bytes) =>
      trip(async () => {
        const info = await inner.head(key);
        const start = Math.max(0, (info?.sizeBytes ?? 0) - bytes);
        const tail = await inner.read(key, { start, end: info?.sizeBytes ?? 0 });
        return info === null || tail === null ? null : { bytes: tail, info };
      }),
    open: (key) =>
      trip(async () => {
        const reader = await inner.open(key);
        return reader && { ...reader, readAt: (into, at) => trip(() => reader.readAt(into, at)) };
      }),
    put: (key, body, options) => trip(() => inner.put(key, body, options)),
  };
  return Object.assign(counted, { store });
}

function afterTurns(count: number, run: () => void): void {
  setImmediate(() => (count === 1 ? run() : afterTurns(count - 1, run)));
}

describe('round trips to a distant store', () => {
  const XORBS = 500;
  const xorbs = Array.from({ length: XORBS }, (_, index) =>
    buildXorb(randomChunks(index, [100 + index, 50])),
  );
  const file = fileOf(xorbs.map((xorb) => [xorb, 0, 2] as const));
  const store = createMemoryStore();
  beforeAll(() => publish(createRig({ store }), xorbs, [file]));

  it('of a reconstruction of 500 xorbs are at most 20, and fewer when it is asked for again', async () => {
    const counted = distant(store);
    const rig = createRig({ store: counted.store });
    const ask = async (query = ''): Promise<number> => {
      counted.trips = 0;
      counted.requests = 0;
      const response = await rig.send('GET', `/v2/reconstructions/${file.hash}${query}`);
      expect(response.status).toBe(200);
      const { terms } = (await response.json()) as { terms: readonly unknown[] };
      expect(terms).toHaveLength(XORBS);
      return counted.trips;
    };
    const cold = await ask();
    expect(cold).toBeLessThanOrEqual(20);
    expect(counted.requests).toBeLessThanOrEqual(XORBS + 20);
    expect(await ask()).toBeLessThanOrEqual(12);
    expect(await ask('?chunk_byte_sizes=true')).toBeLessThanOrEqual(20);
  });

  it('of a range in a cold gateway are few, too', async () => {
    const counted = distant(store);
    const rig = createRig({ store: counted.store });
    const headers = { range: 'bytes=1000-20000' };
    const response = await rig.send('GET', `/v2/reconstructions/${file.hash}`, { headers });
    expect(response.status).toBe(200);
    await response.text();
    expect(counted.trips).toBeLessThanOrEqual(15);
  });

  it('of a collection and of a scrub are a fraction of the objects', async () => {
    const many = createMemoryStore();
    const rig = createRig({ store: many });
    const COUNT = 96;
    for (const xorb of xorbs.slice(0, COUNT)) {
      await publish(rig, [xorb], [fileOf([[xorb, 0, 2]])]);
    }
    const counted = distant(many);
    const { keptObjects } = await collectGarbage(counted.store, { hasher, graceMs: 0 });
    expect(keptObjects).toBe(2 * COUNT);
    expect(counted.trips).toBeLessThanOrEqual(COUNT / 2);
    counted.trips = 0;
    const scrubbed = await scrubStore(counted.store, { hasher, codec });
    expect(scrubbed).toMatchObject({ checkedObjects: 3 * COUNT, damaged: [] });
    expect(counted.trips).toBeLessThanOrEqual(COUNT);
  });
});
