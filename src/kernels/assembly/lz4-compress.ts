/**
 * LZ4 block compression, the fast kind: one hash table of last sightings, greedy matches, strides
 * that grow while nothing is found.
 *
 * The table is not cleared for each block. Entries hold position + epoch, and every block starts an
 * epoch above all entries so far, so what older blocks left behind reads as "before the start".
 * Output therefore depends on the block alone.
 */
import { LZ4_TABLE, scratch } from './layout';

/** log2 of the table's entries: 4096 x 4 bytes leave half of a 32 KiB first-level cache. */
const TABLE_BITS: u64 = 12;
const TABLE_BYTES: usize = 4 << 12;
const MIN_MATCH: usize = 4;
const MAX_DISTANCE: usize = 65535;
/** The format's end rules: the last 5 bytes are literals, no match starts in the last 12. */
const LAST_LITERALS: usize = 5;
const MATCH_FIND_LIMIT: usize = 12;
/** The stride grows by one after each 64 positions without a match. */
const SKIP_SHIFT: u32 = 6;
/** Epochs start anew (and the table is cleared) before entries could overflow. */
const EPOCH_LIMIT: u32 = 0x70000000;

let epoch: u32 = 0;

/** Forgets everything; must run before the first block, for scratch may hold anything. */
export function lz4Reset(): void {
  memory.fill(scratch + LZ4_TABLE, 0, TABLE_BYTES);
  epoch = 1;
}

/** Table address of the 5 bytes at `p` (8 are read). */
// @ts-ignore: decorator
@inline
function slot(table: usize, p: usize): usize {
  // A prime near 2^40 / the golden ratio spreads the 40 bits that the shift keeps.
  return table + (<usize>(((load<u64>(p) << 24) * 889523592379) >> (64 - TABLE_BITS)) << 2);
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

/** `n` bytes; both sides may be read and written up to `srcEnd` and `outEnd`. */
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
  const table = scratch + LZ4_TABLE;
  if (epoch + <u32>n > EPOCH_LIMIT) lz4Reset();
  const base = epoch;
  epoch += <u32>n + 1;

  const srcEnd = src + n;
  const outEnd = out + capacity;
  let anchor = src;
  let to = out;

  if (n > MATCH_FIND_LIMIT) {
    const findEnd = srcEnd - MATCH_FIND_LIMIT;
    const matchEnd = srcEnd - LAST_LITERALS;
    let p = src;
    store<u32>(slot(table, p), base);
    p++;

    while (true) {
      let match: usize = 0;
      let tries: u32 = 1 << SKIP_SHIFT;
      let next = p;
      let found = false;
      while (true) {
        p = next;
        next = p + (tries++ >> SKIP_SHIFT);
        if (next > findEnd) break;
        const at = slot(table, p);
        const seen = load<u32>(at);
        const now = base + <u32>(p - src);
        store<u32>(at, now);
        if (seen < base || now - seen > <u32>MAX_DISTANCE) continue;
        match = src + (seen - base);
        if (load<u32>(match) == load<u32>(p)) {
          found = true;
          break;
        }
      }
      if (!found) break;

      while (p > anchor && match > src && load<u8>(p - 1) == load<u8>(match - 1)) {
        p--;
        match--;
      }

      // One literal run and every match that follows it without a gap.
      while (true) {
        const literals = p - anchor;
        const length = matchLength(p + MIN_MATCH, match + MIN_MATCH, matchEnd);
        // Token, offset, literals, and the most that both lengths can take.
        if (to + literals + literals / 255 + length / 255 + 5 > outEnd) return 0;
        const token = to++;
        if (literals >= 15) to = putLength(to, literals - 15);
        copyLiterals(to, anchor, literals, srcEnd, outEnd);
        to += literals;
        store<u16>(to, <u16>(p - match));
        to += 2;
        if (length >= 15) to = putLength(to, length - 15);
        store<u8>(
          token,
          (<u8>(literals < 15 ? literals : 15) << 4) | <u8>(length < 15 ? length : 15),
        );
        p += MIN_MATCH + length;
        anchor = p;
        if (p >= findEnd) break;

        store<u32>(slot(table, p - 2), base + <u32>(p - 2 - src));
        const at = slot(table, p);
        const seen = load<u32>(at);
        const now = base + <u32>(p - src);
        store<u32>(at, now);
        if (seen < base || now - seen > <u32>MAX_DISTANCE) break;
        match = src + (seen - base);
        if (load<u32>(match) != load<u32>(p)) break;
      }
      if (p >= findEnd) break;
      p++;
    }
  }

  const literals = srcEnd - anchor;
  if (to + literals + 1 + (literals >= 15 ? (literals - 15) / 255 + 1 : 0) > outEnd) return 0;
  store<u8>(to++, <u8>(literals < 15 ? literals : 15) << 4);
  if (literals >= 15) to = putLength(to, literals - 15);
  memory.copy(to, anchor, literals);
  return to + literals - out;
}
