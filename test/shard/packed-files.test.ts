import fc from 'fast-check';
import { expect, it } from 'vitest';
import { runSteps } from '../../src/bytes/index.js';
import { HASH_BYTES, MerkleHash } from '../../src/hash/index.js';
import {
  encodeShardInSteps,
  fileHashesOf,
  PackedFiles,
  type ShardFile,
} from '../../src/shard/index.js';

const bytes32 = fc.uint8Array({ minLength: HASH_BYTES, maxLength: HASH_BYTES });
const hash = bytes32.map((bytes) => MerkleHash.from(bytes));
/** Few of them, so that files share xorbs, as values and as objects. */
const xorb = fc.integer({ min: 0, max: 4 }).map((n) => MerkleHash.from(new Uint8Array(32).fill(n)));
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const term = fc.record(
  { xorb, unpackedBytes: u32, chunkStart: u32, chunkEnd: u32, flags: fc.constantFrom(1, 2 ** 31) },
  { requiredKeys: ['xorb', 'unpackedBytes', 'chunkStart', 'chunkEnd'] },
);
const file: fc.Arbitrary<ShardFile> = fc
  .record({
    hash,
    // Long ones are not packed.
    terms: fc.oneof(
      fc.array(term, { maxLength: 4 }),
      fc.array(term, { minLength: 60, maxLength: 70 }),
    ),
    isVerified: fc.boolean(),
    sha256: fc.option(bytes32),
  })
  .map(({ isVerified, ...rest }) => ({
    ...rest,
    verification: isVerified
      ? rest.terms.map((_, at) => MerkleHash.from(new Uint8Array(32).fill(at)))
      : null,
  }));

function packed(files: readonly ShardFile[]): PackedFiles {
  const list = new PackedFiles();
  for (const each of files) list.add(each);
  return list;
}

it('packed files are the files that were added', () => {
  fc.assert(
    fc.property(fc.array(file, { maxLength: 6 }), (files) => {
      const list = packed(files);
      const unique = [...new Map([...files].reverse().map((f) => [`${f.hash}`, f])).values()];
      expect(list.length).toBe(unique.length);
      expect([...list].sort(byHash)).toEqual(unique.sort(byHash));
      expect(list.at(list.length)).toBeUndefined();
      expect(list.at(-1)).toBeUndefined();
      const hashes = runSteps(fileHashesOf(list));
      for (const [at, { hash: of }] of [...list].entries()) {
        expect(MerkleHash.from(hashes, at * HASH_BYTES)).toEqual(of);
      }
    }),
    { numRuns: 8, seed: 3 },
  );
});

function byHash(a: ShardFile, b: ShardFile): number {
  return a.hash.toString() < b.hash.toString() ? -1 : 1;
}

it('of two files of one hash the first stays', () => {
  const first = { hash: MerkleHash.ZERO, terms: [], verification: [], sha256: null };
  const list = new PackedFiles();
  expect(list.add(first)).toBe(true);
  expect(list.add({ ...first, verification: null })).toBe(false);
  expect([...list]).toEqual([first]);
});

it('a shard of packed files has the bytes of the shard of those files', () => {
  fc.assert(
    fc.property(fc.array(file, { maxLength: 6 }), (files) => {
      // Either all of a shard or none.
      const alike = files.map((each) => ({ ...each, verification: null }));
      const bytesOf = (list: PackedFiles | readonly ShardFile[]): Uint8Array =>
        runSteps(
          encodeShardInSteps({ files: list, xorbs: [], footer: null }, { variant: 'stored' }),
        );
      expect(bytesOf(packed(alike))).toEqual(bytesOf(alike));
      const verified = files.filter(({ verification }) => verification !== null);
      expect(bytesOf(packed(verified))).toEqual(bytesOf(verified));
    }),
    { numRuns: 8, seed: 3 },
  );
});
