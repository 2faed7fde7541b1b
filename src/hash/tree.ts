import { FILE_KEY, INTERNAL_NODE_KEY } from './keys.js';
import { HASH_BYTES, MerkleHash } from './merkle-hash.js';
import { NodeGroup } from './node-group.js';
import { endsGroup } from './order.js';
import type { Hasher } from './ports.js';
import { keyedHash } from './single.js';

/**
 * The aggregated tree over (hash, size) pairs. Its root over the chunks of a xorb is the xorb hash;
 * over all chunks of a file, hashed once more with the salt, the file hash.
 *
 * Level by level, nodes are taken in groups of 2 to 9: a group ends with the first node from its
 * third on that {@link endsGroup}, or with the ninth, or where the level ends. A group's parent is
 * (keyed hash of one text line per node, sum of sizes). The level that has one node only is the
 * root. So:
 *
 *   no node       -> zero hash, also as file hash (no keyed step)
 *   one node      -> its own hash
 *   9 + 1 nodes   -> the lone trailing node of a longer level still gets a parent
 */

/** A tree that takes its nodes one by one and holds at most 9 nodes per level. */
export interface MerkleTree {
  /** Appends the node `hashes[offset, offset + 32)` with `size` bytes below it. @throws RangeError */
  push(hashes: Uint8Array, offset: number, size: number): void;
  /** Root over all nodes so far; more may be pushed afterwards. */
  root(): MerkleHash;
  /** File hash over all nodes so far. `salt` is 32 bytes, default zeros. */
  fileHash(salt?: Uint8Array): MerkleHash;
  /** Nodes so far. */
  readonly count: number;
  /** Sum of their sizes. */
  readonly sizeBytes: number;
}

/** One level of the tree while it grows. */
interface Level {
  /** Nodes that this level had in all. */
  count: number;
  /** Hash of its first node: the root, when no other comes. */
  readonly firstHash: Uint8Array;
  /** The group that is still open. */
  readonly open: NodeGroup;
}

/**
 * An empty tree. Memory grows with the logarithm of the number of nodes.
 *
 * @example
 * const tree = createMerkleTree(createReadableBlake3());
 * tree.push(chunkHashBytes, 0, 65536);
 * tree.fileHash().toString();
 */
export function createMerkleTree(hasher: Hasher): MerkleTree {
  return new Tree(hasher);
}

/** A class, since the engine optimizes closures again for other trees, at 10 to 30 ms of a core a time. */
class Tree implements MerkleTree {
  readonly #hasher: Hasher;
  readonly #levels: Level[] = [];
  readonly #parent: Uint8Array = new Uint8Array(HASH_BYTES);
  #sizeBytes = 0;

  constructor(hasher: Hasher) {
    this.#hasher = hasher;
  }

  get count(): number {
    return this.#levels[0]?.count ?? 0;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  push(hashes: Uint8Array, offset: number, size: number): void {
    if (offset < 0 || offset + HASH_BYTES > hashes.length) {
      throw new RangeError(`no hash at offset ${offset} of ${hashes.length} bytes`);
    }
    if (!(size >= 0 && Number.isSafeInteger(this.#sizeBytes + size))) {
      throw new RangeError(`"size" expected an exact whole number of bytes, got ${size}`);
    }
    this.#sizeBytes += size;
    this.#append(0, hashes, offset, size);
  }

  /**
   * What flat grouping would make of the nodes so far, without closing the open groups. Going up,
   * each level gets at most one node more (`carry`): the parent of the open rest below.
   */
  root(): MerkleHash {
    let carry: { readonly hash: Uint8Array; readonly sizeBytes: number } | null = null;
    for (let i = 0; ; i++) {
      const level = this.#levels[i];
      if (level === undefined)
        return carry === null ? MerkleHash.ZERO : MerkleHash.from(carry.hash);
      if (level.count === 1 && carry === null) return MerkleHash.from(level.firstHash);
      const rest = level.open.clone();
      if (carry !== null) rest.add(carry.hash, 0, carry.sizeBytes);
      if (rest.count === 0) continue;
      const hash = new Uint8Array(HASH_BYTES);
      rest.hashInto(this.#hasher, INTERNAL_NODE_KEY, hash);
      carry = { hash, sizeBytes: rest.sizeBytes };
    }
  }

  fileHash(salt: Uint8Array = FILE_KEY): MerkleHash {
    if (this.#levels.length === 0) return MerkleHash.ZERO;
    return keyedHash(this.#hasher, salt, this.root().bytes);
  }

  #append(levelIndex: number, hashes: Uint8Array, offset: number, size: number): void {
    let level = this.#levels[levelIndex];
    if (level === undefined) {
      level = {
        count: 0,
        firstHash: new Uint8Array(hashes.subarray(offset, offset + HASH_BYTES)),
        open: new NodeGroup(),
      };
      this.#levels.push(level);
    }
    level.count++;
    const { open } = level;
    open.add(hashes, offset, size);
    if (open.isComplete(endsGroup(hashes, offset))) {
      const groupBytes = open.sizeBytes;
      open.hashInto(this.#hasher, INTERNAL_NODE_KEY, this.#parent);
      open.clear();
      this.#append(levelIndex + 1, this.#parent, 0, groupBytes);
    }
  }
}

/**
 * Root of the tree over a packed list of hashes (32 bytes each) and their sizes in bytes.
 * @throws RangeError when the two lists do not have the same length.
 */
export function merkleRoot(
  hasher: Hasher,
  hashes: Uint8Array,
  sizes: ArrayLike<number>,
): MerkleHash {
  return treeOf(hasher, hashes, sizes).root();
}

/**
 * Xorb hash: the root over the xorb's chunks in order, with their uncompressed lengths. Neither
 * compression nor footer enters it.
 */
export function xorbHash(hasher: Hasher, hashes: Uint8Array, sizes: ArrayLike<number>): MerkleHash {
  return merkleRoot(hasher, hashes, sizes);
}

/**
 * File hash: the root over all chunks of the file in order, hashed once more with `salt` as key.
 * Every known client and server uses the default of 32 zero bytes. An empty file has the zero hash
 * with any salt.
 *
 * @example
 * fileHash(createReadableBlake3(), new Uint8Array(0), []).isZero(); // true
 */
export function fileHash(
  hasher: Hasher,
  hashes: Uint8Array,
  sizes: ArrayLike<number>,
  salt: Uint8Array = FILE_KEY,
): MerkleHash {
  return treeOf(hasher, hashes, sizes).fileHash(salt);
}

function treeOf(hasher: Hasher, hashes: Uint8Array, sizes: ArrayLike<number>): MerkleTree {
  if (hashes.length !== sizes.length * HASH_BYTES) {
    throw new RangeError(
      `"hashes" expected ${sizes.length * HASH_BYTES} bytes for ${sizes.length} sizes, got ${hashes.length}`,
    );
  }
  const tree = createMerkleTree(hasher);
  for (let i = 0; i < sizes.length; i++) tree.push(hashes, i * HASH_BYTES, sizes[i] as number);
  return tree;
}
