import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { hexDecode, hexEncode, xetHexDecode, xetHexEncode } from '../../src/bytes/index.js';
import {
  CutResolver,
  createPushChunker,
  createReadableScanner,
  findCuts,
  GEAR_TABLE,
} from '../../src/chunker/index.js';
import {
  buildSubtree,
  chunkHash,
  createMerkleTree,
  fileHash,
  INTERNAL_NODE_KEY,
  isGlobalDedupEligible,
  keyedChunkHash,
  MerkleHash,
  mergeSubtrees,
  rangeHash,
  sha256ToShardBytes,
  shardBytesToSha256,
  subtreeFromJSON,
  subtreeRoot,
  subtreeToJSON,
  xorbHash,
} from '../../src/hash/index.js';
import type { Kernels } from '../../src/kernels/index.js';
import { findCandidates } from '../support/candidates.js';
import { generate } from '../support/generators.js';
import { tiersUnderTest } from '../support/tiers.js';
import { dictionaryHash, specOf, type Vector, vectorOf, vectorsOf } from '../support/vectors.js';
import { dirtyWindows, nextStableBoundary } from '../support/windows.js';

/** Every verified vector of the hash and chunker groups; other modules walk theirs. */

const hex = (hash: MerkleHash): string => hash.toString();
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.each(tiersUnderTest())('protocol vectors, tier $name', (tier) => {
  let kernels: Kernels;

  beforeAll(async () => {
    kernels = await tier.create();
  });

  it('is the tier that was asked for', () => {
    expect(tier.name.startsWith(kernels.tier)).toBe(true);
  });

  describe('cuts', () => {
    it.each(vectorsOf('chunking'))('$id', ({ input, expected }) => {
      const data = generate(specOf(input));
      if (input.sha256 !== undefined) {
        expect(createHash('sha256').update(data).digest('hex')).toBe(input.sha256);
      }
      for (const [at, byte] of Object.entries(input.check_bytes ?? {})) {
        expect(data[Number(at)]).toBe(byte);
      }
      checkCuts(data, expected.cuts);
      if (expected.xorb_hash !== undefined) checkHashes(data, expected);
    });

    it.each(vectorsOf('chunking_trigger'))('trigger pattern $id', (vector) => {
      const data = generate(specOf(vector.input));
      expect(data[11_111]).toBe((vector as Vector & { byte_11111: number }).byte_11111);
      checkCuts(data, vector.expected.cuts);
    });
  });

  describe('hashes', () => {
    it.each(vectorsOf('chunk_hash'))('chunk hash $id', ({ input, expected }) => {
      const data = input.hex === undefined ? generate(specOf(input)) : hexDecode(input.hex);
      const hash = chunkHash(kernels.hasher, data);
      expect(hex(hash)).toBe(expected.data_key_hash);
      expect(hexEncode(hash.bytes)).toBe(expected.data_key_hash_raw_bytes);
      const inner = new Uint8Array(32);
      kernels.hasher.keyed(INTERNAL_NODE_KEY, data, inner, 0);
      expect(xetHexEncode(inner)).toBe(expected.internal_node_key_hash);
      expect(hex(fileHash(kernels.hasher, hash.bytes, [data.length]))).toBe(
        expected.single_chunk_file_hash,
      );
    });

    it.each(vectorsOf('hash'))('$id', ({ input, expected }) => {
      const data = generate(specOf(input));
      if (expected.cuts !== undefined) checkCuts(data, expected.cuts);
      checkHashes(data, expected);
    });

    it.each(vectorsOf('aggregated'))('tree $id', ({ input, expected }) => {
      const { hashes, sizes } = packed(input.nodes);
      const tree = createMerkleTree(kernels.hasher);
      for (let i = 0; i < sizes.length; i++) tree.push(hashes, 32 * i, sizes[i] as number);
      if (expected.xorb_hash !== undefined) {
        expect(hex(xorbHash(kernels.hasher, hashes, sizes))).toBe(expected.xorb_hash);
        expect(hex(tree.root())).toBe(expected.xorb_hash);
      }
      for (const [salt, hash] of Object.entries(expected.file_hash_by_salt ?? {})) {
        const key = xetHexDecode(salt);
        expect(hex(fileHash(kernels.hasher, hashes, sizes, key))).toBe(hash);
        expect(hex(tree.fileHash(key))).toBe(hash);
      }
      if (expected.internal_node_hash !== undefined) {
        const lines = sizes.map((size, i) => `${MerkleHash.from(hashes, 32 * i)} : ${size}\n`);
        const text = ascii(lines.join(''));
        const parent = new Uint8Array(32);
        kernels.hasher.keyed(INTERNAL_NODE_KEY, text, parent, 0);
        expect(xetHexEncode(parent)).toBe(expected.internal_node_hash);
        if (expected.hashed_text_sha256 !== undefined) {
          expect(createHash('sha256').update(text).digest('hex')).toBe(expected.hashed_text_sha256);
        }
        if (expected.size !== undefined) expect(tree.sizeBytes).toBe(expected.size);
        // A lone node is its own root; its parent shows in a longer level only (next vector).
        if (sizes.length > 1) expect(hex(tree.root())).toBe(expected.internal_node_hash);
      }
      if (expected.group_sizes !== undefined) checkGroups(hashes, sizes, expected.group_sizes);
    });

    it.each(vectorsOf('hmac'))('keyed chunk hash $id', ({ input, expected }) => {
      const out = new Uint8Array(32);
      const [key, hash] = [xetHexDecode(input.key_hex), xetHexDecode(input.hash_hex)];
      keyedChunkHash(kernels.hasher, key, hash, 0, out, 0);
      expect(xetHexEncode(out)).toBe(expected);
    });

    it.each(vectorsOf('verification'))('range hash $id', ({ input, expected }) => {
      const { hashes, sizes } = packed(input.hashes_hex.map((hash: string) => [hash, 0]));
      expect(hex(rangeHash(kernels.hasher, hashes, 0, sizes.length))).toBe(expected);
    });
  });

  it('subtree 300_nodes_3_parts', () => {
    const { expected } = vectorOf('subtree', '300_nodes_3_parts');
    const hashes = new Uint8Array(300 * 32);
    const sizes = Array.from({ length: 300 }, (_, i) => {
      hashes.set(chunkHash(kernels.hasher, ascii(`n${i}`)).bytes, 32 * i);
      return 1000 + i;
    });
    const parts = expected.parts.map(
      (one: {
        range: [number, number];
        levels: number[][];
        num_nodes: number;
        json_sha256: string;
      }) => {
        const [start, end] = one.range;
        const subtree = buildSubtree(
          kernels.hasher,
          hashes.subarray(32 * start, 32 * end),
          sizes.slice(start, end),
          { atStart: start === 0, atEnd: end === 300 },
        );
        const json = subtreeToJSON(subtree);
        expect(json.levels).toEqual(one.levels);
        expect(json.nodes).toHaveLength(one.num_nodes);
        const text = JSON.stringify(json);
        expect(createHash('sha256').update(text).digest('hex')).toBe(one.json_sha256);
        return subtreeFromJSON(JSON.parse(text));
      },
    );
    const root = subtreeRoot(mergeSubtrees(kernels.hasher, parts));
    expect(hex(root)).toBe(expected.final_hash);
    expect(hex(xorbHash(kernels.hasher, hashes, sizes))).toBe(expected.final_hash);
    expect(hex(fileHash(kernels.hasher, hashes, sizes))).toBe(expected.file_hash);
  });

  /** Serial, streamed and parallel ways must all give the expected cuts. */
  function checkCuts(data: Uint8Array, expected: number[]): void {
    expect([...findCuts(kernels.scanner, data)]).toEqual(expected);
    const chunker = createPushChunker({ scanner: kernels.scanner });
    const lengths: number[] = [];
    for (let at = 0; at < data.length; at += 30_011) {
      lengths.push(...chunker.push(data.subarray(at, at + 30_011)));
    }
    lengths.push(...chunker.finish());
    let end = 0;
    expect(
      lengths.map((length) => {
        end += length;
        return end;
      }),
    ).toEqual(expected);
    const resolver = new CutResolver();
    const segmentBytes = 100_003;
    const cuts: number[] = [];
    for (let start = 0; start < data.length; start += segmentBytes) {
      const segmentEnd = Math.min(start + segmentBytes, data.length);
      const candidates = findCandidates(kernels.scanner, data, start, segmentEnd);
      cuts.push(...resolver.resolve(start, segmentEnd, candidates, 0, segmentEnd === data.length));
    }
    expect(cuts).toEqual(expected);
  }

  function checkHashes(data: Uint8Array, expected: Vector['expected']): void {
    const ends = findCuts(kernels.scanner, data);
    const hashes = new Uint8Array(32 * ends.length);
    const sizes: number[] = [];
    let start = 0;
    for (const [i, end] of ends.entries()) {
      hashes.set(chunkHash(kernels.hasher, data.subarray(start, end)).bytes, 32 * i);
      sizes.push(end - start);
      start = end;
    }
    const found: Record<string, unknown> = {
      cuts: [...ends],
      chunk_hashes: sizes.map((_, i) => hex(MerkleHash.from(hashes, 32 * i))),
      xorb_hash: hex(xorbHash(kernels.hasher, hashes, sizes)),
      file_hash: hex(fileHash(kernels.hasher, hashes, sizes)),
      file_hash_any_salt: hex(fileHash(kernels.hasher, hashes, sizes, new Uint8Array(32).fill(3))),
      verification_hash: hex(rangeHash(kernels.hasher, hashes, 0, sizes.length)),
      eligible_for_global_dedup_by_hash: sizes.filter((_, i) =>
        isGlobalDedupEligible(hashes, 32 * i),
      ).length,
    };
    for (const [name, value] of Object.entries(expected)) expect(found[name], name).toEqual(value);
  }

  /** Groups of each level by hashing the parents separately and comparing with the root. */
  function checkGroups(hashes: Uint8Array, sizes: number[], groups: number[][]): void {
    let level = { hashes, sizes };
    for (const lengths of groups) {
      let at = 0;
      const parents = lengths.map((length) => {
        const lines = level.sizes
          .slice(at, at + length)
          .map((size, i) => `${MerkleHash.from(level.hashes, 32 * (at + i))} : ${size}\n`);
        const size = level.sizes.slice(at, at + length).reduce((sum, one) => sum + one, 0);
        const hash = new Uint8Array(32);
        kernels.hasher.keyed(INTERNAL_NODE_KEY, ascii(lines.join('')), hash, 0);
        at += length;
        return [xetHexEncode(hash), size] as const;
      });
      expect(at).toBe(level.sizes.length);
      level = packed(parents);
    }
    expect(level.sizes).toHaveLength(1);
    expect(xorbHash(kernels.hasher, hashes, sizes).bytes).toEqual(level.hashes);
  }
});

