import { describe, expect, it } from 'vitest';
import { createBodyBuffers } from '../../src/gateway/body-buffers.js';
import type { Clock } from '../../src/gateway/ports.js';

const MIB = 1024 * 1024;

function createClock(): Clock & { readonly timers: Set<() => void> } {
  const timers = new Set<() => void>();
  return {
    timers,
    nowMs: () => 0,
    setTimer(_, callback) {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  };
}

describe('memory for bodies', () => {
  it('is used again for the next body, whatever their lengths', () => {
    const clock = createClock();
    const buffers = createBodyBuffers(clock, 4 * MIB);
    const first = buffers.take(3 * MIB);
    expect(first.length).toBe(3 * MIB);
    buffers.giveBack(first);
    expect(clock.timers.size).toBe(1);
    const second = buffers.take(4 * MIB);
    expect(second.buffer).toBe(first.buffer);
    expect(second.length).toBe(4 * MIB);
    expect(clock.timers.size).toBe(0);
  });

  it('is never in two hands', () => {
    const buffers = createBodyBuffers(createClock(), 4 * MIB);
    const [a, b] = [buffers.take(2 * MIB), buffers.take(2 * MIB)];
    expect(a.buffer).not.toBe(b.buffer);
    buffers.giveBack(a);
    buffers.giveBack(b);
    const [c, d] = [buffers.take(2 * MIB), buffers.take(2 * MIB)];
    expect(c.buffer).toBe(a.buffer);
    expect(d.buffer).not.toBe(c.buffer);
  });

  it('is let go after a while without bodies, and when the gateway is closed', () => {
    const clock = createClock();
    const buffers = createBodyBuffers(clock, 4 * MIB);
    const first = buffers.take(2 * MIB);
    buffers.giveBack(first);
    for (const fire of clock.timers) fire();
    expect(buffers.take(2 * MIB).buffer).not.toBe(first.buffer);
    buffers.giveBack(first);
    buffers.close();
    expect(clock.timers.size).toBe(0);
    buffers.giveBack(first);
    expect(clock.timers.size).toBe(0);
  });

  it('is fresh and small for small bodies', () => {
    const buffers = createBodyBuffers(createClock(), 4 * MIB);
    const small = buffers.take(100);
    expect(small.buffer.byteLength).toBe(100);
    buffers.giveBack(small);
    expect(buffers.take(100).buffer).not.toBe(small.buffer);
  });
});
