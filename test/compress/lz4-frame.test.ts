import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  createReadableCodec,
  LZ4_FRAME_OVERHEAD_BYTES,
  lz4FrameDecode,
  lz4FrameEncode,
  xxHash32,
} from '../../src/compress/index.js';
import type { BlockCodec } from '../../src/compress/ports.js';
import { isOrbweaverError } from '../../src/errors.js';
import { type GeneratorSpec, generate } from '../support/generators.js';
import { readJsonFixture, vectorOf } from '../support/vectors.js';
import { content, contents } from './contents.js';
import { type FrameForm, writeFrame } from './frame-writer.js';

const codec = createReadableCodec();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function encode(bytes: Uint8Array, limit = Number.POSITIVE_INFINITY): Uint8Array | null {
  const out = new Uint8Array(bytes.length + 64);
  const length = lz4FrameEncode(codec, bytes, out, 5, limit);
  return length === 0 ? null : out.slice(5, 5 + length);
}

function decode(frame: Uint8Array, length: number, with_: BlockCodec = codec): Uint8Array {
  const guarded = new Uint8Array(length + 32).fill(0xa5);
  try {
    lz4FrameDecode(with_, frame, guarded.subarray(16, 16 + length));
  } finally {
    expect(guarded.subarray(0, 16).every((byte) => byte === 0xa5)).toBe(true);
    expect(guarded.subarray(16 + length).every((byte) => byte === 0xa5)).toBe(true);
  }
  return guarded.slice(16, 16 + length);
}

/** Code of the error that decoding ends in, or null. */
function codeOf(frame: Uint8Array, length: number): string | null {
  try {
    decode(frame, length);
    return null;
  } catch (error) {
    if (!isOrbweaverError(error)) throw error;
    return error.code;
  }
}

describe('LZ4 frame, written', () => {
  test('the header bytes are those of the reference client for both block sizes', () => {
    const expected64 = vectorOf('lz4_frame', 'header_64K').expected;
    const expected256 = vectorOf('lz4_frame', 'header_256K').expected;
    for (const [length, { header_hex, end_mark }] of [
      [1, expected64],
      [65_536, expected64],
      [65_537, expected256],
      [131_072, expected256],
      [262_144, expected256],
    ] as const) {
      const frame = encode(new Uint8Array(length)) ?? new Uint8Array(0);
      expect(hex(frame.subarray(0, 7)), `length ${length}`).toBe(header_hex);
      expect(hex(frame.subarray(-4))).toBe(end_mark);
    }
  });

  test('the header checksums follow from XXH32', () => {
    expect((xxHash32(Uint8Array.of(0x60, 0x40)) >>> 8) & 255).toBe(0x82);
    expect((xxHash32(Uint8Array.of(0x60, 0x50)) >>> 8) & 255).toBe(0xfb);
  });

  test('every kind and length of content comes back from one block', () => {
    for (const { name, bytes } of contents()) {
      const frame = encode(bytes);
      if (frame === null) throw new Error(`${name} was refused without a limit`);
      const size = new DataView(frame.buffer).getUint32(7, true) & 0x7fffffff;
      expect(frame.length, name).toBe(bytes.length === 0 ? 11 : size + LZ4_FRAME_OVERHEAD_BYTES);
      expect(Buffer.compare(decode(frame, bytes.length), bytes), name).toBe(0);
    }
  });

  test('a frame that would not be shorter than the limit is refused', () => {
    for (const bytes of [content('words', 5000), content('random', 100), new Uint8Array(0)]) {
      const length = encode(bytes)?.length ?? 0;
      expect(encode(bytes, length)).toBeNull();
      expect(encode(bytes, length + 1)?.length).toBe(length);
      expect(encode(bytes, 0)).toBeNull();
      expect(encode(bytes, 15)?.length ?? 0).toBeLessThan(15);
    }
    expect(encode(content('random', 5000), 5000)).toBeNull();
  });

  test('a frame never passes the end of its output', () => {
    const words = content('words', 5000);
    const length = encode(words)?.length ?? 0;
    expect(lz4FrameEncode(codec, words, new Uint8Array(length - 1), 0, 5000)).toBe(0);
    expect(lz4FrameEncode(codec, words, new Uint8Array(length), 0, 5000)).toBe(length);
    expect(lz4FrameEncode(codec, words, new Uint8Array(length), 1, 5000)).toBe(0);
  });

  test('more than 256 KiB is a RangeError', () => {
    expect(() => encode(new Uint8Array(262_145))).toThrow(RangeError);
  });
});

