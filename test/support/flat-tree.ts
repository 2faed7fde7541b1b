import { INTERNAL_NODE_KEY, MerkleHash } from '../../src/hash/index.js';
import { generate, SplitMix64 } from './generators.js';

/** The tree rule as the protocol writes it, over whole levels; the oracle of the streaming tree. */

export type Keyed = (key: Uint8Array, data: Uint8Array) => Uint8Array;

export interface NodeList {
  /** 32 bytes each. */
  readonly hashes: Uint8Array;
  readonly sizes: number[];
}

/** Random nodes of which about `naturalShare` may end a group. */
export function nodeList(count: number, seed: number, naturalShare: number): NodeList {
  const hashes = generate({ kind: 'splitmix64', seed, bytes: 32 * count });
  const random = new SplitMix64(seed + 1);
  const sizes = Array.from({ length: count }, (_, i) => {
    const high = (hashes[32 * i + 24] as number) & 0xfc;
    hashes[32 * i + 24] =
      high | (random.below(1000) < naturalShare * 1000 ? 0 : 1 + random.below(3));
    return random.below(131_073);
  });
  return { hashes, sizes };
}

function groupLength(level: readonly { hash: MerkleHash }[], start: number): number {
  const left = level.length - start;
  if (left <= 2) return left;
  const end = Math.min(9, left);
  for (let i = 2; i < end; i++) {
    const { bytes } = (level[start + i] as { hash: MerkleHash }).hash;
    if (new DataView(bytes.buffer).getBigUint64(24, true) % 4n === 0n) return i + 1;
  }
  return end;
}

/** Root over all nodes, 32 bytes. */
export function flatRoot(keyed: Keyed, nodes: NodeList): Uint8Array {
  let level = nodes.sizes.map((size, i) => ({ hash: MerkleHash.from(nodes.hashes, 32 * i), size }));
  if (level.length === 0) return new Uint8Array(32);
  while (level.length > 1) {
    const parents: typeof level = [];
    for (let start = 0; start < level.length; ) {
      const group = level.slice(start, start + groupLength(level, start));
      const text = group.map(({ hash, size }) => `${hash} : ${size}\n`).join('');
      parents.push({
        hash: MerkleHash.from(keyed(INTERNAL_NODE_KEY, new TextEncoder().encode(text))),
        size: group.reduce((sum, node) => sum + node.size, 0),
      });
      start += group.length;
    }
    level = parents;
  }
  return (level[0] as { hash: MerkleHash }).hash.bytes;
}
