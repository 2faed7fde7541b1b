import { describe, expect, test } from 'vitest';
import { chunkHash } from '../../src/hash/index.js';
import { createRecordDecoder, DECODE_SCRATCH_BYTES } from '../../src/xorb/index.js';
import {
  build,
  codec,
  codeOf,
  concat,
  flippedBits,
  hasher,
  hex,
  mixedChunks,
  options,
} from './support.js';

const decoder = createRecordDecoder(options);
const chunks = mixedChunks(21, 9, 20_000);
const raw = concat(chunks);
const { bytes: records, recordEnds, chunkHashes } = build(chunks);

describe('record decoder', () => {
  test('gives the chunks side by side, their lengths and hashes, inside larger memory', () => {
    const input = concat([new Uint8Array(11).fill(1), records, new Uint8Array(7).fill(2)]);
    const output = new Uint8Array(raw.length + 30).fill(0xa5);
    const end = 11 + records.length;
    const { lengths, hashes } = decoder.decode(input, 11, end, output, 13, raw.length);
    expect([...lengths]).toEqual(chunks.map((chunk) => chunk.length));
    expect(hashes).toEqual(chunkHashes);
    for (const [i, chunk] of chunks.entries()) {
      expect(hex(hashes.subarray(32 * i, 32 * i + 32))).toBe(hex(chunkHash(hasher, chunk).bytes));
    }
    expect(Buffer.compare(output.subarray(13, 13 + raw.length), raw)).toBe(0);
    expect(output.subarray(0, 13).every((byte) => byte === 0xa5)).toBe(true);
    expect(output.subarray(13 + raw.length).every((byte) => byte === 0xa5)).toBe(true);
  });

  test('raw chunks stay in place when asked for, with the same lengths and hashes', () => {
    const starts = chunks.map((_, i) => (i === 0 ? 0 : (recordEnds[i - 1] as number)));
    const isRaw = starts.map((at) => records[at + 4] === 0);
    expect(new Set(isRaw).size).toBe(2);
    for (let first = 0; first < chunks.length; first++) {
      for (let last = first; last <= chunks.length; last++) {
        const compressed = chunks.slice(first, last).filter((_, i) => !isRaw[first + i]);
        const expected = concat(compressed);
        const output = new Uint8Array(expected.length + 3).fill(0xa5);
        const input = records.slice();
        const start = starts[first] as number;
        const end = last === first ? start : (recordEnds[last - 1] as number);
        const run = [input, start, end, output, 1, expected.length] as const;
        const { lengths, hashes } = decoder.decode(...run, { rawInPlace: true });
        expect([...lengths]).toEqual(chunks.slice(first, last).map((chunk) => chunk.length));
        expect(hashes).toEqual(chunkHashes.slice(32 * first, 32 * last));
        expect(Buffer.compare(output.subarray(1, 1 + expected.length), expected)).toBe(0);
        expect([output[0], ...output.subarray(-2)]).toEqual([0xa5, 0xa5, 0xa5]);
        expect(Buffer.compare(input, records)).toBe(0);
      }
    }
    const whole = [records, 0, records.length, new Uint8Array(raw.length), 0, raw.length] as const;
    expect(codeOf(() => decoder.decode(...whole, { rawInPlace: true }))).toBe('SIZE_MISMATCH');
  });

  test('any run of whole records decodes', () => {
    const start = recordEnds[2] as number;
    const end = recordEnds[5] as number;
    const part = concat(chunks.slice(3, 6));
    const output = new Uint8Array(part.length);
    const { hashes } = decoder.decode(records, start, end, output, 0, part.length);
    expect(Buffer.compare(output, part)).toBe(0);
    expect(hashes).toEqual(chunkHashes.subarray(96, 192));
    expect(decoder.decode(records, 5, 5, output, 0, 0).lengths.length).toBe(0);
  });

  test('input, output and scratch may be shared memory', () => {
    const input = new Uint8Array(new SharedArrayBuffer(records.length));
    input.set(records);
    const output = new Uint8Array(new SharedArrayBuffer(raw.length));
    const scratch = new Uint8Array(new SharedArrayBuffer(DECODE_SCRATCH_BYTES));
    const shared = createRecordDecoder({ codec, hasher, scratch });
    const { hashes } = shared.decode(input, 0, input.length, output, 0, raw.length);
    expect(hashes).toEqual(chunkHashes);
    expect(Buffer.compare(output, raw)).toBe(0);
    expect(() => createRecordDecoder({ codec, hasher, scratch: new Uint8Array(9) })).toThrow(
      RangeError,
    );
  });

  test('another size than promised is SIZE_MISMATCH and writes nothing', () => {
    for (const promised of [0, raw.length - 1, raw.length + 1]) {
      const output = new Uint8Array(raw.length + 1);
      expect(codeOf(() => decoder.decode(records, 0, records.length, output, 0, promised))).toBe(
        'SIZE_MISMATCH',
      );
      expect(output.every((byte) => byte === 0)).toBe(true);
    }
  });

  test('an output without room is a RangeError', () => {
    const decode = (length: number, offset: number) =>
      decoder.decode(records, 0, records.length, new Uint8Array(length), offset, raw.length);
    expect(() => decode(raw.length - 1, 0)).toThrow(RangeError);
    expect(() => decode(raw.length, 1)).toThrow(RangeError);
    expect(() => decode(raw.length, -1)).toThrow(RangeError);
    expect(() => decoder.decode(records, 0, records.length + 1, raw.slice(), 0, 1)).toThrow(
      RangeError,
    );
  });

  test('records cut at any byte are TRUNCATED inside a record, SIZE_MISMATCH between two', () => {
    const small = mixedChunks(22, 3, 300);
    const xorb = build(small);
    const size = concat(small).length;
    for (let end = 0; end < xorb.bytes.length; end++) {
      const code = codeOf(() => decoder.decode(xorb.bytes, 0, end, new Uint8Array(size), 0, size));
      const whole = end === 0 || xorb.recordEnds.includes(end);
      expect(code, `cut at ${end}`).toBe(whole ? 'SIZE_MISMATCH' : 'TRUNCATED');
    }
  });

  test('any flipped bit is a typed error or changes a hash', () => {
    const small = mixedChunks(23, 4, 120);
    const xorb = build(small);
    const size = concat(small).length;
    for (const { bytes, bit } of flippedBits(xorb.bytes)) {
      const output = new Uint8Array(size);
      codeOf(() => {
        const { hashes, lengths } = decoder.decode(bytes, 0, bytes.length, output, 0, size);
        const same = hex(hashes) === hex(xorb.chunkHashes) && lengths.length === small.length;
        // Bits that no reader looks at (the match length of a last sequence) change nothing.
        if (same) expect(Buffer.compare(output, concat(small)), `bit ${bit}`).toBe(0);
      });
    }
  });

  test('more than 8192 records are LIMIT_EXCEEDED', () => {
    const empty = new Uint8Array(8 * 8193);
    expect(codeOf(() => decoder.decode(empty, 0, empty.length, raw, 0, 0))).toBe('LIMIT_EXCEEDED');
    expect(decoder.decode(empty, 0, 8 * 8192, raw, 0, 0).lengths.length).toBe(8192);
  });

  test('a footer is no record', () => {
    const footer = Uint8Array.from('XETBLOB\u0001', (letter) => letter.charCodeAt(0));
    const input = concat([records, footer]);
    expect(codeOf(() => decoder.decode(input, 0, input.length, raw.slice(), 0, raw.length))).toBe(
      'UNSUPPORTED',
    );
  });
});
