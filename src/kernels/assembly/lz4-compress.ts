/**
 * LZ4 block compression, the fast kind: one hash table of last sightings, greedy matches, strides
 * that grow while nothing is found.
 *
 * Table entries are the low 16 bits of a position. The distance back is then (position - entry)
 * mod 2^16, at most 65535 as the format wants, and whatever an entry says, the bytes themselves are
 * compared before it is believed; so 8192 entries need 16 KiB and no check of age. The table is
 * cleared for each block, so that the output depends on nothing but the block.
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

/** Table address of the 5 bytes at `p` (8 are read). */
// @ts-ignore: decorator
@inline
function slot(table: usize, p: usize): usize {
  // A prime near 2^40 / the golden ratio spreads the 40 bits that the shift keeps.
  return table + (<usize>(((load<u64>(p) << 24) * 889523592379) >> (64 - TABLE_BITS)) << 1);
}

/**
 * Distance from `position` back to the last sighting at `at`, where `position` now stands. Never
 * more than `position`: entries start as 0, which is a position too. 0 means no candidate.
 */
// @ts-ignore: decorator
@inline
function swap(at: usize, position: usize): usize {
  const seen: usize = load<u16>(at);
  store<u16>(at, <u16>position);
  return (position - seen) & 0xffff;
}

/** Bytes from `p` on that equal those from `q` (< p) on, not beyond `end`. */
// @ts-ignore: decorator
@inline
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
    memory.fill(table, 0, TABLE_BYTES);
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
        distance = swap(slot(table, p), p - src);
        if (distance != 0 && load<u32>(p - distance) == load<u32>(p)) break;
      }
      if (next > findEnd) break;

      while (p > anchor && p - distance > src && load<u8>(p - 1) == load<u8>(p - distance - 1)) p--;

      // A literal run and its match, then every match that follows without a gap.
      while (true) {
        const literals = p - anchor;
        const length = matchLength(p + MIN_MATCH, p + MIN_MATCH - distance, matchEnd);
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
        p += MIN_MATCH + length;
        anchor = p;
        if (p >= findEnd) break;

        store<u16>(slot(table, p - 2), <u16>(p - 2 - src));
        distance = swap(slot(table, p), p - src);
        if (distance == 0 || load<u32>(p - distance) != load<u32>(p)) break;
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
