import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createByteBudget } from '../../src/gateway/byte-budget.js';
import { createRandomBytes, createSystemClock } from '../../src/gateway/index.js';
import { createLruCache } from '../../src/gateway/lru.js';
import { mapLimited, streamOf } from '../../src/gateway/streams.js';

const never = new AbortController().signal;

describe('a byte budget', () => {
  it('admits in order, and never more than it has', async () => {
    const budget = createByteBudget(100, 10);
    const first = await budget.acquire(60, never);
    const order: string[] = [];
    const big = budget.acquire(80, never).then((release) => {
      order.push('big');
      return release;
    });
    // Small enough to fit now, but others were first.
    const small = budget.acquire(10, never).then((release) => {
      order.push('small');
      return release;
    });
    expect(budget.waitingCount).toBe(2);
    await Promise.resolve();
    expect(order).toEqual([]);
    first();
    first();
    (await big)();
    (await small)();
    expect(order).toEqual(['big', 'small']);
    expect(budget.usedBytes).toBe(0);
  });

  it('lets one in that wants more than all of it', async () => {
    const budget = createByteBudget(100, 10);
    const release = await budget.acquire(1000, never);
    expect(budget.usedBytes).toBe(100);
    release();
    expect(budget.usedBytes).toBe(0);
  });

  it('forgets who left while waiting, and lets in who waited behind', async () => {
    const budget = createByteBudget(100, 10);
    const release = await budget.acquire(50, never);
    const leaving = new AbortController();
    const big = budget.acquire(100, leaving.signal);
    const small = budget.acquire(50, never);
    leaving.abort();
    await expect(big).rejects.toMatchObject({ code: 'ABORTED' });
    (await small)();
    release();
    await expect(budget.acquire(1, leaving.signal)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(budget.usedBytes).toBe(0);
  });

  it('turns away more than may wait', async () => {
    const budget = createByteBudget(1, 1);
    const release = await budget.acquire(1, never);
    const waiting = budget.acquire(1, never);
    await expect(budget.acquire(1, never)).rejects.toMatchObject({ fields: { status: 503 } });
    release();
    (await waiting)();
  });
});

describe('a cache', () => {
  it('forgets what was not used for longest', () => {
    const cache = createLruCache<string>(10);
    cache.set('a', 'A', 4);
    cache.set('b', 'B', 4);
    expect(cache.get('a')).toBe('A');
    cache.set('c', 'C', 4);
    expect(cache.get('b')).toBeUndefined();
    expect(cache.get('a')).toBe('A');
    cache.set('a', 'A2', 1);
    expect(cache.weightBytes).toBe(5);
    cache.set('huge', 'H', 11);
    expect(cache.get('huge')).toBeUndefined();
    expect(cache.get('a')).toBe('A2');
  });

  it('never weighs more than it may', () => {
    const step = fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 40 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const cache = createLruCache<number>(100);
        for (const [key, weight] of steps) {
          cache.set(String(key), weight, weight);
          expect(cache.weightBytes).toBeLessThanOrEqual(100);
          expect(cache.get(String(key))).toBe(weight);
        }
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});

describe('limited concurrency', () => {
  it('keeps the order, the limit, and stops at the first error', async () => {
    let running = 0;
    let most = 0;
    const results = await mapLimited([5, 1, 3, 2, 4], 2, async (item) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, item));
      running--;
      return item * 10;
    });
    expect(results).toEqual([50, 10, 30, 20, 40]);
    expect(most).toBe(2);
    const seen: number[] = [];
    const failing = mapLimited([1, 2, 3, 4, 5, 6], 2, async (item) => {
      seen.push(item);
      if (item === 2) throw new Error('two');
    });
    await expect(failing).rejects.toThrow('two');
    expect(seen.length).toBeLessThan(6);
    expect(await mapLimited([], 4, async () => 1)).toEqual([]);
  });
});

describe('a stream of an iterable', () => {
  it('opens it at the first read and closes it when the reader leaves', async () => {
    const log: string[] = [];
    const source = async function* (): AsyncGenerator<Uint8Array> {
      log.push('open');
      try {
        for (;;) yield new Uint8Array(1);
      } finally {
        log.push('closed');
      }
    };
    const unread = streamOf(source());
    await unread.cancel();
    expect(log).toEqual([]);
    const reader = streamOf(source()).getReader();
    await reader.read();
    await reader.cancel();
    expect(log).toEqual(['open', 'closed']);
  });
});

describe('the platform', () => {
  it('has a clock with timers that can be taken back, and random bytes', async () => {
    const clock = createSystemClock();
    expect(Math.abs(clock.nowMs() - Date.now())).toBeLessThan(1000);
    const fired: string[] = [];
    clock.setTimer(1, () => fired.push('kept'));
    clock.setTimer(1, () => fired.push('taken back'))();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(fired).toEqual(['kept']);
    const random = createRandomBytes();
    expect(random(32)).toHaveLength(32);
    expect(Buffer.from(random(32)).equals(Buffer.from(random(32)))).toBe(false);
  });
});
