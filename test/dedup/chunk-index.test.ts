import { describe, expect, it } from 'vitest';
import { bytesEqual } from '../../src/bytes/index.js';
import { ChunkIndex, hashWords } from '../../src/dedup/index.js';
import { randomHashes } from '../shard/samples.js';
import { SplitMix64 } from '../support/generators.js';

describe('the chunk index', () => {
  it('finds every entry by its whole hash, and nothing else', () => {
    const index = new ChunkIndex();
    const count = 30_000;
    const words = hashWords(randomHashes(count, 1));
    for (let i = 0; i < count; i++) index.append(words, 8 * i, i);
    const places: number[] = [];
    for (let i = 0; i < count; i += 3) {
      expect(index.find(words, 8 * i, places)).toBe(1);
      expect(places).toEqual([i]);
      expect(index.rawStart(i)).toBe(i);
    }
    const strangers = hashWords(randomHashes(2000, 2));
    for (let i = 0; i < 2000; i++) expect(index.find(strangers, 8 * i, places)).toBe(0);
    // One bit of the hash is enough to be another chunk.
    for (let bit = 0; bit < 256; bit++) {
      const near = words.slice(8 * 77, 8 * 78);
      near[bit >> 5] = (near[bit >> 5] as number) ^ (1 << (bit & 31));
      expect(index.find(near, 0, places)).toBe(0);
    }
    expect(index.count).toBe(count);
  });

  it('agrees with a map from hashes to places', () => {
    const index = new ChunkIndex();
    const words = hashWords(randomHashes(500, 3));
    const random = new SplitMix64(4);
    const model = new Map<number, number[]>();
    for (let entry = 0; entry < 3000; entry++) {
      const chunk = random.below(500);
      expect(index.append(words, 8 * chunk, entry)).toBe(entry);
      const places = model.get(chunk) ?? [];
      if (places.length < 8) places.push(entry);
      model.set(chunk, places);
    }
    const found: number[] = [];
    for (let chunk = 0; chunk < 500; chunk++) {
      index.find(words, 8 * chunk, found);
      expect(new Set(found)).toEqual(new Set(model.get(chunk) ?? []));
    }
  });

  it('gives back runs of hashes across its segments', () => {
    const index = new ChunkIndex();
    const hashes = randomHashes(9000, 5);
    const words = hashWords(hashes);
    for (let i = 0; i < 9000; i++) index.append(words, 8 * i, 0);
    for (const [start, end] of [
      [0, 0],
      [4090, 4100],
      [0, 9000],
      [4096, 8192],
    ] as const) {
      const run = hashes.subarray(32 * start, 32 * end);
      expect(bytesEqual(index.hashes(start, end), run)).toBe(true);
    }
  });

  it('takes at most 48 bytes a chunk from 100,000 chunks on, and no doubling jump', () => {
    const index = new ChunkIndex();
    const words = hashWords(randomHashes(1000, 6));
    let last = 0;
    for (let i = 0; i < 200_000; i++) {
      const at = 8 * (i % 1000);
      words[at] = i; // another hash each time
      index.append(words, at, 0);
      if (i > 50_000 && i % 1000 === 0) {
        expect(index.memoryBytes - last).toBeLessThan(index.memoryBytes / 8);
        if (i > 100_000) expect(index.memoryBytes / i).toBeLessThan(48);
      }
      last = index.memoryBytes;
    }
  });

  it('does bounded work on hashes that were chosen to collide', () => {
    // Equal hashes are the plainest collision: 20,000 of them would take 200 million comparisons.
    const index = new ChunkIndex({ maxProbes: 16 });
    const words = hashWords(randomHashes(1, 7));
    for (let i = 0; i < 20_000; i++) index.append(words, 0, i);
    const places: number[] = [];
    expect(index.find(words, 0, places)).toBe(8);
    expect(index.matches(19_999, words, 0)).toBe(true);
  });

  it('refuses hashes of odd length', () => {
    expect(() => hashWords(new Uint8Array(33))).toThrow(RangeError);
  });
});
