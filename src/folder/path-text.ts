/**
 * Names of files as text. Names are bytes on POSIX systems and nearly always UTF-8; a manifest is JSON,
 * which has text only. A byte that is not part of well-formed UTF-8 is the lone surrogate U+DC00 plus its
 * value, 0x80 to 0xff, as Python has it ("surrogateescape", PEP 383): every name has one text, every such
 * text one name, and names in UTF-8 are what they look like.
 *
 *     61 ff 62   ⇄   "a", U+DCFF, "b"
 */

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

/** U+DC80 to U+DCFF stand for the bytes 0x80 to 0xff. */
const ESCAPE_BASE = 0xdc00;
const FIRST_ESCAPE = 0xdc80;
const LAST_ESCAPE = 0xdcff;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
const ASCII = /^[\x00-\x7f]*$/;
/** A surrogate that is no half of a pair. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The text of a name of these bytes. Never throws. */
export function decodePathBytes(bytes: Uint8Array): string {
  try {
    return DECODER.decode(bytes);
  } catch {
    return decodeMixed(bytes);
  }
}

/** Sequence by sequence: those of UTF-8 as they are, other bytes escaped one by one. */
function decodeMixed(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at] as number);
    const sequence = length === 0 ? null : decodeSequence(bytes.subarray(at, at + length), length);
    if (sequence === null) {
      text += String.fromCharCode(ESCAPE_BASE + (bytes[at] as number));
      at++;
    } else {
      text += sequence;
      at += length;
    }
  }
  return text;
}

/** Bytes that a sequence beginning with this byte has; 0: none begins with it. */
function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first >= 0xe0 && first <= 0xef) return 3;
  return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

function decodeSequence(bytes: Uint8Array, length: number): string | null {
  if (bytes.length < length) return null;
  try {
    return DECODER.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The bytes of a name. Null for a text that stands for none: a surrogate that is neither half of a pair nor
 * an escape, or escapes that together are well-formed UTF-8 and have to be written as such.
 */
export function encodePathText(text: string): Uint8Array | null {
  if (isUtf8Path(text)) return ENCODER.encode(text);
  const parts: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (code >= FIRST_ESCAPE && code <= LAST_ESCAPE) parts.push(code - ESCAPE_BASE);
    else if (code >= 0xd800 && code <= 0xdfff) return null;
    else parts.push(...ENCODER.encode(char));
  }
  const bytes = Uint8Array.from(parts);
  return decodePathBytes(bytes) === text ? bytes : null;
}

/** True for a name that is well-formed UTF-8. */
export function isUtf8Path(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}

/**
 * The order of names in one folder: by their bytes. For texts that stand for names.
 * @returns negative, zero or positive
 */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  // Units of UTF-16 are in the order of the bytes as long as nothing is beyond ASCII.
  if (ASCII.test(a) && ASCII.test(b)) return a < b ? -1 : 1;
  const [left, right] = [encodePathText(a), encodePathText(b)];
  if (left === null || right === null) return a < b ? -1 : 1;
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const difference = (left[i] as number) - (right[i] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
