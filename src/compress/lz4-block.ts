/**
 * LZ4 blocks, written to be read: the oracle of the kernels and the codec where they do not run.
 *
 * A block is a list of sequences; the last one stops after its literals.
 *
 *     token      high nibble: literal count, low nibble: match length - 4 (15 = more bytes follow)
 *     255 … b    rest of the literal count, when the nibble is 15
 *     literals
 *     u16le      distance of the match, 1 … 65535
 *     255 … b    rest of the match length, when the nibble is 15
 *
 * Two rules of the format bind the encoder: the last 5 bytes are literals, and no match starts in
 * the last 12 bytes.
 */

const MIN_MATCH = 4;
const LAST_LITERALS = 5;
const MAX_DISTANCE = 65535;

/** 8192 slots: a chunk of 64 KiB has eight positions a slot. */
const HASH_BITS = 13;

/**
 * Positions are looked up in groups of three neighbours, of which the first that matches counts. All
 * of them are noted down, also those behind the match. (The kernel looks them up at once.)
 */
const GROUP = 3;

/** No group starts in the last so many bytes: more than the format asks for, for the kernel's sake. */
const GROUP_MARGIN = 26;

/**
 * After 2^4 groups without a match every second group is left out, after 16 more two of three, and
 * so on: incompressible data is crossed at many times the speed. About the value of the LZ4 authors.
 */
const SKIP_SHIFT = 4;

/** Copies longer than this go through the engine's memory move; shorter ones are cheaper by hand. */
const BULK_COPY_BYTES = 48;

/**
 * A function that encodes `src` as one block into `out` and returns the bytes written, or 0 when
 * the block does not fit. It owns a hash table, so make one and keep it.
 */
export function createLz4BlockEncoder(): (src: Uint8Array, out: Uint8Array) => number {
  const table = new Int32Array(1 << HASH_BITS);

  return (src, out) => {
    const length = src.length;
    const matchEnd = length - LAST_LITERALS;
    // Every slot names the start of the block: a match with it is as good as any other.
    table.fill(0);

    let written = 0;
    let anchor = 0; // first byte not yet written
    let first = 1; // of the group
    let tries = 1 << SKIP_SHIFT;

    while (first <= length - GROUP_MARGIN) {
      let position = -1;
      let candidate = 0;
      for (let at = first; at < first + GROUP; at++) {
        const slot = slotOf(src, at);
        const seen = table[slot] as number;
        table[slot] = at;
        if (position < 0 && read32(src, seen) === read32(src, at)) {
          position = at;
          candidate = seen;
        }
      }
      if (position < 0) {
        first += GROUP * (tries++ >> SKIP_SHIFT);
        continue;
      }
      const distance = position - candidate;
      if (distance > MAX_DISTANCE) {
        first += GROUP;
        continue;
      }
      tries = 1 << SKIP_SHIFT;

      let end = position + MIN_MATCH;
      while (end < matchEnd && src[end] === src[end - distance]) end++;
      while (position > anchor && candidate > 0 && src[position - 1] === src[candidate - 1]) {
        position--;
        candidate--;
      }
      written = writeSequence(src, anchor, position, distance, end - position, out, written);
      if (written < 0) return 0;
      anchor = end;
      first = end;
      // The last position inside the match keeps the table useful for what follows it: 0.2 % less
      // output than without any, and text 1 % less than with the last but one.
      if (end <= length - GROUP_MARGIN) table[slotOf(src, end - 1)] = end - 1;
    }

    written = writeSequence(src, anchor, length, 0, 0, out, written);
    return written < 0 ? 0 : written;
  };
}

/** A prime near 2^40 divided by the golden ratio, in two halves of 20 bits. */
const PRIME = 889523592379;
const PRIME_LOW = PRIME % 2 ** 20;
const PRIME_HIGH = Math.floor(PRIME / 2 ** 20);

