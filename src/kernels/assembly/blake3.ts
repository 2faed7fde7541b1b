/**
 * Keyed BLAKE3 with 32-byte output. Leaves of 1024 bytes are hashed four at a time, then the tree
 * is built level by level: neighbours are joined, an odd last one moves up as it is. That gives the
 * same tree as BLAKE3's rule (left subtrees are the largest powers of two) and needs no recursion.
 *
 * Inputs longer than a piece (128 leaves) are taken piece by piece; the chaining values of whole
 * pieces wait on a stack, joined whenever two have the same size (as many joins as the number of
 * pieces has trailing zeros).
 */
import { compress4, loadLanes, storeLanes } from './blake3-lanes';
import { compress1 } from './blake3-single';
import { KEY, LANE_CV, LANE_KEPT, LANE_PAD, PIECE_BYTES, scratch, STACK, TREE } from './layout';

// Flags of the compression function (BLAKE3 paper, table 3).
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;
const KEYED_HASH: u32 = 16;

const LEAF_BYTES: usize = 1024;
const BLOCK_BYTES: usize = 64;
const CV_BYTES: usize = 32;

/** State of an input that comes in pieces (begin, push, finish): whole pieces so far. */
let pieceCount: u64 = 0;
/** Chaining values on STACK. */
let stackCount: usize = 0;

// @ts-ignore: decorator
@inline
function copy32(to: usize, from: usize): void {
  const low = v128.load(from);
  const high = v128.load(from, 16);
  v128.store(to, low);
  v128.store(to, high, 16);
}

