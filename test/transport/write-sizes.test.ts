import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createWriteSizes,
  LEAST_WRITE_BYTES,
  MOST_WRITE_BYTES,
} from '../../src/transport/write-sizes.js';

const MIB = 1024 * 1024;
/** What the kernels may hold without anything having arrived. */
const BUFFERED = 10 * MIB;

/** Sends a body over a link; `bytesPerSecond` once the buffers are full. Gives the sizes of its writes. */
function send(
  writes: ReturnType<typeof createWriteSizes>,
  body: { sizeBytes: number; startMs: number; bytesPerSecond: (nowMs: number) => number },
): { sizes: number[]; endMs: number } {
  const sending = writes.start(body.startMs);
  const sizes: number[] = [];
  let nowMs = body.startMs;
  for (let sent = 0; sent < body.sizeBytes; ) {
    const size = Math.min(sending.next(sent, nowMs), body.sizeBytes - sent);
    sizes.push(size);
    sent += size;
    if (sent > BUFFERED) nowMs += (size * 1000) / body.bytesPerSecond(nowMs);
  }
  nowMs += (Math.min(BUFFERED, body.sizeBytes) * 1000) / body.bytesPerSecond(nowMs);
  sending.arrived(body.sizeBytes, nowMs);
  return { sizes, endMs: nowMs };
}

describe('the sizes of writes', () => {
  it('begin small and grow once more has arrived than buffers hold', () => {
    const writes = createWriteSizes();
    const fast = () => 500 * MIB;
    const { sizes, endMs } = send(writes, {
      sizeBytes: 40 * MIB,
      startMs: 0,
      bytesPerSecond: fast,
    });
    const small = sizes.filter((size) => size === LEAST_WRITE_BYTES).length;
    expect(small * LEAST_WRITE_BYTES).toBeGreaterThanOrEqual(BUFFERED);
    expect(sizes.at(-2)).toBe(MOST_WRITE_BYTES);
    // The next body begins where this one ended.
    const next = send(writes, { sizeBytes: 40 * MIB, startMs: endMs, bytesPerSecond: fast });
    expect(next.sizes).toEqual(Array.from({ length: 10 }, () => MOST_WRITE_BYTES));
  });

  it('are what the link carries within a quarter of a second, and never below 64 KiB', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 100 * MIB }), (bytesPerSecond) => {
        const writes = createWriteSizes();
        for (let round = 0, startMs = 0; round < 2; round++) {
          const body = { sizeBytes: 30 * MIB, startMs, bytesPerSecond: () => bytesPerSecond };
          const { sizes, endMs } = send(writes, body);
          startMs = endMs;
          const most = Math.max(...sizes);
          expect(most).toBeLessThanOrEqual(Math.max(LEAST_WRITE_BYTES, 0.26 * bytesPerSecond));
          expect(most).toBeLessThanOrEqual(MOST_WRITE_BYTES);
          expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(LEAST_WRITE_BYTES);
        }
      }),
    );
  });

  it('fall back in the middle of a body when the link becomes slow, and stay so', () => {
    const writes = createWriteSizes();
    const first = send(writes, {
      sizeBytes: 40 * MIB,
      startMs: 0,
      bytesPerSecond: () => 100 * MIB,
    });
    const { sizes, endMs } = send(writes, {
      sizeBytes: 40 * MIB,
      startMs: first.endMs,
      bytesPerSecond: (nowMs) => (nowMs < first.endMs + 100 ? 100 * MIB : 50_000),
    });
    expect(sizes[0]).toBe(MOST_WRITE_BYTES);
    expect(sizes.at(-2)).toBe(LEAST_WRITE_BYTES);
    const next = send(writes, { sizeBytes: MIB, startMs: endMs, bytesPerSecond: () => 50_000 });
    expect(next.sizes[0]).toBe(LEAST_WRITE_BYTES);
  });

  it('begin small again after a stall', () => {
    const writes = createWriteSizes();
    const { endMs } = send(writes, {
      sizeBytes: 40 * MIB,
      startMs: 0,
      bytesPerSecond: () => 100 * MIB,
    });
    writes.stalled();
    expect(writes.start(endMs).next(0, endMs)).toBe(LEAST_WRITE_BYTES);
  });
});
