import { describe, expect, it, vi } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import { Budget, Owned, ordered, Scope } from '../../src/flow/index.js';
import { Scheduler } from './scheduler.js';

const SEEDS = Array.from({ length: 200 }, (_, seed) => seed);

describe('Scope', () => {
  it('ends once, with the first reason', () => {
    const scope = new Scope();
    const first = new OrbweaverError('NETWORK', 'first');
    scope.end(first);
    scope.end(new OrbweaverError('STALLED', 'second'));
    expect(scope.reason).toBe(first);
    expect(() => scope.check()).toThrow(first);
  });

  it('makes ABORTED of anything that is no error of ours, and keeps the cause', () => {
    const scope = new Scope({ what: 'the upload' });
    scope.end('enough');
    expect(scope.reason.code).toBe('ABORTED');
    expect(scope.reason.message).toBe('the upload was cancelled');
    expect(scope.reason.cause).toBe('enough');
  });

  it('follows a signal, also one that has fired already, with one listener for any number of waits', async () => {
    const controller = new AbortController();
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const scope = new Scope({ signal: controller.signal });
    const waits = Array.from({ length: 50 }, () => scope.race(new Promise(() => {})));
    expect(add).toHaveBeenCalledTimes(1);
    controller.abort('stop');
    for (const result of await Promise.allSettled(waits)) expect(result.status).toBe('rejected');
    expect(new Scope({ signal: controller.signal }).ended).toBe(true);
  });

  it('lets go of the signal when it is closed', () => {
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const scope = new Scope({ signal: controller.signal });
    scope.close();
    expect(remove).toHaveBeenCalledTimes(1);
    controller.abort();
    expect(scope.reason.code).toBe('CLOSED');
  });

  it('gives a call a signal of its own and does not wait for a call that ignores it', async () => {
    const scope = new Scope();
    let seen: AbortSignal | undefined;
    const call = scope.call((signal) => {
      seen = signal;
      return new Promise(() => {});
    });
    scope.end(new OrbweaverError('NETWORK', 'gone'));
    await expect(call).rejects.toMatchObject({ code: 'NETWORK' });
    expect(seen?.aborted).toBe(true);
    await expect(scope.call(async () => 1)).rejects.toMatchObject({ code: 'NETWORK' });
  });

  it('gives back what comes too late, and keeps what came in time', async () => {
    for (const seed of SEEDS) {
      const world = new Scheduler(seed);
      const scope = new Scope();
      const late: number[] = [];
      const kept: number[] = [];
      const work = Array.from({ length: 6 }, (_, i) =>
        scope
          .obtain(
            () => world.op(() => i),
            (value) => late.push(value),
          )
          .then(
            (value) => kept.push(value),
            () => undefined,
          ),
      );
      void world.op(() => scope.end('enough'));
      await world.run(Promise.all(work));
      while (world.pendingCount > 0) await world.run(world.op(() => undefined));
      expect([...late, ...kept].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    }
  });

  it('ends its children, and is not ended by them', () => {
    const scope = new Scope();
    const one = scope.child();
    const two = scope.child({ what: 'a part' });
    one.end('enough');
    expect(scope.ended).toBe(false);
    expect(two.ended).toBe(false);
    scope.end(new OrbweaverError('STALLED', 'all of it'));
    expect(two.reason.code).toBe('STALLED');
    expect(one.reason.code).toBe('ABORTED');
    expect(scope.child().reason.code).toBe('STALLED');
  });

  it('has timers that are gone when it ends', async () => {
    const world = new Scheduler(1);
    const scope = new Scope({ clock: world.clock });
    const fired: string[] = [];
    scope.after(10, () => fired.push('ten'));
    scope.after(30, () => fired.push('thirty'));
    scope.after(5, () => fired.push('cancelled'))();
    await world.advance(20);
    scope.close();
    await world.advance(20);
    expect(fired).toEqual(['ten']);
    await expect(scope.sleep(1)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('sleeps by the clock, and wakes with the reason when it ends', async () => {
    const world = new Scheduler(1);
    const scope = new Scope({ clock: world.clock });
    await world.run(scope.sleep(60_000));
    expect(world.clock.now()).toBe(60_000);
    const sleeping = scope.sleep(60_000);
    scope.end(new OrbweaverError('NETWORK', 'gone'));
    await expect(sleeping).rejects.toMatchObject({ code: 'NETWORK' });
  });

  it('is ended by work that was spawned and failed, and waits for the rest', async () => {
    const world = new Scheduler(3);
    const scope = new Scope();
    let ended = 0;
    for (let i = 0; i < 5; i++) {
      void scope.spawn(
        world.op(() => {
          ended++;
          if (i === 2) throw new OrbweaverError('INTEGRITY', 'number two');
        }),
      );
    }
    await world.run(scope.settled());
    expect(ended).toBe(5);
    expect(scope.reason.message).toBe('number two');
  });
});

describe('Owned', () => {
  it('goes back once, when the owner has released it and the last borrower is done', () => {
    const giveBack = vi.fn();
    const owned = new Owned('slab', giveBack);
    const one = owned.borrow();
    const two = owned.borrow();
    one();
    one();
    owned.release();
    owned.release();
    expect(giveBack).not.toHaveBeenCalled();
    two();
    expect(giveBack).toHaveBeenCalledExactlyOnceWith('slab');
  });

  it('is dead after it was moved or released', () => {
    const giveBack = vi.fn();
    const first = new Owned(1, giveBack);
    const second = first.move();
    expect(() => first.value).toThrow(/moved or released/);
    expect(() => first.borrow()).toThrow(/moved or released/);
    expect(() => first.move()).toThrow(/moved or released/);
    expect(first.isHeld).toBe(false);
    first.release();
    expect(giveBack).not.toHaveBeenCalled();
    expect(second.value).toBe(1);
    second.release();
    expect(() => second.value).toThrow(/moved or released/);
    expect(giveBack).toHaveBeenCalledTimes(1);
  });
});

describe('ordered', () => {
  it('commits in order whatever the order of completion, within its limit', async () => {
    for (const seed of SEEDS) {
      const world = new Scheduler(seed);
      const scope = new Scope();
      const limit = 1 + world.int(6);
      const committed: number[] = [];
      let running = 0;
      let most = 0;
      const stage = ordered<number, number>({
        scope,
        limit,
        run: async (item) => {
          running++;
          most = Math.max(most, running);
          await world.op(() => undefined);
          running--;
          return item * 2;
        },
        commit: (out, item) => world.op(() => void committed.push(out - item)),
      });
      await world.run(
        (async () => {
          for (let item = 0; item < 20; item++) await stage.push(item);
          await stage.drain();
        })(),
      );
      expect(committed).toEqual(Array.from({ length: 20 }, (_, i) => i));
      expect(most).toBeLessThanOrEqual(limit);
    }
  });

  it('commits nothing after the first failure, and says why to everybody', async () => {
    for (const seed of SEEDS) {
      const world = new Scheduler(seed);
      const scope = new Scope();
      const bad = world.int(10);
      const committed: number[] = [];
      const stage = ordered<number, number>({
        scope,
        limit: 4,
        run: (item) =>
          world.op(() => {
            if (item === bad) throw new OrbweaverError('INTEGRITY', 'bad');
            return item;
          }),
        commit: (out) => void committed.push(out),
      });
      const all = (async () => {
        for (let item = 0; item < 10; item++) await stage.push(item);
        await stage.drain();
      })();
      await expect(world.run(all)).rejects.toMatchObject({ code: 'INTEGRITY' });
      await world.run(scope.settled());
      expect(committed.every((item, i) => item === i && item < bad)).toBe(true);
    }
  });
});

describe('Budget', () => {
  it('never holds more than its capacity, serves in order, and ends empty', async () => {
    for (const seed of SEEDS) {
      const world = new Scheduler(seed);
      const scope = new Scope();
      const budget = new Budget({ capacityBytes: 100 });
      const granted: number[] = [];
      const user = async (number: number): Promise<void> => {
        const held = await budget.acquire(1 + world.int(150), scope);
        granted.push(number);
        expect(budget.usedBytes).toBeLessThanOrEqual(100);
        await world.op(() => undefined);
        if (world.random() < 0.3) held.resize(Math.floor(held.bytes / 2));
        await world.op(() => undefined);
        held.release();
        held.release();
      };
      await world.run(Promise.all(Array.from({ length: 12 }, (_, number) => user(number))));
      expect(granted).toEqual(Array.from({ length: 12 }, (_, number) => number));
      expect(budget.usedBytes).toBe(0);
      expect(budget.peakBytes).toBeLessThanOrEqual(100);
    }
  });

  it('counts its parts, which wait for each other only for what they share', async () => {
    for (const seed of SEEDS) {
      const world = new Scheduler(seed);
      const scope = new Scope();
      const whole = new Budget({ capacityBytes: 100 });
      const parts = [whole.part(60), whole.part(60)] as const;
      const user = async (part: Budget, bytes: number): Promise<void> => {
        const held = await part.acquire(bytes, scope);
        expect(parts[0].usedBytes + parts[1].usedBytes).toBe(whole.usedBytes);
        expect(whole.usedBytes).toBeLessThanOrEqual(100);
        await world.op(() => undefined);
        held.release();
      };
      const users = Array.from({ length: 20 }, () =>
        user(parts[world.int(2)] as Budget, 1 + world.int(60)),
      );
      await world.run(Promise.all(users));
      expect(whole.usedBytes).toBe(0);
    }
  });

  it('gives the turn of one who is gone to the next', async () => {
    const budget = new Budget({ capacityBytes: 10 });
    const scope = new Scope();
    const first = await budget.acquire(10, scope);
    const impatient = scope.child();
    const waiting = budget.acquire(10, impatient);
    const next = budget.acquire(5, scope);
    impatient.end('enough');
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    first.release();
    (await next).release();
    expect(budget.usedBytes).toBe(0);
    expect(budget.waitingCount).toBe(0);
  });

  it('refuses when too many wait, and takes a request for more than all as all', async () => {
    const budget = new Budget({ capacityBytes: 10, maxWaiting: 1 });
    const scope = new Scope();
    const all = await budget.acquire(1_000_000, scope);
    expect(all.bytes).toBe(10);
    expect(budget.tryAcquire(1)).toBeNull();
    const second = budget.acquire(1, scope);
    await expect(budget.acquire(1, scope)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    all.release();
    (await second).release();
  });
});

describe('Scheduler', () => {
  it('says that work hangs instead of waiting for it', async () => {
    await expect(new Scheduler(1).run(new Promise(() => {}))).rejects.toThrow(/hangs/);
  });

  it('permutes completions by its seed, the same way each time', async () => {
    const orderOf = async (seed: number): Promise<number[]> => {
      const world = new Scheduler(seed);
      const order: number[] = [];
      const all = Array.from({ length: 8 }, (_, i) => world.op(() => void order.push(i)));
      await world.run(Promise.all(all));
      return order;
    };
    expect(await orderOf(5)).toEqual(await orderOf(5));
    expect(await orderOf(5)).not.toEqual(await orderOf(6));
  });
});
