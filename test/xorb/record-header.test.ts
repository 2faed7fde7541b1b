import { describe, expect, test } from 'vitest';
import { isFooterIdent, readRecordHeader, writeRecordHeader } from '../../src/xorb/index.js';
import { vectorsOf } from '../support/vectors.js';
import { codeOf, flippedBits, fromHex, hex } from './support.js';

describe('record header', () => {
  const vectors = vectorsOf('xorb').filter(({ id }) => id.startsWith('chunk_header'));

  test.each(vectors)('vector $id is written', ({ input, expected }) => {
    const bytes = new Uint8Array(12).fill(0xa5);
    writeRecordHeader(bytes, 2, {
      compressedLength: input.compressed_length,
      scheme: input.compression_scheme,
      uncompressedLength: input.uncompressed_length,
    });
    expect(hex(bytes)).toBe(`a5a5${expected.hex}a5a5`);
  });

  test.each(vectors)('vector $id is read', ({ input, expected }) => {
    const bytes = fromHex(`a5${expected.hex}`);
    if (input.compression_scheme === 0 && input.compressed_length !== input.uncompressed_length) {
      // Legal as bytes, but no record: scheme none has equal lengths.
      expect(codeOf(() => readRecordHeader(bytes, 1))).toBe('FORMAT_INVALID');
      return;
    }
    expect(readRecordHeader(bytes, 1)).toEqual({
      version: 0,
      compressedLength: input.compressed_length,
      scheme: input.compression_scheme,
      uncompressedLength: input.uncompressed_length,
    });
  });

  test.each([
    ['version 1', '0104000000040000', 'UNSUPPORTED'],
    ['version 255', 'ff04000000040000', 'UNSUPPORTED'],
    ['scheme 3 of a third client', '0004000003040000', 'UNSUPPORTED'],
    ['scheme 99 of a configuration', '0004000063040000', 'UNSUPPORTED'],
    ['131073 bytes uncompressed', '0004000001010002', 'LIMIT_EXCEEDED'],
    ['16 MiB uncompressed', '00ffffff00ffffff', 'LIMIT_EXCEEDED'],
    ['262145 bytes compressed', '0001000401040000', 'LIMIT_EXCEEDED'],
    ['scheme none with two lengths', '0004000000050000', 'FORMAT_INVALID'],
  ])('%s is refused', (_name, text, code) => {
    expect(codeOf(() => readRecordHeader(fromHex(text), 0))).toBe(code);
  });

  test('the largest lengths are read', () => {
    const header = readRecordHeader(fromHex('0000000401000002'), 0);
    expect(header.compressedLength).toBe(262_144);
    expect(header.uncompressedLength).toBe(131_072);
  });

  test('fewer than 8 bytes are TRUNCATED, also at and past the end', () => {
    const bytes = fromHex('0004000000040000');
    for (let end = 0; end < 8; end++) {
      expect(codeOf(() => readRecordHeader(bytes.subarray(0, end), 0))).toBe('TRUNCATED');
    }
    for (const offset of [-1, 1, 8, 99]) {
      expect(codeOf(() => readRecordHeader(bytes, offset))).toBe('TRUNCATED');
    }
  });

  test('any flipped bit gives a checked header or a code', () => {
    for (const { bytes } of flippedBits(fromHex('0003020101000002'))) {
      codeOf(() => {
        const header = readRecordHeader(bytes, 0);
        expect(header.version).toBe(0);
        expect(header.scheme).toBeLessThanOrEqual(2);
        expect(header.uncompressedLength).toBeLessThanOrEqual(131_072);
        expect(header.compressedLength).toBeLessThanOrEqual(262_144);
      });
    }
  });

  test('lengths above the limits and missing room are RangeErrors of the writer', () => {
    const write = (compressedLength: number, uncompressedLength: number, at = 0) =>
      writeRecordHeader(new Uint8Array(8), at, { scheme: 1, compressedLength, uncompressedLength });
    expect(() => write(262_145, 1)).toThrow(RangeError);
    expect(() => write(1, 131_073)).toThrow(RangeError);
    expect(() => write(1, 1, 1)).toThrow(RangeError);
    expect(() => write(262_144, 131_072)).not.toThrow();
  });

  test('a footer is known by its first seven bytes', () => {
    const text = Uint8Array.from('xXETBLOB', (letter) => letter.charCodeAt(0));
    expect(isFooterIdent(text, 1)).toBe(true);
    expect(isFooterIdent(text, 0)).toBe(false);
    expect(isFooterIdent(text.subarray(0, 7), 1)).toBe(false);
  });
});
