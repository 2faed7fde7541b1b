import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/flow/index.js';
import { createBodyBuffers } from '../../src/gateway/body-buffers.js';

const MIB = 1024 * 1024;

function createClock(): Clock & { readonly timers: Set<() => void> } {
  const timers = new Set<() => void>();
  return {
    timers,
    now: () => 0,
    unixMs: () => 0,
    setTimer(_, callback) {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  };
}

describe('memory for bodies', () => {
  it('is used again for the next body', () => {
    const clock = createClock();
    const buffers = createBodyBuffers(clock, 4 * MIB);
    const first = buffers.take();
    expect(first.length).toBe(4 * MIB);
    buffers.giveBack(first);
    expect(clock.timers.size).toBe(1);
    const second = buffers.take();
    expect(second.buffer).toBe(first.buffer);
    expect(second.length).toBe(4 * MIB);
    expect(clock.timers.size).toBe(0);
  });

  it('is never in two hands', () => {
    const buffers = createBodyBuffers(createClock(), 4 * MIB);
    const [a, b] = [buffers.take(), buffers.take()];
    expect(a.buffer).not.toBe(b.buffer);
    buffers.giveBack(a);
    buffers.giveBack(b);
    const [c, d] = [buffers.take(), buffers.take()];
    expect(c.buffer).toBe(a.buffer);
    expect(d.buffer).not.toBe(c.buffer);
  });

  it('is let go after a while without bodies, and when the gateway is closed', () => {
    const clock = createClock();
    const buffers = createBodyBuffers(clock, 4 * MIB);
    const first = buffers.take();
    buffers.giveBack(first);
    for (const fire of clock.timers) fire();
    expect(buffers.take().buffer).not.toBe(first.buffer);
    buffers.giveBack(first);
    buffers.close();
    expect(clock.timers.size).toBe(0);
    buffers.giveBack(first);
    expect(clock.timers.size).toBe(0);
  });
});
