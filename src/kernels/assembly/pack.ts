/**
 * Chunks to records, a whole list in one call: what `src/xorb/record-packer.ts` and
 * `src/compress/compress-chunk.ts` define, byte for byte.
 *
 *   record   0  u8 version 0 | u24 payload bytes | u8 scheme | u24 chunk bytes | payload
 *   payload of schemes 1 and 2, an LZ4 frame of one block
 *            7 bytes header | u32 block bytes | block | u32 0
 */
import { bg4Split } from './bg4';
import { BOTH, bg4Probe, GROUPED } from './bg4-probe';
import { CHUNK_BYTES, scratch, STAGE } from './layout';
import { lz4Compress } from './lz4-compress';

const RECORD_HEADER_BYTES: usize = 8;
const FRAME_HEADER_BYTES: usize = 7;
const FRAME_OVERHEAD_BYTES: usize = 15;
const BLOCK_64K_BYTES: usize = 65536;
/** The headers of frames for blocks up to 64 KiB and up to 256 KiB, as little-endian numbers. */
const HEADER_64K: u64 = 0x824060184d2204;
const HEADER_256K: u64 = 0xfb5060184d2204;

const SCHEME_NONE: i32 = 0;
const SCHEME_LZ4: i32 = 1;
const SCHEME_BG4_LZ4: i32 = 2;

/** Policies, in the order in which the adapter numbers them. */
const POLICY_NONE: i32 = 0;
const POLICY_AUTO: i32 = 1;
const POLICY_LZ4: i32 = 2;
const POLICY_BG4_LZ4: i32 = 3;

/** One frame of `n` bytes, shorter than `limit` (at most n); returns its length, or 0. */
function frame(src: usize, n: usize, out: usize, limit: usize): usize {
  if (limit <= FRAME_OVERHEAD_BYTES + 1) return 0;
  const block = out + FRAME_HEADER_BYTES + 4;
  const blockBytes = lz4Compress(src, n, block, limit - 1 - FRAME_OVERHEAD_BYTES);
  if (blockBytes == 0) return 0;
  store<u64>(out, n <= BLOCK_64K_BYTES ? HEADER_64K : HEADER_256K);
  store<u32>(out + FRAME_HEADER_BYTES, <u32>blockBytes);
  store<u32>(block + blockBytes, 0);
  return blockBytes + FRAME_OVERHEAD_BYTES;
}

/** The record of `n` bytes at `src` to `target`, which it may overlap from below; its length. */
function packRecord(src: usize, n: usize, target: usize, policy: i32): usize {
  const grouped = scratch + STAGE;
  const plainFrame = grouped + CHUNK_BYTES;
  const groupedFrame = plainFrame + CHUNK_BYTES;
  let scheme = SCHEME_NONE;
  let payload = src;
  let length = n;
  if (n > FRAME_OVERHEAD_BYTES && policy != POLICY_NONE) {
    let tryPlain = policy != POLICY_BG4_LZ4;
    let tryGrouped = policy != POLICY_LZ4;
    if (policy == POLICY_AUTO) {
      const verdict = bg4Probe(src, n, grouped);
      tryPlain = verdict != GROUPED;
      tryGrouped = verdict == GROUPED || verdict == BOTH;
    }
    if (tryPlain) {
      const bytes = frame(src, n, plainFrame, n);
      if (bytes != 0) {
        scheme = SCHEME_LZ4;
        payload = plainFrame;
        length = bytes;
      }
    }
    if (tryGrouped) {
      bg4Split(src, n, grouped);
      const bytes = frame(grouped, n, groupedFrame, length);
      if (bytes != 0) {
        scheme = SCHEME_BG4_LZ4;
        payload = groupedFrame;
        length = bytes;
      }
    }
  }
  // The payload first: the header may lie where a raw chunk begins.
  memory.copy(target + RECORD_HEADER_BYTES, payload, length);
  store<u32>(target, <u32>length << 8);
  store<u32>(target, <u32>scheme | (<u32>n << 8), 4);
  return RECORD_HEADER_BYTES + length;
}

/**
 * `count` records side by side from `target` on, of the chunks at `base` + starts[i] with lengths[i]
 * bytes (u32 each). The length of record i takes the place of lengths[i]; returns their sum.
 */
export function packRecords(
  base: usize,
  starts: usize,
  lengths: usize,
  count: usize,
  target: usize,
  policy: i32,
): usize {
  let at = target;
  for (let i: usize = 0; i < count; i++) {
    const slot = lengths + (i << 2);
    const bytes = packRecord(base + load<u32>(starts + (i << 2)), load<u32>(slot), at, policy);
    store<u32>(slot, <u32>bytes);
    at += bytes;
  }
  return at - target;
}
