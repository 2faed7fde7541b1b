import { OrbweaverError } from '../errors.js';
import { copyBytes } from './copy-bytes.js';
import type { BlockCodec } from './ports.js';
import { xxHash32 } from './xxhash32.js';

/**
 * The LZ4 frame format (version 1.6.x of its specification) around LZ4 blocks.
 *
 *     u32le magic 0x184D2204
 *     u8    FLG   version (01) · independent · block sums · content size · content sum · 0 · dictionary
 *     u8    BD    0 · block size id (4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB) · 0000
 *    [u64le content size]
 *     u8    header checksum: second byte of XXH32 over FLG … content size
 *     blocks: u32le size (bit 31 = stored raw), bytes, [u32le XXH32 of the bytes]
 *     u32le 0  end mark
 *    [u32le XXH32 of the content]
 *
 * The writer makes one independent block with no sums and no size, byte for byte the header that
 * the reference client writes. The reader takes any legal frame except dictionaries; skippable
 * frames and bytes after the frame are refused, since a record's payload is exactly one frame.
 */

const MAGIC = 0x184d2204;
const FLG_VERSION_1 = 0x40;
const FLG_INDEPENDENT = 0x20;
const FLG_BLOCK_CHECKSUM = 0x10;
const FLG_CONTENT_SIZE = 0x08;
const FLG_CONTENT_CHECKSUM = 0x04;
const FLG_RESERVED = 0x02;
const FLG_DICTIONARY = 0x01;
const RAW_BLOCK = 0x80000000;

const HEADER_BYTES = 7;
const BLOCK_64K_BYTES = 65536;
const BLOCK_256K_BYTES = 262144;
/** Header checksums of our two headers, so that none is computed per chunk (a test derives them). */
const HEADER_64K: readonly number[] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const HEADER_256K: readonly number[] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x50, 0xfb];

/** What our frames add to the block inside: header 7, block size 4, end mark 4 bytes. */
export const LZ4_FRAME_OVERHEAD_BYTES = 15;

/**
 * Encodes `src` (at most 256 KiB) as one frame of one independent block into `out` at `outOffset`.
 * Returns the bytes written, or 0 when the frame would not be shorter than `limit` bytes or does
 * not fit into `out`; bytes of `out` in that room may then have changed. A block that does not
 * shrink is stored raw if `limit` allows it.
 *
 * @throws RangeError when `src` is longer than 256 KiB
 */
export function lz4FrameEncode(
  codec: BlockCodec,
  src: Uint8Array,
  out: Uint8Array,
  outOffset: number,
  limit: number,
): number {
  const length = src.length;
  if (length > BLOCK_256K_BYTES) {
    throw new RangeError(`"src" expected at most ${BLOCK_256K_BYTES} bytes, got ${length}`);
  }
  const header = length <= BLOCK_64K_BYTES ? HEADER_64K : HEADER_256K;
  const room = Math.min(limit - 1, out.length - outOffset);
  if (length === 0) {
    if (room < HEADER_BYTES + 4) return 0;
    out.set(header, outOffset);
    out.fill(0, outOffset + HEADER_BYTES, outOffset + HEADER_BYTES + 4);
    return HEADER_BYTES + 4;
  }

  const blockRoom = room - LZ4_FRAME_OVERHEAD_BYTES;
  if (blockRoom < 1) return 0;
  const blockAt = outOffset + HEADER_BYTES + 4;
  // A compressed block has to be shorter than its content, else the raw form is the legal one.
  const compressRoom = Math.min(blockRoom, length - 1);
  let blockBytes =
    compressRoom < 1 ? 0 : codec.lz4Compress(src, out.subarray(blockAt, blockAt + compressRoom));
  let sizeField = blockBytes;
  if (blockBytes === 0) {
    if (length > blockRoom) return 0;
    copyBytes(codec, src, out.subarray(blockAt));
    blockBytes = length;
    sizeField = (length | RAW_BLOCK) >>> 0;
  }

  out.set(header, outOffset);
  writeU32(out, outOffset + HEADER_BYTES, sizeField);
  writeU32(out, blockAt + blockBytes, 0);
  return blockBytes + LZ4_FRAME_OVERHEAD_BYTES;
}

/**
 * Decodes the one frame that is `src` into `out`, filling exactly all of `out`. On an error `out`
 * holds garbage in its own range and nothing outside was touched.
 *
 * @throws OrbweaverError `TRUNCATED` the frame ends early; `FORMAT_INVALID` it breaks the rules or
 * has not exactly `out.length` bytes of content; `UNSUPPORTED` dictionary, skippable or legacy
 * frame, other version; `CHECKSUM_MISMATCH` a header, block or content checksum differs
 */
