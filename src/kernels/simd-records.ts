import type { CompressionPolicy } from '../compress/ports.js';
import type { DecodedRecords, RecordKernels } from '../xorb/ports.js';
import { DIGEST_COUNT, DIGESTS, LIST, LIST_COUNT } from './generated/layout.js';
import type { SimdInstance } from './simd-instance.js';

const DIGEST_BYTES = 32;

/** Records packed in one call: starts and lengths share the list. */
const PACK_COUNT: number = LIST_COUNT / 2;

/** The numbers by which `assembly/pack.ts` knows the policies. */
const POLICIES: readonly CompressionPolicy[] = ['none', 'auto', 'lz4', 'bg4-lz4', 'smallest'];

/**
 * Packing and decoding of lists of records by an instance of the kernels, for bytes that lie in its
 * memory. `setKey` puts the key of the hashes in place.
 */
export function createSimdRecords(
  instance: SimdInstance,
  setKey: (key: Uint8Array) => void,
): RecordKernels {
  const { exports, scratch } = instance;
  const listAt = scratch + LIST;
  const digestsAt = scratch + DIGESTS;

  return {
    pack(policy, { source, starts, lengths, target, targetOffset, recordLengths }) {
      const { buffer, u32 } = instance.views();
      if (source.buffer !== buffer || target.buffer !== buffer) return -1;
      const number = POLICIES.indexOf(policy);
      const count = starts.length;
      let at = target.byteOffset + targetOffset;
      for (let first = 0; first < count; first += PACK_COUNT) {
        const some = Math.min(PACK_COUNT, count - first);
        const lengthsAt = listAt + 4 * some;
        u32.set(starts.subarray(first, first + some), listAt >>> 2);
        u32.set(lengths.subarray(first, first + some), lengthsAt >>> 2);
        at += exports.packRecords(source.byteOffset, listAt, lengthsAt, some, at, number);
        recordLengths.set(u32.subarray(lengthsAt >>> 2, (lengthsAt >>> 2) + some), first);
      }
      return at - target.byteOffset - targetOffset;
    },

    decode(key, { input, start, end, output, outputOffset, expectedBytes, rawInPlace }) {
      const { buffer } = instance.views();
      if (input.buffer !== buffer || output.buffer !== buffer) return null;
      setKey(key);
      const out = output.byteOffset + outputOffset;
      const count = exports.decodeRecords(
        input.byteOffset + start,
        input.byteOffset + end,
        out,
        out + expectedBytes,
        rawInPlace ? 1 : 0,
        listAt,
        digestsAt,
        DIGEST_COUNT,
      );
      return decoded(count);
    },

    hash(key, { input, start, end }) {
      if (input.buffer !== instance.views().buffer) return null;
      setKey(key);
      const { byteOffset: at } = input;
      return decoded(exports.hashRecords(at + start, at + end, listAt, digestsAt, DIGEST_COUNT));
    },
  };

  /** What the kernels have left: lengths in the list, hashes in the digests. Null for a count of -1. */
  function decoded(count: number): DecodedRecords | null {
    if (count < 0) return null;
    const { u8, u32 } = instance.views();
    return {
      lengths: u32.slice(listAt >>> 2, (listAt >>> 2) + count),
      hashes: u8.slice(digestsAt, digestsAt + DIGEST_BYTES * count),
    };
  }
}
