import { describe, expect, it } from 'vitest';
import { MerkleHash } from '../../src/hash/index.js';
import {
  encodeShard,
  HashTable,
  planShards,
  type ShardFile,
  type ShardXorb,
  verifyShard,
} from '../../src/shard/index.js';
import { SplitMix64 } from '../support/generators.js';
import { hashOf, randomHashes, sampleFile, sampleShard, sampleXorb, xorbOf } from './samples.js';

describe('splitting into shards', () => {
  const xorbs = Array.from({ length: 40 }, (_, i) => sampleXorb(20 + i, 1000 + 10 * i));
  const random = new SplitMix64(7);
  const files = Array.from({ length: 60 }, (_, i) => {
    const parts = Array.from({ length: 1 + random.below(6) }, () => {
      const xorb = xorbs[random.below(38)] as ShardXorb; // the last two stay unnamed
      return [xorb, 0, 1 + random.below(xorb.chunkLengths.length)] as const;
    });
    return sampleFile(hashOf(5000 + i), parts);
  });

  /** The plan for these, as shards that can be encoded. */
  function splitShards(maxBytes: number) {
    const numbers = new Map(xorbs.map(({ hash }, number) => [hash.toString(), number]));
    const parts = planShards(
      {
        fileCount: files.length,
        xorbCount: xorbs.length,
        fileBytes: (file) => encodedBytes([files[file] as ShardFile]) - encodedBytes([]),
        chunkCount: (xorb) => (xorbs[xorb] as ShardXorb).chunkLengths.length,
        xorbsOf: (file) =>
          (files[file] as ShardFile).terms.flatMap(
            ({ xorb }) => numbers.get(xorb.toString()) ?? [],
          ),
      },
      maxBytes,
    );
    return parts.map((part) => ({
      files: part.files.map((file) => files[file] as ShardFile),
      xorbs: part.xorbs.map((xorb) => xorbs[xorb] as ShardXorb),
      footer: null,
    }));
  }
  const encodedBytes = (some: readonly ShardFile[]): number =>
    encodeShard({ files: some, xorbs: [], footer: null }, { variant: 'upload' }).length;

  it('keeps every file and xorb once and every shard within the limit', () => {
    for (const maxBytes of [8_000, 20_000, 100_000, 64 * 1024 * 1024]) {
      const shards = splitShards(maxBytes);
      for (const shard of shards) {
        expect(encodeShard(shard, { variant: 'local' }).length).toBeLessThanOrEqual(maxBytes);
      }
      expect(shards.flatMap((shard) => shard.files)).toEqual(files);
      const names = shards.flatMap((shard) => shard.xorbs.map((xorb) => xorb.hash.toString()));
      expect(names).toHaveLength(xorbs.length);
      expect(new Set(names)).toEqual(new Set(xorbs.map((xorb) => xorb.hash.toString())));
      if (maxBytes > 1_000_000) expect(shards).toHaveLength(1);
    }
  });

  it('puts a xorb beside the first file that names it when both fit', () => {
    const seen = new Set<string>();
    for (const shard of splitShards(20_000)) {
      const here = new Set(shard.xorbs.map((xorb) => xorb.hash.toString()));
      for (const file of shard.files) {
        for (const { xorb } of file.terms) {
          const name = xorb.toString();
          expect(seen.has(name) || here.has(name)).toBe(true);
        }
      }
      for (const name of here) seen.add(name);
    }
  });

  it('gives a file that is larger than the limit a shard of its own', () => {
    const parts = planShards(
      {
        fileCount: 3,
        xorbCount: 1,
        fileBytes: (file) => (file === 1 ? 50_000 : 100),
        chunkCount: () => 10,
        xorbsOf: (file) => (file === 1 ? [0] : []),
      },
      1_000,
    );
    // Its xorb goes before it.
    expect(parts).toEqual([
      { files: [0], xorbs: [] },
      { files: [], xorbs: [0] },
      { files: [1], xorbs: [] },
      { files: [2], xorbs: [] },
    ]);
  });

  it('refuses a file that no shard can hold, and makes no shard of nothing', () => {
    const huge = {
      fileCount: 1,
      xorbCount: 0,
      fileBytes: () => 64 * 1024 * 1024,
      chunkCount: () => 0,
      xorbsOf: () => [],
    };
    expect(() => planShards(huge)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    const nothing = { ...huge, fileCount: 0 };
    expect(planShards(nothing)).toEqual([]);
    expect(() => planShards(huge, 0)).toThrow(RangeError);
  });
});

describe('verifying a shard', () => {
  const code = (expected: string) => expect.objectContaining({ code: expected });
  const shard = sampleShard();
  const [file, xorb] = [shard.files.find((f) => f.terms.length === 2), shard.xorbs[0]];
  if (file === undefined || xorb === undefined) throw new Error('sample');

  it('takes what hangs together', () => {
    verifyShard(shard);
  });

  const withXorb = (change: Partial<ShardXorb>) => ({ ...shard, xorbs: [{ ...xorb, ...change }] });
  const withFile = (change: Partial<ShardFile>) => ({ ...shard, files: [{ ...file, ...change }] });
  const [term] = file.terms;
  if (term === undefined) throw new Error('sample');

  it.each([
    ['a sum of lengths that is not the raw bytes', withXorb({ rawBytes: xorb.rawBytes + 1 })],
    ['offsets with a gap', withXorb({ chunkStarts: xorb.chunkStarts.map((start) => start + 1) })],
    [
      'a xorb without chunks',
      withXorb({ ...xorbOf(hashOf(1), new Uint8Array(), new Uint32Array()) }),
    ],
    ['a xorb with the zero hash', withXorb({ hash: MerkleHash.ZERO })],
    ['a file without terms', withFile({ terms: [], verification: [] })],
    ['one hash too few', withFile({ verification: file.verification?.slice(1) ?? null })],
    [
      'a term past its xorb',
      withFile({ terms: [{ ...term, chunkEnd: 6 }, ...file.terms.slice(1)] }),
    ],
    [
      'a term of no chunks',
      withFile({ terms: [{ ...term, chunkEnd: 0 }, ...file.terms.slice(1)] }),
    ],
    ['other bytes', withFile({ terms: [{ ...term, unpackedBytes: 1 }, ...file.terms.slice(1)] })],
    [
      'a mixture with and without verification',
      { ...shard, files: [...shard.files, { ...file, hash: hashOf(3), verification: null }] },
    ],
  ])('refuses %s', (_, bad) => {
    expect(() => verifyShard(bad)).toThrow(code('FORMAT_INVALID'));
  });

  it('refuses more chunks than anybody can refer to', () => {
    const count = 65537;
    const many = xorbOf(hashOf(1), new Uint8Array(32 * count), new Uint32Array(count).fill(1));
    expect(() => verifyShard({ ...shard, xorbs: [many] })).toThrow(code('LIMIT_EXCEEDED'));
  });
});

describe('the set of hashes', () => {
  it('numbers hashes in order of arrival and finds each', () => {
    const table = new HashTable();
    const hashes = randomHashes(5000, 3);
    for (let i = 0; i < 5000; i++) expect(table.add(hashes, 32 * i)).toBe(i);
    for (let i = 0; i < 5000; i += 7) {
      expect(table.add(hashes, 32 * i)).toBe(i);
      expect(table.indexOf(hashes, 32 * i)).toBe(i);
      expect(table.at(i)).toEqual(hashes.subarray(32 * i, 32 * i + 32));
    }
    expect(table.count).toBe(5000);
    expect(table.indexOf(randomHashes(1, 4), 0)).toBe(-1);
    expect(() => table.at(5000)).toThrow(RangeError);
  });

  it('takes hashes that differ in one byte only', () => {
    const table = new HashTable();
    const hash = new Uint8Array(32);
    for (let at = 0; at < 32; at++) {
      for (let value = 1; value < 256; value++) {
        hash.fill(0)[at] = value;
        table.add(hash, 0);
      }
    }
    expect(table.count).toBe(32 * 255);
  });
});
