import { createBLAKE3 } from 'hash-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Hasher } from '../../src/hash/ports.js';
import { createKernels } from '../../src/kernels/index.js';
import { generate } from '../support/generators.js';
import { boundaryLengths, createDice, createSetups, type Setup, twins } from './support.js';

const key = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 5) & 255);
const otherKey = Uint8Array.from({ length: 32 }, (_, i) => (i * 11 + 200) & 255);
const random = generate({ kind: 'splitmix64', seed: 12, bytes: 1_000_000 });

async function createOracle(oracleKey: Uint8Array): Promise<(data: Uint8Array) => Uint8Array> {
  const blake3 = await createBLAKE3(256, oracleKey);
  return (data) => blake3.init().update(data).digest('binary');
}

function keyed(hasher: Hasher, data: Uint8Array, hashKey = key): Uint8Array {
  const out = new Uint8Array(32);
  hasher.keyed(hashKey, data, out, 0);
  return out;
}

describe('keyed BLAKE3', () => {
  let setups: Setup[];
  let oracle: (data: Uint8Array) => Uint8Array;
  beforeAll(async () => {
    const { kernels } = { kernels: await createKernels({ tier: 'portable', twins }) };
    const outside = new ArrayBuffer(4 << 20);
    setups = [
      ...(await createSetups()),
      {
        name: 'portable',
        kernels,
        view: (slot, length, misalign = 0) =>
          new Uint8Array(outside, (slot << 20) + misalign, length),
      },
    ];
    oracle = await createOracle(key);
  });

  it('agrees with hash-wasm and the readable twin for every length from 0 to 2100', () => {
    const expected: string[] = [];
    for (let length = 0; length <= 2100; length++) {
      const data = random.subarray(5, 5 + length);
      const digest = oracle(data);
      expect(keyed(twins.hasher, data)).toEqual(digest);
      expected.push(digest.join());
    }
    for (const setup of setups) {
      const all = setup.view(0, 2100, 1);
      all.set(random.subarray(5, 2105));
      for (let length = 0; length <= 2100; length++) {
        const digest = keyed(setup.kernels.hasher, all.subarray(0, length)).join();
        if (digest !== expected[length]) expect([setup.name, length]).toBe('the same digest');
      }
    }
  });

  it('agrees at every boundary of blocks, leaves and chunks, at any alignment', () => {
    const dice = createDice(2);
    for (const length of boundaryLengths()) {
      const from = dice(random.length - length);
      const data = random.subarray(from, from + length);
      const expected = oracle(data);
      for (const setup of setups) {
        const view = setup.view(0, length, dice(64));
        view.set(data);
        expect([setup.name, length, keyed(setup.kernels.hasher, view)]).toEqual([
          setup.name,
          length,
          expected,
        ]);
      }
    }
  });

  it('agrees for inputs of many pieces', () => {
    const lengths = [
      131_073, 262_143, 262_144, 262_145, 327_680, 327_681, 400_000, 655_361, 917_504,
    ];
    for (const length of lengths) {
      const expected = oracle(random.subarray(0, length));
      for (const setup of setups) {
        const view = setup.view(0, length);
        view.set(random.subarray(0, length));
        expect([setup.name, length, keyed(setup.kernels.hasher, view)]).toEqual([
          setup.name,
          length,
          expected,
        ]);
      }
    }
  });

  it('takes another key with each call and remembers none', async () => {
    const other = await createOracle(otherKey);
    for (const { kernels } of setups) {
      const data = random.subarray(0, 3000);
      const changing = key.slice();
      expect(keyed(kernels.hasher, data, changing)).toEqual(oracle(data));
      expect(keyed(kernels.hasher, data, otherKey)).toEqual(other(data));
      changing.set(otherKey);
      expect(keyed(kernels.hasher, data, changing)).toEqual(other(data));
    }
  });

  it('hashes lists of pieces of any lengths like each piece alone', () => {
    const dice = createDice(3);
    const kinds = [
      () => dice(200),
      () => dice(1030),
      () => dice(2) * dice(70_000),
      () => 64 * dice(17),
      () => 0,
    ];
    for (const setup of setups) {
      for (let round = 0; round < 12; round++) {
        const kind = kinds[round % kinds.length] as () => number;
        const start = dice(100);
        const ends: number[] = [];
        let at = start;
        while (ends.length < 40) {
          const length = kind();
          if (at + length > 900_000) break;
          at += length;
          ends.push(at);
        }
        const data = setup.view(0, at, dice(64));
        data.set(random.subarray(0, at));
        const out = new Uint8Array(32 * ends.length + 7).fill(0xaa);
        setup.kernels.hasher.keyedMany(
          key,
          data,
          start,
          Uint32Array.from(ends),
          ends.length,
          out,
          5,
        );
        ends.forEach((end, i) => {
          const from = i === 0 ? start : (ends[i - 1] as number);
          expect([setup.name, i, out.slice(5 + 32 * i, 37 + 32 * i)]).toEqual([
            setup.name,
            i,
            oracle(random.subarray(from, end)),
          ]);
        });
        expect([...out.subarray(0, 5), ...out.subarray(-2)]).toEqual(Array(7).fill(0xaa));
      }
    }
  });

  it('hashes more pieces than one batch holds, and pieces longer than one copy', () => {
    const ends = [400_000, 400_000];
    for (let i = 0; i < 2500; i++) ends.push(400_000 + (i + 1) * 33);
    ends.push(900_000);
    for (const setup of setups) {
      const data = setup.view(0, 900_000);
      data.set(random.subarray(0, 900_000));
      const out = new Uint8Array(32 * ends.length);
      setup.kernels.hasher.keyedMany(key, data, 0, Uint32Array.from(ends), ends.length, out, 0);
      for (const i of [0, 1, 2, 1021, 1022, 1023, 1024, 1025, 2047, 2048, 2501, 2502]) {
        const from = i === 0 ? 0 : (ends[i - 1] as number);
        expect([setup.name, i, out.slice(32 * i, 32 * i + 32)]).toEqual([
          setup.name,
          i,
          oracle(random.subarray(from, ends[i])),
        ]);
      }
    }
  });

  it('may write its digest into the memory that the data lies in', () => {
    for (const setup of setups) {
      const data = setup.view(0, 5000);
      data.set(random.subarray(0, 5000));
      const out = setup.view(1, 64, 1).fill(0);
      setup.kernels.hasher.keyed(key, data, out, 31);
      expect(out.slice(31, 63)).toEqual(oracle(random.subarray(0, 5000)));
      expect(out[30]).toBe(0);
      expect(out[63]).toBe(0);
    }
  });

  it('refuses keys that are not 32 bytes and pieces outside of the data', () => {
    const out = new Uint8Array(64);
    const data = new Uint8Array(100);
    for (const { kernels } of setups) {
      const { hasher } = kernels;
      expect(() => hasher.keyed(new Uint8Array(31), data, out, 0)).toThrow(
        '"key" expected 32 bytes',
      );
      expect(() => hasher.keyed(key, data, new Uint8Array(31), 0)).toThrow(RangeError);
      for (const [start, ends] of [
        [0, [101]],
        [-1, [5]],
        [50, [40]],
        [0, [50, 49]],
      ] as const) {
        expect(() =>
          hasher.keyedMany(key, data, start, Uint32Array.from(ends), ends.length, out, 0),
        ).toThrow(RangeError);
      }
    }
  });
});

describe('keyed BLAKE3 of long data', () => {
  it('gives the same with pauses, in which other hashes are made', async () => {
    const { hasher } = await createKernels({ tier: 'simd', twins });
    const long = generate({ kind: 'splitmix64', seed: 3, bytes: 3_300_001 });
    for (const bytes of [0, 1, 131_072, 131_073, 1 << 20, long.length]) {
      const data = long.subarray(0, bytes);
      let pauses = 0;
      const pause = async (): Promise<void> => {
        pauses++;
        keyed(hasher, random, otherKey);
        if (pauses === 1) await hasher.keyedLong?.(otherKey, random, async () => undefined);
      };
      expect(await hasher.keyedLong?.(key, data, pause)).toEqual(keyed(hasher, data));
      expect(pauses).toBe(Math.floor(Math.max(0, bytes - 1) / (1 << 20)));
    }
  });
});
