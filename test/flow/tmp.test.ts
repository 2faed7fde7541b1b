
import { it } from 'vitest';
import { Goodput } from '../../src/flow/index.js';
import { fixed, simulate } from './link-simulator.js';
it('x', () => {
  for (const durationMs of [15_000, 30_000, 120_000])
  for (const isBuffered of [false, true])
    for (const start of [4])
    for (const requestBytes of [4 << 20, 16 << 20]) {
      const out: string[] = [];
      for (const mbitPerS of [1, 10, 100, 1000]) for (const roundTripMs of [10, 50, 100, 300]) {
        const link = { mbitPerS, roundTripMs, requestBytes, bufferBytes: 4 << 20, windowBytes: 1 << 20 };
        let now = 0;
        const g = new Goodput({ clock: { now: () => now }, start, most: 32, isBuffered });
        const got = simulate(link, g, durationMs, (n) => { now = n; });
        const best = Math.max(...[1, 2, 4, 8, 16, 32].map((c) => simulate(link, fixed(c), durationMs)));
        out.push((got / best).toFixed(2));
      }
      console.log('XX', durationMs, isBuffered, start, requestBytes >> 20, out.join(' '));
    }
});
