import { createReadableCodec, xxHash32 } from '../../src/compress/index.js';

/** A writer of every legal form of an LZ4 frame, for tests: the product writes one form only. */
export interface FrameForm {
  /** 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB. */
  readonly blockSizeId: number;
  readonly linked: boolean;
  readonly blockChecksum: boolean;
  readonly contentSize: boolean;
  readonly contentChecksum: boolean;
  /** Store every block raw. */
  readonly raw: boolean;
  /** Bytes in a block, at most what the id says. Default: that. */
  readonly blockBytes?: number;
}

const codec = createReadableCodec();

const u32 = (value: number): number[] => [
  value & 255,
  (value >>> 8) & 255,
  (value >>> 16) & 255,
  value >>> 24,
];

/** The frame of `bytes` in this form. */
export function writeFrame(bytes: Uint8Array, form: FrameForm): Uint8Array {
  const flg =
    0x40 |
    (form.linked ? 0 : 0x20) |
    (form.blockChecksum ? 0x10 : 0) |
    (form.contentSize ? 0x08 : 0) |
    (form.contentChecksum ? 0x04 : 0);
  const descriptor = [flg, form.blockSizeId << 4];
  if (form.contentSize) descriptor.push(...u32(bytes.length), 0, 0, 0, 0);
  const sum = (xxHash32(Uint8Array.from(descriptor)) >>> 8) & 255;
  const parts: (Uint8Array | number[])[] = [[0x04, 0x22, 0x4d, 0x18], descriptor, [sum]];

  const blockBytes = form.blockBytes ?? 1 << (8 + 2 * form.blockSizeId);
  for (let start = 0; start < bytes.length; start += blockBytes) {
    const content = bytes.subarray(start, start + blockBytes);
    const block = form.raw ? null : shrink(bytes, start, content.length, form.linked);
    const stored = block ?? content;
    parts.push(u32((stored.length | (block === null ? 0x80000000 : 0)) >>> 0), stored);
    if (form.blockChecksum) parts.push(u32(xxHash32(stored)));
  }
  parts.push([0, 0, 0, 0]);
  if (form.contentChecksum) parts.push(u32(xxHash32(bytes)));
  return new Uint8Array(Buffer.concat(parts.map((part) => Uint8Array.from(part))));
}

/**
 * A block of `bytes[start, start + length)`, or null when it would not shrink. A linked block that
 * repeats what lies right before it becomes one long match into the block before.
 */
function shrink(
  bytes: Uint8Array,
  start: number,
  length: number,
  linked: boolean,
): Uint8Array | null {
  if (linked && start > 0 && length > 32) {
    for (let distance = 1; distance <= Math.min(start, 65_535); distance++) {
      let end = start;
      const matchEnd = start + length - 12;
      while (end < matchEnd && bytes[end] === bytes[end - distance]) end++;
      if (end === matchEnd) return linkedBlock(bytes, start, length, distance);
    }
  }
  const out = new Uint8Array(length - 1);
  const written = codec.lz4Compress(bytes.subarray(start, start + length), out);
  return written === 0 ? null : out.subarray(0, written);
}

/** No literals, one match over all but the last 12 bytes, 12 literals. */
function linkedBlock(
  bytes: Uint8Array,
  start: number,
  length: number,
  distance: number,
): Uint8Array {
  const extra = length - 12 - 4;
  const out = [Math.min(extra, 15), distance & 255, distance >>> 8];
  if (extra >= 15) {
    let rest = extra - 15;
    for (; rest >= 255; rest -= 255) out.push(255);
    out.push(rest);
  }
  out.push(12 << 4, ...bytes.subarray(start + length - 12, start + length));
  return Uint8Array.from(out);
}
