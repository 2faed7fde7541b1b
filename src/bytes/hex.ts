import { OrbweaverError } from '../errors.js';

/**
 * Hexadecimal text, strict: exactly two digits a byte, nothing else. `xet*` follow the string rule
 * of the protocol: each group of 8 bytes is printed as a little-endian u64, so it appears reversed.
 */

/** Code of a digit. */
function digitCode(digit: number): number {
  return digit + (digit < 10 ? 48 : 87);
}

/** Codes that are made a text at once; in one piece, where digits added one by one stay a chain. */
const MOST_CODES = 1024;

/** Lower-case hex of `bytes`, in byte order. */
export function hexEncode(bytes: Uint8Array): string {
  const codes: number[] = [];
  let text = '';
  for (const byte of bytes) {
    codes.push(digitCode(byte >> 4), digitCode(byte & 15));
    if (codes.length === MOST_CODES) text += String.fromCharCode(...codes.splice(0));
  }
  return text + String.fromCharCode(...codes);
}

/** Bytes of hex text in byte order; upper case accepted. @throws OrbweaverError `HASH_INVALID` */
export function hexDecode(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw invalid(text, 'an even number of digits');
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) {
    const high = digit(text.charCodeAt(2 * i));
    const low = digit(text.charCodeAt(2 * i + 1));
    if (high < 0 || low < 0) throw invalid(text, 'hexadecimal digits only');
    out[i] = (high << 4) | low;
  }
  return out;
}

/** The string rule of the protocol for `bytes[offset, offset + 32)`. */
export function xetHexEncode(bytes: Uint8Array, offset = 0): string {
  const codes: number[] = [];
  for (let i = 0; i < 32; i++) {
    const byte = bytes[offset + (i ^ 7)] as number;
    codes.push(digitCode(byte >> 4), digitCode(byte & 15));
  }
  return String.fromCharCode(...codes);
}

/**
 * 32 bytes of a hash string of exactly 64 digits (upper case accepted).
 * @throws OrbweaverError `HASH_INVALID`
 */
export function xetHexDecode(text: string): Uint8Array {
  if (text.length !== 64) throw invalid(text, '64 hexadecimal digits');
  const plain = hexDecode(text);
  for (let group = 0; group < 32; group += 8) plain.subarray(group, group + 8).reverse();
  return plain;
}

function digit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

function invalid(text: string, expected: string): OrbweaverError {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new OrbweaverError(
    'HASH_INVALID',
    `hash expected ${expected}, got ${JSON.stringify(shown)}`,
    { length: text.length },
  );
}
