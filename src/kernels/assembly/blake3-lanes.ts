/**
 * BLAKE3's compression function on four blocks at once, one lane for each. A vector holds the same
 * word of all four:
 *
 *            lane 0   lane 1   lane 2   lane 3
 *   s0  =  [ v0       v0       v0       v0    ]     sixteen of these: the state
 *   m0  =  [ word 0   word 0   word 0   word 0 ]    sixteen of these: the message, transposed with
 *                                                   shuffles from four 16-byte loads each
 *
 * The seven rounds are written out, since the order of the message words then is only a matter of
 * names (the permutation 2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8 once more each round, BLAKE3 paper,
 * section 2.2) and all lives in local variables; in a loop they would be moved sixteen at a time,
 * and messages in memory cost 5 %. Rotations by 16 and 8 bits move whole bytes: one swizzle instead
 * of two shifts and an or (+18 %, measured on a 2-core Xeon, Node 20). A `shuffle` with a constant
 * would build its mask anew each time.
 */
import { LANE_CV, scratch } from './layout';

// @ts-ignore: decorator
@inline
function add(a: v128, b: v128): v128 {
  return i32x4.add(a, b);
}

// Exclusive or, then rotate right.
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

/** LANE_CV of every lane = the 8 words at `cv`. */
export function loadLanes(cv: usize): void {
  const lanes = scratch + LANE_CV;
  for (let i: usize = 0; i < 8; i++) v128.store(lanes + (i << 4), v128.load32_splat(cv + (i << 2)));
}

/** LANE_CV of lane i, as 32 bytes, to out + 32 * i. */
export function storeLanes(out: usize): void {
  const lanes = scratch + LANE_CV;
  for (let half: usize = 0; half < 2; half++) {
    const p = lanes + (half << 6);
    const a = v128.load(p);
    const b = v128.load(p, 16);
    const c = v128.load(p, 32);
    const d = v128.load(p, 48);
    const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const ef = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const gh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    const q = out + (half << 4);
    v128.store(q, v128.shuffle<i64>(ab, cd, 0, 2));
    v128.store(q, v128.shuffle<i64>(ab, cd, 1, 3), 32);
    v128.store(q, v128.shuffle<i64>(ef, gh, 0, 2), 64);
    v128.store(q, v128.shuffle<i64>(ef, gh, 1, 3), 96);
  }
}

/**
 * LANE_CV = compress(LANE_CV, 64 bytes at p0 .. p3). `counterLow`, `counterHigh`, `length` and
 * `flags` have one word for each lane.
 */
