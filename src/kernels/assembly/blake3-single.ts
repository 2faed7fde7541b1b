/**
 * BLAKE3's compression function on one block, for lone leaves and the small inputs of tree nodes.
 * The state lies in four vectors, one row of the 4 x 4 matrix each; a round works on its four
 * columns at once, turns rows 1, 2 and 3 so that the diagonals become columns, and turns back.
 *
 *   row 0   v0  v1  v2  v3            v0  v1  v2  v3
 *   row 1   v4  v5  v6  v7    turn    v5  v6  v7  v4
 *   row 2   v8  v9  va  vb    ───►    va  vb  v8  v9
 *   row 3   vc  vd  ve  vf            vf  vc  vd  ve
 *
 * The message is kept as the four vectors a round asks for: the columns' first words (0 2 4 6) and
 * second words (1 3 5 7), the diagonals' first (8 a c e) and second words (9 b d f).
 */

// @ts-ignore: decorator
@inline
function xr16(a: v128, b: v128): v128 {
  return v128.swizzle(v128.xor(a, b), i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
}

// @ts-ignore: decorator
@inline
function xr12(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shl(x, 20), i32x4.shr_u(x, 12));
}

// @ts-ignore: decorator
@inline
function xr8(a: v128, b: v128): v128 {
  return v128.swizzle(v128.xor(a, b), i8x16(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12));
}

// @ts-ignore: decorator
@inline
function xr7(a: v128, b: v128): v128 {
  const x = v128.xor(a, b);
  return v128.or(i32x4.shl(x, 25), i32x4.shr_u(x, 7));
}

/** The 8 words at `cv` = compress(the 8 words at `cv`, the 64 bytes at `block`). */
export function compress1(cv: usize, block: usize, counter: u64, length: u32, flags: u32): void {
  const low = v128.load(block);
  const second = v128.load(block, 16);
  const third = v128.load(block, 32);
  const high = v128.load(block, 48);
  let columns0 = v128.shuffle<i32>(low, second, 0, 2, 4, 6);
  let columns1 = v128.shuffle<i32>(low, second, 1, 3, 5, 7);
  let diagonals0 = v128.shuffle<i32>(third, high, 0, 2, 4, 6);
  let diagonals1 = v128.shuffle<i32>(third, high, 1, 3, 5, 7);

  let a = v128.load(cv);
  let b = v128.load(cv, 16);
  // The first four words of the initialization vector (those of SHA-256).
  let c = i32x4(0x6a09e667, <i32>0xbb67ae85, 0x3c6ef372, <i32>0xa54ff53a);
  let d = i64x2.replace_lane(i64x2.splat(counter), 1, (<u64>flags << 32) | length);

  for (let round = 0; ; ) {
    a = i32x4.add(i32x4.add(a, b), columns0);
    d = xr16(d, a);
    c = i32x4.add(c, d);
    b = xr12(b, c);
    a = i32x4.add(i32x4.add(a, b), columns1);
    d = xr8(d, a);
    c = i32x4.add(c, d);
    b = xr7(b, c);
    b = v128.shuffle<i32>(b, b, 1, 2, 3, 0);
    c = v128.shuffle<i32>(c, c, 2, 3, 0, 1);
    d = v128.shuffle<i32>(d, d, 3, 0, 1, 2);
    a = i32x4.add(i32x4.add(a, b), diagonals0);
    d = xr16(d, a);
    c = i32x4.add(c, d);
    b = xr12(b, c);
    a = i32x4.add(i32x4.add(a, b), diagonals1);
    d = xr8(d, a);
    c = i32x4.add(c, d);
    b = xr7(b, c);
    b = v128.shuffle<i32>(b, b, 3, 0, 1, 2);
    c = v128.shuffle<i32>(c, c, 2, 3, 0, 1);
    d = v128.shuffle<i32>(d, d, 1, 2, 3, 0);
    if (++round == 7) break;

    // The next round's words: 2 3 7 4, 6 a 0 d, 1 c 9 f, b 5 e 8 of this round's.
    const w0 = v128.shuffle<i32>(columns0, columns1, 1, 5, 7, 2);
    const w1 = v128.shuffle<i32>(columns0, diagonals0, 3, 5, 0, 0);
    const w2 = v128.shuffle<i32>(columns1, diagonals0, 0, 6, 0, 0);
    const w3 = v128.shuffle<i32>(diagonals1, columns1, 1, 6, 0, 0);
    columns0 = w0;
    columns1 = v128.shuffle<i32>(w1, diagonals1, 0, 1, 2, 6);
    const w4 = v128.shuffle<i32>(w2, diagonals1, 0, 1, 4, 7);
    diagonals1 = v128.shuffle<i32>(w3, diagonals0, 0, 1, 7, 4);
    diagonals0 = w4;
  }
  v128.store(cv, v128.xor(a, c));
  v128.store(cv, v128.xor(b, d), 16);
}
