import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ChunkerParams, chunkerParams, DEFAULT_PARAMS } from '../../src/chunker/index.js';
import type { GearScanner } from '../../src/chunker/ports.js';
import { DATA_KEY, FILE_KEY } from '../../src/hash/index.js';
import { createKernels, type KernelTier } from '../../src/kernels/index.js';
import { cutChunks } from '../../src/workers/tasks/cut-chunks.js';
import { createSetups, type Setup, twins } from '../kernels/support.js';
import { findCandidates } from '../support/candidates.js';
import { generate } from '../support/generators.js';
import { naiveCuts } from '../support/naive-chunker.js';

const SMALL = chunkerParams(1024);
/** The twin, which goes chunk by chunk. */
const readable = { ...twins, cutter: null };

/** For kernels that must do it all in the one call. */
const REFUSING_SCANNER: GearScanner = {
  scan: () => {
    throw new Error('no chunk is left to the twin');
  },
};

let all: Setup[];
let inPlace: Setup[];
beforeAll(async () => {
  all = await createSetups();
  inPlace = all.slice(0, 3).map((setup) => ({
    ...setup,
    kernels: { ...setup.kernels, scanner: REFUSING_SCANNER },
  }));
});

interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly isLast: boolean;
  readonly params: ChunkerParams;
}

interface Found {
  readonly ends: number[];
  readonly hashes: Uint8Array;
}

/** What lies in the output beside the chunks must stay as it is. */
const UNTOUCHED = 0xa5;

function chunksOf(
  kernels: Parameters<typeof cutChunks>[0],
  data: Uint8Array,
  stretch: Stretch,
  key: Uint8Array = DATA_KEY,
): Found {
  const { start, end, params } = stretch;
  const room = Math.floor((end - start) / params.minBytes) + 1;
  const ends = new Uint32Array(room).fill(UNTOUCHED);
  const hashes = new Uint8Array(32 * room).fill(UNTOUCHED);
  const count = cutChunks(kernels, key, { data, ...stretch, ends, hashes });
  expect(ends.subarray(count).every((value) => value === UNTOUCHED)).toBe(true);
  expect(hashes.subarray(32 * count).every((value) => value === UNTOUCHED)).toBe(true);
  return { ends: [...ends.subarray(0, count)], hashes: hashes.slice(0, 32 * count) };
}

/** In every kind of memory, at addresses that are multiples of nothing. */
function expectSame(setups: readonly Setup[], data: Uint8Array, stretch: Stretch): Found {
  const expected = chunksOf(readable, data, stretch);
  setups.forEach((setup, i) => {
    const view = setup.view(i & 3, data.length, (stretch.start + stretch.end + i) & 63);
    view.set(data);
    const found = chunksOf(setup.kernels, view, stretch);
    expect(found.ends).toEqual(expected.ends);
    expect(Buffer.compare(found.hashes, expected.hashes)).toBe(0);
  });
  return expected;
}

/** The definition of the cuts, for the stretch as a file of its own. */
function definition(data: Uint8Array, { start, end, isLast, params }: Stretch): number[] {
  const cuts = naiveCuts(data.subarray(start, end), params.targetBytes).map((cut) => cut + start);
  const last = end - (cuts.at(-2) ?? start);
  // What ends at the maximum or at a candidate is whole, wherever the file ends.
  const longer = naiveCuts(data.subarray(start, end + 1), params.targetBytes);
  const isWhole = last === params.maxBytes || longer.includes(end - start);
  if (!isLast && !isWhole) cuts.pop();
  return cuts;
}

const RANDOM = generate({ kind: 'splitmix64', seed: 31, bytes: 60_000 });
const MIXED = RANDOM.slice();
MIXED.fill(0, 20_000, 37_000);
const INPUTS = {
  random: RANDOM,
  words: generate({ kind: 'words', seed: 32, bytes: 60_000 }),
  constant: generate({ kind: 'constant', value: 0, bytes: 60_000 }),
  'random, constant, random': MIXED,
  'of period 700': generate({
    kind: 'repeat',
    unit: [...RANDOM.subarray(0, 700)],
    bytes: 60_000,
  }),
};

/** A unit of so many bytes whose repetition has a candidate in each. */
function denseUnit(bytes: number): number[] {
  for (let at = 0; at + bytes <= RANDOM.length; at += bytes) {
    const unit = [...RANDOM.subarray(at, at + bytes)];
    const data = generate({ kind: 'repeat', unit, bytes: 4 * bytes });
    if (findCandidates(twins.scanner, data, 2 * bytes, 3 * bytes, SMALL.maskBits).length > 0) {
      return unit;
    }
  }
  throw new Error('there is none');
}

