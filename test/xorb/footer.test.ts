import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MerkleHash } from '../../src/hash/index.js';
import {
  decodeFooter,
  encodeFooter,
  FOOTER_MAX_BYTES,
  readStoredXorb,
  storedFooterBytes,
  type XorbInfo,
} from '../../src/xorb/index.js';
import { vectorOf } from '../support/vectors.js';
import { build, codeOf, concat, flippedBits, fromHex, hex, mixedChunks } from './support.js';

const vector = vectorOf('xorb', 'three_chunks_scheme0');
const chunks = (vector.input.chunks as string[]).map(fromHex);
const xorb = build(chunks, 'none');
const footer = encodeFooter(xorb);

/** A footer of version 0, which is never written. */
function encodeVersion0(info: XorbInfo): Uint8Array {
  const count = info.recordEnds.length;
  const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
  const ident = Uint8Array.from('XETBLOB\u0000', (letter) => letter.charCodeAt(0));
  return concat([
    ident,
    info.hash.bytes,
    u32(count),
    u32(...info.recordEnds),
    info.chunkHashes,
    new Uint8Array(16),
    u32(60 + 36 * count),
  ]);
}

describe('stored footer', () => {
  test('version 1 has the bytes of the vector', () => {
    const { expected } = vectorOf('xorb', 'three_chunks_scheme0_footer');
    expect(hex(footer)).toBe(expected.footer_with_length_hex);
    expect(footer.length).toBe(expected.info_length + 4);
  });

  test('a footer of no chunks has the length of the vector', () => {
    const { expected } = vectorOf('xorb', 'empty_footer_length');
    const none = new Uint32Array(0);
    const empty = encodeFooter({
      hash: MerkleHash.ZERO,
      chunkHashes: new Uint8Array(0),
      recordEnds: none,
      rawEnds: none,
    });
    expect(empty.length).toBe(expected.info_length + 4);
    expect(decodeFooter(empty).recordEnds.length).toBe(0);
  });

  test('any version 1 footer decodes to what was encoded, nonce included, from any tail', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.integer({ min: 1, max: 20 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.nat(50),
        (seed, count, nonce, before) => {
          const info = build(mixedChunks(seed, count, 60));
          const bytes = concat([new Uint8Array(before), encodeFooter({ ...info, nonce })]);
          const decoded = decodeFooter(bytes);
          expect(decoded.version).toBe(1);
          expect(decoded.hash.equals(info.hash)).toBe(true);
          expect(decoded.chunkHashes).toEqual(info.chunkHashes);
          expect(decoded.recordEnds).toEqual(info.recordEnds);
          expect(decoded.rawEnds).toEqual(info.rawEnds);
          expect(decoded.nonce).toEqual(nonce);
          expect(decoded.footerBytes).toBe(bytes.length - before);
          expect(storedFooterBytes(bytes.subarray(-4))).toBe(decoded.footerBytes);
        },
      ),
      { numRuns: 30, seed: 5 },
    );
  });

  test('version 0 is read; a whole object gives it the ends that it lacks', () => {
    const old = encodeVersion0(xorb);
    const decoded = decodeFooter(old);
    expect(decoded.version).toBe(0);
    expect(decoded.rawEnds).toBeNull();
    expect(decoded.nonce).toBeNull();
    expect(decoded.chunkHashes).toEqual(xorb.chunkHashes);
    const stored = readStoredXorb(concat([xorb.bytes, old]));
    expect(stored.version).toBe(0);
    expect(stored.hash.equals(xorb.hash)).toBe(true);
    expect([...stored.rawEnds]).toEqual(vector.expected.unpacked_chunk_offsets);
    expect([...stored.recordEnds]).toEqual(vector.expected.chunk_boundary_offsets);
    expect(stored.recordsBytes).toBe(xorb.bytes.length);
    expect(stored.footerBytes).toBe(old.length);
  });

  test('lists that do not fit each other are RangeErrors of the writer', () => {
    expect(() => encodeFooter({ ...xorb, rawEnds: new Uint32Array(2) })).toThrow(RangeError);
    expect(() => encodeFooter({ ...xorb, chunkHashes: new Uint8Array(95) })).toThrow(RangeError);
    expect(() => encodeFooter({ ...xorb, nonce: new Uint8Array(3) })).toThrow(RangeError);
    const many = new Uint32Array(8193);
    const chunkHashes = new Uint8Array(32 * 8193);
    expect(() =>
      encodeFooter({ hash: xorb.hash, chunkHashes, recordEnds: many, rawEnds: many }),
    ).toThrow(RangeError);
  });

  test('a footer cut off at its start, at any byte, is a typed error', () => {
    for (const whole of [footer, encodeVersion0(xorb)]) {
      for (let start = 1; start < whole.length; start++) {
        expect(
          codeOf(() => decodeFooter(whole.subarray(start))),
          `from ${start}`,
        ).toBe('TRUNCATED');
      }
      for (let end = 0; end < whole.length; end++) {
        expect(
          codeOf(() => decodeFooter(whole.subarray(0, end))),
          `to ${end}`,
        ).not.toBeNull();
      }
    }
  });

  test('any flipped bit is refused, or lies in a hash, the nonce or the reserved bytes', () => {
    for (const { bytes, bit } of flippedBits(footer)) {
      const at = bit >> 3;
      const inHashes = (at >= 8 && at < 40) || (at >= 52 && at < 148);
      const inReserve = at >= footer.length - 20 && at < footer.length - 4;
      const code = codeOf(() => decodeFooter(bytes));
      if (inHashes || inReserve) expect(code).toBeNull();
      // An end that stays in order is legal here; the records tell (readStoredXorb, verifyXorb).
      else if (code === null)
        expect(codeOf(() => readStoredXorb(concat([xorb.bytes, bytes])))).toBe('FORMAT_INVALID');
    }
    for (const { bytes } of flippedBits(encodeVersion0(xorb))) codeOf(() => decodeFooter(bytes));
  });

  const field = (at: number, value: number): Uint8Array => {
    const bytes = footer.slice();
    new DataView(bytes.buffer).setUint32(at, value, true);
    return bytes;
  };
  const byte = (at: number, value: number): Uint8Array => {
    const bytes = footer.slice();
    bytes[at] = value;
    return bytes;
  };
  /** Offsets of fields for n = 3, from the table of the format. */
  test.each([
    ['first count absurd', field(48, 0xffffffff), 'LIMIT_EXCEEDED'],
    ['first count above the limit', field(48, 8193), 'LIMIT_EXCEEDED'],
    ['first count one more', field(48, 4), 'FORMAT_INVALID'],
    ['first count zero', field(48, 0), 'FORMAT_INVALID'],
    ['second count', field(156, 2), 'FORMAT_INVALID'],
    ['third count', field(184, 4), 'FORMAT_INVALID'],
    ['offset of the hash section', field(188, 173), 'FORMAT_INVALID'],
    ['offset of the boundary section', field(192, 63), 'FORMAT_INVALID'],
    ['record end below a header', field(160, 7), 'FORMAT_INVALID'],
    ['record ends out of order', field(164, 18), 'FORMAT_INVALID'],
    ['record end too far', field(168, 0x7fffffff), 'FORMAT_INVALID'],
    ['raw ends out of order', field(176, 10), 'FORMAT_INVALID'],
    ['raw end too far', field(180, 111 + 131_073), 'FORMAT_INVALID'],
    ['identifier', byte(0, 0x59), 'FORMAT_INVALID'],
    ['identifier of the hashes', byte(41, 0), 'FORMAT_INVALID'],
    ['version of the hashes', byte(47, 1), 'FORMAT_INVALID'],
    ['identifier of the boundaries', byte(149, 0), 'FORMAT_INVALID'],
    ['version of the boundaries', byte(155, 0), 'FORMAT_INVALID'],
    ['version 2', byte(7, 2), 'UNSUPPORTED'],
    ['version 0 in the form of 1', byte(7, 0), 'LIMIT_EXCEEDED'],
    ['info length of one byte more', field(212, 213), 'TRUNCATED'],
    ['info length of one byte less', field(212, 211), 'FORMAT_INVALID'],
    ['info length absurd', field(212, 0xffffffff), 'LIMIT_EXCEEDED'],
    ['info length zero', field(212, 0), 'FORMAT_INVALID'],
  ])('%s is refused', (_name, bytes, code) => {
    expect(codeOf(() => decodeFooter(bytes))).toBe(code);
  });

  test('the longest footer is within its limit and one more chunk is not', () => {
    const tail = (infoBytes: number) => new Uint8Array(Uint32Array.of(infoBytes).buffer);
    expect(storedFooterBytes(tail(92 + 40 * 8192))).toBe(FOOTER_MAX_BYTES);
    expect(codeOf(() => storedFooterBytes(tail(92 + 40 * 8193)))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(() => storedFooterBytes(new Uint8Array(3)))).toBe('TRUNCATED');
  });
});

