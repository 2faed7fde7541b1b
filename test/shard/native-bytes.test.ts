import { describe, expect, it } from 'vitest';
import { hexEncode } from '../../src/bytes/index.js';
import {
  decodeShard,
  encodeShard,
  NEVER_EXPIRES,
  type Shard,
  verifyShard,
} from '../../src/shard/index.js';
import { nativeBytes, readFixture } from '../support/vectors.js';
import { verifyFile } from '../support/verify-file.js';
import { hasher } from './samples.js';

const upload = readFixture('native/upload.shard');
const stored = readFixture('native/stored.shard');
const cache = readFixture('native/cache.shard');

/** File facts of a shard as `index.json` writes them. */
function facts(shard: Shard): unknown {
  return shard.files
    .map((file) => ({
      hash: file.hash.toString(),
      sha256: hexEncode(file.sha256 ?? new Uint8Array()),
      terms: file.terms.map((t) => [t.xorb.toString(), t.unpackedBytes, t.chunkStart, t.chunkEnd]),
    }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1));
}

describe('shards of the native client', () => {
  const expected = nativeBytes()
    .files.map((file) => ({
      hash: file.file_hash,
      // The native client writes zeros for an empty file, not the digest of no bytes.
      sha256: file.bytes === 0 ? '0'.repeat(64) : file.sha256,
      terms: file.terms,
    }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1));

  it.each([
    ['upload', upload],
    ['stored', stored],
    ['cache', cache],
  ])('the %s shard names the files, terms and SHA-256 that it uploaded', (_, bytes) => {
    const shard = decodeShard(bytes);
    expect(facts(shard)).toEqual(expected);
    verifyShard(shard);
    const [xorb] = shard.xorbs;
    expect(shard.xorbs).toHaveLength(1);
    for (const file of shard.files) {
      const { sizeBytes } = verifyFile(hasher, file, () => xorb ?? null);
      expect(sizeBytes).toBe(file.terms.reduce((sum, term) => sum + term.unpackedBytes, 0));
    }
  });

  it('is written again bit by bit as upload body', () => {
    expect(encodeShard(decodeShard(upload), { variant: 'upload' })).toEqual(upload);
  });

  it('becomes, bit by bit, the stored form that its test server made of the upload', () => {
    expect(encodeShard(decodeShard(upload), { variant: 'stored' })).toEqual(stored);
    expect(encodeShard(decodeShard(stored), { variant: 'stored' })).toEqual(stored);
  });

  it('is written again bit by bit as local shard with lookup tables', () => {
    const shard = decodeShard(cache);
    const { createdAt, expiresAt } = shard.footer ?? { createdAt: 0n, expiresAt: 0n };
    expect(createdAt).not.toBe(0n);
    expect(expiresAt - createdAt).toBe(21n * 86400n);
    expect(encodeShard(shard, { variant: 'local', createdAt, expiresAt })).toEqual(cache);
    const fresh = encodeShard(decodeShard(upload), { variant: 'local' });
    expect(decodeShard(fresh).footer?.expiresAt).toBe(NEVER_EXPIRES);
  });
});
