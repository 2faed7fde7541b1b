import { describe, expect, it } from 'vitest';
import {
  compareHashes,
  isGlobalDedupEligible,
  MerkleHash,
  sha256ToShardBytes,
  shardBytesToSha256,
} from '../../src/hash/index.js';
import { generate } from '../support/generators.js';

const TEXT = '07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918';

describe('MerkleHash', () => {
  it('prints each 8 bytes as a little-endian u64', () => {
    expect(MerkleHash.from(Uint8Array.from({ length: 32 }, (_, i) => i)).toString()).toBe(TEXT);
  });

  it('parses what it prints, in either case', () => {
    expect(MerkleHash.parse(TEXT).toString()).toBe(TEXT);
    expect(MerkleHash.parse(TEXT.toUpperCase()).toString()).toBe(TEXT);
    expect(JSON.stringify({ hash: MerkleHash.parse(TEXT) })).toBe(`{"hash":"${TEXT}"}`);
  });

  it.each([
    '',
    TEXT.slice(1),
    `${TEXT}0`,
    `${TEXT.slice(1)}g`,
    ` ${TEXT.slice(1)}`,
    'é'.repeat(64),
  ])('refuses %j with HASH_INVALID', (text) => {
    expect(() => MerkleHash.parse(text)).toThrow(expect.objectContaining({ code: 'HASH_INVALID' }));
  });

  it('copies its bytes, also out of a Buffer and shared memory', () => {
    for (const source of [
      new Uint8Array(40),
      Buffer.alloc(40),
      new Uint8Array(new SharedArrayBuffer(40)),
    ]) {
      source.fill(7);
      const hash = MerkleHash.from(source, 8);
      source.fill(9);
      expect([...hash.bytes]).toEqual(Array(32).fill(7));
      expect(hash.bytes.buffer.byteLength).toBe(32);
    }
  });

  it('refuses to read past the end of its source', () => {
    expect(() => MerkleHash.from(new Uint8Array(31))).toThrow(RangeError);
    expect(() => MerkleHash.from(new Uint8Array(40), 9)).toThrow(RangeError);
    expect(() => MerkleHash.from(new Uint8Array(40), -1)).toThrow(RangeError);
  });

  it('compares by value', () => {
    const a = MerkleHash.parse(TEXT);
    expect(a.equals(MerkleHash.parse(TEXT))).toBe(true);
    expect(a.equals(MerkleHash.ZERO)).toBe(false);
    expect(a.isZero()).toBe(false);
    expect(MerkleHash.ZERO.isZero()).toBe(true);
    expect(MerkleHash.from(new Uint8Array(32)).equals(MerkleHash.ZERO)).toBe(true);
  });
});

describe('rules over packed hashes', () => {
  const count = 500;
  const hashes = generate({ kind: 'splitmix64', seed: 3, bytes: 32 * count });
  // Make neighbours that differ in one group only.
  for (let i = 1; i < count; i += 5) hashes.copyWithin(32 * i, 32 * (i - 1), 32 * (i - 1) + 24);

  it('orders hashes as their texts are ordered', () => {
    for (let i = 1; i < count; i++) {
      const a = MerkleHash.from(hashes, 32 * i - 32).toString();
      const b = MerkleHash.from(hashes, 32 * i).toString();
      const order = compareHashes(hashes, 32 * i - 32, hashes, 32 * i);
      expect(Math.sign(order)).toBe(a < b ? -1 : a > b ? 1 : 0);
    }
    expect(compareHashes(hashes, 64, hashes, 64)).toBe(0);
  });

  it('finds a chunk eligible when its last u64 is a multiple of 1024', () => {
    const bytes = generate({ kind: 'splitmix64', seed: 4, bytes: 64 });
    const view = new DataView(bytes.buffer);
    for (const low of [0, 1, 4, 255, 256, 512, 1023, 1024, 1025, 2048, 0xffff_fc00, 0xffff_fe00]) {
      view.setUint32(32 + 24, low, true);
      const last = view.getBigUint64(32 + 24, true);
      expect(isGlobalDedupEligible(bytes, 32)).toBe(last % 1024n === 0n);
    }
  });

  it('turns a SHA-256 for the shard and back', () => {
    const digest = Uint8Array.from({ length: 32 }, (_, i) => i);
    const stored = sha256ToShardBytes(digest);
    expect([...stored.subarray(0, 9)]).toEqual([7, 6, 5, 4, 3, 2, 1, 0, 15]);
    expect(shardBytesToSha256(stored)).toEqual(digest);
    expect(() => sha256ToShardBytes(digest.subarray(1))).toThrow(RangeError);
    expect(() => shardBytesToSha256(digest.subarray(1))).toThrow(RangeError);
  });
});
