/**
 * LZ4 block decompression for hostile input: each length is compared with what is left before a
 * byte moves, and wide copies run only where they stay inside of the argument.
 */

/** Row d, byte i: i % d. Repeats the first d bytes of a vector through all of it. */
const PATTERN: usize = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
  0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0,
  0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0,
  0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1,
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0,
]);

/** Entry d: the largest multiple of d that is at most 16. */
const STEP: usize = memory.data<u8>([0, 16, 16, 15, 16, 15, 12, 14, 16, 9, 10, 11, 12, 13, 14, 15]);

/** Room behind a position below which copies go by single bytes. */
const WIDE_BYTES: usize = 32;

/** `n` bytes to `to` that repeat what starts `distance` before it; up to `outEnd` may be written. */
// @ts-ignore: decorator
@inline
function copyMatch(to: usize, distance: usize, n: usize, outEnd: usize): void {
  let from = to - distance;
  const end = to + n;
  if (outEnd - to >= WIDE_BYTES) {
    const wideEnd = min(end, outEnd - 16);
    if (distance >= 16) {
      do {
        v128.store(to, v128.load(from));
        to += 16;
        from += 16;
      } while (to < wideEnd);
    } else {
      const pattern = v128.swizzle(v128.load(from), v128.load(PATTERN + (distance << 4)));
      const step: usize = load<u8>(STEP + distance);
      do {
        v128.store(to, pattern);
        to += step;
      } while (to < wideEnd);
      from = to - distance;
    }
  }
  while (to < end) store<u8>(to++, load<u8>(from++));
}

/**
 * Decodes the block of `n` bytes at `src` to `out + start` on; matches may reach back to `out`,
 * nothing reaches `out + size`. Returns the end as an offset from `out`, or -1.
 */
export function lz4Decompress(src: usize, n: usize, out: usize, size: usize, start: usize): i32 {
  let p = src;
  const srcEnd = src + n;
  let to = out + start;
  const outEnd = out + size;

  while (p < srcEnd) {
    const token: usize = load<u8>(p++);
    let literals = token >> 4;
    let distance: usize;

    if (literals < 15 && srcEnd - p >= WIDE_BYTES && outEnd - to >= 2 * WIDE_BYTES) {
      // Most sequences: few literals, a short match not too near, room on both sides for copies of
      // a fixed size. A match of less than 15 + 4 bytes needs two vectors.
      v128.store(to, v128.load(p));
      p += literals;
      to += literals;
      distance = load<u16>(p);
      p += 2;
      if (distance - 1 >= to - out) return -1;
      const length = token & 15;
      if (length < 15 && distance >= 16) {
        v128.store(to, v128.load(to - distance));
        v128.store(to, v128.load(to - distance, 16), 16);
        to += length + 4;
        continue;
      }
    } else {
      if (literals == 15) {
        let more: usize;
        do {
          if (p >= srcEnd) return -1;
          more = load<u8>(p++);
          literals += more;
          if (literals > outEnd - to) return -1;
        } while (more == 255);
      }
      if (literals > srcEnd - p || literals > outEnd - to) return -1;
      if (literals <= 64 && srcEnd - p >= 64 && outEnd - to >= 64) {
        v128.store(to, v128.load(p));
        v128.store(to, v128.load(p, 16), 16);
        v128.store(to, v128.load(p, 32), 32);
        v128.store(to, v128.load(p, 48), 48);
      } else {
        memory.copy(to, p, literals);
      }
      p += literals;
      to += literals;
      // A block ends with literals.
      if (p == srcEnd) return <i32>(to - out);
      if (srcEnd - p < 2) return -1;
      distance = load<u16>(p);
      p += 2;
      // Distance 0 wraps around and is refused too.
      if (distance - 1 >= to - out) return -1;
    }

    let length = token & 15;
    if (length == 15) {
      let more: usize;
      do {
        if (p >= srcEnd) return -1;
        more = load<u8>(p++);
        length += more;
        if (length > outEnd - to) return -1;
      } while (more == 255);
    }
    length += 4;
    if (length > outEnd - to) return -1;
    copyMatch(to, distance, length, outEnd);
    to += length;
  }
  return -1;
}