describe('LZ4 frame, read', () => {
  const fixtures =
    readJsonFixture<{ name: string; content: GeneratorSpec; sha256: string; frame: string }[]>(
      'lz4/frames.json',
    );

  test.each(fixtures)('frame of the C library: $name', ({ content: spec, sha256, frame }) => {
    const expected = generate(spec);
    const bytes = new Uint8Array(Buffer.from(frame, 'base64'));
    const found = decode(bytes, expected.length);
    expect(createHash('sha256').update(found).digest('hex')).toBe(sha256);
    expect(Buffer.compare(found, expected)).toBe(0);
  });

  test('the header of the JavaScript peer (linked flag, 4 MiB blocks) is read', () => {
    const form = { ...PLAIN, blockSizeId: 7, linked: true };
    const words = content('words', 3000);
    const frame = writeFrame(words, form);
    expect(hex(frame.subarray(0, 7))).toBe(
      vectorOf('lz4_frame', 'header_lz4js').expected.header_hex,
    );
    expect(decode(frame, words.length)).toEqual(words);
  });

  const PLAIN: FrameForm = {
    blockSizeId: 4,
    linked: false,
    blockChecksum: false,
    contentSize: false,
    contentChecksum: false,
    raw: false,
  };
  const forms: FrameForm[] = [];
  for (const blockSizeId of [4, 5, 6, 7]) {
    for (let bits = 0; bits < 32; bits++) {
      const flag = (bit: number): boolean => ((bits >> bit) & 1) === 1;
      forms.push({
        blockSizeId,
        linked: flag(0),
        blockChecksum: flag(1),
        contentSize: flag(2),
        contentChecksum: flag(3),
        raw: flag(4),
      });
    }
  }

  test('every legal form comes back, with full, short and odd blocks', () => {
    const samples = [
      content('period3', 131_072),
      content('words', 70_001),
      new Uint8Array(0),
      Uint8Array.of(7),
    ];
    for (const form of forms) {
      for (const bytes of samples) {
        for (const blockBytes of [undefined, 999]) {
          if (blockBytes !== undefined && bytes.length > 70_001) continue;
          const frame = writeFrame(
            bytes,
            blockBytes === undefined ? form : { ...form, blockBytes },
          );
          expect(Buffer.compare(decode(frame, bytes.length), bytes), JSON.stringify(form)).toBe(0);
        }
      }
    }
  });

  test('a linked block sees the 64 KiB before it, an independent one nothing', () => {
    const bytes = content('period3', 131_072);
    const linked = writeFrame(bytes, { ...PLAIN, linked: true });
    expect(linked.length).toBeLessThan(1200);
    const claimed = linked.slice();
    claimed[4] = 0x60;
    claimed[6] = (xxHash32(claimed.subarray(4, 6)) >>> 8) & 255;
    expect(codeOf(claimed, bytes.length)).toBe('FORMAT_INVALID');
  });

  const FULL: FrameForm = {
    ...PLAIN,
    blockChecksum: true,
    contentSize: true,
    contentChecksum: true,
  };
  const words = content('words', 900);

  test('a frame cut at any byte is TRUNCATED', () => {
    for (const form of [PLAIN, FULL, { ...FULL, linked: true, blockBytes: 300 }]) {
      const frame = writeFrame(words, form);
      for (let end = 0; end < frame.length; end++) {
        expect(codeOf(frame.subarray(0, end), words.length), `cut at ${end}`).toBe('TRUNCATED');
      }
    }
  });

  test('any flipped bit of a frame with all sums is an error with a code', () => {
    const frame = writeFrame(words, { ...FULL, blockBytes: 300, linked: true });
    for (let bit = 0; bit < 8 * frame.length; bit++) {
      const bad = frame.slice();
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(codeOf(bad, words.length), `bit ${bit}`).toMatch(
        /^(TRUNCATED|FORMAT_INVALID|UNSUPPORTED|CHECKSUM_MISMATCH)$/,
      );
    }
  });

  test('any flipped bit of a frame of ours is an error with a code, or other content', () => {
    const frame = encode(words) ?? new Uint8Array(0);
    for (let bit = 0; bit < 8 * frame.length; bit++) {
      const bad = frame.slice();
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      codeOf(bad, words.length);
    }
  });

  test('content that is longer or shorter than the output is FORMAT_INVALID', () => {
    for (const form of forms.slice(0, 32)) {
      const frame = writeFrame(words, form);
      expect(codeOf(frame, words.length + 1)).toBe('FORMAT_INVALID');
      expect(codeOf(frame, words.length - 1)).toBe('FORMAT_INVALID');
      expect(codeOf(frame, 0)).toBe('FORMAT_INVALID');
    }
  });

  /** A frame with some header bytes changed and the header checksum made right again. */
  const withHeader = (flg: number, bd: number): Uint8Array => {
    const frame = writeFrame(words, PLAIN);
    frame[4] = flg;
    frame[5] = bd;
    frame[6] = (xxHash32(frame.subarray(4, 6)) >>> 8) & 255;
    return frame;
  };

  test.each([
    ['other version', withHeader(0xa0, 0x40), 'UNSUPPORTED'],
    ['reserved FLG bit', withHeader(0x62, 0x40), 'UNSUPPORTED'],
    ['dictionary', withHeader(0x61, 0x40), 'UNSUPPORTED'],
    ['block size id 3', withHeader(0x60, 0x30), 'FORMAT_INVALID'],
    ['reserved BD bit', withHeader(0x60, 0xc0), 'FORMAT_INVALID'],
    ['low BD bits', withHeader(0x60, 0x41), 'FORMAT_INVALID'],
    ['skippable frame', Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 0, 0, 0, 0), 'UNSUPPORTED'],
    ['legacy frame', Uint8Array.of(0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0), 'UNSUPPORTED'],
    ['no frame at all', new Uint8Array(40), 'FORMAT_INVALID'],
    ['byte behind the frame', Uint8Array.of(...writeFrame(words, PLAIN), 0), 'FORMAT_INVALID'],
    [
      'two frames',
      Uint8Array.of(...writeFrame(words, PLAIN), ...writeFrame(words, PLAIN)),
      'FORMAT_INVALID',
    ],
  ])('%s is refused', (_name, frame, code) => {
    expect(codeOf(frame, words.length)).toBe(code);
  });

  test.each([
    ['header checksum', 14],
    ['block checksum', -9],
    ['content checksum', -1],
  ])('a wrong %s is CHECKSUM_MISMATCH', (_name, at) => {
    const frame = writeFrame(words, FULL);
    const index = at < 0 ? frame.length + at : at;
    frame[index] = (frame[index] as number) ^ 1;
    expect(codeOf(frame, words.length)).toBe('CHECKSUM_MISMATCH');
  });

  test('absurd sizes are refused before anything is read', () => {
    const frame = writeFrame(words, PLAIN);
    for (const size of [0x7fffffff, 0xffffffff, 65_537]) {
      new DataView(frame.buffer).setUint32(7, size, true);
      expect(codeOf(frame, words.length)).toBe('FORMAT_INVALID');
    }
    const sized = writeFrame(words, { ...PLAIN, contentSize: true });
    new DataView(sized.buffer).setUint32(10, 0xffffffff, true);
    expect(codeOf(sized, words.length)).toBe('FORMAT_INVALID');
  });
});