/** Bits 27 to 39 of the product of the 5 bytes at `at` and the prime, in exact doubles. */
function slotOf(bytes: Uint8Array, at: number): number {
  const word = read32(bytes, at);
  const low = word & 0xfffff;
  const high = (word >>> 20) | ((bytes[at + 4] as number) << 12);
  const middle = (Math.imul(low, PRIME_HIGH) + Math.imul(high, PRIME_LOW)) & 0xfffff;
  return Math.floor((low * PRIME_LOW + middle * 2 ** 20) / 2 ** 27) & ((1 << HASH_BITS) - 1);
}

/** Writes literals `src[anchor, end)` and, when `distance` is not 0, a match. -1 when it does not fit. */
function writeSequence(
  src: Uint8Array,
  anchor: number,
  end: number,
  distance: number,
  matchLength: number,
  out: Uint8Array,
  at: number,
): number {
  const literals = end - anchor;
  const extra = distance === 0 ? 0 : matchLength - MIN_MATCH;
  const bytes =
    1 + lengthBytes(literals) + literals + (distance === 0 ? 0 : 2 + lengthBytes(extra));
  if (bytes > out.length - at) return -1;

  out[at++] = (Math.min(literals, 15) << 4) | Math.min(extra, 15);
  at = writeLength(literals, out, at);
  if (literals > BULK_COPY_BYTES) {
    out.set(src.subarray(anchor, end), at);
    at += literals;
  } else {
    while (anchor < end) out[at++] = src[anchor++] as number;
  }
  if (distance === 0) return at;
  out[at++] = distance & 255;
  out[at++] = distance >>> 8;
  return writeLength(extra, out, at);
}

/** Bytes that a length needs behind its nibble. */
function lengthBytes(length: number): number {
  return length < 15 ? 0 : 1 + Math.floor((length - 15) / 255);
}

function writeLength(length: number, out: Uint8Array, at: number): number {
  if (length < 15) return at;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) out[at++] = 255;
  out[at++] = rest;
  return at;
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/**
 * Decodes one block into `out` from `outStart`. Matches may reach back to `out[0]`: the caller cuts
 * a view where a block must not see what came before. Returns the end position in `out`, or -1 when
 * the block is cut off, reaches before `out[0]`, has distance 0, or does not fit. Total: no input
 * makes it throw, loop or touch other bytes.
 */
export function lz4BlockDecode(src: Uint8Array, out: Uint8Array, outStart: number): number {
  const srcEnd = src.length;
  const outEnd = out.length;
  if (outStart < 0 || outStart > outEnd) return -1;
  let from = 0;
  let to = outStart;

  while (from < srcEnd) {
    const token = src[from++] as number;

    let literals = token >>> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (from === srcEnd) return -1;
        more = src[from++] as number;
        literals += more;
      }
    }
    if (literals > srcEnd - from || literals > outEnd - to) return -1;
    if (literals > BULK_COPY_BYTES) {
      out.set(src.subarray(from, from + literals), to);
      from += literals;
      to += literals;
    } else {
      for (const end = from + literals; from < end; ) out[to++] = src[from++] as number;
    }
    if (from === srcEnd) return to;

    if (srcEnd - from < 2) return -1;
    const distance = (src[from] as number) | ((src[from + 1] as number) << 8);
    from += 2;
    if (distance === 0 || distance > to) return -1;
    let matchLength = token & 15;
    if (matchLength === 15) {
      let more = 255;
      while (more === 255) {
        if (from === srcEnd) return -1;
        more = src[from++] as number;
        matchLength += more;
      }
    }
    matchLength += MIN_MATCH;
    if (matchLength > outEnd - to) return -1;
    if (matchLength > BULK_COPY_BYTES && distance >= matchLength) {
      out.copyWithin(to, to - distance, to - distance + matchLength);
      to += matchLength;
    } else {
      // Forward byte by byte: a match may overlap what it produces, which repeats the pattern.
      for (const end = to + matchLength; to < end; to++) out[to] = out[to - distance] as number;
    }
  }
  return -1; // no bytes at all, or the block ends after a match instead of after literals
}
