import { describe, expect, it } from 'vitest';
import { Scope } from '../../src/flow/index.js';
import { createHostLimiter } from '../../src/transport/host-limiter.js';
import { createTestClock, type TestClock } from './support.js';

/** Lets waiters run between steps of the clock. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

async function run(clock: TestClock, ms: number, step: number): Promise<void> {
  for (let at = 0; at < ms; at += step) {
    clock.advance(step);
    await settle();
  }
}

describe('the limiter per host', () => {
  it('holds nobody back before a host asks for it', async () => {
    const clock = createTestClock();
    const limiter = createHostLimiter(clock, 300_000);
    for (let i = 0; i < 1000; i++) await limiter.enter('a', new Scope({ clock }));
    limiter.succeeded('a');
    expect(clock.waiting).toBe(0);
  });

  it('lets nobody in before the asked pause is over, and only at that host', async () => {
    const clock = createTestClock();
    const limiter = createHostLimiter(clock, 300_000);
    limiter.limited('a', 5000);
    await limiter.enter('b', new Scope({ clock }));
    let entered = false;
    const waiter = limiter.enter('a', new Scope({ clock })).then(() => {
      entered = true;
    });
    await run(clock, 4990, 499);
    expect(entered).toBe(false);
    await run(clock, 20, 10);
    await waiter;
    expect(entered).toBe(true);
  });

  it('sends waiters round again when another pause begins while they wait', async () => {
    const clock = createTestClock();
    const limiter = createHostLimiter(clock, 300_000);
    limiter.limited('a', 1000);
    let entered = false;
    const waiter = limiter.enter('a', new Scope({ clock })).then(() => {
      entered = true;
    });
    await run(clock, 500, 100);
    limiter.limited('a', 2000);
    await run(clock, 1900, 100);
    expect(entered).toBe(false);
    await run(clock, 3000, 100);
    await waiter;
  });

  it('never exceeds 10 requests a second at a server that allows 10, after the first 429', async () => {
    const clock = createTestClock();
    const limiter = createHostLimiter(clock, 300_000);
    const accepted: number[] = [];
    const arrivals: number[] = [];
    let firstRefusal = Number.POSITIVE_INFINITY;
    const worker = async (): Promise<void> => {
      for (let i = 0; i < 25; i++) {
        for (;;) {
          await limiter.enter('a', new Scope({ clock }));
          const now = clock.now();
          if (now > firstRefusal) arrivals.push(now);
          if (accepted.filter((at) => now - at < 1000).length < 10) {
            accepted.push(now);
            limiter.succeeded('a');
            break;
          }
          firstRefusal = Math.min(firstRefusal, now);
          limiter.limited('a', null);
        }
      }
    };
    const workers = Promise.all([worker(), worker(), worker(), worker()]);
    await run(clock, 40_000, 25);
    await workers;
    expect(accepted).toHaveLength(100);
    for (const at of arrivals) {
      expect(
        arrivals.filter((other) => other >= at && other < at + 1000).length,
      ).toBeLessThanOrEqual(10);
    }
  });

  it('forgets after a minute of quiet', async () => {
    const clock = createTestClock();
    const limiter = createHostLimiter(clock, 300_000);
    limiter.limited('a', 1000);
    clock.advance(62_000);
    for (let i = 0; i < 50; i++) await limiter.enter('a', new Scope({ clock }));
    expect(clock.waiting).toBe(0);
  });

  it('ends waiting with ABORTED when the caller gives up', async () => {
    const clock = createTestClock();
    const limiter = createHostLimiter(clock, 300_000);
    limiter.limited('a', 1000);
    const controller = new AbortController();
    const waiter = limiter.enter('a', new Scope({ clock, signal: controller.signal }));
    controller.abort();
    await expect(waiter).rejects.toMatchObject({ code: 'ABORTED' });
    expect(clock.waiting).toBe(0);
  });
});