describe('chunks cut and hashed in one call', () => {
  it.each(Object.entries(INPUTS))('are those of the twin and of the definition: %s', (_, data) => {
    const position = fc.nat(data.length - 1);
    const length = fc.oneof(fc.nat(data.length), fc.nat(3000), fc.nat(3));
    fc.assert(
      fc.property(position, length, fc.boolean(), fc.boolean(), (start, bytes, isLast, isLarge) => {
        const params = isLarge ? chunkerParams(4096) : SMALL;
        const stretch = { start, end: Math.min(start + bytes, data.length - 1), isLast, params };
        const { ends } = expectSame(inPlace, data, stretch);
        expect(ends).toEqual(definition(data, stretch));
      }),
      { seed: 33, numRuns: 60 },
    );
  });

  it('have the minimum and the maximum to the byte', () => {
    const { minBytes, maxBytes, maskBits } = SMALL;
    const candidates = findCandidates(twins.scanner, RANDOM, 5000, 55_000, maskBits);
    const distances = [1, 63, 64, 65, minBytes, maxBytes, minBytes + maxBytes, 2 * maxBytes];
    for (const candidate of candidates.subarray(0, 8)) {
      for (const distance of distances.flatMap((middle) => [middle - 1, middle, middle + 1])) {
        for (const after of [0, 1, minBytes - 1, minBytes, 3000]) {
          const start = candidate - distance;
          for (const isLast of [true, false]) {
            const stretch = { start, end: candidate + after, isLast, params: SMALL };
            const { ends } = expectSame(inPlace.slice(0, 1), RANDOM, stretch);
            expect(ends).toEqual(definition(RANDOM, stretch));
          }
        }
      }
    }
  });

  it('are found with the parameters of the protocol', () => {
    const zeros = generate({ kind: 'constant', value: 0, bytes: 400_000 });
    const mixed = generate({ kind: 'splitmix64', seed: 34, bytes: 1_000_000 });
    mixed.fill(7, 300_000, 640_000);
    for (const data of [zeros, mixed]) {
      for (const isLast of [true, false]) {
        for (const end of [8191, 8192, 8193, 131_071, 131_072, 131_073, data.length]) {
          expectSame(inPlace, data, { start: 0, end, isLast, params: DEFAULT_PARAMS });
        }
      }
    }
  });

  it('may be more than one call of the kernel has room for', () => {
    // A cut every 200 bytes: 1024 digests fit, so ends around multiples of that many matter.
    const data = generate({ kind: 'repeat', unit: denseUnit(100), bytes: 450_000 });
    const { ends } = expectSame(inPlace, data, {
      start: 77,
      end: data.length,
      isLast: true,
      params: SMALL,
    });
    expect(ends.length).toBeGreaterThan(2100);
    for (const count of [1023, 1024, 1025, 2048]) {
      for (const more of [0, 1]) {
        const end = (ends[count - 1] as number) + more;
        for (const isLast of [true, false]) {
          const stretch = { start: 77, end, isLast, params: SMALL };
          const found = expectSame(inPlace, data, stretch);
          expect(found.ends).toHaveLength(count + (isLast ? more : 0));
        }
      }
    }
  });

  it('may be longer than all there is', () => {
    const params = chunkerParams(2 ** 31);
    const stretch = { start: 3, end: RANDOM.length, params };
    const whole = expectSame(inPlace, RANDOM, { ...stretch, isLast: true });
    expect(whole.ends).toEqual([RANDOM.length]);
    expect(expectSame(inPlace, RANDOM, { ...stretch, isLast: false }).ends).toEqual([]);
  });

  it('have the hashes of the key that is asked for', () => {
    const stretch = { start: 0, end: 10_000, isLast: true, params: SMALL };
    const [setup] = inPlace as [Setup];
    const view = setup.view(0, RANDOM.length);
    view.set(RANDOM);
    for (const key of [DATA_KEY, FILE_KEY, DATA_KEY]) {
      const found = chunksOf(setup.kernels, view, stretch, key);
      expect(found).toEqual(chunksOf(readable, RANDOM, stretch, key));
    }
  });

  it('are found one by one where the bytes lie outside of the memory', () => {
    const stretch = { start: 11, end: 59_000, isLast: true, params: SMALL };
    for (const setup of all.slice(3)) {
      const ends = new Uint32Array(500);
      const hashes = new Uint8Array(32 * 500);
      const data = setup.view(0, RANDOM.length);
      const job = { data, ...stretch, ends, hashes };
      expect(setup.kernels.cutter?.cut(DATA_KEY, job)).toBe(-1);
      expect([...ends, ...hashes].every((value) => value === 0)).toBe(true);
    }
    expectSame(all.slice(3), RANDOM, stretch);
  });

  it.each<KernelTier>(['portable', 'readable'])('are the same in the tier %s', async (tier) => {
    const kernels = await createKernels({ tier, twins });
    expect(kernels.cutter).toBeNull();
    const stretch = { start: 5, end: RANDOM.length, isLast: false, params: SMALL };
    expect(chunksOf(kernels, RANDOM, stretch)).toEqual(chunksOf(readable, RANDOM, stretch));
  });

  it('lie within the data, or it is refused', () => {
    for (const setup of inPlace) {
      const data = setup.view(0, 1000);
      const outputs = { ends: new Uint32Array(10), hashes: new Uint8Array(320) };
      for (const [start, end] of [
        [-1, 10],
        [11, 10],
        [0, 1001],
        [0.5, 10],
        [0, 9.5],
        [Number.NaN, 10],
      ]) {
        const job = { data, isLast: true, params: SMALL, ...outputs };
        const stretch = { start: start as number, end: end as number };
        expect(() => setup.kernels.cutter?.cut(DATA_KEY, { ...job, ...stretch })).toThrow(
          RangeError,
        );
      }
    }
  });
});
