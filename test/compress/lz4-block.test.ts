import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createReadableCodec } from '../../src/compress/index.js';
import { generate } from '../support/generators.js';
import { arbitraryContent, content, contents, shared } from './contents.js';

const codec = createReadableCodec();

/** Largest block LZ4 can make of `length` bytes. */
const bound = (length: number): number => length + Math.floor(length / 255) + 16;

function compress(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bound(bytes.length));
  return out.slice(0, codec.lz4Compress(bytes, out));
}

/** Decodes between guards and checks that nothing outside was touched. */
function decompress(block: Uint8Array, length: number): Uint8Array | null {
  const guarded = new Uint8Array(length + 64).fill(0xa5);
  const out = guarded.subarray(32, 32 + length);
  const end = codec.lz4Decompress(block, out, 0);
  expect(guarded.subarray(0, 32).every((byte) => byte === 0xa5)).toBe(true);
  expect(guarded.subarray(32 + length).every((byte) => byte === 0xa5)).toBe(true);
  if (end < 0) return null;
  expect(end).toBeLessThanOrEqual(length);
  return out.slice(0, end);
}

/** Walks a block: does it keep the two rules about its end? A decoder may rely on them. */
function keepsEndRules(block: Uint8Array, length: number): boolean {
  let at = 0;
  let out = 0;
  const more = (nibble: number): number => {
    let value = nibble;
    for (let byte = nibble === 15 ? 255 : 0; byte === 255; ) {
      byte = block[at++] as number;
      value += byte;
    }
    return value;
  };
  for (;;) {
    const token = block[at++] as number;
    const literals = more(token >>> 4);
    at += literals;
    out += literals;
    if (at === block.length) return out === length;
    if (out > length - 12) return false;
    at += 2;
    out += 4 + more(token & 15);
    if (out > length - 5) return false;
  }
}

describe('LZ4 block', () => {
  test('every kind and length of content comes back, and its block obeys the end rules', () => {
    for (const { name, bytes } of contents()) {
      const block = compress(bytes);
      expect(block.length, name).toBeGreaterThan(0);
      expect(keepsEndRules(block, bytes.length), name).toBe(true);
      expect(
        Buffer.compare(decompress(block, bytes.length) ?? new Uint8Array(1), bytes),
        name,
      ).toBe(0);
    }
  });

  test('any mixture of runs, repeats and random bytes comes back', () => {
    fc.assert(
      fc.property(arbitraryContent(), (bytes) => {
        const block = compress(bytes);
        expect(keepsEndRules(block, bytes.length)).toBe(true);
        expect(Buffer.compare(decompress(block, bytes.length) ?? new Uint8Array(1), bytes)).toBe(0);
      }),
      { numRuns: 150, seed: 1 },
    );
  });

  test('the encoder answers 0 exactly when its block does not fit, and stays in its room', () => {
    for (const bytes of [
      content('words', 3000),
      content('random', 300),
      content('zeros', 600),
      new Uint8Array(0),
    ]) {
      const length = compress(bytes).length;
      for (const room of [0, 1, length - 1, length, length + 1]) {
        const guarded = new Uint8Array(room + 16).fill(0xa5);
        expect(codec.lz4Compress(bytes, guarded.subarray(0, room))).toBe(
          room < length ? 0 : length,
        );
        expect(guarded.subarray(room).every((byte) => byte === 0xa5)).toBe(true);
      }
    }
  });

  test('one encoder gives the same block whatever it encoded before', () => {
    const words = content('words', 50_000);
    const block = compress(words);
    compress(content('floats', 131_072));
    expect(Buffer.compare(compress(words), block)).toBe(0);
  });

  test('views of shared memory give the same bytes', () => {
    const words = content('words', 70_000);
    const block = compress(words);
    const out = shared(new Uint8Array(bound(words.length)));
    const length = codec.lz4Compress(shared(words), out);
    expect(Buffer.compare(out.subarray(0, length), block)).toBe(0);
    const back = shared(new Uint8Array(words.length));
    expect(codec.lz4Decompress(out.subarray(0, length), back, 0)).toBe(words.length);
    expect(Buffer.compare(back, words)).toBe(0);
  });

  test('matches reach back before outStart, down to the first byte of the view', () => {
    const out = Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 0, 0, 0);
    // No literals, distance 4, length 5, then one literal.
    expect(codec.lz4Decompress(Uint8Array.of(0x01, 4, 0, 0x10, 9), out, 4)).toBe(10);
    expect([...out]).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 9]);
    expect(codec.lz4Decompress(Uint8Array.of(0x01, 4, 0, 0x10, 9), out.subarray(1), 3)).toBe(-1);
  });

  test('hand-made faults answer -1', () => {
    const out = new Uint8Array(64);
    const faults: Record<string, number[]> = {
      'no bytes': [],
      'literals cut off': [0x30, 1, 2],
      'literal count cut off': [0xf0],
      'literal count without end': [0xf0, 255, 255],
      'more literals than room': [0xf0, 200, ...new Array(215).fill(7)],
      'distance cut off': [0x10, 1, 4],
      'distance 0': [0x10, 1, 0, 0, 0x10, 1],
      'distance before the start': [0x10, 1, 2, 0, 0x10, 1],
      'match length cut off': [0x1f, 1, 1, 0],
      'match longer than room': [0x1f, 1, 1, 0, 255, 0, 0x00],
      'ends after a match': [0x10, 1, 1, 0],
    };
    for (const [name, bytes] of Object.entries(faults)) {
      expect(codec.lz4Decompress(Uint8Array.from(bytes), out, 0), name).toBe(-1);
    }
    expect(codec.lz4Decompress(Uint8Array.of(0x10, 1), out, 65)).toBe(-1);
    expect(codec.lz4Decompress(Uint8Array.of(0x10, 1), out, 64)).toBe(-1);
    expect(codec.lz4Decompress(Uint8Array.of(0x00), out, 64)).toBe(64);
  });

  test('a block cut anywhere gives -1 or a prefix, never bytes outside', () => {
    const bytes = content('words', 700);
    const block = compress(bytes);
    for (let end = 0; end < block.length; end++) {
      const part = decompress(block.subarray(0, end), bytes.length);
      if (part !== null) expect(part).toEqual(bytes.subarray(0, part.length));
    }
  });

  test('flipped bits and random bytes never reach outside of the views', () => {
    const block = compress(content('words', 700));
    for (let bit = 0; bit < 8 * block.length; bit++) {
      const bad = block.slice();
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      decompress(bad, 700);
    }
    for (let seed = 0; seed < 300; seed++) {
      decompress(generate({ kind: 'splitmix64', seed, bytes: 1 + (seed % 90) }), 500);
    }
  });
});
