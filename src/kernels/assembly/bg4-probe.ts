/**
 * Does BG4 pay for a chunk? The same looks and the same numbers as in `src/compress/bg4-probe.ts`,
 * which explains them: a chunk gets the same scheme from both.
 */
import { bg4Split } from './bg4';
import { GROUP_COUNTS, scratch } from './layout';
import { lz4Compress } from './lz4-compress';

const COUNT_WINDOWS: usize = 64;
const COUNT_WINDOW_BYTES: usize = 16;
const COUNTS_BYTES: usize = 2048;

const SAMPLE_WINDOWS: usize = 4;
const SAMPLE_WINDOW_BYTES: usize = 1536;
const SAMPLE_BYTES: usize = SAMPLE_WINDOWS * SAMPLE_WINDOW_BYTES;

const DIFFER_FACTOR: f64 = 1.1;
const GROUPED_FACTOR: f64 = 0.97;
const REPEATING_GROUP: f64 = 0.15;

/** The one form to try, or both. */
export const PLAIN: i32 = 0;
export const GROUPED: i32 = 1;
export const BOTH: i32 = 2;

/** How likely two bytes of one group are equal, in the group where that is likeliest. */
let mostAlike: f64 = 0;

/** Start of a window at `part / parts` of the room, at a multiple of 4. */
// @ts-ignore: decorator
@inline
function windowStart(n: usize, windowBytes: usize, part: usize, parts: usize): usize {
  return (((n - windowBytes) * part) / parts) & ~3;
}

/** Counts the byte at `p` in its group; returns how many equal ones the group had before. */
// @ts-ignore: decorator
@inline
function count(counts: usize, p: usize, group: usize): usize {
  const at = counts + (((group << 8) + <usize>load<u8>(p + group)) << 1);
  const before = <usize>load<u16>(at);
  store<u16>(at, <u16>(before + 1));
  return before;
}

/** Whether the byte groups of a sample of the chunk differ at all; sets `mostAlike`. */
function groupsDiffer(src: usize, n: usize): bool {
  const counts = scratch + GROUP_COUNTS;
  memory.fill(counts, 0, COUNTS_BYTES);
  const whole = n <= COUNT_WINDOWS * COUNT_WINDOW_BYTES;
  const windows: usize = whole ? 1 : COUNT_WINDOWS;
  const windowBytes: usize = whole ? n & ~3 : COUNT_WINDOW_BYTES;
  const size = (windows * windowBytes) >> 2;
  mostAlike = 0;
  if (size < 2) return false;

  let pairs0: usize = 0;
  let pairs1: usize = 0;
  let pairs2: usize = 0;
  let pairs3: usize = 0;
  for (let window: usize = 0; window < windows; window++) {
    let p = src + windowStart(n, windowBytes, window, COUNT_WINDOWS - 1);
    for (const end = p + windowBytes; p < end; p += 4) {
      pairs0 += count(counts, p, 0);
      pairs1 += count(counts, p, 1);
      pairs2 += count(counts, p, 2);
      pairs3 += count(counts, p, 3);
    }
  }
  let twicePairsInAll: usize = 0;
  for (let at = counts, end = counts + 512; at < end; at += 2) {
    const all = <usize>load<u16>(at) + <usize>load<u16>(at, 512)
      + <usize>load<u16>(at, 1024) + <usize>load<u16>(at, 1536);
    twicePairsInAll += all * (all - 1);
  }

  const groupPairs = <f64>size * <f64>(size - 1) / 2;
  const inGroups = <f64>(pairs0 + pairs1 + pairs2 + pairs3) / (4 * groupPairs);
  const inAll = <f64>(twicePairsInAll >> 1) / (2 * <f64>size * (4 * <f64>size - 1));
  mostAlike = <f64>max(max(pairs0, pairs1), max(pairs2, pairs3)) / groupPairs;
  return inGroups > DIFFER_FACTOR * inAll || 1 - inAll > DIFFER_FACTOR * (1 - inGroups);
}

/** The verdict for `n` bytes at `src`. `work` has room for three samples. */
export function bg4Probe(src: usize, n: usize, work: usize): i32 {
  if (!groupsDiffer(src, n)) return PLAIN;
  if (n <= 2 * SAMPLE_BYTES) return BOTH;
  const grouped = work + SAMPLE_BYTES;
  const out = grouped + SAMPLE_BYTES;
  for (let i: usize = 0; i < SAMPLE_WINDOWS; i++) {
    const from = src + windowStart(n, SAMPLE_WINDOW_BYTES, 2 * i + 1, 2 * SAMPLE_WINDOWS);
    memory.copy(work + i * SAMPLE_WINDOW_BYTES, from, SAMPLE_WINDOW_BYTES);
  }
  const plainBytes = lz4Compress(work, SAMPLE_BYTES, out, SAMPLE_BYTES - 1);
  if (plainBytes == 0 && mostAlike > REPEATING_GROUP) return GROUPED;
  bg4Split(work, SAMPLE_BYTES, grouped);
  const groupedBytes = lz4Compress(grouped, SAMPLE_BYTES, out, SAMPLE_BYTES - 1);
  if (groupedBytes == 0) return PLAIN;
  return plainBytes == 0 || <f64>groupedBytes < GROUPED_FACTOR * <f64>plainBytes ? GROUPED : PLAIN;
}
