import { describe, expect, test } from 'vitest';
import { bg4Predictor, createReadableCodec } from '../../src/compress/index.js';
import { generate, SplitMix64 } from '../support/generators.js';
import { vectorOf, vectorsOf } from '../support/vectors.js';
import { content } from './contents.js';

const codec = createReadableCodec();

describe('BG4', () => {
  test.each(vectorsOf('bg4'))(
    'vector $id groups as expected and comes back',
    ({ input, expected }) => {
      const grouped = new Uint8Array(input.length);
      codec.bg4Split(Uint8Array.from(input as number[]), grouped);
      expect([...grouped]).toEqual(expected);
      const back = new Uint8Array(input.length);
      codec.bg4Join(grouped, back);
      expect([...back]).toEqual(input);
    },
  );

  test('every length from 0 to 259 and the longest come back', () => {
    for (const length of [...Array(260).keys(), 131_071, 131_072]) {
      const bytes = content('random', length);
      const grouped = new Uint8Array(length);
      codec.bg4Split(bytes, grouped);
      for (let group = 0, at = 0; group < 4 && length < 260; group++) {
        for (let i = group; i < length; i += 4) expect(grouped[at++]).toBe(bytes[i]);
      }
      const back = new Uint8Array(length);
      codec.bg4Join(grouped, back);
      expect(Buffer.compare(back, bytes), `length ${length}`).toBe(0);
    }
  });

  test('an output of another length is a RangeError', () => {
    expect(() => codec.bg4Split(new Uint8Array(8), new Uint8Array(9))).toThrow(RangeError);
    expect(() => codec.bg4Join(new Uint8Array(8), new Uint8Array(7))).toThrow(RangeError);
  });
});

/** u = (splitmix64 seed 99 >> 11) / 2^53, as f32 of `map(u)`. */
function uniformFloats(count: number, map: (u: number) => number): Uint8Array {
  const random = new SplitMix64(99);
  const floats = Float32Array.from({ length: count }, () => {
    random.next();
    return map((random.high * 2097152 + (random.low >>> 11)) / 2 ** 53);
  });
  return new Uint8Array(floats.buffer);
}

function predictorInput(id: string): Uint8Array {
  const { input } = vectorOf('bg4_predictor', id);
  switch (id) {
    case 'random_bytes_65536':
      return generate({ kind: 'splitmix64', seed: input.seed, bytes: input.size });
    case 'zeros_65536':
      return new Uint8Array(input.size);
    case 'ascii_text':
      return new Uint8Array(Buffer.from((input.text as string).repeat(input.times)));
    case 'f32_uniform_-1_1':
      return uniformFloats(input.count, (u) => 2 * u - 1);
    case 'f32_uniform_0_2':
      return uniformFloats(input.count, (u) => 2 * u);
    default:
      return new Uint8Array(Uint32Array.from({ length: 16_384 }, (_, i) => i).buffer);
  }
}

describe('the predictor of the reference client', () => {
  test.each(vectorsOf('bg4_predictor', { unverified: true }))(
    'vector $id',
    async ({ id, input, expected }) => {
      const bytes = predictorInput(id);
      const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(bytes));
      expect(Buffer.from(digest).toString('hex')).toBe(input.sha256);
      const { divergences, maxDivergence, recommendBg4 } = bg4Predictor(bytes);
      (expected.kl_per_group as (number | 'NaN')[]).forEach((value, group) => {
        if (value === 'NaN') expect(divergences[group]).toBeNaN();
        else expect(divergences[group]).toBeCloseTo(value, 8);
      });
      expect(maxDivergence).toBeCloseTo(expected.max_kl, 8);
      expect(recommendBg4).toBe(expected.recommend_bg4);
    },
  );

  test('nothing to count is no recommendation', () => {
    expect(bg4Predictor(new Uint8Array(0)).recommendBg4).toBe(false);
    expect(bg4Predictor(Uint8Array.of(1, 2)).recommendBg4).toBe(false);
  });
});
