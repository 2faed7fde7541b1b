/**
 * Cuts and hashes chunk by chunk, a whole stretch in one call: what `nextCut` of the chunker says,
 * again and again. Each chunk is hashed while what the scan has read of it is in the core's cache.
 */
import { blake3 } from './blake3';
import { gearScan } from './gear';

/**
 * The chunks of [base + start, base + end), of which the first starts at `start`. Their ends (u32,
 * relative to `base`) go to `ends`, their hashes with the key at KEY to `digests`; `capacity` of them
 * at most. Returns how many. What is left at the end is a chunk of its own if `isLast`, else open.
 */
export function cutChunks(
  base: usize,
  start: usize,
  end: usize,
  minBytes: usize,
  maxBytes: usize,
  maskBits: i32,
  isLast: bool,
  ends: usize,
  digests: usize,
  capacity: i32,
): i32 {
  let count: i32 = 0;
  for (; start < end && count < capacity; count++) {
    const left = end - start;
    const longest = min(left, maxBytes);
    let cut = start + longest;
    // As in `nextCut`: the first position that may be a cut lies `minBytes` behind the start.
    if (longest < minBytes || gearScan(base, start + minBytes - 1, cut, maskBits, ends, 1) == 0) {
      if (left < maxBytes && !isLast) break;
      store<u32>(ends, <u32>cut);
    }
    cut = <usize>load<u32>(ends);
    blake3(base + start, cut - start, digests);
    start = cut;
    ends += 4;
    digests += 32;
  }
  return count;
}
