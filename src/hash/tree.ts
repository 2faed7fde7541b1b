import { FILE_KEY, INTERNAL_NODE_KEY } from './keys.js';
import { HASH_BYTES, MerkleHash } from './merkle-hash.js';
import { MAX_GROUP_NODES, MAX_LINE_BYTES, MIN_NATURAL_NODES, writeLine } from './node-group.js';
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

/** A tree that takes its nodes in order, in any portions, and holds at most 9 nodes per level. */
export interface MerkleTree {
  /** Appends the node `hashes[offset, offset + 32)` with `size` bytes below it. @throws RangeError */
  push(hashes: Uint8Array, offset: number, size: number): void;
  /** Appends all nodes of packed `hashes`; many at once cost less than one by one. @throws RangeError */
  pushAll(hashes: Uint8Array, sizes: ArrayLike<number>): void;
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
  /** The group that is still open: hashes and sizes of its nodes. */
  readonly openHashes: Uint8Array;
  readonly openSizes: number[];
}

/** Nodes that are taken at once: their text is what is held besides. */
const BLOCK_NODES = 512;

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
  #text: Uint8Array = new Uint8Array(0);
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
    this.#addSize(size);
    this.#append(0, hashes, offset, [size], 0, 1);
  }

  fileHash(salt: Uint8Array = FILE_KEY): MerkleHash {
    if (this.#levels.length === 0) return MerkleHash.ZERO;
    return keyedHash(this.#hasher, salt, this.root().bytes);
  }

  #textFor(nodes: number): Uint8Array {
    const bytes = nodes * MAX_LINE_BYTES;
    if (this.#text.length < bytes) this.#text = new Uint8Array(bytes);
    return this.#text;
  }

  #levelAt(index: number): Level {
    let level = this.#levels[index];
    if (level === undefined) {
      level = { count: 0, openHashes: new Uint8Array(MAX_GROUP_NODES * HASH_BYTES), openSizes: [] };
      this.#levels.push(level);
    }
    return level;
  }

  /**
   * Appends nodes with hashes from `offset` on and sizes `[start, end)`. The groups that get
   * complete are hashed together, and their parents appended to the next level together.
   */
  #append(
    index: number,
    hashes: Uint8Array,
    offset: number,
    sizes: ArrayLike<number>,
    start: number,
    end: number,
  ): void {
    const level = this.#levelAt(index);
    const { openSizes } = level;
    level.count += end - start;
    // Most files of a directory are done with this.
    if (openSizes.length + end - start < MIN_NATURAL_NODES) {
      leaveOpen(level, hashes, offset, sizes, start, end);
      return;
    }
    const lines = this.#textFor(openSizes.length + end - start);
    const mostGroups = Math.floor((openSizes.length + end - start) / MIN_NATURAL_NODES);
    const ends = new Uint32Array(mostGroups);
    const parentSizes = new Float64Array(mostGroups);
    let groups = 0;
    let textBytes = 0;
    let nodes = openSizes.length;
    // The first node, and the hash of it, that is not in a complete group yet.
    let from = start;
    let fromAt = offset;
    for (let i = start, at = offset; i < end; i++, at += HASH_BYTES) {
      nodes++;
      if (nodes < MIN_NATURAL_NODES) continue;
      if (nodes < MAX_GROUP_NODES && !endsGroup(hashes, at)) continue;
      let size = sumOf(openSizes);
      textBytes = writeOpen(level, lines, textBytes);
      openSizes.length = 0;
      for (; from <= i; from++, fromAt += HASH_BYTES) {
        const nodeSize = sizes[from] as number;
        textBytes = writeLine(lines, textBytes, hashes, fromAt, nodeSize);
        size += nodeSize;
      }
      ends[groups] = textBytes;
      parentSizes[groups++] = size;
      nodes = 0;
    }
    leaveOpen(level, hashes, fromAt, sizes, from, end);
    if (groups === 0) return;
    const parents = new Uint8Array(groups * HASH_BYTES);
    this.#hasher.keyedMany(INTERNAL_NODE_KEY, lines, 0, ends, groups, parents, 0);
    this.#append(index + 1, parents, 0, parentSizes, 0, groups);
  }

  /**
   * What flat grouping would make of the nodes so far, without closing the open groups. Going up,
   * each level gets at most one node more (`carry`): the parent of the open rest below.
   */
  root(): MerkleHash {
    let carry: Uint8Array | null = null;
    let carryBytes = 0;
    for (const level of this.#levels) {
      const { count, openHashes, openSizes } = level;
      // A node alone is in no complete group.
      if (count === 1 && carry === null) return MerkleHash.from(openHashes);
      if (openSizes.length === 0 && carry === null) continue;
      const lines = this.#textFor(openSizes.length + 1);
      let textBytes = writeOpen(level, lines, 0);
      if (carry !== null) textBytes = writeLine(lines, textBytes, carry, 0, carryBytes);
      const hash = new Uint8Array(HASH_BYTES);
      this.#hasher.keyed(INTERNAL_NODE_KEY, lines.subarray(0, textBytes), hash, 0);
      carryBytes += sumOf(openSizes);
      carry = hash;
    }
    return carry === null ? MerkleHash.ZERO : MerkleHash.from(carry);
  }

  pushAll(hashes: Uint8Array, sizes: ArrayLike<number>): void {
    checkCounts(hashes, sizes);
    for (let start = 0; start < sizes.length; start += BLOCK_NODES) {
      const end = Math.min(sizes.length, start + BLOCK_NODES);
      for (let i = start; i < end; i++) this.#addSize(sizes[i] as number);
      this.#append(0, hashes, start * HASH_BYTES, sizes, start, end);
    }
  }

  #addSize(size: number): void {
    if (!(size >= 0 && Number.isSafeInteger(this.#sizeBytes + size))) {
      throw new RangeError(`"size" expected an exact whole number of bytes, got ${size}`);
    }
    this.#sizeBytes += size;
  }
}

