import { INTERNAL_NODE_KEY } from './keys.js';
import { HASH_BYTES, MerkleHash } from './merkle-hash.js';
import { MAX_GROUP_NODES, NodeGroup } from './node-group.js';
import { endsGroup } from './order.js';
import type { Hasher } from './ports.js';

/**
 * Group boundaries in a piece of a level whose neighbours are unknown.
 *
 * Call a node that `endsGroup` a natural end. When two natural ends follow each other at a distance
 * of 3 to 7 nodes, the second one ends a group wherever the group before began: if the first one
 * ends its group, the second is the 3rd to 7th node of the next; if it was ignored as the 1st or
 * 2nd node of its group, the second is at most the 9th. The protocol asks for a third end behind
 * them at such a distance too, so parts of different clients fold at the same places.
 */

/** A node of a tree level: its hash and the bytes below it. */
export interface SubtreeNode {
  readonly hash: MerkleHash;
  readonly size: number;
}

/** Distances between natural ends that are neither ignored nor forced (both exclusive). */
const GAP_ABOVE = 2;
const GAP_BELOW = MAX_GROUP_NODES - 1;

function isTellingGap(gap: number): boolean {
  return gap > GAP_ABOVE && gap < GAP_BELOW;
}

/** First position that starts a group whatever comes before `nodes`; null when none is sure. */
export function stableStart(nodes: readonly SubtreeNode[]): number | null {
  let older = -1;
  let newer = -1;
  for (let i = 0; i < nodes.length; i++) {
    if (!endsGroupAt(nodes, i)) continue;
    if (older >= 0 && isTellingGap(i - newer) && isTellingGap(newer - older)) return newer + 1;
    older = newer;
    newer = i;
  }
  return null;
}

/** Last position at or above `from` that starts a group whatever comes behind `nodes`, or null. */
function stableEnd(nodes: readonly SubtreeNode[], from: number): number | null {
  let older = -1;
  let newer = -1;
  for (let i = nodes.length - 1; i >= from; i--) {
    if (!endsGroupAt(nodes, i)) continue;
    if (older >= 0 && isTellingGap(newer - i) && isTellingGap(older - newer)) return newer + 1;
    older = newer;
    newer = i;
  }
  return null;
}

/**
 * The range of `nodes` that consists of whole groups, given which ends are group boundaries
 * already; null when that cannot be said of any.
 */
export function splitLevel(
  nodes: readonly SubtreeNode[],
  startIsKnown: boolean,
  endIsKnown: boolean,
): { readonly start: number; readonly end: number } | null {
  const start = startIsKnown ? 0 : stableStart(nodes);
  if (start === null) return null;
  const end = endIsKnown ? nodes.length : stableEnd(nodes, start);
  return end === null || end <= start ? null : { start, end };
}

/** Parents of the groups of `nodes`, which begin and end at a group boundary. */
export function promote(hasher: Hasher, nodes: readonly SubtreeNode[]): SubtreeNode[] {
  const parents: SubtreeNode[] = [];
  const group = new NodeGroup();
  const out = new Uint8Array(HASH_BYTES);
  nodes.forEach((node, i) => {
    group.add(node.hash.bytes, 0, node.size);
    if (!group.isComplete(endsGroupAt(nodes, i)) && i + 1 < nodes.length) return;
    group.hashInto(hasher, INTERNAL_NODE_KEY, out);
    parents.push({ hash: MerkleHash.from(out), size: group.sizeBytes });
    group.clear();
  });
  return parents;
}

function endsGroupAt(nodes: readonly SubtreeNode[], index: number): boolean {
  return endsGroup((nodes[index] as SubtreeNode).hash.bytes, 0);
}
