import { bytesEqual, MAX_CHUNK_BYTES } from '../../bytes/index.js';
import type { BlockCodec } from '../../compress/ports.js';
import { HASH_BYTES, type MerkleHash, xorbHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import {
  createRecordDecoder,
  decodeFooter,
  encodeFooter,
  storedFooterBytes,
  verifyXorb,
} from '../../xorb/index.js';
import { isBytesFault } from '../xorb-verify.js';

/** What is wrong with a stored xorb: nothing, these chunks, or all of it as far as anybody can tell. */
export type XorbDamage = 'none' | 'all' | ReadonlySet<number>;

/**
 * Reads every chunk of a stored xorb, and its footer. A damaged one is looked at chunk by chunk, because
 * files that use none of its damaged chunks are whole: a footer that is right says where each one is.
 */
export function findXorbDamage(
  hash: MerkleHash,
  bytes: Uint8Array,
  parts: { readonly hasher: Hasher; readonly codec: BlockCodec },
): XorbDamage {
  try {
    const footerStart = bytes.length - storedFooterBytes(bytes);
    if (footerStart < 0) return 'all';
    const tail = bytes.subarray(footerStart);
    try {
      const verified = verifyXorb(parts, bytes.subarray(0, footerStart), hash);
      if (bytesEqual(encodeFooter(verified), tail)) return 'none';
      return footerDamage(verified, tail);
    } catch (error) {
      if (!isBytesFault(error)) throw error;
      return damagedChunks(hash, bytes.subarray(0, footerStart), tail, parts);
    }
  } catch (error) {
    if (isBytesFault(error)) return 'all';
    throw error;
  }
}

/**
 * The records are right, and the footer is not the one that belongs to them. One of an older version says
 * the same in other bytes; one that says the same with a byte too many turned keeps no file from its readers.
 */
function footerDamage(verified: ReturnType<typeof verifyXorb>, tail: Uint8Array): XorbDamage {
  const { rawEnds, recordEnds, chunkHashes } = decodeFooter(tail);
  const isSame = (a: Uint32Array, b: Uint32Array): boolean =>
    a.length === b.length && a.every((end, i) => end === b[i]);
  if (!bytesEqual(chunkHashes, verified.chunkHashes)) return 'all';
  if (!isSame(recordEnds, verified.recordEnds)) return 'all';
  if (rawEnds === null) return 'none';
  return isSame(rawEnds, verified.rawEnds) ? new Set() : 'all';
}

function damagedChunks(
  hash: MerkleHash,
  records: Uint8Array,
  tail: Uint8Array,
  parts: { readonly hasher: Hasher; readonly codec: BlockCodec },
): XorbDamage {
  const { chunkHashes, recordEnds, rawEnds } = decodeFooter(tail);
  if (rawEnds === null || recordEnds.at(-1) !== records.length) return 'all';
  const lengths = rawEnds.map((end, i) => end - (i === 0 ? 0 : (rawEnds[i - 1] as number)));
  if (!xorbHash(parts.hasher, chunkHashes, lengths).equals(hash)) return 'all';
  const decoder = createRecordDecoder(parts);
  const output = new Uint8Array(MAX_CHUNK_BYTES);
  const damaged = new Set<number>();
  for (const [chunk, end] of recordEnds.entries()) {
    const start = chunk === 0 ? 0 : (recordEnds[chunk - 1] as number);
    const expected = chunkHashes.subarray(chunk * HASH_BYTES, (chunk + 1) * HASH_BYTES);
    if (!isSound(chunk)) damaged.add(chunk);

    function isSound(at: number): boolean {
      const length = lengths[at] as number;
      if (end <= start || length > output.length) return false;
      try {
        const { hashes } = decoder.decode(records, start, end, output, 0, length);
        return bytesEqual(hashes, expected);
      } catch (error) {
        if (isBytesFault(error)) return false;
        throw error;
      }
    }
  }
  // All chunks are right, and yet the whole was not: the records say something that a reader must not trust.
  return damaged.size === 0 ? 'all' : damaged;
}
