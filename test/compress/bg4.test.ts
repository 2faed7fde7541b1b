import { describe, expect, test } from 'vitest';
import { createReadableCodec } from '../../src/compress/index.js';
import { vectorsOf } from '../support/vectors.js';
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
