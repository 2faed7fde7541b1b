import type { BlockCodec } from '../compress/ports.js';
import { STAGE, STAGE_HALF_BYTES } from './generated/layout.js';
import { type SimdInstance, WORD_BYTES, wordShift } from './simd-instance.js';

/** Longest argument the kernels take: their results are signed 32-bit numbers. */
const MAX_KERNEL_BYTES = 2 ** 30;

/** Bytes that go through the stage at a time: they stay in the cache. */
const COPY_BYTES = 128 * 1024;

/** An LZ4 match cannot reach further back. */
const MAX_DISTANCE = 65535;

/**
 * The block codecs by an instance of the kernels. Arguments outside of its memory are copied
 * through the stage; blocks too long for it (more than a chunk of the protocol) go to `twin`.
 */
export function createSimdCodec(instance: SimdInstance, twin: BlockCodec): BlockCodec {
  const { exports, scratch } = instance;
  const srcStage = scratch + STAGE;
  const outStage = srcStage + STAGE_HALF_BYTES;
  const inside = (bytes: Uint8Array): boolean => bytes.buffer === instance.views().buffer;

  /** Where the kernel finds (or puts) `bytes`; -1 when they neither lie inside nor fit the stage. */
  function place(bytes: Uint8Array, length: number, stage: number): number {
    if (inside(bytes)) {
      return length <= MAX_KERNEL_BYTES ? bytes.byteOffset : -1;
    }
    return length <= STAGE_HALF_BYTES - WORD_BYTES ? stage + wordShift(bytes) : -1;
  }

  function regroup(
    src: Uint8Array,
    out: Uint8Array,
    kernel: (src: number, length: number, out: number) => void,
  ): boolean {
    if (src.length !== out.length) {
      throw new RangeError(`"out" expected ${src.length} bytes, got ${out.length}`);
    }
    const from = place(src, src.length, srcStage);
    const to = place(out, out.length, outStage);
    if (from < 0 || to < 0) return false;
    const { u8 } = instance.views();
    if (!inside(src)) u8.set(src, from);
    kernel(from, src.length, to);
    if (!inside(out)) out.set(u8.subarray(to, to + out.length));
    return true;
  }

  /** By way of the stage, where the bytes lie in their words as they will in `out`. */
  function copyOut(src: Uint8Array, out: Uint8Array): void {
    const from = srcStage + wordShift(out);
    const { u8 } = instance.views();
    for (let at = 0; at < src.length; at += COPY_BYTES) {
      const count = Math.min(COPY_BYTES, src.length - at);
      exports.copy(src.byteOffset + at, count, from);
      out.set(u8.subarray(from, from + count), at);
    }
  }

  return {
    lz4Compress(src, out) {
      // No block is longer than this, so no more room is asked for.
      const capacity = Math.min(out.length, src.length + Math.ceil(src.length / 255) + 16);
      const from = place(src, src.length, srcStage);
      const to = place(out, capacity, outStage);
      if (from < 0 || to < 0) return twin.lz4Compress(src, out);
      const { u8 } = instance.views();
      if (!inside(src)) u8.set(src, from);
      const length = exports.lz4Compress(from, src.length, to, capacity);
      if (!inside(out) && length > 0) out.set(u8.subarray(to, to + length));
      return length;
    },

    lz4Decompress(src, out, outStart) {
      if (!(Number.isInteger(outStart) && outStart >= 0 && outStart <= out.length)) return -1;
      const from = place(src, src.length, srcStage);
      const to = place(out, out.length, outStage);
      if (from < 0 || to < 0) return twin.lz4Decompress(src, out, outStart);
      const { u8 } = instance.views();
      if (!inside(src)) u8.set(src, from);
      if (!inside(out) && outStart > 0) {
        const reach = Math.max(0, outStart - MAX_DISTANCE);
        u8.set(out.subarray(reach, outStart), to + reach);
      }
      const end = exports.lz4Decompress(from, src.length, to, out.length, outStart);
      if (!inside(out) && end > outStart) {
        out.set(u8.subarray(to + outStart, to + end), outStart);
      }
      return end;
    },

    bg4Split(src, out) {
      if (!regroup(src, out, exports.bg4Split)) twin.bg4Split(src, out);
    },

    bg4Join(src, out) {
      if (!regroup(src, out, exports.bg4Join)) twin.bg4Join(src, out);
    },

    copy(src, out) {
      if (src.length > out.length) {
        throw new RangeError(`"out" expected ${src.length} bytes, got ${out.length}`);
      }
      if (inside(src) && inside(out)) exports.copy(src.byteOffset, src.length, out.byteOffset);
      else if (inside(src) && wordShift(src) !== wordShift(out)) copyOut(src, out);
      else out.set(src);
    },
  };
}
