/**
 * Byte grouping by four: byte i goes to group i % 4, the groups side by side. Group g of n bytes
 * has (n + 3 - g) / 4 of them, so for lengths that are no multiple of 4 groups start unaligned.
 */

// @ts-ignore: decorator
@inline
function groupStart(n: usize, group: usize): usize {
  let at: usize = 0;
  for (let g: usize = 0; g < group; g++) at += (n + 3 - g) >> 2;
  return at;
}

/** `src` and `out` are `n` bytes each and do not overlap. */
export function bg4Split(src: usize, n: usize, out: usize): void {
  let g0 = out;
  let g1 = out + groupStart(n, 1);
  let g2 = out + groupStart(n, 2);
  let g3 = out + groupStart(n, 3);
  const end = src + n;
  let p = src;
  // 64 bytes a turn: in each vector bring the four groups together (a word each), then transpose
  // the 4 x 4 words.
  for (const stop = src + (n & ~63); p < stop; p += 64) {
    const a = gather(v128.load(p));
    const b = gather(v128.load(p, 16));
    const c = gather(v128.load(p, 32));
    const d = gather(v128.load(p, 48));
    const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    v128.store(g0, v128.shuffle<i64>(ab, cd, 0, 2));
    v128.store(g1, v128.shuffle<i64>(ab, cd, 1, 3));
    v128.store(g2, v128.shuffle<i64>(ef, gh, 0, 2));
    v128.store(g3, v128.shuffle<i64>(ef, gh, 1, 3));
    g0 += 16;
    g1 += 16;
    g2 += 16;
    g3 += 16;
  }
  for (; p + 4 <= end; p += 4) {
    store<u8>(g0++, load<u8>(p));
    store<u8>(g1++, load<u8>(p, 1));
    store<u8>(g2++, load<u8>(p, 2));
    store<u8>(g3++, load<u8>(p, 3));
  }
  if (p < end) store<u8>(g0, load<u8>(p));
  if (p + 1 < end) store<u8>(g1, load<u8>(p, 1));
  if (p + 2 < end) store<u8>(g2, load<u8>(p, 2));
}

// @ts-ignore: decorator
@inline
function gather(x: v128): v128 {
  return v128.swizzle(x, i8x16(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}

/** Inverse of {@link bg4Split}; `src` and `out` are `n` bytes each and do not overlap. */
export function bg4Join(src: usize, n: usize, out: usize): void {
  let g0 = src;
  let g1 = src + groupStart(n, 1);
  let g2 = src + groupStart(n, 2);
  let g3 = src + groupStart(n, 3);
  const end = out + n;
  let p = out;
  for (const stop = out + (n & ~63); p < stop; p += 64) {
    const a = v128.load(g0);
    const b = v128.load(g1);
    const c = v128.load(g2);
    const d = v128.load(g3);
    // Interleave bytes of a and b, of c and d, then the pairs.
    const ab = v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const cd = v128.shuffle<i8>(c, d, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const ef = v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const gh = v128.shuffle<i8>(c, d, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    v128.store(p, v128.shuffle<i16>(ab, cd, 0, 8, 1, 9, 2, 10, 3, 11));
    v128.store(p, v128.shuffle<i16>(ab, cd, 4, 12, 5, 13, 6, 14, 7, 15), 16);
    v128.store(p, v128.shuffle<i16>(ef, gh, 0, 8, 1, 9, 2, 10, 3, 11), 32);
    v128.store(p, v128.shuffle<i16>(ef, gh, 4, 12, 5, 13, 6, 14, 7, 15), 48);
    g0 += 16;
    g1 += 16;
    g2 += 16;
    g3 += 16;
  }
  for (; p + 4 <= end; p += 4) {
    store<u8>(p, load<u8>(g0++));
    store<u8>(p, load<u8>(g1++), 1);
    store<u8>(p, load<u8>(g2++), 2);
    store<u8>(p, load<u8>(g3++), 3);
  }
  if (p < end) store<u8>(p, load<u8>(g0));
  if (p + 1 < end) store<u8>(p, load<u8>(g1), 1);
  if (p + 2 < end) store<u8>(p, load<u8>(g2), 2);
}
