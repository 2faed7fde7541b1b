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
const LAST_MATCH_START = 12;
const MAX_DISTANCE = 65535;

/** 8192 slots: a chunk of 64 KiB has eight positions a slot, and the table stays in the L1 cache. */
const HASH_BITS = 13;

/**
 * After 2^6 positions without a match the search steps by two, after 64 more by three, and so on:
 * incompressible data is crossed at many times the speed. The value is that of the LZ4 authors.
 */
const SKIP_SHIFT = 6;

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
    const matchStartEnd = length - LAST_MATCH_START;
    const matchEnd = length - LAST_LITERALS;
    table.fill(-1);

    let written = 0;
    let anchor = 0; // first byte not yet written
    let position = 0;
    let misses = 1 << SKIP_SHIFT;

    while (position <= matchStartEnd) {
      const sequence = read32(src, position);
      const slot = Math.imul(sequence, 0x9e3779b1) >>> (32 - HASH_BITS);
      let candidate = table[slot] as number;
      table[slot] = position;
      if (
        candidate < 0 ||
        position - candidate > MAX_DISTANCE ||
        read32(src, candidate) !== sequence
      ) {
        position += misses++ >> SKIP_SHIFT;
        continue;
      }

      const distance = position - candidate;
      let end = position + MIN_MATCH;
      while (end < matchEnd && src[end] === src[end - distance]) end++;
      while (position > anchor && candidate > 0 && src[position - 1] === src[candidate - 1]) {
        position--;
        candidate--;
      }

      written = writeSequence(src, anchor, position, distance, end - position, out, written);
      if (written < 0) return 0;
      // One position inside the match keeps the table useful for what follows it.
      if (end - 2 <= matchStartEnd) {
        table[Math.imul(read32(src, end - 2), 0x9e3779b1) >>> (32 - HASH_BITS)] = end - 2;
      }
      anchor = end;
      position = end;
      misses = 1 << SKIP_SHIFT;
    }

    written = writeSequence(src, anchor, length, 0, 0, out, written);
    return written < 0 ? 0 : written;
  };
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
