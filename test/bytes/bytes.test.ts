import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  concatBytes,
  hexDecode,
  hexEncode,
  isZero,
  xetHexDecode,
  xetHexEncode,
} from '../../src/bytes/index.js';

const bytes = fc.uint8Array({ maxLength: 100 });

describe('hex', () => {
  it('reads back what it writes, in either case', () => {
    fc.assert(
      fc.property(bytes, (data) => {
        expect(hexEncode(data)).toBe(Buffer.from(data).toString('hex'));
        expect(hexDecode(hexEncode(data))).toEqual(data);
        expect(hexDecode(hexEncode(data).toUpperCase())).toEqual(data);
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  it('follows the string rule of the protocol at any offset', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 40 }), (data) => {
        const offset = data.length - 32;
        const view = new DataView(data.buffer, data.byteOffset + offset);
        const expected = [0, 8, 16, 24]
          .map((at) => view.getBigUint64(at, true).toString(16).padStart(16, '0'))
          .join('');
        expect(xetHexEncode(data, offset)).toBe(expected);
        expect(xetHexDecode(expected)).toEqual(data.slice(offset));
      }),
      { seed: 2, numRuns: 50 },
    );
  });

  it.each(['0', '0g', 'xx', ' 0', '٠٠', '-1', '0x'])('refuses %j', (text) => {
    expect(() => hexDecode(text)).toThrow(expect.objectContaining({ code: 'HASH_INVALID' }));
  });

  it('refuses hash strings of another length, however long, in a short message', () => {
    for (const length of [0, 62, 63, 65, 66, 1_000_000]) {
      let caught: unknown;
      try {
        xetHexDecode('0'.repeat(length));
      } catch (error) {
        caught = error;
      }
      expect(caught).toMatchObject({ code: 'HASH_INVALID' });
      expect((caught as Error).message.length).toBeLessThan(160);
    }
  });
});

describe('ByteReader and ByteWriter', () => {
  it('read back every kind of field from a view at any offset', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(0xffff_ffff),
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.maxSafeNat(),
        bytes,
        fc.nat(9),
        (u8, u32, u64, safe, data, lead) => {
          const writer = new ByteWriter(1);
          writer.zeros(lead).u8(u8).u32(u32).u64(u64).u64(safe).bytes(data);
          const written = writer.finish();
          expect(written.length).toBe(writer.length);
          const reader = new ByteReader(written.subarray(lead));
          expect(reader.u8('a')).toBe(u8);
          expect(reader.u32('c')).toBe(u32);
          expect(reader.u64('d')).toBe(u64);
          expect(reader.u64Number('e')).toBe(safe);
          expect(reader.view(data.length, 'f')).toEqual(data);
          expect(reader.remaining).toBe(0);
        },
      ),
      { seed: 3, numRuns: 100 },
    );
  });

  it('name the field and the place where the bytes end', () => {
    const steps: ((reader: ByteReader) => unknown)[] = [
      (reader) => reader.u8('count'),
      (reader) => reader.u32('count'),
      (reader) => reader.u64('count'),
      (reader) => reader.u64Number('count'),
      (reader) => reader.view(5, 'count'),
      (reader) => reader.skip(5, 'count'),
    ];
    const widths = [1, 4, 8, 8, 5, 5];
    for (const [i, step] of steps.entries()) {
      for (let length = 0; length < (widths[i] as number); length++) {
        const reader = new ByteReader(new Uint8Array(10 + length), 10);
        expect(() => step(reader)).toThrow(
          expect.objectContaining({
            code: 'TRUNCATED',
            fields: { field: 'count', offset: 10, expected: widths[i] },
          }),
        );
        expect(reader.offset, 'nothing was consumed').toBe(10);
      }
    }
  });

  it('refuse an absurd length and an offset behind the end', () => {
    expect(() => new ByteReader(new Uint8Array(4)).view(2 ** 53, 'data')).toThrow(
      expect.objectContaining({ code: 'TRUNCATED' }),
    );
    expect(() => new ByteReader(new Uint8Array(4), 9).u8('data')).toThrow(
      expect.objectContaining({ code: 'TRUNCATED' }),
    );
  });

  it('refuse a u64 that no number holds exactly', () => {
    const writer = new ByteWriter().u64(2n ** 53n).u64(2n ** 53n - 1n);
    expect(() => new ByteReader(writer.finish()).u64Number('size')).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
    expect(new ByteReader(writer.finish(), 8).u64Number('size')).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe('comparison', () => {
  it('tells equal from unequal', () => {
    fc.assert(
      fc.property(bytes, fc.nat(), (data, at) => {
        expect(bytesEqual(data, data.slice())).toBe(true);
        expect(bytesEqual(data, concatBytes([data, Uint8Array.of(0)]))).toBe(false);
        if (data.length === 0) return;
        const changed = data.slice();
        changed[at % data.length] = (changed[at % data.length] as number) ^ 1;
        expect(bytesEqual(data, changed)).toBe(false);
      }),
      { seed: 4, numRuns: 50 },
    );
  });

  it('finds zeros in a range only', () => {
    const data = Uint8Array.of(1, 0, 0, 2);
    expect(isZero(data)).toBe(false);
    expect(isZero(data, 1, 3)).toBe(true);
    expect(isZero(data, 1)).toBe(false);
    expect(isZero(data, 2, 2)).toBe(true);
  });

  it('joins parts into memory of its own', () => {
    const part = Uint8Array.of(1, 2);
    const joined = concatBytes([part, new Uint8Array(0), part.subarray(1)]);
    part.fill(9);
    expect([...joined]).toEqual([1, 2, 2]);
    expect(concatBytes([])).toHaveLength(0);
  });
});
