import { describe, expect, it } from 'vitest';
import { SlabAllocator } from '../../src/workers/slab-allocator.js';

function allocator(count: number): { slabs: SlabAllocator; created: () => number } {
  let created = 0;
  const slabs = new SlabAllocator(count, () => {
    created++;
    return { offset: -1, bytes: new Uint8Array(8) };
  });
  return { slabs, created: () => created };
}

describe('the slab allocator', () => {
  it('hands out slabs until there are none, and makes no more than are in use', async () => {
    const { slabs, created } = allocator(3);
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

  it('serves those who wait in order, and nobody overtakes', async () => {
    const { slabs } = allocator(3);
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

  it('lets a waiter give up, and serves the next', async () => {
    const { slabs } = allocator(2);
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

  it('tells when somebody has to wait', async () => {
    const { slabs } = allocator(1);
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

  it('keeps a slab that was given back while a task uses it', async () => {
    const { slabs } = allocator(1);
    const [a] = await slabs.acquire(1);
    const end = slabs.beginTask(
      (a as unknown as { block: Parameters<typeof slabs.beginTask>[0] }).block,
    );
    a?.release();
    expect(slabs.freeCount).toBe(0);
    end();
    expect(slabs.freeCount).toBe(1);
  });

  it('refuses what it can never give, and everything after it was closed', async () => {
    const { slabs } = allocator(2);
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
