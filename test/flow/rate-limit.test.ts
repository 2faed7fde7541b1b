import { describe, expect, it } from 'vitest';
import { RateLimit, Scope } from '../../src/flow/index.js';
import { Scheduler } from './scheduler.js';

const SECOND = 1000;

/** `count` workers that move bytes, each step taking no time, until `untilMs`; the bytes in all. */
async function moved(
  world: Scheduler,
  limit: RateLimit,
  { count, untilMs, stepBytes }: { count: number; untilMs: number; stepBytes: number },
): Promise<number[]> {
  const scope = new Scope({ clock: world.clock });
  const totals = Array.from({ length: count }, () => 0);
  const work = async (i: number): Promise<void> => {
    while (world.clock.now() < untilMs) {
      const granted = await limit.take(stepBytes, scope);
      expect(granted).toBeGreaterThan(0);
      expect(granted).toBeLessThanOrEqual(stepBytes);
      // Some of it does not come.
      const used = world.random() < 0.2 ? granted >> 1 : granted;
      limit.giveBack(granted - used);
      if (world.clock.now() < untilMs) totals[i] = (totals[i] as number) + used;
    }
  };
  await world.run(Promise.all(totals.map((_, i) => work(i))));
  return totals;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('a rate limit', () => {
  it.each([
    [1, 5_000],
    [16, 5_000],
    [1, 200_000],
    [16, 1_000_000],
    [3, 125_000_000],
    [64, 20_000],
  ])(
    'keeps %i at a time to %i bytes a second within 5 %%, and all get their share',
    async (count, rate) => {
      const world = new Scheduler(count);
      const limit = new RateLimit(world.clock, rate);
      const totals = await moved(world, limit, { count, untilMs: 30 * SECOND, stepBytes: 4 << 20 });
      expect(sum(totals) / (30 * rate)).toBeGreaterThan(0.95);
      expect(sum(totals) / (30 * rate)).toBeLessThan(1.05);
      for (const total of totals) expect(total).toBeGreaterThan((sum(totals) / count) * 0.6);
    },
  );

  it('changes while it runs, also for those that wait', async () => {
    const world = new Scheduler(5);
    const limit = new RateLimit(world.clock, 1000);
    const first = moved(world, limit, { count: 4, untilMs: 40 * SECOND, stepBytes: 65_536 });
    let atChange = 0;
    world.clock.setTimer(20 * SECOND, () => {
      atChange = world.clock.now();
      limit.bytesPerSecond = 100_000;
    });
    const total = sum(await first);
    expect(atChange).toBe(20 * SECOND);
    expect(total / (20 * 1000 + 20 * 100_000)).toBeGreaterThan(0.95);
    expect(total / (20 * 1000 + 20 * 100_000)).toBeLessThan(1.05);
  });

  it('lets all go when it is taken away', async () => {
    const world = new Scheduler(6);
    const limit = new RateLimit(world.clock, 1);
    const scope = new Scope({ clock: world.clock });
    const waiting = Promise.all([limit.take(100, scope), limit.take(100, scope)]);
    world.clock.setTimer(0, () => {
      limit.bytesPerSecond = Number.POSITIVE_INFINITY;
    });
    expect(await world.run(waiting)).toEqual([100, 100]);
    expect(limit.isLimited).toBe(false);
  });

  it('gives nothing for time in which nobody asked, but a tenth of a second', async () => {
    const world = new Scheduler(7);
    const limit = new RateLimit(world.clock, 10_000);
    const scope = new Scope({ clock: world.clock });
    await world.run(scope.sleep(60 * SECOND));
    let got = 0;
    const take = async (): Promise<void> => {
      while (got < 20_000) got += await limit.take(20_000, scope);
    };
    const before = world.clock.now();
    await world.run(take());
    expect(world.clock.now() - before).toBeGreaterThan(1_750);
  });

  it('loses nobody when one of those that wait gives up', async () => {
    const world = new Scheduler(8);
    const limit = new RateLimit(world.clock, 1000);
    const scope = new Scope({ clock: world.clock });
    await world.run(scope.sleep(1));
    await world.run(limit.take(512, scope));
    const leaving = scope.child();
    const first = limit.take(512, leaving).then(
      () => 'got it',
      () => 'gave up',
    );
    const second = limit.take(512, scope);
    leaving.end('no more');
    expect(await world.run(Promise.all([first, second]))).toEqual(['gave up', 512]);
  });

  it.each([0, -1, Number.NaN])('of %d is refused', (rate) => {
    const { clock } = new Scheduler(9);
    expect(() => new RateLimit(clock, rate)).toThrow(RangeError);
    expect(() => {
      new RateLimit(clock).bytesPerSecond = rate;
    }).toThrow(RangeError);
  });
});