export function lz4FrameDecode(codec: BlockCodec, src: Uint8Array, out: Uint8Array): void {
  const header = readHeader(src, out.length);
  let at = header.bytes;
  let filled = 0;

  for (;;) {
    const sizeField = readU32(src, at, 'block size');
    at += 4;
    if (sizeField === 0) break;
    const raw = sizeField >= RAW_BLOCK;
    const size = raw ? sizeField - RAW_BLOCK : sizeField;
    if (size > header.blockMaxBytes) {
      throw invalid('block size', `at most ${header.blockMaxBytes}`, size, at - 4);
    }
    need(src, at, size, 'block');
    const block = src.subarray(at, at + size);
    at += size;
    if (header.blockChecksum) {
      checkSum('block checksum', readU32(src, at, 'block checksum'), xxHash32(block), at);
      at += 4;
    }

    const roomEnd = Math.min(out.length, filled + header.blockMaxBytes);
    if (raw) {
      if (size > roomEnd - filled) throw overflow(out.length, at - size);
      copyBytes(codec, block, out.subarray(filled));
      filled += size;
    } else {
      // An independent block gets a view that starts with it: it cannot see what came before.
      const base = header.independent ? filled : 0;
      const end = codec.lz4Decompress(block, out.subarray(base, roomEnd), filled - base);
      if (end < 0) {
        throw new OrbweaverError(
          'FORMAT_INVALID',
          `"block" expected a valid LZ4 block of at most ${roomEnd - filled} bytes of content, got another at offset ${at - size}`,
          { field: 'block', offset: at - size },
        );
      }
      filled = base + end;
    }
  }

  if (filled !== out.length) throw invalid('frame content', `${out.length} bytes`, filled, at);
  if (header.contentChecksum) {
    checkSum('content checksum', readU32(src, at, 'content checksum'), xxHash32(out), at);
    at += 4;
  }
  if (at !== src.length) throw invalid('frame end', `offset ${src.length}`, at, at);
}

interface FrameHeader {
  readonly bytes: number;
  readonly independent: boolean;
  readonly blockChecksum: boolean;
  readonly contentChecksum: boolean;
  readonly blockMaxBytes: number;
}

function readHeader(src: Uint8Array, contentBytes: number): FrameHeader {
  const magic = readU32(src, 0, 'frame magic');
  if (magic !== MAGIC) {
    const skippable = magic >>> 4 === 0x184d2a5;
    const legacy = magic === 0x184c2102;
    throw new OrbweaverError(
      skippable || legacy ? 'UNSUPPORTED' : 'FORMAT_INVALID',
      `"frame magic" expected 0x${MAGIC.toString(16)}, got 0x${magic.toString(16)}`,
      { field: 'frame magic', offset: 0 },
    );
  }
  need(src, 4, 3, 'frame header');
  const flg = src[4] as number;
  const bd = src[5] as number;
  if ((flg & 0xc0) !== FLG_VERSION_1) throw unsupported('frame version', '1', flg >>> 6);
  if ((flg & FLG_RESERVED) !== 0) throw unsupported('frame FLG', 'reserved bit 0', flg);
  if ((flg & FLG_DICTIONARY) !== 0) throw unsupported('frame FLG', 'no dictionary', flg);
  const blockSizeId = (bd >>> 4) & 7;
  if ((bd & 0x8f) !== 0 || blockSizeId < 4) {
    throw invalid('frame BD', 'block size id 4 to 7, reserved bits 0', bd, 5);
  }

  let at = 6;
  if ((flg & FLG_CONTENT_SIZE) !== 0) {
    need(src, at, 9, 'content size');
    const low = readU32(src, at, 'content size');
    const high = readU32(src, at + 4, 'content size');
    if (high !== 0 || low !== contentBytes) {
      throw invalid('content size', contentBytes, high * 2 ** 32 + low, at);
    }
    at += 8;
  }
  checkSum('header checksum', src[at] as number, (xxHash32(src.subarray(4, at)) >>> 8) & 255, at);
  return {
    bytes: at + 1,
    independent: (flg & FLG_INDEPENDENT) !== 0,
    blockChecksum: (flg & FLG_BLOCK_CHECKSUM) !== 0,
    contentChecksum: (flg & FLG_CONTENT_CHECKSUM) !== 0,
    blockMaxBytes: 1 << (8 + 2 * blockSizeId),
  };
}

function need(src: Uint8Array, at: number, count: number, field: string): void {
  if (count > src.length - at) {
    throw new OrbweaverError(
      'TRUNCATED',
      `"${field}" expected ${count} bytes at offset ${at}, got ${Math.max(0, src.length - at)}`,
      { field, offset: at, expected: count },
    );
  }
}

function readU32(src: Uint8Array, at: number, field: string): number {
  need(src, at, 4, field);
  return (
    ((src[at] as number) |
      ((src[at + 1] as number) << 8) |
      ((src[at + 2] as number) << 16) |
      ((src[at + 3] as number) << 24)) >>>
    0
  );
}

function writeU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value;
  out[at + 1] = value >>> 8;
  out[at + 2] = value >>> 16;
  out[at + 3] = value >>> 24;
}

function checkSum(field: string, found: number, computed: number, offset: number): void {
  if (found !== computed) {
    throw new OrbweaverError(
      'CHECKSUM_MISMATCH',
      `"${field}" expected 0x${computed.toString(16)}, got 0x${found.toString(16)}`,
      { field, offset },
    );
  }
}

function invalid(
  field: string,
  expected: string | number,
  found: number,
  offset: number,
): OrbweaverError {
  return new OrbweaverError('FORMAT_INVALID', `"${field}" expected ${expected}, got ${found}`, {
    field,
    offset,
  });
}

function unsupported(field: string, expected: string, found: number): OrbweaverError {
  return new OrbweaverError('UNSUPPORTED', `"${field}" expected ${expected}, got ${found}`, {
    field,
    offset: 4,
  });
}

function overflow(expected: number, offset: number): OrbweaverError {
  return new OrbweaverError(
    'FORMAT_INVALID',
    `"frame content" expected ${expected} bytes, got more at offset ${offset}`,
    { field: 'frame content', offset },
  );
}
