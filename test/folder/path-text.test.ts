import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareNames, decodePathBytes, encodePathText } from '../../src/folder/index.js';

describe('names as text', () => {
  it('are what they look like when they are UTF-8', () => {
    const text = 'Grüße 😀.txt';
    expect(decodePathBytes(new TextEncoder().encode(text))).toBe(text);
  });

  it('have the surrogates of PEP 383 for bytes that are not', () => {
    expect(decodePathBytes(Uint8Array.of(0x61, 0xff, 0x62))).toBe('a\udcffb');
    // As Python has them: overlong forms, surrogates and cut sequences, byte by byte.
    expect(decodePathBytes(Uint8Array.of(0xc0, 0x80))).toBe('\udcc0\udc80');
    expect(decodePathBytes(Uint8Array.of(0xed, 0xa0, 0x80))).toBe('\udced\udca0\udc80');
    expect(decodePathBytes(Uint8Array.of(0xe2, 0x82, 0x2e))).toBe('\udce2\udc82.');
  });

  it('come back as the same bytes, whatever these were', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(encodePathText(decodePathBytes(bytes))).toEqual(bytes);
      }),
    );
  });

  it('are refused as texts that no bytes have', () => {
    for (const text of [
      '\ud800',
      'a\udc00',
      '\udc7f',
      '\udd00',
      '\udcc3\udca9',
      '\udce2\udc82\udcac',
    ]) {
      expect(encodePathText(text), JSON.stringify(text)).toBeNull();
    }
  });

  it('are in the order of their bytes', () => {
    const name = fc.uint8Array({ minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(name, name, (a, b) => {
        const order = compareNames(decodePathBytes(a), decodePathBytes(b));
        expect(Math.sign(order)).toBe(Buffer.compare(a, b));
      }),
    );
    // Where UTF-16 has another order.
    expect(compareNames('\ufffd', '😀')).toBeLessThan(0);
  });
});
