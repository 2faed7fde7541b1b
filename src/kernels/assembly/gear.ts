/**
 * Candidate scan with the Gear hash: h = (h << 1) + TABLE[byte], u64, a candidate after every byte
 * whose h has its highest bits all zero.
 *
 * One lane is bound by the latency of shift-and-add, so two run in turns, the second over the
 * stretch right behind the first one, warmed with the 63 bytes before it (a byte has left the hash
 * after 64 steps). 1.45 -> 2.5 GB/s on a 2-core Xeon (Emerald Rapids), Node 20; three and four
 * lanes add nothing. The branch after each byte is never taken but for candidates: all of them
 * leave the loop, so that the way through it has no jump. Tests per block (or, min) cost more.
 *
 *        from                lane 0          q              lane 1            next block
 *   ──63──┤■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■├──────────────────────────────────┤
 *                                       ──63──┤■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■┤
 */
import { GEAR_TABLE, LANE_BYTES, LANE_HITS, scratch } from './layout';

/** Lanes shorter than this are not worth their warm-up. */
const MIN_LANE_BYTES: usize = 256;

// @ts-ignore: decorator
@inline
function step(h: u64, table: usize, p: usize, k: usize): u64 {
  return (h << 1) + load<u64>(table + (<usize>load<u8>(p + k) << 3));
}

/** Hash over bytes [p, end), from 0. */
function warm(table: usize, p: usize, end: usize): u64 {
  let h: u64 = 0;
  while (p < end) {
    h = step(h, table, p, 0);
    p++;
  }
  return h;
}

/**
 * Candidates p - base for base + start < p <= base + end, ascending, into `out` (at most
 * `capacity` of them, > 0); returns how many. Bytes from base on may warm the window.
 */
export function gearScan(
  base: usize,
  start: usize,
  end: usize,
  maskBits: i32,
  out: usize,
  capacity: i32,
): i32 {
  const table = scratch + GEAR_TABLE;
  const limit: u64 = <u64>1 << (64 - maskBits);
  let p = base + start;
  const stop = base + end;
  let h = warm(table, base + (start > 63 ? start - 63 : 0), p);
  let at = out;
  const full = out + (<usize>capacity << 2);

  while (true) {
    let lane = ((stop - p) >> 1) & ~7;
    if (lane < MIN_LANE_BYTES) break;
    if (lane > LANE_BYTES) lane = LANE_BYTES;

    const half = p + lane;
    let q = half;
    let g = warm(table, q - 63, q);
    const hits = scratch + LANE_HITS;
    let hit = hits;
    while (true) {
      let h0: u64 = h;
      let g0: u64 = g;
      while (p < half) {
        h0 = h;
        g0 = g;
        h = step(h, table, p, 0); if (h < limit) break;
        g = step(g, table, q, 0); if (g < limit) break;
        h = step(h, table, p, 1); if (h < limit) break;
        g = step(g, table, q, 1); if (g < limit) break;
        h = step(h, table, p, 2); if (h < limit) break;
        g = step(g, table, q, 2); if (g < limit) break;
        h = step(h, table, p, 3); if (h < limit) break;
        g = step(g, table, q, 3); if (g < limit) break;
        h = step(h, table, p, 4); if (h < limit) break;
        g = step(g, table, q, 4); if (g < limit) break;
        h = step(h, table, p, 5); if (h < limit) break;
        g = step(g, table, q, 5); if (g < limit) break;
        h = step(h, table, p, 6); if (h < limit) break;
        g = step(g, table, q, 6); if (g < limit) break;
        h = step(h, table, p, 7); if (h < limit) break;
        g = step(g, table, q, 7); if (g < limit) break;
        p += 8;
        q += 8;
      }
      if (p >= half) break;
      // Somewhere in these 2 x 8 bytes is a candidate: once more, byte by byte.
      h = h0;
      g = g0;
      const group = p + 8;
      while (p < group) {
        h = step(h, table, p++, 0);
        if (h < limit) {
          store<u32>(at, p - base);
          at += 4;
          if (at == full) return capacity;
        }
        g = step(g, table, q++, 0);
        if (g < limit) {
          store<u32>(hit, q - base);
          hit += 4;
        }
      }
    }
    for (let from = hits; from < hit; from += 4) {
      store<u32>(at, load<u32>(from));
      at += 4;
      if (at == full) return capacity;
    }
    p = q;
    h = g;
  }

  while (p < stop) {
    h = step(h, table, p++, 0);
    if (h < limit) {
      store<u32>(at, p - base);
      at += 4;
      if (at == full) return capacity;
    }
  }
  return <i32>((at - out) >> 2);
}