/** Writes the lines of the nodes of an open group to `lines` from `at` on; returns where they end. */
function writeOpen({ openHashes, openSizes }: Level, lines: Uint8Array, at: number): number {
  let end = at;
  for (let i = 0; i < openSizes.length; i++) {
    end = writeLine(lines, end, openHashes, i * HASH_BYTES, openSizes[i] as number);
  }
  return end;
}

function sumOf(sizes: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < sizes.length; i++) sum += sizes[i] as number;
  return sum;
}

/** Adds nodes `[start, end)`, with hashes from `offset` on, to the open group of a level. */
function leaveOpen(
  { openHashes, openSizes }: Level,
  hashes: Uint8Array,
  offset: number,
  sizes: ArrayLike<number>,
  start: number,
  end: number,
): void {
  for (let i = start, at = offset; i < end; i++, at += HASH_BYTES) {
    openHashes.set(hashes.subarray(at, at + HASH_BYTES), openSizes.length * HASH_BYTES);
    openSizes.push(sizes[i] as number);
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

/**
 * File hash of the file whose chunks have this root: keyed once more, but zero for no chunks.
 */
export function fileHashOfRoot(hasher: Hasher, root: MerkleHash): MerkleHash {
  return root.isZero() ? MerkleHash.ZERO : keyedHash(hasher, FILE_KEY, root.bytes);
}

function treeOf(hasher: Hasher, hashes: Uint8Array, sizes: ArrayLike<number>): MerkleTree {
  const tree = createMerkleTree(hasher);
  tree.pushAll(hashes, sizes);
  return tree;
}

/** One hash per size. @throws RangeError */
function checkCounts(hashes: Uint8Array, sizes: ArrayLike<number>): void {
  if (hashes.length !== sizes.length * HASH_BYTES) {
    throw new RangeError(
      `"hashes" expected ${sizes.length * HASH_BYTES} bytes for ${sizes.length} sizes, got ${hashes.length}`,
    );
  }
}
