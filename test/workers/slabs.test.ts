import { describe, expect, it } from 'vitest';
import { Deferred } from '../../src/flow/index.js';
import { Slabs } from '../../src/workers/slabs.js';

function makeSlabs(slabCount: number): { slabs: Slabs; created: () => number } {
  let created = 0;
  const slabs = new Slabs({
    slabCount,
    sharedMemory: true,
    create: (index) => {
      created++;
      return { offset: 8 * index, bytes: new Uint8Array(8) };
    },
  });
  return { slabs, created: () => created };
}

describe('the slabs of a pool', () => {
  it('are handed out until there are none, and no more are made than are in use', async () => {
    const { slabs, created } = makeSlabs(3);
    for (let i = 0; i < 5; i++) for (const slab of await slabs.acquire(2)) slab.release();
    expect(created()).toBe(2);
    expect(slabs.freeCount).toBe(3);
    const held = await slabs.acquire(3);
    expect(slabs.freeCount).toBe(0);
    held[0]?.release();
    held[0]?.release();
    expect(slabs.freeCount).toBe(1);
    expect(() => held[0]?.bytes).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  it('go to those who wait in order, and nobody overtakes', async () => {
    const { slabs } = makeSlabs(3);
    const [a, b, c] = await slabs.acquire(3);
    const order: string[] = [];
    const big = slabs.acquire(2).then((got) => {
      order.push('big');
      return got;
    });
    const small = slabs.acquire(1).then((got) => {
      order.push('small');
      return got;
    });
    expect(slabs.waitingCount).toBe(2);
    a?.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    b?.release();
    c?.release();
    await Promise.all([big, small]);
    expect(order).toEqual(['big', 'small']);
  });

  it('go to the next one when a waiter gives up', async () => {
    const { slabs } = makeSlabs(2);
    const [a] = await slabs.acquire(2);
    const controller = new AbortController();
    const big = slabs.acquire(2, controller.signal);
    const small = slabs.acquire(1);
    a?.release();
    controller.abort();
    await expect(big).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(small).resolves.toHaveLength(1);
    await expect(slabs.acquire(1, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('are said to be short when somebody has to wait', async () => {
    const { slabs } = makeSlabs(1);
    let starved = 0;
    const stop = slabs.onStarved(() => starved++);
    const [a] = await slabs.acquire(1);
    expect(starved).toBe(0);
    const next = slabs.acquire(1);
    expect(starved).toBe(1);
    a?.release();
    await next;
    stop();
    void slabs.acquire(1);
    expect(starved).toBe(1);
  });

  it('stay away while a task or a borrower uses them, whatever their owner does', async () => {
    const { slabs } = makeSlabs(1);
    const [first] = await slabs.acquire(1);
    if (first === undefined) throw new Error('no slab');
    const turn = new Deferred<{ buffers: readonly Uint8Array[] }>();
    const task = slabs.borrow([first], ([offset], transfer) => {
      expect([offset, transfer]).toEqual([0, []]);
      return turn.promise;
    });
    const moved = first.move();
    expect(() => first.bytes).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    const endLoan = moved.borrow();
    moved.release();
    endLoan();
    expect(slabs.freeCount).toBe(0);
    turn.reject(new Error('it failed'));
    await expect(task).rejects.toThrow('it failed');
    expect(slabs.freeCount).toBe(1);
  });

  it('of another pool are refused', async () => {
    const [slab] = await makeSlabs(1).slabs.acquire(1);
    if (slab === undefined) throw new Error('no slab');
    const run = makeSlabs(1).slabs.borrow([slab], async () => ({ buffers: [] }));
    await expect(run).rejects.toBeInstanceOf(TypeError);
  });

  it('are refused where there can never be enough, and after the end', async () => {
    const { slabs } = makeSlabs(2);
    for (const count of [0, 3, 1.5]) {
      await expect(slabs.acquire(count)).rejects.toBeInstanceOf(RangeError);
    }
    await slabs.acquire(2);
    const waiting = slabs.acquire(1);
    slabs.close();
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(slabs.acquire(1)).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