/** `n` <= 64 bytes from `from` to `to`, then zeros up to 64. */
function pad(to: usize, from: usize, n: usize): void {
  const zero = i64x2.splat(0);
  v128.store(to, zero);
  v128.store(to, zero, 16);
  v128.store(to, zero, 32);
  v128.store(to, zero, 48);
  const end = from + n;
  for (; from + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
  if (from + 8 <= end) {
    store<u64>(to, load<u64>(from));
    from += 8;
    to += 8;
  }
  for (; from < end; from++, to++) store<u8>(to, load<u8>(from));
}

/** Chaining value of one leaf of `n` <= 1024 bytes, to `out`. */
function leaf(p: usize, n: usize, counter: u64, endFlags: u32, out: usize): void {
  copy32(out, scratch + KEY);
  let flags: u32 = KEYED_HASH | CHUNK_START;
  for (; n > BLOCK_BYTES; n -= BLOCK_BYTES, p += BLOCK_BYTES) {
    compress1(out, p, counter, <u32>BLOCK_BYTES, flags);
    flags = KEYED_HASH;
  }
  if (n < BLOCK_BYTES) {
    pad(scratch + LANE_PAD, p, n);
    p = scratch + LANE_PAD;
  }
  compress1(out, p, counter, <u32>n, flags | CHUNK_END | endFlags);
}

/** Chaining values of four whole leaves side by side, to `out`. */
function leaves4(p: usize, counter: u64, out: usize): void {
  loadLanes(scratch + KEY);
  const low = i32x4.add(i32x4.splat(<i32>counter), i32x4(0, 1, 2, 3));
  const high = i32x4.splat(<i32>(counter >> 32));
  const length = i32x4.splat(<i32>BLOCK_BYTES);
  let flags = i32x4.splat(KEYED_HASH | CHUNK_START);
  const last = p + LEAF_BYTES - BLOCK_BYTES;
  for (; p < last; p += BLOCK_BYTES) {
    compress4(p, p + 1024, p + 2048, p + 3072, low, high, length, flags);
    flags = i32x4.splat(KEYED_HASH);
  }
  flags = i32x4.splat(KEYED_HASH | CHUNK_END);
  compress4(p, p + 1024, p + 2048, p + 3072, low, high, length, flags);
  storeLanes(out);
}

// @ts-ignore: decorator
@inline
function blockCount(n: usize): usize {
  return n == 0 ? 1 : (n + BLOCK_BYTES - 1) >> 6;
}

/** The block that lane `lane` compresses in turn `turn`. */
// @ts-ignore: decorator
@inline
function blockAt(p: usize, n: usize, turn: usize, lane: usize): usize {
  return (turn + 1) << 6 <= n ? p + (turn << 6) : scratch + LANE_PAD + (lane << 6);
}

/**
 * Chaining values of four leaves of any lengths n0 .. n3 <= 1024, four of them to `out`. A lane
 * that has ended is compressed on, and its chaining value put back.
 */
function leavesRagged(
  p0: usize, n0: usize,
  p1: usize, n1: usize,
  p2: usize, n2: usize,
  p3: usize, n3: usize,
  counterLow: v128, counterHigh: v128, endFlags: u32, out: usize,
): void {
  const lanes = scratch + LANE_CV;
  const kept = scratch + LANE_KEPT;
  const pads = scratch + LANE_PAD;
  const b0 = blockCount(n0), b1 = blockCount(n1), b2 = blockCount(n2), b3 = blockCount(n3);
  const t0 = (b0 - 1) << 6, t1 = (b1 - 1) << 6, t2 = (b2 - 1) << 6, t3 = (b3 - 1) << 6;
  pad(pads, p0 + t0, n0 - t0);
  pad(pads + 64, p1 + t1, n1 - t1);
  pad(pads + 128, p2 + t2, n2 - t2);
  pad(pads + 192, p3 + t3, n3 - t3);
  const lastBlocks = i32x4(0, 0, 0, 0);
  let last = i32x4.replace_lane(lastBlocks, 0, <i32>(b0 - 1));
  last = i32x4.replace_lane(last, 1, <i32>(b1 - 1));
  last = i32x4.replace_lane(last, 2, <i32>(b2 - 1));
  last = i32x4.replace_lane(last, 3, <i32>(b3 - 1));
  let lastLength = i32x4.replace_lane(lastBlocks, 0, <i32>(n0 - t0));
  lastLength = i32x4.replace_lane(lastLength, 1, <i32>(n1 - t1));
  lastLength = i32x4.replace_lane(lastLength, 2, <i32>(n2 - t2));
  lastLength = i32x4.replace_lane(lastLength, 3, <i32>(n3 - t3));
  const turns = max(max(b0, b1), max(b2, b3));
  const shortest = min(min(b0, b1), min(b2, b3));

  loadLanes(scratch + KEY);
  for (let turn: usize = 0; turn < turns; turn++) {
    const now = i32x4.splat(<i32>turn);
    const isLast = i32x4.eq(now, last);
    const length = v128.bitselect(lastLength, i32x4.splat(<i32>BLOCK_BYTES), isLast);
    const flags = v128.or(
      i32x4.splat(KEYED_HASH | (turn == 0 ? CHUNK_START : 0)),
      v128.and(isLast, i32x4.splat(CHUNK_END | endFlags)),
    );
    const ended = turn >= shortest;
    if (ended) for (let i: usize = 0; i < 128; i += 16) v128.store(kept + i, v128.load(lanes + i));
    compress4(
      blockAt(p0, n0, turn, 0),
      blockAt(p1, n1, turn, 1),
      blockAt(p2, n2, turn, 2),
      blockAt(p3, n3, turn, 3),
      counterLow, counterHigh, length, flags,
    );
    if (ended) {
      const over = i32x4.gt_s(now, last);
      for (let i: usize = 0; i < 128; i += 16) {
        v128.store(lanes + i, v128.bitselect(v128.load(kept + i), v128.load(lanes + i), over));
      }
    }
  }
  storeLanes(out);
}

/** Joins `count` >= 2 chaining values at TREE to half as many, in place; returns how many. */
function reduceLevel(count: usize): usize {
  const tree = scratch + TREE;
  const pairs = count >> 1;
  const zero = i32x4.splat(0);
  const length = i32x4.splat(<i32>BLOCK_BYTES);
  const flags = i32x4.splat(KEYED_HASH | PARENT);
  let i: usize = 0;
  for (; i + 1 < pairs; i += 4) {
    // Two or three pairs left: the other lanes repeat the first. What is written over (32 bytes for
    // each lane, from 32 * i on) was read before: 64 * i and two pairs lie behind it.
    const p = tree + (i << 6);
    const left = pairs - i;
    loadLanes(scratch + KEY);
    compress4(p, p + 64, left > 2 ? p + 128 : p, left > 3 ? p + 192 : p, zero, zero, length, flags);
    storeLanes(tree + (i << 5));
  }
  if (i < pairs) join(tree + (i << 6), 0, tree + (i << 5));
  if ((count & 1) != 0) copy32(tree + (pairs << 5), tree + ((count - 1) << 5));
  return pairs + (count & 1);
}

/** Parent of the two chaining values at `pair`, to `out` (which may be `pair`). */
function join(pair: usize, extraFlags: u32, out: usize): void {
  // The key goes into LANE_CV first, since `out` may lie in the block.
  const cv = scratch + LANE_CV;
  copy32(cv, scratch + KEY);
  compress1(cv, pair, 0, <u32>BLOCK_BYTES, KEYED_HASH | PARENT | extraFlags);
  copy32(out, cv);
}

/**
 * Chaining value of `n` <= PIECE_BYTES bytes at `p`, whose first leaf is number `counter`, to TREE.
 * `rootFlag` is ROOT when these bytes are the whole input, else 0.
 */
function piece(p: usize, n: usize, counter: u64, rootFlag: u32): void {
  const tree = scratch + TREE;
  if (n <= LEAF_BYTES) {
    leaf(p, n, counter, rootFlag, tree);
    return;
  }
  let out = tree;
  for (; n >= 4 * LEAF_BYTES; n -= 4 * LEAF_BYTES) {
    leaves4(p, counter, out);
    p += 4 * LEAF_BYTES;
    counter += 4;
    out += 4 * CV_BYTES;
  }
  if (n > LEAF_BYTES) {
    // Two to four leaves, the last maybe short; lanes without a leaf repeat the last one.
    const rest = n - LEAF_BYTES;
    const third = rest > LEAF_BYTES, fourth = rest > 2 * LEAF_BYTES;
    leavesRagged(
      p, LEAF_BYTES,
      p + LEAF_BYTES, third ? LEAF_BYTES : rest,
      third ? p + 2 * LEAF_BYTES : p, third ? (fourth ? LEAF_BYTES : rest - LEAF_BYTES) : LEAF_BYTES,
      fourth ? p + 3 * LEAF_BYTES : p, fourth ? rest - 2 * LEAF_BYTES : LEAF_BYTES,
      i32x4.add(i32x4.splat(<i32>counter), i32x4(0, 1, 2, 3)),
      i32x4.splat(<i32>(counter >> 32)),
      0, out,
    );
    out += (fourth ? 4 : third ? 3 : 2) * CV_BYTES;
  } else if (n > 0) {
    leaf(p, n, counter, 0, out);
    out += CV_BYTES;
  }
  let count = (out - tree) >> 5;
  while (count > 2) count = reduceLevel(count);
  if (count == 2) join(tree, rootFlag, tree);
}

/** Starts an input that comes in pieces. */
export function blake3Begin(): void {
  pieceCount = 0;
  stackCount = 0;
}

/** Takes in PIECE_BYTES bytes; at least one byte must follow later. */
export function blake3Push(p: usize): void {
  const tree = scratch + TREE;
  const stack = scratch + STACK;
  piece(p, PIECE_BYTES, pieceCount * (PIECE_BYTES / 1024), 0);
  pieceCount++;
  copy32(stack + (stackCount << 5), tree);
  stackCount++;
  for (let n = pieceCount; (n & 1) == 0; n >>= 1) {
    stackCount--;
    const pair = stack + ((stackCount - 1) << 5);
    join(pair, 0, pair);
  }
}

/** Takes in the last `n` bytes, 1 to PIECE_BYTES (0 only when nothing came before). */
export function blake3Finish(p: usize, n: usize, out: usize): void {
  const tree = scratch + TREE;
  const stack = scratch + STACK;
  piece(p, n, pieceCount * (PIECE_BYTES / 1024), stackCount == 0 ? ROOT : 0);
  while (stackCount > 0) {
    stackCount--;
    const pair = stack + (stackCount << 5);
    copy32(pair + CV_BYTES, tree);
    join(pair, stackCount == 0 ? ROOT : 0, tree);
  }
  copy32(out, tree);
}

/** Keyed hash of `n` bytes at `p`, 32 bytes to `out`. */
export function blake3(p: usize, n: usize, out: usize): void {
  blake3Begin();
  for (; n > PIECE_BYTES; n -= PIECE_BYTES) {
    blake3Push(p);
    p += PIECE_BYTES;
  }
  blake3Finish(p, n, out);
}

/**
 * Hashes of `count` stretches side by side: stretch i ends at base + ends[i], the first one starts
 * at base + start. Short ones that follow each other go through the four lanes together.
 */
export function blake3Many(base: usize, start: usize, ends: usize, count: usize, out: usize): void {
  const digests = scratch + TREE;
  const zero = i32x4.splat(0);
  for (let i: usize = 0; i < count; ) {
    const e0 = <usize>load<u32>(ends + (i << 2));
    const n0 = e0 - start;
    let group: usize = 0;
    if (n0 <= LEAF_BYTES) {
      let from = e0;
      group = 1;
      while (group < 4 && i + group < count) {
        const to = <usize>load<u32>(ends + ((i + group) << 2));
        if (to - from > LEAF_BYTES) break;
        from = to;
        group++;
      }
    }
    if (group < 2) {
      blake3(base + start, n0, out + (i << 5));
      start = e0;
      i++;
      continue;
    }
    const p0 = base + start;
    const p1 = base + e0;
    const e1 = <usize>load<u32>(ends + (i << 2), 4);
    const n1 = e1 - e0;
    let p2 = p0, n2 = n0, p3 = p0, n3 = n0;
    start = e1;
    if (group > 2) {
      p2 = base + e1;
      const e2 = <usize>load<u32>(ends + (i << 2), 8);
      n2 = e2 - e1;
      start = e2;
      if (group > 3) {
        p3 = base + e2;
        const e3 = <usize>load<u32>(ends + (i << 2), 12);
        n3 = e3 - e2;
        start = e3;
      }
    }
    leavesRagged(p0, n0, p1, n1, p2, n2, p3, n3, zero, zero, ROOT, digests);
    for (let g: usize = 0; g < group; g++) copy32(out + ((i + g) << 5), digests + (g << 5));
    i += group;
  }
}

/**
 * Hashes of `count` chunks at `base` + starts[i] with lengths[i] bytes (u32 each), to `out`. Returns
 * how many: less when the next one does not lie within `size` bytes.
 */
export function hashChunks(
  base: usize,
  size: usize,
  starts: usize,
  lengths: usize,
  count: usize,
  out: usize,
): usize {
  for (let i: usize = 0; i < count; i++) {
    const start = <usize>load<u32>(starts + (i << 2));
    const length = <usize>load<u32>(lengths + (i << 2));
    if (start > size || length > size - start) return i;
    blake3(base + start, length, out + (i << 5));
  }
  return count;
}
