import type { ChunkCutter } from '../chunker/ports.js';
import { DIGEST_COUNT, DIGESTS, LIST } from './generated/layout.js';
import type { SimdInstance } from './simd-instance.js';

const DIGEST_BYTES = 32;

/** Sizes are u32 in the kernels. No data is longer, so a longest chunk above it cuts nothing. */
const MAX_SIZE = 0xffff_ffff;

/**
 * Cutting and hashing of whole stretches by an instance of the kernels, for bytes that lie in its
 * memory. The scanner has put the Gear table in place; `setKey` does so with a key.
 */
export function createSimdCutter(
  instance: SimdInstance,
  setKey: (key: Uint8Array) => void,
): ChunkCutter {
  const { exports, scratch } = instance;
  const listAt = scratch + LIST;
  const digestsAt = scratch + DIGESTS;

  return {
    cut(key, { data, start, end, isLast, params, ends, hashes }) {
      const { buffer, u8, u32 } = instance.views();
      if (data.buffer !== buffer) return -1;
      checkStretch(data, start, end);
      setKey(key);
      const { minBytes, maxBytes, maskBits } = params;
      let count = 0;
      let from = start;
      for (;;) {
        const found = exports.cutChunks(
          data.byteOffset,
          from,
          end,
          minBytes,
          Math.min(maxBytes, MAX_SIZE),
          maskBits,
          isLast ? 1 : 0,
          listAt,
          digestsAt,
          DIGEST_COUNT,
        );
        ends.set(u32.subarray(listAt >>> 2, (listAt >>> 2) + found), count);
        hashes.set(u8.subarray(digestsAt, digestsAt + DIGEST_BYTES * found), DIGEST_BYTES * count);
        count += found;
        if (found < DIGEST_COUNT) return count;
        from = ends[count - 1] as number;
      }
    },
  };
}

function checkStretch(data: Uint8Array, start: number, end: number): void {
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end > data.length) {
    throw new RangeError(
      `"start", "end" expected integers in [0, ${data.length}], got ${start}, ${end}`,
    );
  }
  if (start > end) throw new RangeError(`"end" expected at least ${start}, got ${end}`);
}
