/**
 * Records to chunks and their hashes, a whole run in one call: the usual case of what
 * `src/xorb/record-decoder.ts` defines. Frames of independent blocks without checksums (every known
 * writer's) are decoded here; at anything else, damage included, the run is given back as not done,
 * and the readable decoder says what it is.
 */
import { bg4Join } from './bg4';
import { blake3 } from './blake3';
import { CHUNK_BYTES, STAGE_HALF_BYTES, scratch, STAGE } from './layout';
import { lz4Decompress } from './lz4-decompress';

const RECORD_HEADER_BYTES: usize = 8;
const MAX_PAYLOAD_BYTES: usize = 262144;
const FRAME_HEADER_BYTES: usize = 7;
/** Version 1, independent blocks, no sums; the block size and the header's checksum are apart. */
const FRAME_START: u64 = 0x60184d2204;
const DIGEST_BYTES: usize = 32;
const RAW_BLOCK: u32 = 0x80000000;

/** The last two bytes of the header: block size and checksum. 0: not one of these. */
// @ts-ignore: decorator
@inline
function blockMaxBytes(tail: u32): usize {
  if (tail == 0x8240) return 65536;
  if (tail == 0xfb50) return 262144;
  if (tail == 0x5160) return 1048576;
  if (tail == 0x7370) return 4194304;
  return 0;
}

/** Decodes the frame of `n` bytes at `src` to exactly `size` bytes at `out`. */
function decodeFrame(src: usize, n: usize, out: usize, size: usize): bool {
  const srcEnd = src + n;
  if (n < FRAME_HEADER_BYTES + 4) return false;
  const header = load<u64>(src);
  if ((header & 0xffffffffff) != FRAME_START) return false;
  const blockMax = blockMaxBytes(<u32>(header >> 40) & 0xffff);
  if (blockMax == 0) return false;
  let p = src + FRAME_HEADER_BYTES;
  let filled: usize = 0;
  while (srcEnd - p >= 4) {
    const field = load<u32>(p);
    p += 4;
    if (field == 0) return p == srcEnd && filled == size;
    const bytes = <usize>(field & ~RAW_BLOCK);
    const room = min<usize>(size - filled, blockMax);
    if (bytes > blockMax || bytes > srcEnd - p) return false;
    if ((field & RAW_BLOCK) != 0) {
      if (bytes > room) return false;
      memory.copy(out + filled, p, bytes);
      filled += bytes;
    } else {
      const end = lz4Decompress(p, bytes, out + filled, room, 0);
      if (end < 0) return false;
      filled += <usize>end;
    }
    p += bytes;
  }
  return false;
}

/**
 * Decodes the records in [p, end) side by side to `out`, which they have to fill exactly up to
 * `outEnd`. With `rawInPlace` chunks of scheme none are hashed where they lie and not copied. The
 * chunks' lengths (u32) go to `lengths`, their hashes with the key at KEY to `digests`. Returns how
 * many there are, or -1: not done, for whatever reason, `capacity` included.
 */
export function decodeRecords(
  p: usize,
  end: usize,
  out: usize,
  outEnd: usize,
  rawInPlace: bool,
  lengths: usize,
  digests: usize,
  capacity: i32,
): i32 {
  return walkRecords(p, end, out, outEnd, rawInPlace, true, lengths, digests, capacity);
}

/**
 * The same for records whose chunks nobody wants: each is decoded over the one before, where it stays in the
 * cache until it is hashed.
 */
export function hashRecords(
  p: usize,
  end: usize,
  lengths: usize,
  digests: usize,
  capacity: i32,
): i32 {
  const out = scratch + STAGE + STAGE_HALF_BYTES;
  return walkRecords(p, end, out, out + CHUNK_BYTES, true, false, lengths, digests, capacity);
}

function walkRecords(
  p: usize,
  end: usize,
  out: usize,
  outEnd: usize,
  rawInPlace: bool,
  keeps: bool,
  lengths: usize,
  digests: usize,
  capacity: i32,
): i32 {
  const grouped = scratch + STAGE;
  let count: i32 = 0;
  while (p < end) {
    if (count == capacity || end - p < RECORD_HEADER_BYTES) return -1;
    const first = load<u32>(p);
    const second = load<u32>(p, 4);
    const scheme = second & 255;
    const bytes = <usize>(first >> 8);
    const length = <usize>(second >> 8);
    p += RECORD_HEADER_BYTES;
    if ((first & 255) != 0 || length > CHUNK_BYTES) return -1;
    if (bytes > MAX_PAYLOAD_BYTES || bytes > end - p) return -1;
    let chunk = out;
    if (scheme == 0) {
      if (bytes != length) return -1;
      chunk = p;
    }
    if (scheme != 0 || !rawInPlace) {
      if (length > outEnd - out) return -1;
      if (scheme == 0) {
        memory.copy(out, p, length);
      } else if (scheme == 1) {
        if (!decodeFrame(p, bytes, out, length)) return -1;
      } else {
        if (scheme != 2 || !decodeFrame(p, bytes, grouped, length)) return -1;
        bg4Join(grouped, length, out);
      }
      if (keeps) out += length;
    }
    store<u32>(lengths + (<usize>count << 2), <u32>length);
    blake3(chunk, length, digests + <usize>count * DIGEST_BYTES);
    count++;
    p += bytes;
  }
  return !keeps || out == outEnd ? count : -1;
}
