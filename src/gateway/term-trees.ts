import { LRUCache } from 'lru-cache';
import {
  buildSubtree,
  HASH_BYTES,
  type MerkleHash,
  type MerkleSubtree,
  rangeHash,
} from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { Term } from '../plan/index.js';
import { type CatalogXorb, rawBytesOf } from './xorb-catalog.js';

/** The chunks of a term, folded, and their range hash. */
export interface TermTree {
  readonly tree: MerkleSubtree;
  readonly rangeHash: MerkleHash;
}

/**
 * Folded terms, the latest kept in memory: a term of a thousand chunks is some forty nodes, and the next
 * question about its file needs them again. They follow from the names of xorbs, so they never get old.
 */
export interface TermTrees {
  /** `xorb` is asked for when the term is not known. */
  get(term: Term, xorb: () => Promise<CatalogXorb>): Promise<TermTree>;
  readonly usedBytes: number;
}

/** A node as an object, with its hash; measured with a million of them. */
const BYTES_PER_NODE = 200;
const BYTES_PER_TERM = 1000;

export function createTermTrees({
  hasher,
  cacheBytes,
}: {
  readonly hasher: Hasher;
  readonly cacheBytes: number;
}): TermTrees {
  const cache = new LRUCache<string, TermTree>({
    maxSize: cacheBytes,
    sizeCalculation: ({ tree }) =>
      tree.levels.reduce(
        (bytes, { left, right }) => bytes + BYTES_PER_NODE * (left.length + right.length),
        BYTES_PER_TERM,
      ),
  });
  return {
    async get(term, xorb) {
      const { chunkStart, chunkEnd } = term;
      const name = `${term.xorb} ${chunkStart} ${chunkEnd}`;
      const known = cache.get(name);
      if (known !== undefined) return known;
      const { chunkHashes, rawEnds } = await xorb();
      const sizes = Array.from({ length: chunkEnd - chunkStart }, (_, i) =>
        rawBytesOf(rawEnds, chunkStart + i, chunkStart + i + 1),
      );
      const hashes = chunkHashes.subarray(chunkStart * HASH_BYTES, chunkEnd * HASH_BYTES);
      const made = {
        tree: buildSubtree(hasher, hashes, sizes, { atStart: false, atEnd: false }),
        rangeHash: rangeHash(hasher, chunkHashes, chunkStart, chunkEnd),
      };
      cache.set(name, made);
      return made;
    },
    get usedBytes() {
      return cache.calculatedSize;
    },
  };
}
