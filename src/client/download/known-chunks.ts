import { MAX_CHUNK_BYTES } from '../../bytes/index.js';
import { DATA_KEY, HASH_BYTES, type Hasher } from '../../hash/index.js';
import type { DecodeResult } from '../ports.js';

/**
 * Chunks of a file whose hashes are known before it is downloaded: from a listing of an old copy, or
 * from a proof against the file hash. They follow each other in the file.
 */
export interface KnownChunkHashes {
  /** Offset in the file of the first of them. */
  readonly offset: number;
  /** Bytes of each. */
  readonly lengths: ArrayLike<number>;
  /** Hashes, 32 bytes each. */
  readonly hashes: Uint8Array;
}

/** Holds decoded chunks against known ones. */
export interface ChunkCheck {
  /**
   * Whether chunk `index` of `decoded`, at this place of the file, is the known one; where nothing is
   * known anything is.
   */
  fits(fileOffset: number, decoded: DecodeResult, index: number): boolean;
  /** True when all chunks of these bytes of the file are known. */
  covers(start: number, end: number): boolean;
}

/** @throws RangeError when lengths and hashes are not of as many chunks */
export function chunkCheck({ offset, lengths, hashes }: KnownChunkHashes): ChunkCheck {
  if (hashes.length !== HASH_BYTES * lengths.length) {
    throw new RangeError(
      `"knownChunkHashes" expected ${lengths.length} hashes of ${HASH_BYTES} bytes, got ${hashes.length} bytes`,
    );
  }
  const starts = new Float64Array(lengths.length + 1);
  starts[0] = offset;
  for (let i = 0; i < lengths.length; i++) {
    starts[i + 1] = (starts[i] as number) + (lengths[i] as number);
  }
  const end = starts[lengths.length] as number;
  return {
    fits(fileOffset, decoded, index) {
      const fileEnd = fileOffset + (decoded.lengths[index] as number);
      if (fileEnd <= offset || fileOffset >= end) return true;
      const at = indexOf(starts, fileOffset);
      if (at < 0 || starts[at + 1] !== fileEnd) return false;
      return equalHashes(hashes, at, decoded.hashes, index);
    },
    covers: (start, stop) => start >= offset && stop <= end,
  };
}

function indexOf(starts: Float64Array, position: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] as number) < position) low = middle + 1;
    else high = middle;
  }
  return starts[low] === position ? low : -1;
}

function equalHashes(a: Uint8Array, indexA: number, b: Uint8Array, indexB: number): boolean {
  for (let i = 0; i < HASH_BYTES; i++) {
    if (a[HASH_BYTES * indexA + i] !== b[HASH_BYTES * indexB + i]) return false;
  }
  return true;
}

/** Whether chunk `index` of `decoded` is nothing but zeros. */
export type ZeroCheck = (decoded: DecodeResult, index: number) => boolean;

/**
 * Recognizes chunks of zeros by their hash. Only the longest chunk is known: the chunker cuts a run of
 * zeros nowhere else, so in a long run there is no other.
 */
export function zeroCheck(hasher: Hasher): ZeroCheck {
  let zeroHash: Uint8Array | null = null;
  return (decoded, index) => {
    if (decoded.lengths[index] !== MAX_CHUNK_BYTES) return false;
    if (zeroHash === null) {
      zeroHash = new Uint8Array(HASH_BYTES);
      hasher.keyed(DATA_KEY, new Uint8Array(MAX_CHUNK_BYTES), zeroHash, 0);
    }
    return equalHashes(zeroHash, 0, decoded.hashes, index);
  };
}