export function compress4(
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  counterLow: v128,
  counterHigh: v128,
  length: v128,
  flags: v128,
): void {
  const cv = scratch + LANE_CV;

  const a0 = v128.load(p0), b0 = v128.load(p1), c0 = v128.load(p2), d0 = v128.load(p3);
  const ab0 = v128.shuffle<i32>(a0, b0, 0, 4, 1, 5), cd0 = v128.shuffle<i32>(c0, d0, 0, 4, 1, 5);
  const ef0 = v128.shuffle<i32>(a0, b0, 2, 6, 3, 7), gh0 = v128.shuffle<i32>(c0, d0, 2, 6, 3, 7);
  const m0 = v128.shuffle<i64>(ab0, cd0, 0, 2), m1 = v128.shuffle<i64>(ab0, cd0, 1, 3);
  const m2 = v128.shuffle<i64>(ef0, gh0, 0, 2), m3 = v128.shuffle<i64>(ef0, gh0, 1, 3);
  const a1 = v128.load(p0, 16), b1 = v128.load(p1, 16), c1 = v128.load(p2, 16), d1 = v128.load(p3, 16);
  const ab1 = v128.shuffle<i32>(a1, b1, 0, 4, 1, 5), cd1 = v128.shuffle<i32>(c1, d1, 0, 4, 1, 5);
  const ef1 = v128.shuffle<i32>(a1, b1, 2, 6, 3, 7), gh1 = v128.shuffle<i32>(c1, d1, 2, 6, 3, 7);
  const m4 = v128.shuffle<i64>(ab1, cd1, 0, 2), m5 = v128.shuffle<i64>(ab1, cd1, 1, 3);
  const m6 = v128.shuffle<i64>(ef1, gh1, 0, 2), m7 = v128.shuffle<i64>(ef1, gh1, 1, 3);
  const a2 = v128.load(p0, 32), b2 = v128.load(p1, 32), c2 = v128.load(p2, 32), d2 = v128.load(p3, 32);
  const ab2 = v128.shuffle<i32>(a2, b2, 0, 4, 1, 5), cd2 = v128.shuffle<i32>(c2, d2, 0, 4, 1, 5);
  const ef2 = v128.shuffle<i32>(a2, b2, 2, 6, 3, 7), gh2 = v128.shuffle<i32>(c2, d2, 2, 6, 3, 7);
  const m8 = v128.shuffle<i64>(ab2, cd2, 0, 2), m9 = v128.shuffle<i64>(ab2, cd2, 1, 3);
  const ma = v128.shuffle<i64>(ef2, gh2, 0, 2), mb = v128.shuffle<i64>(ef2, gh2, 1, 3);
  const a3 = v128.load(p0, 48), b3 = v128.load(p1, 48), c3 = v128.load(p2, 48), d3 = v128.load(p3, 48);
  const ab3 = v128.shuffle<i32>(a3, b3, 0, 4, 1, 5), cd3 = v128.shuffle<i32>(c3, d3, 0, 4, 1, 5);
  const ef3 = v128.shuffle<i32>(a3, b3, 2, 6, 3, 7), gh3 = v128.shuffle<i32>(c3, d3, 2, 6, 3, 7);
  const mc = v128.shuffle<i64>(ab3, cd3, 0, 2), md = v128.shuffle<i64>(ab3, cd3, 1, 3);
  const me = v128.shuffle<i64>(ef3, gh3, 0, 2), mf = v128.shuffle<i64>(ef3, gh3, 1, 3);

  let s0 = v128.load(cv); let s1 = v128.load(cv, 16);
  let s2 = v128.load(cv, 32); let s3 = v128.load(cv, 48);
  let s4 = v128.load(cv, 64); let s5 = v128.load(cv, 80);
  let s6 = v128.load(cv, 96); let s7 = v128.load(cv, 112);
  // The first four words of the initialization vector (those of SHA-256).
  let s8 = i32x4.splat(0x6a09e667);
  let s9 = i32x4.splat(0xbb67ae85);
  let sa = i32x4.splat(0x3c6ef372);
  let sb = i32x4.splat(0xa54ff53a);
  let sc = counterLow, sd = counterHigh, se = length, sf = flags;

  // Round 1: columns, then diagonals. One line is one G.
  s0 = add(add(s0, s4), m0); sc = xr16(sc, s0); s8 = add(s8, sc); s4 = xr12(s4, s8); s0 = add(add(s0, s4), m1); sc = xr8(sc, s0); s8 = add(s8, sc); s4 = xr7(s4, s8);
  s1 = add(add(s1, s5), m2); sd = xr16(sd, s1); s9 = add(s9, sd); s5 = xr12(s5, s9); s1 = add(add(s1, s5), m3); sd = xr8(sd, s1); s9 = add(s9, sd); s5 = xr7(s5, s9);
  s2 = add(add(s2, s6), m4); se = xr16(se, s2); sa = add(sa, se); s6 = xr12(s6, sa); s2 = add(add(s2, s6), m5); se = xr8(se, s2); sa = add(sa, se); s6 = xr7(s6, sa);
  s3 = add(add(s3, s7), m6); sf = xr16(sf, s3); sb = add(sb, sf); s7 = xr12(s7, sb); s3 = add(add(s3, s7), m7); sf = xr8(sf, s3); sb = add(sb, sf); s7 = xr7(s7, sb);
  s0 = add(add(s0, s5), m8); sf = xr16(sf, s0); sa = add(sa, sf); s5 = xr12(s5, sa); s0 = add(add(s0, s5), m9); sf = xr8(sf, s0); sa = add(sa, sf); s5 = xr7(s5, sa);
  s1 = add(add(s1, s6), ma); sc = xr16(sc, s1); sb = add(sb, sc); s6 = xr12(s6, sb); s1 = add(add(s1, s6), mb); sc = xr8(sc, s1); sb = add(sb, sc); s6 = xr7(s6, sb);
  s2 = add(add(s2, s7), mc); sd = xr16(sd, s2); s8 = add(s8, sd); s7 = xr12(s7, s8); s2 = add(add(s2, s7), md); sd = xr8(sd, s2); s8 = add(s8, sd); s7 = xr7(s7, s8);
  s3 = add(add(s3, s4), me); se = xr16(se, s3); s9 = add(s9, se); s4 = xr12(s4, s9); s3 = add(add(s3, s4), mf); se = xr8(se, s3); s9 = add(s9, se); s4 = xr7(s4, s9);

  // Round 2: columns, then diagonals. One line is one G.
  s0 = add(add(s0, s4), m2); sc = xr16(sc, s0); s8 = add(s8, sc); s4 = xr12(s4, s8); s0 = add(add(s0, s4), m6); sc = xr8(sc, s0); s8 = add(s8, sc); s4 = xr7(s4, s8);
  s1 = add(add(s1, s5), m3); sd = xr16(sd, s1); s9 = add(s9, sd); s5 = xr12(s5, s9); s1 = add(add(s1, s5), ma); sd = xr8(sd, s1); s9 = add(s9, sd); s5 = xr7(s5, s9);
  s2 = add(add(s2, s6), m7); se = xr16(se, s2); sa = add(sa, se); s6 = xr12(s6, sa); s2 = add(add(s2, s6), m0); se = xr8(se, s2); sa = add(sa, se); s6 = xr7(s6, sa);
  s3 = add(add(s3, s7), m4); sf = xr16(sf, s3); sb = add(sb, sf); s7 = xr12(s7, sb); s3 = add(add(s3, s7), md); sf = xr8(sf, s3); sb = add(sb, sf); s7 = xr7(s7, sb);
  s0 = add(add(s0, s5), m1); sf = xr16(sf, s0); sa = add(sa, sf); s5 = xr12(s5, sa); s0 = add(add(s0, s5), mb); sf = xr8(sf, s0); sa = add(sa, sf); s5 = xr7(s5, sa);
  s1 = add(add(s1, s6), mc); sc = xr16(sc, s1); sb = add(sb, sc); s6 = xr12(s6, sb); s1 = add(add(s1, s6), m5); sc = xr8(sc, s1); sb = add(sb, sc); s6 = xr7(s6, sb);
  s2 = add(add(s2, s7), m9); sd = xr16(sd, s2); s8 = add(s8, sd); s7 = xr12(s7, s8); s2 = add(add(s2, s7), me); sd = xr8(sd, s2); s8 = add(s8, sd); s7 = xr7(s7, s8);
  s3 = add(add(s3, s4), mf); se = xr16(se, s3); s9 = add(s9, se); s4 = xr12(s4, s9); s3 = add(add(s3, s4), m8); se = xr8(se, s3); s9 = add(s9, se); s4 = xr7(s4, s9);

  // Round 3: columns, then diagonals. One line is one G.
  s0 = add(add(s0, s4), m3); sc = xr16(sc, s0); s8 = add(s8, sc); s4 = xr12(s4, s8); s0 = add(add(s0, s4), m4); sc = xr8(sc, s0); s8 = add(s8, sc); s4 = xr7(s4, s8);
  s1 = add(add(s1, s5), ma); sd = xr16(sd, s1); s9 = add(s9, sd); s5 = xr12(s5, s9); s1 = add(add(s1, s5), mc); sd = xr8(sd, s1); s9 = add(s9, sd); s5 = xr7(s5, s9);
  s2 = add(add(s2, s6), md); se = xr16(se, s2); sa = add(sa, se); s6 = xr12(s6, sa); s2 = add(add(s2, s6), m2); se = xr8(se, s2); sa = add(sa, se); s6 = xr7(s6, sa);
  s3 = add(add(s3, s7), m7); sf = xr16(sf, s3); sb = add(sb, sf); s7 = xr12(s7, sb); s3 = add(add(s3, s7), me); sf = xr8(sf, s3); sb = add(sb, sf); s7 = xr7(s7, sb);
  s0 = add(add(s0, s5), m6); sf = xr16(sf, s0); sa = add(sa, sf); s5 = xr12(s5, sa); s0 = add(add(s0, s5), m5); sf = xr8(sf, s0); sa = add(sa, sf); s5 = xr7(s5, sa);
  s1 = add(add(s1, s6), m9); sc = xr16(sc, s1); sb = add(sb, sc); s6 = xr12(s6, sb); s1 = add(add(s1, s6), m0); sc = xr8(sc, s1); sb = add(sb, sc); s6 = xr7(s6, sb);
  s2 = add(add(s2, s7), mb); sd = xr16(sd, s2); s8 = add(s8, sd); s7 = xr12(s7, s8); s2 = add(add(s2, s7), mf); sd = xr8(sd, s2); s8 = add(s8, sd); s7 = xr7(s7, s8);
  s3 = add(add(s3, s4), m8); se = xr16(se, s3); s9 = add(s9, se); s4 = xr12(s4, s9); s3 = add(add(s3, s4), m1); se = xr8(se, s3); s9 = add(s9, se); s4 = xr7(s4, s9);

  // Round 4: columns, then diagonals. One line is one G.
  s0 = add(add(s0, s4), ma); sc = xr16(sc, s0); s8 = add(s8, sc); s4 = xr12(s4, s8); s0 = add(add(s0, s4), m7); sc = xr8(sc, s0); s8 = add(s8, sc); s4 = xr7(s4, s8);
  s1 = add(add(s1, s5), mc); sd = xr16(sd, s1); s9 = add(s9, sd); s5 = xr12(s5, s9); s1 = add(add(s1, s5), m9); sd = xr8(sd, s1); s9 = add(s9, sd); s5 = xr7(s5, s9);
  s2 = add(add(s2, s6), me); se = xr16(se, s2); sa = add(sa, se); s6 = xr12(s6, sa); s2 = add(add(s2, s6), m3); se = xr8(se, s2); sa = add(sa, se); s6 = xr7(s6, sa);
  s3 = add(add(s3, s7), md); sf = xr16(sf, s3); sb = add(sb, sf); s7 = xr12(s7, sb); s3 = add(add(s3, s7), mf); sf = xr8(sf, s3); sb = add(sb, sf); s7 = xr7(s7, sb);
  s0 = add(add(s0, s5), m4); sf = xr16(sf, s0); sa = add(sa, sf); s5 = xr12(s5, sa); s0 = add(add(s0, s5), m0); sf = xr8(sf, s0); sa = add(sa, sf); s5 = xr7(s5, sa);
  s1 = add(add(s1, s6), mb); sc = xr16(sc, s1); sb = add(sb, sc); s6 = xr12(s6, sb); s1 = add(add(s1, s6), m2); sc = xr8(sc, s1); sb = add(sb, sc); s6 = xr7(s6, sb);
  s2 = add(add(s2, s7), m5); sd = xr16(sd, s2); s8 = add(s8, sd); s7 = xr12(s7, s8); s2 = add(add(s2, s7), m8); sd = xr8(sd, s2); s8 = add(s8, sd); s7 = xr7(s7, s8);
  s3 = add(add(s3, s4), m1); se = xr16(se, s3); s9 = add(s9, se); s4 = xr12(s4, s9); s3 = add(add(s3, s4), m6); se = xr8(se, s3); s9 = add(s9, se); s4 = xr7(s4, s9);

  // Round 5: columns, then diagonals. One line is one G.
  s0 = add(add(s0, s4), mc); sc = xr16(sc, s0); s8 = add(s8, sc); s4 = xr12(s4, s8); s0 = add(add(s0, s4), md); sc = xr8(sc, s0); s8 = add(s8, sc); s4 = xr7(s4, s8);
  s1 = add(add(s1, s5), m9); sd = xr16(sd, s1); s9 = add(s9, sd); s5 = xr12(s5, s9); s1 = add(add(s1, s5), mb); sd = xr8(sd, s1); s9 = add(s9, sd); s5 = xr7(s5, s9);
  s2 = add(add(s2, s6), mf); se = xr16(se, s2); sa = add(sa, se); s6 = xr12(s6, sa); s2 = add(add(s2, s6), ma); se = xr8(se, s2); sa = add(sa, se); s6 = xr7(s6, sa);
  s3 = add(add(s3, s7), me); sf = xr16(sf, s3); sb = add(sb, sf); s7 = xr12(s7, sb); s3 = add(add(s3, s7), m8); sf = xr8(sf, s3); sb = add(sb, sf); s7 = xr7(s7, sb);
  s0 = add(add(s0, s5), m7); sf = xr16(sf, s0); sa = add(sa, sf); s5 = xr12(s5, sa); s0 = add(add(s0, s5), m2); sf = xr8(sf, s0); sa = add(sa, sf); s5 = xr7(s5, sa);
  s1 = add(add(s1, s6), m5); sc = xr16(sc, s1); sb = add(sb, sc); s6 = xr12(s6, sb); s1 = add(add(s1, s6), m3); sc = xr8(sc, s1); sb = add(sb, sc); s6 = xr7(s6, sb);
  s2 = add(add(s2, s7), m0); sd = xr16(sd, s2); s8 = add(s8, sd); s7 = xr12(s7, s8); s2 = add(add(s2, s7), m1); sd = xr8(sd, s2); s8 = add(s8, sd); s7 = xr7(s7, s8);
  s3 = add(add(s3, s4), m6); se = xr16(se, s3); s9 = add(s9, se); s4 = xr12(s4, s9); s3 = add(add(s3, s4), m4); se = xr8(se, s3); s9 = add(s9, se); s4 = xr7(s4, s9);

  // Round 6: columns, then diagonals. One line is one G.
  s0 = add(add(s0, s4), m9); sc = xr16(sc, s0); s8 = add(s8, sc); s4 = xr12(s4, s8); s0 = add(add(s0, s4), me); sc = xr8(sc, s0); s8 = add(s8, sc); s4 = xr7(s4, s8);
  s1 = add(add(s1, s5), mb); sd = xr16(sd, s1); s9 = add(s9, sd); s5 = xr12(s5, s9); s1 = add(add(s1, s5), m5); sd = xr8(sd, s1); s9 = add(s9, sd); s5 = xr7(s5, s9);
  s2 = add(add(s2, s6), m8); se = xr16(se, s2); sa = add(sa, se); s6 = xr12(s6, sa); s2 = add(add(s2, s6), mc); se = xr8(se, s2); sa = add(sa, se); s6 = xr7(s6, sa);
  s3 = add(add(s3, s7), mf); sf = xr16(sf, s3); sb = add(sb, sf); s7 = xr12(s7, sb); s3 = add(add(s3, s7), m1); sf = xr8(sf, s3); sb = add(sb, sf); s7 = xr7(s7, sb);
  s0 = add(add(s0, s5), md); sf = xr16(sf, s0); sa = add(sa, sf); s5 = xr12(s5, sa); s0 = add(add(s0, s5), m3); sf = xr8(sf, s0); sa = add(sa, sf); s5 = xr7(s5, sa);
  s1 = add(add(s1, s6), m0); sc = xr16(sc, s1); sb = add(sb, sc); s6 = xr12(s6, sb); s1 = add(add(s1, s6), ma); sc = xr8(sc, s1); sb = add(sb, sc); s6 = xr7(s6, sb);
  s2 = add(add(s2, s7), m2); sd = xr16(sd, s2); s8 = add(s8, sd); s7 = xr12(s7, s8); s2 = add(add(s2, s7), m6); sd = xr8(sd, s2); s8 = add(s8, sd); s7 = xr7(s7, s8);
  s3 = add(add(s3, s4), m4); se = xr16(se, s3); s9 = add(s9, se); s4 = xr12(s4, s9); s3 = add(add(s3, s4), m7); se = xr8(se, s3); s9 = add(s9, se); s4 = xr7(s4, s9);

  // Round 7: columns, then diagonals. One line is one G.
  s0 = add(add(s0, s4), mb); sc = xr16(sc, s0); s8 = add(s8, sc); s4 = xr12(s4, s8); s0 = add(add(s0, s4), mf); sc = xr8(sc, s0); s8 = add(s8, sc); s4 = xr7(s4, s8);
  s1 = add(add(s1, s5), m5); sd = xr16(sd, s1); s9 = add(s9, sd); s5 = xr12(s5, s9); s1 = add(add(s1, s5), m0); sd = xr8(sd, s1); s9 = add(s9, sd); s5 = xr7(s5, s9);
  s2 = add(add(s2, s6), m1); se = xr16(se, s2); sa = add(sa, se); s6 = xr12(s6, sa); s2 = add(add(s2, s6), m9); se = xr8(se, s2); sa = add(sa, se); s6 = xr7(s6, sa);
  s3 = add(add(s3, s7), m8); sf = xr16(sf, s3); sb = add(sb, sf); s7 = xr12(s7, sb); s3 = add(add(s3, s7), m6); sf = xr8(sf, s3); sb = add(sb, sf); s7 = xr7(s7, sb);
  s0 = add(add(s0, s5), me); sf = xr16(sf, s0); sa = add(sa, sf); s5 = xr12(s5, sa); s0 = add(add(s0, s5), ma); sf = xr8(sf, s0); sa = add(sa, sf); s5 = xr7(s5, sa);
  s1 = add(add(s1, s6), m2); sc = xr16(sc, s1); sb = add(sb, sc); s6 = xr12(s6, sb); s1 = add(add(s1, s6), mc); sc = xr8(sc, s1); sb = add(sb, sc); s6 = xr7(s6, sb);
  s2 = add(add(s2, s7), m3); sd = xr16(sd, s2); s8 = add(s8, sd); s7 = xr12(s7, s8); s2 = add(add(s2, s7), m4); sd = xr8(sd, s2); s8 = add(s8, sd); s7 = xr7(s7, s8);
  s3 = add(add(s3, s4), m7); se = xr16(se, s3); s9 = add(s9, se); s4 = xr12(s4, s9); s3 = add(add(s3, s4), md); se = xr8(se, s3); s9 = add(s9, se); s4 = xr7(s4, s9);

  v128.store(cv, v128.xor(s0, s8));
  v128.store(cv, v128.xor(s1, s9), 16);
  v128.store(cv, v128.xor(s2, sa), 32);
  v128.store(cv, v128.xor(s3, sb), 48);
  v128.store(cv, v128.xor(s4, sc), 64);
  v128.store(cv, v128.xor(s5, sd), 80);
  v128.store(cv, v128.xor(s6, se), 96);
  v128.store(cv, v128.xor(s7, sf), 112);
}