function packed(nodes: readonly (readonly [string, number])[]): {
  hashes: Uint8Array;
  sizes: number[];
} {
  const hashes = new Uint8Array(32 * nodes.length);
  nodes.forEach(([hash], i) => {
    hashes.set(MerkleHash.parse(dictionaryHash(hash)).bytes, 32 * i);
  });
  return { hashes, sizes: nodes.map(([, size]) => size) };
}

describe('protocol vectors without kernels', () => {
  it('gear table', () => {
    const { expected } = vectorOf('gear', 'table');
    const text = (value: bigint | undefined) => `0x${value?.toString(16).padStart(16, '0')}`;
    expect(GEAR_TABLE).toHaveLength(expected.count);
    expect(text(GEAR_TABLE[0])).toBe(expected.first);
    expect(text(GEAR_TABLE[255])).toBe(expected.last);
    const bytes = new Uint8Array(GEAR_TABLE.buffer);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(expected.sha256_le);
  });

  it('gear rolling_hash_45_segments (another mask and no minimum: the bare hash only)', () => {
    const { input, expected } = vectorOf('gear', 'rolling_hash_45_segments');
    const data = generate({ kind: 'lcg24', seed: 0xbecd17f & 0xffffff, bytes: input.size });
    const mask = BigInt(input.mask);
    const segments: [number, number, string][] = [];
    let hash = 0n;
    let start = 0;
    for (let i = 0; i < data.length; i++) {
      hash = BigInt.asUintN(64, (hash << 1n) + (GEAR_TABLE[data[i] as number] as bigint));
      if ((hash & mask) !== 0n && i + 1 < data.length) continue;
      segments.push([start, i + 1 - start, hash.toString(16).padStart(16, '0')]);
      start = i + 1;
      hash = 0n;
    }
    // The hash of the tail is not meaningful.
    const facts = (list: [number, number, string][]) =>
      list.map(([offset, size, value], i) => [offset, size, i + 1 < list.length ? value : '']);
    expect(facts(segments)).toEqual(facts(expected));
    // The readable scan over the same data, where its own kind of mask (10 highest bits) matches.
    const scanner = createReadableScanner();
    const found = findCandidates(scanner, data, 0, data.length, 10);
    let rolling = 0n;
    const highZero: number[] = [];
    for (let i = 0; i < data.length; i++) {
      rolling = BigInt.asUintN(64, (rolling << 1n) + (GEAR_TABLE[data[i] as number] as bigint));
      if (rolling >> 54n === 0n) highZero.push(i + 1);
    }
    expect([...found]).toEqual(highZero);
  });

  it.each(vectorsOf('hex'))('hex $id', ({ input, expected }) => {
    if (input.raw_bytes !== undefined) {
      const hash = MerkleHash.from(hexDecode(input.raw_bytes));
      expect(hex(hash)).toBe(expected);
      expect(hexEncode(MerkleHash.parse(expected).bytes)).toBe(input.raw_bytes);
    } else if (input.be_bytes !== undefined) {
      const stored = sha256ToShardBytes(hexDecode(input.be_bytes));
      expect(hexEncode(stored)).toBe(expected.raw_bytes);
      expect(xetHexEncode(stored)).toBe(expected.hex);
    } else {
      const digest = new Uint8Array(createHash('sha256').update(ascii(input.text)).digest());
      expect(hexEncode(digest)).toBe(expected.sha256);
      expect(hexEncode(sha256ToShardBytes(digest))).toBe(expected.shard_bytes);
      expect(shardBytesToSha256(hexDecode(expected.shard_bytes))).toEqual(digest);
    }
  });

  it('subtree random_splits_property is test/hash/subtree.test.ts', () => {
    expect(vectorOf('subtree', 'random_splits_property').expected).toBe(true);
    expect(vectorsOf('subtree')).toHaveLength(2);
  });

  it.each(vectorsOf('stable_boundary'))('stable boundary $id', ({ input, expected }) => {
    const [group, id] = input.cuts_of.split('/');
    const { cuts } = vectorOf(group, id).expected;
    for (const { starting_position, result } of expected) {
      expect(nextStableBoundary(starting_position, cuts), `${starting_position}`).toBe(result);
    }
  });

  it.each(vectorsOf('chunk_windows'))('chunk windows $id', ({ input, expected }) => {
    const { count, size } = input.chunk_sizes;
    const spans = (list: [number, number][]) => list.map(([start, end]) => ({ start, end }));
    expect(
      dirtyWindows(Array<number>(count).fill(size), spans(input.dirty_ranges_end_exclusive)),
    ).toEqual(spans(expected.windows_end_exclusive));
  });
});
