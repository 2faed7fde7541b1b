/**
 * LZ4 block compression, the fast kind: one hash table of last sightings, greedy matches, strides
 * that grow while nothing is found.
 *
 * Table entries are the low 16 bits of an address. The distance back is then (address - entry)
 * mod 2^16, at most 65535 as the format wants, and whatever an entry says, the bytes themselves are
 * compared before it is believed; so 8192 entries need 16 KiB and no check of age. For each block all
 * of them are set to its start, so that the output depends on nothing but the block, and so that no
 * distance reaches further back than it.
 *
 * What the engine does with this code decides more than the number of operations: one branch for
 * "equal" before the rarer "distance 0", so that a position costs one jump; the bytes of short
 * sequences, nine in ten of them, are written without a loop or a division; the rest is in functions
 * of its own, so that the loop keeps its variables in registers.
 */
import { LZ4_TABLE, scratch } from './layout';

/** log2 of the table's entries. One bit less costs 2.4 % more output on ELF files. */
const TABLE_BITS: u64 = 13;
const TABLE_BYTES: usize = 2 << 13;
const MIN_MATCH: usize = 4;
/** The format's end rules: the last 5 bytes are literals, no match starts in the last 12. */
const LAST_LITERALS: usize = 5;
const MATCH_FIND_LIMIT: usize = 12;
/** The stride grows by one after each 64 positions without a match. */
const SKIP_SHIFT: u32 = 6;

/** Token, offset and literals of a short sequence, and what their copy writes too much. */
const SHORT_ROOM: usize = 24;

/** Table address of the 5 bytes at `p` (8 are read). */
// @ts-ignore: decorator
@inline
function slot(table: usize, p: usize): usize {
  // A prime near 2^40 / the golden ratio spreads the 40 bits that the shift keeps.
  return table + (<usize>(((load<u64>(p) << 24) * 889523592379) >> (64 - TABLE_BITS)) << 1);
}

/** Distance from `p` back to the last sighting at `at`, where `p` now stands; 0: there is none. */
// @ts-ignore: decorator
@inline
function distanceTo(at: usize, p: usize): usize {
  const seen: usize = load<u16>(at);
  store<u16>(at, <u16>p);
  return (p - seen) & 0xffff;
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

/** `n` literals; up to `srcEnd` may be read and up to `outEnd` written. */
// @ts-ignore: decorator
@inline
function copyLiterals(to: usize, from: usize, n: usize, srcEnd: usize, outEnd: usize): void {
  if (n <= 64 && from + 64 <= srcEnd && to + 64 <= outEnd) {
    v128.store(to, v128.load(from));
    if (n > 16) {
      v128.store(to, v128.load(from, 16), 16);
      v128.store(to, v128.load(from, 32), 32);
      v128.store(to, v128.load(from, 48), 48);
    }
    return;
  }
  memory.copy(to, from, n);
}

/** Length beyond a nibble's 15, in bytes of 255 and a rest. */
// @ts-ignore: decorator
@inline
function putLength(out: usize, n: usize): usize {
  for (; n >= 255; n -= 255) store<u8>(out++, 255);
  store<u8>(out++, <u8>n);
  return out;
}

/**
 * Bytes before `p` that equal those `distance` before them, at most `most`. Eight are compared at
 * once without a branch; what lies before `src` may be read, and does not count.
 */
// @ts-ignore: decorator
@inline
function backwardLength(p: usize, distance: usize, most: usize): usize {
  const differ = load<u64>(p - 8) ^ load<u64>(p - distance - 8);
  let n = min<usize>(<usize>(clz(differ) >> 3), most);
  if (n == 8) {
    while (n < most && load<u8>(p - n - 1) == load<u8>(p - distance - n - 1)) n++;
  }
  return n;
}

/** A sequence of any size; returns its end, 0 when it might not fit. */
function putSequence(
  to: usize,
  outEnd: usize,
  anchor: usize,
  literals: usize,
  srcEnd: usize,
  distance: usize,
  length: usize,
): usize {
  // Token, offset, literals, and the most that both lengths can take.
  if (to + literals + literals / 255 + length / 255 + 5 > outEnd) return 0;
  const token = to++;
  if (literals >= 15) to = putLength(to, literals - 15);
  copyLiterals(to, anchor, literals, srcEnd, outEnd);
  to += literals;
  store<u16>(to, <u16>distance);
  to += 2;
  if (length >= 15) to = putLength(to, length - 15);
  store<u8>(token, <u8>((min<usize>(literals, 15) << 4) | min<usize>(length, 15)));
  return to;
}

/** Sets all entries of the table to `src`. */
function clearTable(table: usize, src: usize): void {
  const value = i16x8.splat(<i16>src);
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

  if (n > MATCH_FIND_LIMIT) {
    const table = scratch + LZ4_TABLE;
    clearTable(table, src);
    const findEnd = srcEnd - MATCH_FIND_LIMIT;
    const matchEnd = srcEnd - LAST_LITERALS;
    let p = src + 1;

    while (true) {
      let distance: usize = 0;
      let tries: u32 = 1 << SKIP_SHIFT;
      let next = p;
      while (true) {
        p = next;
        next = p + (tries++ >> SKIP_SHIFT);
        if (next > findEnd) break;
        distance = distanceTo(slot(table, p), p);
        if (load<u32>(p - distance) == load<u32>(p)) {
          if (distance != 0) break;
        }
      }
      if (next > findEnd) break;

      const most = min<usize>(p - anchor, p - distance - src);
      p -= backwardLength(p, distance, most);

      // A literal run and its match, then every match that follows without a gap.
      while (true) {
        const literals = p - anchor;
        const after = p + MIN_MATCH;
        let length: usize = 0;
        const differ = load<u64>(after) ^ load<u64>(after - distance);
        if (differ != 0) {
          // Near the end of the block fewer than eight bytes may match.
          length = min<usize>(<usize>(ctz(differ) >> 3), matchEnd - after);
        } else length = matchLength(after, after - distance, matchEnd);
        if (
          <u32>(literals < 15) &
          <u32>(length < 15) &
          <u32>(to + SHORT_ROOM <= outEnd) &
          <u32>(anchor + 16 <= srcEnd)
        ) {
          store<u8>(to, <u8>((literals << 4) | length));
          v128.store(to + 1, v128.load(anchor));
          to += literals + 1;
          store<u16>(to, <u16>distance);
          to += 2;
        } else {
          to = putSequence(to, outEnd, anchor, literals, srcEnd, distance, length);
          if (to == 0) return 0;
        }
        p = after + length;
        anchor = p;
        if (p >= findEnd) break;

        store<u16>(slot(table, p - 2), <u16>(p - 2));
        distance = distanceTo(slot(table, p), p);
        if (load<u32>(p - distance) != load<u32>(p)) break;
        if (distance == 0) break;
      }
      if (p >= findEnd) break;
      p++;
    }
  }

  const literals = srcEnd - anchor;
  if (to + literals + 1 + (literals >= 15 ? (literals - 15) / 255 + 1 : 0) > outEnd) return 0;
  store<u8>(to++, <u8>(min<usize>(literals, 15) << 4));
  if (literals >= 15) to = putLength(to, literals - 15);
  memory.copy(to, anchor, literals);
  return to + literals - out;
}