describe('stored xorb', () => {
  test('footer and records are read together', () => {
    const stored = readStoredXorb(concat([xorb.bytes, footer]));
    expect(stored.version).toBe(1);
    expect(stored.recordEnds).toEqual(xorb.recordEnds);
    expect(stored.rawEnds).toEqual(xorb.rawEnds);
    expect(hex(encodeFooter(stored))).toBe(hex(footer));
  });

  test('a footer that does not fit the records is FORMAT_INVALID', () => {
    const fewer = encodeFooter(build(chunks.slice(0, 2), 'none'));
    expect(codeOf(() => readStoredXorb(concat([xorb.bytes, fewer])))).toBe('FORMAT_INVALID');
    const other = encodeFooter({ ...xorb, rawEnds: Uint32Array.of(12, 111, 161) });
    expect(codeOf(() => readStoredXorb(concat([xorb.bytes, other])))).toBe('FORMAT_INVALID');
    const shifted = encodeFooter({ ...xorb, recordEnds: Uint32Array.of(19, 126, 185) });
    expect(codeOf(() => readStoredXorb(concat([xorb.bytes, shifted])))).toBe('FORMAT_INVALID');
  });

  test('bytes between records and footer are refused', () => {
    expect(codeOf(() => readStoredXorb(concat([xorb.bytes, new Uint8Array(3), footer])))).toBe(
      'TRUNCATED',
    );
  });
});
