import type { Hasher } from '../hash/ports.js';
import {
  DIGEST_COUNT,
  DIGESTS,
  LIST,
  LIST_COUNT,
  STAGE,
  STAGE_HALF_BYTES,
} from './generated/layout.js';
import { HASH_PIECE_BYTES, type SimdInstance, WORD_BYTES, wordShift } from './simd-instance.js';

const DIGEST_BYTES = 32;

/** Pieces of a list that are hashed in one call: starts and lengths share LIST. */
const LIST_PIECES: number = Math.min(DIGEST_COUNT, LIST_COUNT / 2);

/** Bytes that can be staged at once: both halves of the stage side by side. */
const HASH_STAGE_BYTES = 2 * STAGE_HALF_BYTES - WORD_BYTES;

/** Keyed BLAKE3 by an instance of the kernels; `setKey` puts a key in place. */
export function createSimdHasher(
  instance: SimdInstance,
  setKey: (key: Uint8Array) => void,
): Hasher {
  const { exports, scratch } = instance;
  const listAt = scratch + LIST;
  const digestsAt = scratch + DIGESTS;
  const stageAt = scratch + STAGE;
  // The first digest: calls about 64 bytes must not cost more than the hash.
  let digest = instance.views().u8.subarray(digestsAt, digestsAt + DIGEST_BYTES);

  /** Copies `bytes` to the stage; returns where they begin. */
  function stage(bytes: Uint8Array): number {
    const at = stageAt + wordShift(bytes);
    instance.views().u8.set(bytes, at);
    return at;
  }

  /** One digest to DIGESTS; the key is in place. */
  function hashOne(data: Uint8Array): void {
    const length = data.length;
    if (data.buffer === instance.views().buffer) {
      exports.blake3(data.byteOffset, length, digestsAt);
    } else if (length <= HASH_STAGE_BYTES) {
      exports.blake3(stage(data), length, digestsAt);
    } else {
      // Whole pieces while bytes follow them, then the rest, which is never empty.
      exports.blake3Begin();
      let at = 0;
      for (; length - at > HASH_PIECE_BYTES; at += HASH_PIECE_BYTES) {
        exports.blake3Push(stage(data.subarray(at, at + HASH_PIECE_BYTES)));
      }
      exports.blake3Finish(stage(data.subarray(at)), length - at, digestsAt);
    }
  }

  return {
    keyed(key, data, out, outOffset) {
      setKey(key);
      hashOne(data);
      const { buffer } = instance.views();
      if (digest.buffer !== buffer) digest = new Uint8Array(buffer, digestsAt, DIGEST_BYTES);
      out.set(digest, outOffset);
    },

    keyedMany(key, data, start, ends, count, out, outOffset) {
      setKey(key);
      checkEnds(data, start, ends, count);
      const { buffer, u8, u32 } = instance.views();
      const inPlace = data.buffer === buffer;
      let from = start;
      for (let done = 0; done < count; ) {
        // As many chunks at a time as there are places for digests and, for bytes from outside, as the stage holds.
        let taken = 0;
        const shift = inPlace ? 0 : from;
        let to = from;
        while (done + taken < count && taken < DIGEST_COUNT) {
          const end = ends[done + taken] as number;
          if (!inPlace && end - from > HASH_STAGE_BYTES) break;
          u32[(listAt >>> 2) + taken] = end - shift;
          to = end;
          taken++;
        }
        if (taken === 0) {
          to = ends[done] as number;
          hashOne(data.subarray(from, to));
          taken = 1;
        } else if (inPlace) {
          exports.blake3Many(data.byteOffset, from, listAt, taken, digestsAt);
        } else {
          exports.blake3Many(stage(data.subarray(from, to)), 0, listAt, taken, digestsAt);
        }
        const digests = u8.subarray(digestsAt, digestsAt + taken * DIGEST_BYTES);
        out.set(digests, outOffset + done * DIGEST_BYTES);
        done += taken;
        from = to;
      }
    },

    keyedList(key, data, starts, lengths) {
      const { buffer, u8, u32 } = instance.views();
      if (data.buffer !== buffer) return null;
      setKey(key);
      const count = starts.length;
      const out = new Uint8Array(DIGEST_BYTES * count);
      for (let first = 0; first < count; first += LIST_PIECES) {
        const some = Math.min(LIST_PIECES, count - first);
        const lengthsAt = listAt + 4 * some;
        u32.set(starts.subarray(first, first + some), listAt >>> 2);
        u32.set(lengths.subarray(first, first + some), lengthsAt >>> 2);
        const { byteOffset, length } = data;
        const hashed = exports.hashChunks(byteOffset, length, listAt, lengthsAt, some, digestsAt);
        if (hashed < some) {
          throw new RangeError(`"starts[${first + hashed}]" expected a piece of ${length} bytes`);
        }
        out.set(u8.subarray(digestsAt, digestsAt + DIGEST_BYTES * some), DIGEST_BYTES * first);
      }
      return out;
    },
  };
}

function checkEnds(data: Uint8Array, start: number, ends: Uint32Array, count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > ends.length) {
    throw new RangeError(`"count" expected an integer in [0, ${ends.length}], got ${count}`);
  }
  if (!Number.isInteger(start)) throw new RangeError(`"start" expected an integer, got ${start}`);
  let from = start;
  for (let i = 0; i < count; i++) {
    const end = ends[i] as number;
    if (!(from >= 0 && end >= from && end <= data.length)) {
      throw new RangeError(`"ends[${i}]" expected ${from} to ${data.length}, got ${end}`);
    }
    from = end;
  }
}
