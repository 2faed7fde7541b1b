import { OrbweaverError } from '../errors.js';
import { MerkleHash } from './merkle-hash.js';
import type { MerkleSubtree, SubtreeLevel } from './subtree.js';
import type { SubtreeNode } from './subtree-split.js';

/** The JSON form of a subtree, as `file-chunk-hashes` responses carry it. */
export interface SubtreeJson {
  /** All left parts in ascending level order, then all right parts in descending level order. */
  readonly nodes: readonly { readonly hash: string; readonly size: number }[];
  /** Number of left and right nodes of each level, from level 0. */
  readonly levels: readonly (readonly [number, number])[];
  readonly at_start: boolean;
  readonly at_end: boolean;
}

/** Groups have two nodes and more, so 53 levels fold any number of nodes that has a safe size. */
const MAX_LEVELS = 64;

/** The JSON value of a subtree (plain objects; no text is made). */
export function subtreeToJSON(subtree: MerkleSubtree): SubtreeJson {
  const { levels } = subtree;
  const lefts = levels.flatMap((level) => level.left);
  const rights = levels.toReversed().flatMap((level) => level.right);
  return {
    nodes: [...lefts, ...rights].map(({ hash, size }) => ({ hash: hash.toString(), size })),
    levels: levels.map((level) => [level.left.length, level.right.length] as const),
    at_start: subtree.atStart,
    at_end: subtree.atEnd,
  };
}

/**
 * Reads the JSON value of a subtree from a server, checking every field.
 * @throws OrbweaverError `FORMAT_INVALID`, `LIMIT_EXCEEDED` or `HASH_INVALID`
 */
export function subtreeFromJSON(value: unknown): MerkleSubtree {
  const subtree = record(value, 'subtree');
  const nodes = array(subtree['nodes'], 'nodes').map(readNode);
  const total = nodes.reduce((sum, node) => sum + node.size, 0);
  if (!Number.isSafeInteger(total)) throw tooLarge('nodes[].size', 'a sum below 2^53', total);
  const counts = array(subtree['levels'], 'levels').map(readCounts);
  if (counts.length > MAX_LEVELS) {
    throw tooLarge('levels', `at most ${MAX_LEVELS}`, counts.length);
  }
  return {
    levels: distribute(nodes, counts),
    atStart: boolean(subtree['at_start'], 'at_start'),
    atEnd: boolean(subtree['at_end'], 'at_end'),
  };
}

/** Hands the nodes out to the levels: lefts upwards from the front, rights upwards from the back. */
function distribute(
  nodes: readonly SubtreeNode[],
  counts: readonly (readonly [number, number])[],
): SubtreeLevel[] {
  const claimed = counts.reduce((sum, [left, right]) => sum + left + right, 0);
  if (claimed !== nodes.length) {
    throw invalid('levels', `counts that add up to ${nodes.length} nodes`, claimed);
  }
  let leftAt = 0;
  let rightAt = nodes.length;
  return counts.map(([left, right]) => {
    leftAt += left;
    rightAt -= right;
    return {
      left: nodes.slice(leftAt - left, leftAt),
      right: nodes.slice(rightAt, rightAt + right),
    };
  });
}

function readNode(value: unknown, index: number): SubtreeNode {
  const node = record(value, `nodes[${index}]`);
  const { hash } = node;
  if (typeof hash !== 'string') throw invalid(`nodes[${index}].hash`, 'text', hash);
  return { hash: MerkleHash.parse(hash), size: count(node['size'], `nodes[${index}].size`) };
}

function readCounts(value: unknown, index: number): readonly [number, number] {
  const pair = array(value, `levels[${index}]`);
  if (pair.length !== 2) throw invalid(`levels[${index}]`, 'two counts', pair.length);
  return [count(pair[0], `levels[${index}][0]`), count(pair[1], `levels[${index}][1]`)];
}

function record(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(field, 'an object', value);
  }
  return value as Record<string, unknown>;
}

function array(value: unknown, field: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(field, 'a list', value);
  return value;
}

function count(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalid(field, 'a whole number below 2^53', value);
  }
  return value;
}

function boolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw invalid(field, 'true or false', value);
  return value;
}

function invalid(field: string, expected: string, found: unknown): OrbweaverError {
  const got =
    typeof found === 'number' || typeof found === 'boolean' ? String(found) : kindOf(found);
  return new OrbweaverError('FORMAT_INVALID', `"${field}" expected ${expected}, got ${got}`, {
    field,
  });
}

function tooLarge(field: string, expected: string, found: number): OrbweaverError {
  return new OrbweaverError('LIMIT_EXCEEDED', `"${field}" expected ${expected}, got ${found}`, {
    field,
  });
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value;
}
