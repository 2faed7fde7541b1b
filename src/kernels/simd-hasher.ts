import type { Hasher } from '../hash/ports.js';
import { DIGEST_COUNT, DIGESTS, KEY, LIST, STAGE, STAGE_HALF_BYTES } from './generated/layout.js';
import { HASH_PIECE_BYTES, type SimdInstance, WORD_BYTES, wordShift } from './simd-instance.js';

const DIGEST_BYTES = 32;

/** Bytes that can be staged at once: both halves of the stage side by side. */
const HASH_STAGE_BYTES = 2 * STAGE_HALF_BYTES - WORD_BYTES;

/** Keyed BLAKE3 by an instance of the kernels. */
export function createSimdHasher(instance: SimdInstance): Hasher {
  const { exports, scratch } = instance;
  const keyAt = scratch + KEY;
  const listAt = scratch + LIST;
  const digestsAt = scratch + DIGESTS;
  const stageAt = scratch + STAGE;
  // What stands at KEY, and the first digest: calls about 64 bytes must not cost more than the hash.
  const currentKey = new Uint8Array(32);
  let digest = instance.views().u8.subarray(digestsAt, digestsAt + DIGEST_BYTES);
  instance.views().u8.set(currentKey, keyAt);

  function setKey(key: Uint8Array): void {
    if (key.length !== 32) throw new RangeError(`"key" expected 32 bytes, got ${key.length}`);
    for (let i = 0; i < 32; i++) {
      if (key[i] !== currentKey[i]) {
        currentKey.set(key);
        instance.views().u8.set(currentKey, keyAt);
        return;
      }
    }
  }

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
        // A batch: as many pieces as there is room for digests and, from outside, for bytes.
        let batch = 0;
        const shift = inPlace ? 0 : from;
        let to = from;
        while (done + batch < count && batch < DIGEST_COUNT) {
          const end = ends[done + batch] as number;
          if (!inPlace && end - from > HASH_STAGE_BYTES) break;
          u32[(listAt >>> 2) + batch] = end - shift;
          to = end;
          batch++;
        }
        if (batch === 0) {
          to = ends[done] as number;
          hashOne(data.subarray(from, to));
          batch = 1;
        } else if (inPlace) {
          exports.blake3Many(data.byteOffset, from, listAt, batch, digestsAt);
        } else {
          exports.blake3Many(stage(data.subarray(from, to)), 0, listAt, batch, digestsAt);
        }
        const digests = u8.subarray(digestsAt, digestsAt + batch * DIGEST_BYTES);
        out.set(digests, outOffset + done * DIGEST_BYTES);
        done += batch;
        from = to;
      }
    },
  };
}

function checkEnds(data: Uint8Array, start: number, ends: Uint32Array, count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > ends.length) {
    throw new RangeError(`"count" expected an integer in [0, ${ends.length}], got ${count}`);
  }
  let from = start;
  for (let i = 0; i < count; i++) {
    const end = ends[i] as number;
    if (!(from >= 0 && end >= from && end <= data.length)) {
      throw new RangeError(`"ends[${i}]" expected ${from} to ${data.length}, got ${end}`);
    }
    from = end;
  }
}
