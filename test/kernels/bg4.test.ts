import { beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';
import { boundaryLengths, createSetups, firstDifference, type Setup, twins } from './support.js';

describe('BG4 kernels', () => {
  let setups: Setup[];
  beforeAll(async () => {
    setups = await createSetups();
  });
  const random = generate({ kind: 'splitmix64', seed: 13, bytes: 700_000 });

  function check(setup: Setup, length: number, misalign: number): void {
    const src = setup.view(0, length, misalign);
    src.set(random.subarray(0, length));
    const expected = new Uint8Array(length);
    twins.codec.bg4Split(src, expected);
    // Eight guard bytes on both sides.
    const guarded = setup.view(1, length + 16, 5).fill(0xa5);
    const out = guarded.subarray(8, 8 + length);
    setup.kernels.codec.bg4Split(src, out);
    expect([setup.name, length, firstDifference(out, expected)]).toEqual([setup.name, length, -1]);

    const back = setup.view(2, length + 16, 9).fill(0xa5);
    setup.kernels.codec.bg4Join(out, back.subarray(8, 8 + length));
    const joined = back.subarray(8, 8 + length);
    expect([setup.name, length, firstDifference(joined, src)]).toEqual([setup.name, length, -1]);
    for (const guard of [guarded, back]) {
      const around = [...guard.subarray(0, 8), ...guard.subarray(-8)];
      if (around.some((byte) => byte !== 0xa5)) expect([setup.name, length]).toBe('guarded');
    }
  }

  it('split like the twin and join back, for every length from 0 to 2100', () => {
    for (const setup of setups) for (let n = 0; n <= 2100; n++) check(setup, n, n & 15);
  });

  it('split like the twin and join back at every boundary and beyond one copy', () => {
    const lengths = [...boundaryLengths(), 163_839, 163_840, 163_841, 700_000];
    for (const setup of setups) for (const n of lengths) check(setup, n, n % 7);
  });

  it('refuse arrays of different lengths', () => {
    for (const { kernels } of setups) {
      const short = new Uint8Array(7);
      expect(() => kernels.codec.bg4Split(new Uint8Array(8), short)).toThrow(RangeError);
      expect(() => kernels.codec.bg4Join(new Uint8Array(8), short)).toThrow(RangeError);
    }
  });
});

describe('copies by the kernels', () => {
  it('move bytes like set, overlapping or not, at every place within a word', async () => {
    for (const setup of await createSetups()) {
      const content = generate({ kind: 'splitmix64', seed: 14, bytes: 3000 });
      for (let place = 0; place < 9; place++) {
        for (const to of [0, 5, 8, 100, 2900]) {
          const all = setup.view(0, 6000, place);
          all.fill(0).set(content, 1000);
          const expected = all.slice();
          expected.set(content.subarray(0, 2500), to);
          setup.kernels.codec.copy?.(all.subarray(1000, 3500), all.subarray(to, to + 2500));
          expect([setup.name, to, firstDifference(all, expected)]).toEqual([setup.name, to, -1]);
        }
      }
      const short = new Uint8Array(3);
      expect(() => setup.kernels.codec.copy?.(content, short)).toThrow(RangeError);
    }
  });

  it('out of their memory are the same, whatever the place within a word on both sides', async () => {
    const content = generate({ kind: 'splitmix64', seed: 15, bytes: 300_000 });
    for (const setup of await createSetups()) {
      for (let place = 0; place < 9; place++) {
        for (const [shift, length] of [
          [0, 300_000],
          [3, 131_072],
          [5, 131_073],
          [place, 17],
        ] as const) {
          const from = setup.view(1, length, place);
          from.set(content.subarray(0, length));
          const out = new Uint8Array(length + 20);
          setup.kernels.codec.copy?.(from, out.subarray(shift, shift + length + 1));
          const expected = new Uint8Array(length + 20);
          expected.set(content.subarray(0, length), shift);
          if (setup.kernels.codec.copy === undefined) continue;
          expect([setup.name, place, firstDifference(out, expected)]).toEqual([
            setup.name,
            place,
            -1,
          ]);
        }
      }
    }
  });
});
