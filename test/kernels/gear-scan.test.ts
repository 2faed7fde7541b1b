import { beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PARAMS, findCuts, GEAR_TABLE } from '../../src/chunker/index.js';
import { generate } from '../support/generators.js';
import { createDice, createSetups, type Setup, twins } from './support.js';

/** The definition, in BigInt: candidates p with start < p <= end. */
function definition(data: Uint8Array, start: number, end: number, maskBits: number): number[] {
  const found: number[] = [];
  let hash = 0n;
  for (let i = Math.max(0, start - 63); i < end; i++) {
    hash = BigInt.asUintN(64, (hash << 1n) + (GEAR_TABLE[data[i] as number] as bigint));
    if (i >= start && hash >> BigInt(64 - maskBits) === 0n) found.push(i + 1);
  }
  return found;
}

function scanAll(setup: Setup, data: Uint8Array, start: number, end: number, bits: number) {
  const out = new Uint32Array(data.length + 1);
  return [...out.subarray(0, setup.kernels.scanner.scan(data, start, end, bits, out))];
}

describe('gear scan kernel', () => {
  let setups: Setup[];
  beforeAll(async () => {
    setups = await createSetups();
  });
  const random = generate({ kind: 'splitmix64', seed: 11, bytes: 300_000 });

  it('finds what the definition finds for every length from 0 to 2100', () => {
    for (const setup of setups) {
      const data = setup.view(0, 2100, 3);
      data.set(random.subarray(0, 2100));
      for (let length = 0; length <= 2100; length++) {
        const expected = definition(data, 0, length, 5);
        expect([setup.name, length, scanAll(setup, data, 0, length, 5)]).toEqual([
          setup.name,
          length,
          expected,
        ]);
      }
    }
  });

  it('finds what the definition finds from any start, for any mask, at any alignment', () => {
    const dice = createDice(1);
    for (const setup of setups) {
      for (let round = 0; round < 60; round++) {
        const length = 1 + dice(60_000);
        const data = setup.view(0, length, dice(64));
        const offset = dice(random.length - length);
        data.set(random.subarray(offset, offset + length));
        const start = dice(length + 1);
        const end = start + dice(length - start + 1);
        const bits = 1 + dice(16);
        expect([setup.name, scanAll(setup, data, start, end, bits)]).toEqual([
          setup.name,
          definition(data, start, end, bits),
        ]);
      }
    }
  });

  it('takes masks up to 63 bits', () => {
    for (const setup of setups) {
      const data = setup.view(0, 5000);
      data.set(random.subarray(0, 5000));
      for (const bits of [32, 33, 48, 62, 63])
        expect(scanAll(setup, data, 0, 5000, bits)).toEqual([]);
    }
  });

  it('lists dense candidates of crafted data in order, however small the list', () => {
    // One byte value has no match in its own repetition at 16 bits, but plenty at 1 bit.
    const crafted = [
      generate({ kind: 'affine', a: 1, b: 0, bytes: 40_000 }),
      generate({ kind: 'repeat', unit: [17, 23, 42], bytes: 40_000 }),
      generate({ kind: 'constant', value: 0, bytes: 40_000 }),
    ];
    for (const setup of setups) {
      for (const content of crafted) {
        const data = setup.view(0, content.length, 1);
        data.set(content);
        const expected = definition(content, 100, 39_001, 1);
        for (const room of [1, 7, 4096, 5000, 40_000]) {
          const out = new Uint32Array(room);
          const found: number[] = [];
          let count: number;
          let from = 100;
          do {
            count = setup.kernels.scanner.scan(data, from, 39_001, 1, out);
            for (const position of out.subarray(0, count)) found.push(position);
            from = found.at(-1) ?? 39_001;
          } while (count === room && found.length < 3000);
          expect([setup.name, room, found]).toEqual([
            setup.name,
            room,
            expected.slice(0, found.length),
          ]);
          if (count < room) expect(found.length).toBe(expected.length);
        }
      }
    }
  });

  it('gives the cuts of the readable scanner, also for data longer than one copy', () => {
    for (const setup of setups) {
      const data = setup.view(0, random.length, 7);
      data.set(random);
      const { scanner } = setup.kernels;
      expect(findCuts(scanner, data)).toEqual(findCuts(twins.scanner, random));
      const small = {
        ...DEFAULT_PARAMS,
        targetBytes: 1024,
        minBytes: 128,
        maxBytes: 2048,
        maskBits: 10,
      };
      expect(findCuts(scanner, data, small)).toEqual(findCuts(twins.scanner, random, small));
    }
  });

  it('refuses ranges outside of the data, masks it has no word for, and an empty list', () => {
    for (const { kernels } of setups) {
      const out = new Uint32Array(1);
      const data = new Uint8Array(10);
      for (const [start, end] of [
        [-1, 5],
        [0, 11],
        [0.5, 5],
        [0, Number.NaN],
      ] as const) {
        expect(() => kernels.scanner.scan(data, start, end, 16, out)).toThrow(RangeError);
      }
      for (const bits of [0, 64, 1.5, Number.NaN]) {
        expect(() => kernels.scanner.scan(data, 0, 10, bits, out)).toThrow(RangeError);
      }
      expect(() => kernels.scanner.scan(data, 0, 10, 16, new Uint32Array(0))).toThrow(RangeError);
      expect(kernels.scanner.scan(data, 7, 3, 16, out)).toBe(0);
    }
  });
});
