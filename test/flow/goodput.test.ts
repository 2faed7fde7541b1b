import { describe, expect, it } from 'vitest';
import { Goodput } from '../../src/flow/index.js';
import { fixed, type LinkModel, simulate } from './link-simulator.js';

const DURATION_MS = 120_000;
const FIXED = [1, 2, 4, 8, 16, 32];

function seek(link: LinkModel, start: number, durationMs = DURATION_MS) {
  let nowMs = 0;
  const goodput = new Goodput({ clock: { now: () => nowMs }, start, most: 32 });
  const limits: { readonly nowMs: number; readonly limit: number }[] = [];
  const bytes = simulate(link, goodput, durationMs, (now) => {
    nowMs = now;
    if (limits.at(-1)?.limit !== goodput.limit) limits.push({ nowMs, limit: goodput.limit });
  });
  return { bytes, limits, limit: goodput.limit };
}

const LINKS: LinkModel[] = [1, 10, 100, 1000].flatMap((mbitPerS) =>
  [10, 50, 100, 300].map((roundTripMs) => ({ mbitPerS, roundTripMs })),
);

const known = new Map<LinkModel, number>();
const bestFixed = (link: LinkModel): number => {
  const best =
    known.get(link) ?? Math.max(...FIXED.map((count) => simulate(link, fixed(count), DURATION_MS)));
  known.set(link, best);
  return best;
};
const share = (link: LinkModel, start: number): number => seek(link, start).bytes / bestFixed(link);

describe('the number of requests at a time', () => {
  // 8 is where downloads begin, 4 where uploads do.
  it.each(LINKS.flatMap((link) => [8, 4].map((start) => [link, start] as const)))(
    'brings 0.9 of the best fixed one: %j, from %i on',
    (link, start) => {
      expect(share(link, start)).toBeGreaterThan(0.9);
    },
  );

  it.each([
    { mbitPerS: 1000, roundTripMs: 300, requestBytes: 1 << 20 },
    { mbitPerS: 1000, roundTripMs: 100, windowBytes: 256 << 10 },
    { mbitPerS: 100, roundTripMs: 300, requestBytes: 256 << 10 },
  ])('grows where one connection is slow: %j', (link) => {
    expect(share(link, 4)).toBeGreaterThan(0.85);
    expect(seek(link, 4).limit).toBeGreaterThan(8);
  });

  it.each(
    (['refused', 'slow'] as const).flatMap((aboveSix) =>
      [10, 100, 300].map((roundTripMs) => ({
        mbitPerS: 100,
        roundTripMs,
        aboveSix,
        requestBytes: 2 << 20,
      })),
    ),
  )('settles at six or fewer within 30 s where the server wants that: %j', (link) => {
    const { limits, bytes } = seek(link, 8);
    const at30 = limits.filter(({ nowMs }) => nowMs <= 30_000).at(-1)?.limit;
    expect(at30).toBeLessThanOrEqual(6);
    expect(bytes / bestFixed(link)).toBeGreaterThan(0.9);
  });

  it('is never more than the most, and tries less and less often', () => {
    const { limits } = seek({ mbitPerS: 50, roundTripMs: 20 }, 8, 600_000);
    expect(Math.max(...limits.map(({ limit }) => limit))).toBeLessThanOrEqual(32);
    const late = limits.filter(({ nowMs }) => nowMs > 300_000);
    expect(late.length).toBeLessThan(16);
  });

  it('tells when there may be more, and refuses what makes no sense', () => {
    let nowMs = 0;
    const goodput = new Goodput({ clock: { now: () => nowMs }, start: 1, most: 2 });
    let told = 0;
    const forget = goodput.onMore(() => told++);
    goodput.begun();
    for (; nowMs < 4_000; nowMs += 500) goodput.moved(100);
    expect([told, goodput.limit]).toEqual([1, 2]);
    forget();
    expect(() => new Goodput({ clock: { now: () => 0 }, start: 3, most: 2 })).toThrow(RangeError);
  });
});
