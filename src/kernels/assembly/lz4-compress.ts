/**
 * LZ4 block compression, the fast kind: one hash table of last sightings, greedy matches, strides
 * that grow while nothing is found. The parse is that of `src/compress/lz4-block.ts`, byte for byte.
 *
 * Three neighbours are looked up at once: their 5-byte windows come from one load, their table and
 * candidate loads overlap, and one jump asks whether any of them matches; which one it is is chosen
 * without a jump. Most sequences begin in the first group behind a match, so that this jump is
 * predicted well, where a jump per position is a guess per sequence (-15 % time on binaries and
 * text; groups of two and four are a little slower, and so are candidates compared as a vector).
 *
 * Table entries are addresses, all set to the start for each block: the output depends on nothing
 * but the block, and no candidate lies before it. Bytes are compared before an entry is believed.
 * Writing a sequence costs next to nothing, as it waits for nobody; what counts is the way from one
 * match to the next. So lengths below eight come from one comparison, and everything rare is in
 * functions of its own, so that the loop keeps its variables in registers.
 */
import { LZ4_TABLE, scratch } from './layout';

/** log2 of the table's entries. One bit less costs 2 % more output on ELF files, 10 % on text. */
const TABLE_BITS: u64 = 13;
const TABLE_BYTES: usize = 4 << 13;
const MIN_MATCH: usize = 4;
const MAX_DISTANCE: usize = 65535;
/** The format's end rule: the last 5 bytes are literals. */
const LAST_LITERALS: usize = 5;
/**
 * No group starts in the last so many bytes (of the twin, too). The format asks for 12 behind the
 * start of a match; with 26, lengths below eight end before the last literals by themselves.
 */
const GROUP_MARGIN: usize = 26;
const GROUP: usize = 3;
/** The stride grows by one group after each 16 groups without a match. */
const SKIP_SHIFT: u32 = 4;

/** Token, literals and offset of a short sequence, and what the copy of its literals writes too much. */
const SHORT_ROOM: usize = 24;

/** Table address of 5 bytes that are the upper ones of `window`. */
// @ts-ignore: decorator
@inline
function slot(table: usize, window: u64): usize {
  // A prime near 2^40 / the golden ratio.
  return table + (<usize>((window * 889523592379) >> (64 - TABLE_BITS)) << 2);
}

/** Bytes from `p` on that equal those from `q` (< p) on, not beyond `end`. */
function matchLength(p: usize, q: usize, end: usize): usize {
  const from = p;
  while (p + 8 <= end) {
    const differ = load<u64>(p) ^ load<u64>(q);
    if (differ != 0) return p - from + <usize>(ctz(differ) >> 3);
    p += 8;
    q += 8;
  }
  while (p < end && load<u8>(p) == load<u8>(q)) {
    p++;
    q++;
  }
  return p - from;
}

/** More than eight bytes before `p` and `q` are equal: how many, at most `most`. */
function longBackward(p: usize, q: usize, most: usize): usize {
  let n: usize = 8;
  while (n < most && load<u8>(p - n - 1) == load<u8>(q - n - 1)) n++;
  return n;
}

/** Length beyond a nibble's 15, in bytes of 255 and a rest. */
// @ts-ignore: decorator
@inline
function putLength(out: usize, n: usize): usize {
  for (; n >= 255; n -= 255) store<u8>(out++, 255);
  store<u8>(out++, <u8>n);
  return out;
}

/** Bytes of a length behind its nibble. */
// @ts-ignore: decorator
@inline
function lengthBytes(n: usize): usize {
  return n >= 15 ? (n - 15) / 255 + 1 : 0;
}

/** A sequence of any size; returns its end, 0 when it does not fit. */
function putSequence(
  to: usize,
  outEnd: usize,
  anchor: usize,
  literals: usize,
  srcEnd: usize,
  distance: usize,
  length: usize,
): usize {
  if (to + 3 + literals + lengthBytes(literals) + lengthBytes(length) > outEnd) return 0;
  const token = to++;
  if (literals >= 15) to = putLength(to, literals - 15);
  if (literals <= 64 && anchor + 64 <= srcEnd && to + 64 <= outEnd) {
    v128.store(to, v128.load(anchor));
    v128.store(to, v128.load(anchor, 16), 16);
    v128.store(to, v128.load(anchor, 32), 32);
    v128.store(to, v128.load(anchor, 48), 48);
  } else {
    memory.copy(to, anchor, literals);
  }
  to += literals;
  store<u16>(to, <u16>distance);
  to += 2;
  if (length >= 15) to = putLength(to, length - 15);
  store<u8>(token, <u8>((min<usize>(literals, 15) << 4) | min<usize>(length, 15)));
  return to;
}

