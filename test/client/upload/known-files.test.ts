import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeFileRecords, encodeFileRecords } from '../../../src/client/upload/file-records.js';
import { KnownFiles } from '../../../src/client/upload/known-files.js';
import { MerkleHash } from '../../../src/hash/index.js';
import { createShardCache } from '../../../src/io/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import type { ShardFile } from '../../../src/shard/index.js';
import { random } from './support.js';

const hashOf = (seed: number): MerkleHash => MerkleHash.from(random(seed, 32));
const identityOf = (seed: number): Uint8Array => random(1_000_000 + seed, 40);
const fileOf = (seed: number, terms = 1): ShardFile => ({
  hash: hashOf(seed),
  terms: Array.from({ length: terms }, (_, i) => ({
    ...{ xorb: hashOf(7 + i), unpackedBytes: 1000 + seed, chunkStart: i, chunkEnd: i + 2 },
  })),
  verification: Array.from({ length: terms }, (_, i) => hashOf(seed + i)),
  sha256: seed % 2 === 0 ? random(seed, 32) : null,
});

describe('records of files', () => {
  it('are what was written, in any number', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 20 }),
        fc.integer({ min: 0, max: 2 ** 40 }),
        (seeds, writtenAtMs) => {
          const records = seeds.map((seed) => ({
            identity: identityOf(seed),
            file: fileOf(seed, 1 + (seed % 3)),
          }));
          const decoded = decodeFileRecords(encodeFileRecords({ writtenAtMs, records }));
          expect(decoded.writtenAtMs).toBe(writtenAtMs);
          expect(decoded.records.map(({ identity }) => [...identity])).toEqual(
            records.map(({ identity }) => [...identity]),
          );
          for (const [i, { file }] of decoded.records.entries()) {
            expect(file.hash.equals((records[i] as (typeof records)[number]).file.hash)).toBe(true);
            expect(file.terms).toHaveLength(records[i]?.file.terms.length ?? 0);
            expect(file.verification).toHaveLength(file.terms.length);
            expect(file.sha256).toEqual(records[i]?.file.sha256);
          }
        },
      ),
      { numRuns: 30, seed: 5 },
    );
  });

  it('that are cut off or of another kind are refused at once', () => {
    const records = [{ identity: identityOf(1), file: fileOf(1) }];
    const bytes = encodeFileRecords({ writtenAtMs: 1, records });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeFileRecords(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ name: 'OrbweaverError' }),
      );
    }
    const huge = bytes.slice();
    new DataView(huge.buffer).setUint32(4, 0xffffffff, true);
    expect(() => decodeFileRecords(huge)).toThrow(expect.objectContaining({ code: 'TRUNCATED' }));
    huge[0] = 0;
    expect(() => decodeFileRecords(huge)).toThrow(
      expect.objectContaining({ code: 'FORMAT_INVALID' }),
    );
  });
});

describe('known files', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'orbweaver-known-files-'));
  });
  afterEach(() => rm(dir, { recursive: true }));
  const open = async (): Promise<KnownFiles> => {
    const cache = await createShardCache({ dir, endpoint: 'https://a' });
    return new KnownFiles(cache, SYSTEM_CLOCK);
  };
  const shards = async (): Promise<string[]> =>
    (await readdir(dir, { recursive: true }))
      .filter((name) => name.endsWith('.shard'))
      .map((name) => join(dir, name));

  it('are found by another run, many in few files of the cache', async () => {
    const files = await open();
    const seeds = Array.from({ length: 3000 }, (_, i) => i + 1);
    for (const seed of seeds) files.remember([{ identity: identityOf(seed), file: fileOf(seed) }]);
    await files.written();
    expect((await shards()).length).toBeLessThan(8);
    const again = await open();
    const wanted = [1, 2999, 1500].map(identityOf);
    const found = await again.find([...wanted, undefined, identityOf(9999)]);
    expect(found.map((file) => file?.terms[0]?.unpackedBytes)).toEqual([
      ...[1001, 3999, 2500],
      ...[undefined, undefined],
    ]);
  });

  it('are what was written last', async () => {
    const identity = identityOf(1);
    let files = await open();
    files.remember([{ identity, file: fileOf(1) }]);
    await files.written();
    const later = { ...SYSTEM_CLOCK, unixMs: () => Date.now() + 5000 };
    files = new KnownFiles(await createShardCache({ dir, endpoint: 'https://a' }), later);
    files.remember([{ identity, file: fileOf(2) }]);
    await files.written();
    const [found] = await (await open()).find([identity]);
    expect(found?.hash.equals(hashOf(2))).toBe(true);
  });

  it('are not known when the cache is damaged or gone', async () => {
    const files = await open();
    files.remember([{ identity: identityOf(1), file: fileOf(1) }]);
    await files.written();
    const [path] = await shards();
    await writeFile(path ?? '', 'damaged');
    expect(await (await open()).find([identityOf(1)])).toEqual([null]);
    await rm(dir, { recursive: true });
    files.remember([{ identity: identityOf(2), file: fileOf(2) }]);
    await files.written();
    expect(await files.find([identityOf(2), undefined])).toEqual([null, null]);
    await writeFile(dir, '');
  });
});
