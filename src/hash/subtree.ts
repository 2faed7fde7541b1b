import { OrbweaverError } from '../errors.js';
import { HASH_BYTES, MerkleHash } from './merkle-hash.js';
import type { Hasher } from './ports.js';
import { promote, type SubtreeNode, splitLevel, stableStart } from './subtree-split.js';

/**
 * A part of a tree's node list, folded as far as it can be without knowing its neighbours. A
 * contiguous range of n chunks shrinks to O(log n) nodes, and adjacent parts merge to the same root
 * as the flat list: an edit of a big file needs the chunks of the edited window and two such parts.
 *
 * A part is a heap that rises from its left end and falls to its right end:
 *
 *     level 2             [ top ]
 *     level 1        [left]     [right]
 *     level 0   [left]               [right]      file order goes left to right along the heap
 *
 * `left` of a level ends, and `right` begins, at a group boundary that no neighbour can move
 * (`subtree-split.ts`); what lay between them was promoted to the level above. The top level has
 * nothing above and keeps everything in `left`.
 */
export interface MerkleSubtree {
  readonly levels: readonly SubtreeLevel[];
  /** The part begins with the first node of the whole list. */
  readonly atStart: boolean;
  /** The part ends with the last node of the whole list. */
  readonly atEnd: boolean;
}

/** What one level keeps because its group may still change. */
export interface SubtreeLevel {
  readonly left: readonly SubtreeNode[];
  readonly right: readonly SubtreeNode[];
}

/** Where a part lies in the whole list. */
export interface SubtreeEnds {
  readonly atStart: boolean;
  readonly atEnd: boolean;
}

const EMPTY_LEVEL: SubtreeLevel = { left: [], right: [] };

/**
 * Folds a contiguous range of chunks: packed hashes (32 bytes each) and their lengths in bytes.
 * @throws RangeError when the two lists do not have the same length.
 *
 * @example
 * const parts = [
 *   buildSubtree(hasher, firstHashes, firstSizes, { atStart: true, atEnd: false }),
 *   buildSubtree(hasher, otherHashes, otherSizes, { atStart: false, atEnd: true }),
 * ];
 * subtreeRoot(mergeSubtrees(hasher, parts)); // the xorb-style root; the file hash is keyed once more
 */
export function buildSubtree(
  hasher: Hasher,
  hashes: Uint8Array,
  sizes: ArrayLike<number>,
  ends: SubtreeEnds,
): MerkleSubtree {
  if (hashes.length !== sizes.length * HASH_BYTES) {
    throw new RangeError(
      `"hashes" expected ${sizes.length * HASH_BYTES} bytes for ${sizes.length} sizes, got ${hashes.length}`,
    );
  }
  const nodes: SubtreeNode[] = [];
  for (let i = 0; i < sizes.length; i++) {
    nodes.push({ hash: MerkleHash.from(hashes, i * HASH_BYTES), size: sizes[i] as number });
  }
  return fold(
    hasher,
    { levels: [], ...ends, atEnd: false },
    { levels: [], atStart: false, atEnd: ends.atEnd },
    nodes,
  );
}

/**
 * Joins adjacent parts, in file order. No part at all is the empty closed list.
 * @throws RangeError when a part follows one that is at the end, or is at the start itself without
 *   being the first.
 */
export function mergeSubtrees(hasher: Hasher, parts: readonly MerkleSubtree[]): MerkleSubtree {
  const [first, ...others] = parts;
  if (first === undefined) {
    return { levels: [EMPTY_LEVEL], atStart: true, atEnd: true };
  }
  let merged = first;
  for (const part of others) {
    if (merged.atEnd) throw new RangeError('no part expected behind one that is at the end');
    if (part.atStart) throw new RangeError('a part at the start expected to be the first');
    merged = fold(hasher, settle(merged), settle(part), []);
  }
  return merged;
}

/**
 * Root of a part that is the whole list: equal to `merkleRoot` over all chunks (zero hash for
 * none).
 * @throws RangeError when the part is open at a side.
 * @throws OrbweaverError `FORMAT_INVALID` when it is closed but not folded to one node (a response
 *   of a server that contradicts itself).
 */