/** The literals that end a block; returns its end, 0 when they do not fit. */
function putLast(to: usize, outEnd: usize, anchor: usize, literals: usize): usize {
  if (to + 1 + literals + lengthBytes(literals) > outEnd) return 0;
  store<u8>(to++, <u8>(min<usize>(literals, 15) << 4));
  if (literals >= 15) to = putLength(to, literals - 15);
  memory.copy(to, anchor, literals);
  return to + literals;
}

/** Sets all entries of the table to `src`. */
function clearTable(table: usize, src: usize): void {
  const value = i32x4.splat(<i32>src);
  for (let at = table; at < table + TABLE_BYTES; at += 64) {
    v128.store(at, value);
    v128.store(at, value, 16);
    v128.store(at, value, 32);
    v128.store(at, value, 48);
  }
}

/**
 * `n` bytes at `src` into at most `capacity` bytes at `out`; the two do not overlap. Returns the
 * block's length, 0 when it does not fit. What comes after that length in `out` may be scribbled on.
 */
export function lz4Compress(src: usize, n: usize, out: usize, capacity: usize): usize {
  const srcEnd = src + n;
  const outEnd = out + capacity;
  let anchor = src;
  let to = out;

  if (n > GROUP_MARGIN) {
    const table = scratch + LZ4_TABLE;
    clearTable(table, src);
    const lastGroup = srcEnd - GROUP_MARGIN;
    let p = src + 1;
    let tries: u32 = 1 << SKIP_SHIFT;

    while (p <= lastGroup) {
      const x = load<u64>(p);
      const t0 = slot(table, x << 24);
      const t1 = slot(table, (x >> 8) << 24);
      const t2 = slot(table, (x >> 16) << 24);
      const c0 = <usize>load<u32>(t0);
      store<u32>(t0, <u32>p);
      const c1 = <usize>load<u32>(t1);
      store<u32>(t1, <u32>(p + 1));
      const c2 = <usize>load<u32>(t2);
      store<u32>(t2, <u32>(p + 2));
      const e0 = load<u32>(c0) == <u32>x;
      const e1 = load<u32>(c1) == <u32>(x >> 8);
      const e2 = load<u32>(c2) == <u32>(x >> 16);
      if (!(<u32>e0 | <u32>e1 | <u32>e2)) {
        p += <usize>(tries++ >> SKIP_SHIFT) * GROUP;
        continue;
      }
      const c = select<usize>(c0, select<usize>(c1, c2, e1), e0);
      const q = p + select<usize>(0, select<usize>(1, 2, e1), e0);
      const distance = q - c;
      if (distance > MAX_DISTANCE) {
        p += GROUP;
        continue;
      }
      tries = 1 << SKIP_SHIFT;

      const after = q + MIN_MATCH;
      const differ = load<u64>(after) ^ load<u64>(c, MIN_MATCH);
      let length = <usize>ctz(differ) >> 3;
      if (differ == 0) length = 8 + matchLength(after + 8, c + 12, srcEnd - LAST_LITERALS);
      p = after + length;
      // Eight bytes before are compared at once; what lies before `src` does not count.
      const most = min<usize>(q - anchor, c - src);
      let back = min<usize>(<usize>clz(load<u64>(q - 8) ^ load<u64>(c - 8)) >> 3, most);
      if (back == 8) back = longBackward(q, c, most);
      const literals = q - back - anchor;
      length += back;

      if (<u32>(literals < 15) & <u32>(length < 15) & <u32>(to + SHORT_ROOM <= outEnd)) {
        store<u8>(to, <u8>((literals << 4) | length));
        v128.store(to + 1, v128.load(anchor));
        to += literals + 1;
        store<u16>(to, <u16>distance);
        to += 2;
      } else {
        to = putSequence(to, outEnd, anchor, literals, srcEnd, distance, length);
        if (to == 0) return 0;
      }
      anchor = p;
      if (p > lastGroup) break;
      // The last position inside the match: the other ones would push out what is not seen so often.
      store<u32>(slot(table, load<u64>(p - 1) << 24), <u32>(p - 1));
    }
  }

  to = putLast(to, outEnd, anchor, srcEnd - anchor);
  return to == 0 ? 0 : to - out;
}
