import { describe, expect, test } from 'vitest';
import { chunkHash } from '../../src/hash/index.js';
import { encodeFooter, readStoredXorb, XorbReader } from '../../src/xorb/index.js';
import { build, codeOf, concat, hasher, mixedChunks, options } from './support.js';

const chunks = mixedChunks(51, 12, 5000);
const xorb = build(chunks);
const stored = concat([xorb.bytes, encodeFooter(xorb)]);
const reader = new XorbReader(options, readStoredXorb(stored));

describe('XorbReader', () => {
  test('every range of chunks decodes from exactly its bytes', () => {
    for (let start = 0; start <= 12; start++) {
      for (let end = start; end <= 12; end++) {
        const range = reader.byteRange(start, end);
        const part = stored.subarray(range.start, range.end);
        const expected = concat(chunks.slice(start, end));
        expect(Buffer.compare(reader.decode(part, start, end), expected)).toBe(0);
        const raw = reader.rawRange(start, end);
        expect(raw.end - raw.start).toBe(expected.length);
      }
    }
    expect(reader.chunkCount).toBe(12);
    expect(reader.rawBytes).toBe(concat(chunks).length);
    expect(reader.byteRange(0, 12)).toEqual({ start: 0, end: xorb.bytes.length });
  });

  test('the chunk of a raw offset is found at every boundary', () => {
    let at = 0;
    for (const [i, chunk] of chunks.entries()) {
      expect(reader.chunkAt(at)).toBe(i);
      expect(reader.chunkAt(at + chunk.length - 1)).toBe(i);
      at += chunk.length;
    }
    for (const offset of [-1, at, Number.NaN])
      expect(() => reader.chunkAt(offset)).toThrow(RangeError);
  });

  test('hashes are given by index', () => {
    expect(reader.chunkHash(7).equals(chunkHash(hasher, chunks[7] as Uint8Array))).toBe(true);
    expect(() => reader.chunkHash(12)).toThrow(RangeError);
    expect(() => reader.chunkHash(-1)).toThrow(RangeError);
  });

  test('chunks that do not exist are RangeErrors', () => {
    for (const [start, end] of [
      [-1, 2],
      [3, 2],
      [0, 13],
      [13, 13],
    ] as const) {
      expect(() => reader.byteRange(start, end)).toThrow(RangeError);
    }
  });

  test('bytes of another length are SIZE_MISMATCH, of other chunks INTEGRITY', () => {
    const { start, end } = reader.byteRange(2, 5);
    expect(codeOf(() => reader.decode(stored.subarray(start, end - 1), 2, 5))).toBe(
      'SIZE_MISMATCH',
    );
    const one = Uint8Array.of(1, 2, 3);
    const two = Uint8Array.of(1, 2, 4);
    const mine = new XorbReader(options, build([one, one, two]));
    const other = build([one, two, two]).bytes;
    expect(codeOf(() => mine.decode(other, 0, 3))).toBe('INTEGRITY');
    expect(codeOf(() => mine.decode(other.subarray(0, 11), 0, 1))).toBeNull();
  });

  test('the same bytes cut into other records are an error', () => {
    const cut = new XorbReader(options, build([new Uint8Array(4), new Uint8Array(12)], 'none'));
    // The same sizes, serialized and raw: a record of 16 bytes and one of none.
    const other = build([new Uint8Array(16), new Uint8Array(0)], 'none').bytes;
    expect(other.length).toBe(cut.byteRange(0, 2).end);
    expect(codeOf(() => cut.decode(other, 0, 2))).toBe('INTEGRITY');
    // One record instead of two.
    const longer = build([new Uint8Array(24)], 'none').bytes;
    expect(codeOf(() => cut.decode(longer, 0, 2))).toBe('SIZE_MISMATCH');
  });
});