export function subtreeRoot(subtree: MerkleSubtree): MerkleHash {
  if (!(subtree.atStart && subtree.atEnd)) {
    throw new RangeError('"subtree" expected at start and at end, got an open one');
  }
  const nodes = subtree.levels.flatMap((level) => [...level.left, ...level.right]);
  const [root] = nodes;
  if (root === undefined) return MerkleHash.ZERO;
  if (nodes.length > 1) {
    throw new OrbweaverError(
      'FORMAT_INVALID',
      `"nodes" of a closed subtree expected 1, got ${nodes.length}`,
      { nodes: nodes.length },
    );
  }
  return root.hash;
}

/** Bytes of all chunks of a part. */
export function subtreeSizeBytes(subtree: MerkleSubtree): number {
  let sizeBytes = 0;
  for (const { left, right } of subtree.levels) {
    for (const { size } of left) sizeBytes += size;
    for (const { size } of right) sizeBytes += size;
  }
  return sizeBytes;
}

/**
 * Joins `a`, then `between` (nodes of level 0), then `b`. Per level, what is left of `a`'s upper
 * levels stays left and what is right of `b`'s stays right; everything in the middle lies side by
 * side and is grouped as far as its ends are known. Promoted nodes join the middle one level up.
 */
function fold(
  hasher: Hasher,
  a: MerkleSubtree,
  b: MerkleSubtree,
  between: readonly SubtreeNode[],
): MerkleSubtree {
  const { atStart } = a;
  const { atEnd } = b;
  const levels: SubtreeLevel[] = [];
  let startIsKnown = atStart;
  let endIsKnown = atEnd;
  let carry = between;
  for (let i = 0; ; i++) {
    const aLevel = a.levels[i] ?? EMPTY_LEVEL;
    const bLevel = b.levels[i] ?? EMPTY_LEVEL;
    // Under upper levels, a's right begins and b's left ends at a group boundary.
    const aGoesOn = i + 1 < a.levels.length;
    const bGoesOn = i + 1 < b.levels.length;
    const middle = [
      ...(aGoesOn ? [] : aLevel.left),
      ...aLevel.right,
      ...carry,
      ...bLevel.left,
      ...(bGoesOn ? [] : bLevel.right),
    ];
    const split = splitLevel(middle, aGoesOn || startIsKnown, bGoesOn || endIsKnown);
    let left = aGoesOn ? aLevel.left : [];
    let right = bGoesOn ? bLevel.right : [];
    if (split !== null && (middle.length > 1 || (aGoesOn && bGoesOn))) {
      left = [...left, ...middle.slice(0, split.start)];
      right = [...middle.slice(split.end), ...right];
      carry = promote(hasher, middle.slice(split.start, split.end));
    } else {
      // Nothing can be grouped yet: it all stays here, on the side that keeps the order.
      if (aGoesOn && !bGoesOn) right = middle;
      else left = [...left, ...middle];
      carry = [];
    }
    levels.push({ left, right });
    startIsKnown &&= left.length === 0;
    endIsKnown &&= right.length === 0;
    if (!aGoesOn && !bGoesOn && carry.length === 0) break;
  }
  while (levels.length > 1 && isEmpty(levels.at(-1))) levels.pop();
  return { levels, atStart, atEnd };
}

/**
 * Moves each lower level's border between left and right to where it must be. Parts of the
 * reference implementation that were merged before may carry everything on the left, which is the
 * same list of nodes but not yet the order that {@link fold} relies on.
 */
function settle(subtree: MerkleSubtree): MerkleSubtree {
  let startIsKnown = subtree.atStart;
  let endIsKnown = subtree.atEnd;
  const top = subtree.levels.length - 1;
  const levels = subtree.levels.map((level, i) => {
    if (i === top) return level;
    const all = [...level.left, ...level.right];
    let border = level.left.length;
    if (startIsKnown) border = 0;
    else if (endIsKnown) border = all.length;
    else border = stableStart(all) ?? border;
    startIsKnown &&= border === 0;
    endIsKnown &&= border === all.length;
    return { left: all.slice(0, border), right: all.slice(border) };
  });
  return { ...subtree, levels };
}

function isEmpty(level: SubtreeLevel | undefined): boolean {
  return level !== undefined && level.left.length === 0 && level.right.length === 0;
}
