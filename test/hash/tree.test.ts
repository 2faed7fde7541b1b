import fc from 'fast-check';
import { createBLAKE3 } from 'hash-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createMerkleTree,
  createReadableBlake3,
  DATA_KEY,
  FILE_KEY,
  fileHash,
  INTERNAL_NODE_KEY,
  keyedChunkHash,
  MerkleHash,
  merkleRoot,
  rangeHash,
  VERIFICATION_KEY,
  xorbHash,
} from '../../src/hash/index.js';
import { flatRoot, type Keyed, nodeList } from '../support/flat-tree.js';
import { generate } from '../support/generators.js';

const hasher = createReadableBlake3();
let keyed: Keyed;

beforeAll(async () => {
  const oracles = new Map<Uint8Array, Awaited<ReturnType<typeof createBLAKE3>>>();
  for (const key of [INTERNAL_NODE_KEY, FILE_KEY, VERIFICATION_KEY, DATA_KEY]) {
    oracles.set(key, await createBLAKE3(256, key));
  }
  keyed = (key, data) => {
    const oracle = oracles.get(key);
    if (oracle === undefined) throw new Error('no oracle for this key');
    return oracle.init().update(data).digest('binary');
  };
});

describe('aggregated tree', () => {
  it('equals flat grouping with hash-wasm for every number of nodes up to 130', () => {
    for (let count = 0; count <= 130; count++) {
      const nodes = nodeList(count, count, 0.25);
      const expected = flatRoot(keyed, nodes);
      expect(merkleRoot(hasher, nodes.hashes, nodes.sizes).bytes, `${count}`).toEqual(expected);
      expect(xorbHash(hasher, nodes.hashes, nodes.sizes).bytes).toEqual(expected);
      expect(fileHash(hasher, nodes.hashes, nodes.sizes).bytes).toEqual(
        count === 0 ? new Uint8Array(32) : keyed(FILE_KEY, expected),
      );
    }
  });

  it('is the same in whatever portions its nodes come', () => {
    const portions = fc.array(fc.nat(1300), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(portions, fc.nat(), fc.constantFrom(0.05, 0.25, 1), (counts, seed, share) => {
        const total = counts.reduce((sum, count) => sum + count, 0);
        const { hashes, sizes } = nodeList(total, seed, share);
        const tree = createMerkleTree(hasher);
        let start = 0;
        for (const [i, count] of counts.entries()) {
          const end = start + count;
          if (i % 3 === 2) {
            for (; start < end; start++) tree.push(hashes, start * 32, sizes[start] as number);
          } else tree.pushAll(hashes.subarray(start * 32, end * 32), sizes.slice(start, end));
          start = end;
          const soFar = { hashes: hashes.subarray(0, start * 32), sizes: sizes.slice(0, start) };
          expect(tree.root().bytes).toEqual(flatRoot(keyed, soFar));
          expect(tree.count).toBe(start);
        }
        expect(tree.sizeBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
        expect(() => tree.pushAll(hashes.subarray(0, 31), [1])).toThrow(RangeError);
        expect(() => tree.pushAll(new Uint8Array(32), [-1])).toThrow(RangeError);
      }),
      { seed: 3, numRuns: 20 },
    );
  });

  it('equals flat grouping whatever the share of natural ends', () => {
    fc.assert(
      fc.property(
        fc.nat(700),
        fc.nat(),
        fc.constantFrom(0, 0.05, 0.5, 0.9, 1),
        (count, seed, share) => {
          const nodes = nodeList(count, seed, share);
          expect(merkleRoot(hasher, nodes.hashes, nodes.sizes).bytes).toEqual(
            flatRoot(keyed, nodes),
          );
        },
      ),
      { seed: 3, numRuns: 80 },
    );
  });

  it('knows the root at any time and goes on growing', () => {
    const nodes = nodeList(260, 9, 0.25);
    const tree = createMerkleTree(hasher);
    let sizeBytes = 0;
    for (let i = 0; i < 260; i++) {
      tree.push(nodes.hashes, 32 * i, nodes.sizes[i] as number);
      sizeBytes += nodes.sizes[i] as number;
      const prefix = {
        hashes: nodes.hashes.subarray(0, 32 * (i + 1)),
        sizes: nodes.sizes.slice(0, i + 1),
      };
      expect(tree.root().bytes).toEqual(flatRoot(keyed, prefix));
      expect(tree.count).toBe(i + 1);
      expect(tree.sizeBytes).toBe(sizeBytes);
    }
    expect(tree.fileHash().equals(fileHash(hasher, nodes.hashes, nodes.sizes))).toBe(true);
  });

  it('salts the file hash but not that of an empty file', () => {
    const salt = generate({ kind: 'splitmix64', seed: 1, bytes: 32 });
    const nodes = nodeList(5, 1, 0.25);
    const salted = fileHash(hasher, nodes.hashes, nodes.sizes, salt);
    expect(salted.equals(fileHash(hasher, nodes.hashes, nodes.sizes))).toBe(false);
    expect(fileHash(hasher, new Uint8Array(0), [], salt).isZero()).toBe(true);
    expect(createMerkleTree(hasher).fileHash(salt).isZero()).toBe(true);
    expect(createMerkleTree(hasher).root().isZero()).toBe(true);
  });

  it('does not keep views of what was pushed', () => {
    const bytes = Buffer.from(nodeList(1, 5, 0).hashes);
    const before = MerkleHash.from(bytes);
    const tree = createMerkleTree(hasher);
    tree.push(bytes, 0, 10);
    bytes.fill(0);
    expect(tree.root().equals(before)).toBe(true);
  });

  it('carries sizes beyond 2^32 and refuses what is not an exact whole number', () => {
    const tree = createMerkleTree(hasher);
    const hash = new Uint8Array(32);
    tree.push(hash, 0, 2 ** 52);
    tree.push(hash, 0, 2 ** 52 - 1);
    expect(tree.sizeBytes).toBe(Number.MAX_SAFE_INTEGER);
    for (const size of [1, -1, 0.5, Number.NaN]) {
      expect(() => tree.push(hash, 0, size)).toThrow(RangeError);
    }
    expect(() => tree.push(hash, 1, 0)).toThrow(RangeError);
    expect(tree.count).toBe(2);
  });

  it('refuses lists of different lengths', () => {
    expect(() => merkleRoot(hasher, new Uint8Array(32), [])).toThrow(RangeError);
    expect(() => fileHash(hasher, new Uint8Array(33), [1])).toThrow(RangeError);
  });
});

describe('hashes over hashes', () => {
  const nodes = nodeList(10, 4, 0.25);

  it('makes a range hash of the raw hashes in the range only', () => {
    expect(rangeHash(hasher, nodes.hashes, 2, 7).bytes).toEqual(
      keyed(VERIFICATION_KEY, nodes.hashes.subarray(64, 224)),
    );
    expect(rangeHash(hasher, nodes.hashes, 3, 3).bytes).toEqual(
      keyed(VERIFICATION_KEY, new Uint8Array(0)),
    );
    for (const [start, end] of [
      [-1, 2],
      [3, 2],
      [0, 11],
      [Number.NaN, 2],
    ] as const) {
      expect(() => rangeHash(hasher, nodes.hashes, start, end)).toThrow(RangeError);
    }
  });

  it('writes a keyed chunk hash to its place only', () => {
    const out = new Uint8Array(40).fill(1);
    keyedChunkHash(hasher, DATA_KEY, nodes.hashes, 96, out, 4);
    expect(out.subarray(4, 36)).toEqual(keyed(DATA_KEY, nodes.hashes.subarray(96, 128)));
    expect([...out.subarray(0, 4), ...out.subarray(36)]).toEqual(Array(8).fill(1));
  });
});
