import { withRoom } from '../bytes/index.js';
import { HASH_BYTES } from './merkle-hash.js';
import type { Hasher } from './ports.js';
import { buildSubtree, type MerkleSubtree, mergeSubtrees } from './subtree.js';

/** Folds a contiguous range of the chunks of a file while they come. */
export interface SubtreeBuilder {
  /** Appends the chunk `hashes[offset, offset + 32)` of `sizeBytes`. */
  push(hashes: Uint8Array, offset: number, sizeBytes: number): void;
  /** Appends chunks that are folded already; the part is open at both sides. */
  append(part: MerkleSubtree): void;
  /** All that was appended; null when nothing was. `atEnd`: the last chunk is the file's last one. */
  finish(atEnd: boolean): MerkleSubtree | null;
}

/** Chunks that are folded at once. */
const BATCH_CHUNKS = 4096;

/**
 * An empty part. Memory grows with the logarithm of the number of chunks.
 *
 * @param atStart the first chunk will be the file's first one.
 * @example
 * const builder = createSubtreeBuilder(hasher, true);
 * builder.push(chunkHashBytes, 0, 65536);
 * const part = builder.finish(false);
 */
export function createSubtreeBuilder(hasher: Hasher, atStart: boolean): SubtreeBuilder {
  let hashes = new Uint8Array(0);
  const sizes: number[] = [];
  let folded: MerkleSubtree | null = null;

  const join = (part: MerkleSubtree, atEnd: boolean): void => {
    const first = folded ?? { levels: [], atStart, atEnd: false };
    folded = mergeSubtrees(hasher, [first, { ...part, atStart: false, atEnd }]);
  };
  const fold = (atEnd: boolean): void => {
    const bytes = hashes.subarray(0, sizes.length * HASH_BYTES);
    if (folded === null) folded = buildSubtree(hasher, bytes, sizes, { atStart, atEnd });
    else join(buildSubtree(hasher, bytes, sizes, { atStart: false, atEnd: false }), atEnd);
    sizes.length = 0;
  };

  return {
    push(from, offset, sizeBytes) {
      // Only when another one comes is it certain that these are not the last ones.
      if (sizes.length === BATCH_CHUNKS) fold(false);
      const at = sizes.length * HASH_BYTES;
      hashes = withRoom(hashes, at + HASH_BYTES, at);
      hashes.set(from.subarray(offset, offset + HASH_BYTES), at);
      sizes.push(sizeBytes);
    },
    append(part) {
      if (sizes.length > 0) fold(false);
      join(part, false);
    },
    finish(atEnd) {
      if (sizes.length > 0) fold(atEnd);
      else if (folded !== null && atEnd) join({ levels: [], atStart: false, atEnd: true }, true);
      return folded;
    },
  };
}
