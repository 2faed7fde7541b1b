import * as fc from 'fast-check';
import { createReadableBlake3, MerkleHash, rangeHash } from '../../src/hash/index.js';
import type { Shard, ShardFile, ShardXorb } from '../../src/shard/index.js';
import { generate, SplitMix64 } from '../support/generators.js';

/** Shards for tests: seeded ones that hang together, and arbitrary ones. */

export const hasher = createReadableBlake3();

/** `count` random hashes, packed. */
export function randomHashes(count: number, seed: number): Uint8Array {
  return generate({ kind: 'splitmix64', seed, bytes: 32 * count });
}

/** A hash out of a seed. */
export function hashOf(seed: number): MerkleHash {
  return MerkleHash.from(randomHashes(1, seed));
}

/** A xorb with `count` chunks of random lengths. */
export function sampleXorb(count: number, seed: number): ShardXorb {
  const random = new SplitMix64(seed);
  const chunkLengths = Uint32Array.from({ length: count }, () => 1 + random.below(131072));
  return xorbOf(hashOf(seed + 1), randomHashes(count, seed + 2), chunkLengths, 4711);
}

/** A xorb whose offsets and sum follow from the lengths. */
export function xorbOf(
  hash: MerkleHash,
  chunkHashes: Uint8Array,
  chunkLengths: Uint32Array,
  serializedBytes = 0,
): ShardXorb {
  const chunkStarts = new Uint32Array(chunkLengths.length);
  let rawBytes = 0;
  for (const [i, length] of chunkLengths.entries()) {
    chunkStarts[i] = rawBytes;
    rawBytes += length;
  }
  const chunkFlags = new Uint32Array(chunkLengths.length);
  return { hash, chunkHashes, chunkStarts, chunkLengths, chunkFlags, rawBytes, serializedBytes };
}

/** A file of one term per xorb: chunks `[start, end)` of each, truthful. */
export function sampleFile(
  hash: MerkleHash,
  parts: readonly (readonly [ShardXorb, number, number])[],
  sha256: Uint8Array | null = null,
): ShardFile {
  return {
    hash,
    terms: parts.map(([xorb, chunkStart, chunkEnd]) => ({
      xorb: xorb.hash,
      chunkStart,
      chunkEnd,
      unpackedBytes: xorb.chunkLengths
        .subarray(chunkStart, chunkEnd)
        .reduce((sum, length) => sum + length, 0),
    })),
    verification: parts.map(([xorb, start, end]) =>
      rangeHash(hasher, xorb.chunkHashes, start, end),
    ),
    sha256,
  };
}

/** Two xorbs, three files (one empty, one with SHA-256), in the order in which shards hold them. */
export function sampleShard(seed = 1): Shard {
  const xorbs = [sampleXorb(5, seed), sampleXorb(3, seed + 100)];
  const [a, b] = xorbs as [ShardXorb, ShardXorb];
  const files = [
    sampleFile(MerkleHash.ZERO, []),
    sampleFile(hashOf(seed + 200), [
      [a, 0, 5],
      [b, 1, 3],
    ]),
    sampleFile(hashOf(seed + 300), [[b, 0, 1]], generate({ kind: 'splitmix64', seed, bytes: 32 })),
  ];
  return sortShard({ files, xorbs, footer: null });
}

/** The shard in the order in which it is written. */
export function sortShard(shard: Shard): Shard {
  const order = (a: { hash: MerkleHash }, b: { hash: MerkleHash }) =>
    a.hash.toString() < b.hash.toString() ? -1 : 1;
  return { ...shard, files: [...shard.files].sort(order), xorbs: [...shard.xorbs].sort(order) };
}

/** Plain values of a shard's sections, for comparing. */
export function sections(shard: Shard): unknown {
  return {
    files: shard.files.map((file) => ({
      ...file,
      hash: file.hash.toString(),
      terms: file.terms.map((term) => ({ ...term, xorb: term.xorb.toString() })),
      verification: file.verification?.map(String) ?? null,
    })),
    xorbs: shard.xorbs.map((xorb) => ({ ...xorb, hash: xorb.hash.toString() })),
  };
}

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const hash = bytes32
  .map((bytes) => MerkleHash.from(bytes))
  .filter((value) => value.bytes.some((byte) => byte !== 0xff));
const u32 = fc.integer({ min: 0, max: 0xffffffff });

const arbitraryXorb: fc.Arbitrary<ShardXorb> = fc
  .record({
    hash,
    chunks: fc.array(fc.tuple(bytes32, fc.integer({ min: 1, max: 131072 }), fc.boolean()), {
      maxLength: 5,
    }),
    serializedBytes: u32,
  })
  .map(({ hash: name, chunks, serializedBytes }) => {
    const packed = new Uint8Array(32 * chunks.length);
    for (const [i, [chunkHash]] of chunks.entries()) packed.set(chunkHash, 32 * i);
    const lengths = Uint32Array.from(chunks, ([, length]) => length);
    const xorb = xorbOf(name, packed, lengths, serializedBytes);
    return {
      ...xorb,
      chunkFlags: Uint32Array.from(chunks, ([, , flag]) => (flag ? 0x80000000 : 0)),
    };
  });

const arbitraryFile = (verified: boolean): fc.Arbitrary<ShardFile> =>
  fc
    .record({
      hash,
      sha256: fc.option(bytes32),
      terms: fc.array(
        fc.record({
          xorb: hash,
          unpackedBytes: u32,
          chunkStart: fc.integer({ min: 0, max: 1000 }),
          chunkEnd: fc.integer({ min: 1001, max: 65536 }),
        }),
        { maxLength: 4 },
      ),
      hashes: fc.array(hash, { minLength: 4, maxLength: 4 }),
    })
    .map(({ hashes, ...file }) => ({
      ...file,
      verification: verified ? hashes.slice(0, file.terms.length) : null,
    }));

/** Any shard that the format can hold: not true, but well formed; sorted, without duplicates. */
export const arbitraryShard = (verified: boolean): fc.Arbitrary<Shard> =>
  fc
    .record({
      files: fc.uniqueArray(arbitraryFile(verified), {
        maxLength: 4,
        selector: (file) => file.hash.toString(),
      }),
      xorbs: fc.uniqueArray(arbitraryXorb, {
        maxLength: 4,
        selector: (xorb) => xorb.hash.toString(),
      }),
    })
    .map((shard) => sortShard({ ...shard, footer: null }));
