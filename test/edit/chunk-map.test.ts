import { describe, expect, it } from 'vitest';
import { ChunkMap } from '../../src/edit/index.js';
import { buildSubtree, createReadableBlake3, MerkleHash } from '../../src/hash/index.js';
import type { FileChunkHashes } from '../../src/plan/index.js';
import { SplitMix64 } from '../support/generators.js';
import { dirtyWindows } from '../support/windows.js';

const hasher = createReadableBlake3();

interface Chunk {
  readonly start: number;
  readonly sizeBytes: number;
  readonly hash: MerkleHash;
}

/** Chunks of lengths as random data has them, or all of the longest. */
function chunksOf(seed: number, count: number, isConstant = false): Chunk[] {
  const random = new SplitMix64(seed);
  let start = 0;
  return Array.from({ length: count }, () => {
    const bytes = new Uint8Array(32);
    for (let i = 0; i < 32; i++) bytes[i] = random.below(256);
    const drawn = 8192 + Math.floor(-57_344 * Math.log(1 - random.below(1_000_000) / 1_000_000));
    const sizeBytes = isConstant ? 131_072 : Math.min(131_072, drawn);
    const chunk = { start, sizeBytes, hash: MerkleHash.from(bytes) };
    start += sizeBytes;
    return chunk;
  });
}

/** What a store says to a question. */
function respond(
  chunks: readonly Chunk[],
  dirty: readonly { readonly start: number; readonly end: number }[],
): FileChunkHashes {
  const sizes = chunks.map(({ sizeBytes }) => sizeBytes);
  const fileSizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  const windows = dirtyWindows(sizes, dirty);
  const gaps = Array.from({ length: windows.length + 1 }, (_, i) => {
    const start = windows[i - 1]?.end ?? 0;
    const end = windows[i]?.start ?? fileSizeBytes;
    const inside = chunks.filter((chunk) => chunk.start >= start && chunk.start < end);
    if (inside.length === 0) return null;
    const hashes = new Uint8Array(32 * inside.length);
    for (const [k, { hash }] of inside.entries()) hashes.set(hash.bytes, 32 * k);
    const ends = { atStart: start === 0, atEnd: end === fileSizeBytes };
    return buildSubtree(
      hasher,
      hashes,
      inside.map(({ sizeBytes }) => sizeBytes),
      ends,
    );
  });
  return { fileSizeBytes, chunkCount: chunks.length, windows, gaps, gapVerification: [] };
}

describe('the chunks of a stretch of a file', () => {
  it('are learnt in some rounds, all of them or nearly all', () => {
    let missingBytes = 0;
    let allBytes = 0;
    for (let seed = 0; seed < 12; seed++) {
      const chunks = chunksOf(seed, 300 + 200 * (seed % 4));
      const fileSizeBytes = chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const span = {
        start: chunks[(seed * 7) % 40]?.start as number,
        end: seed % 3 === 0 ? fileSizeBytes : (chunks[250]?.start as number),
      };
      const map = new ChunkMap();
      for (let round = 0; round < 8; round++) {
        const dirty = map.questions(span, { fileSizeBytes, limit: 200, round });
        if (dirty.length === 0) break;
        expect(dirty.length).toBeLessThanOrEqual(200);
        map.learn(respond(chunks, dirty));
      }
      const missing = map.missing(span.start, span.end);
      missingBytes += missing.reduce((sum, { start, end }) => sum + end - start, 0);
      allBytes += span.end - span.start;
      // What is read then lies between two chunks.
      for (const { start, end } of missing) {
        const read = chunks.filter((chunk) => chunk.start >= start && chunk.start < end);
        expect(read[0]?.start).toBe(start);
        for (const chunk of read) map.add(chunk.start, chunk.sizeBytes, chunk.hash);
      }
      const expected = chunks.filter(({ start }) => start >= span.start && start < span.end);
      expect(map.list(span.start, span.end)).toEqual(expected);
    }
    expect(missingBytes / allBytes).toBeLessThan(0.01);
  });

  it('of constant data are told at the ends only, and the rest is named', () => {
    const chunks = chunksOf(1, 100, true);
    const fileSizeBytes = 100 * 131_072;
    const map = new ChunkMap();
    const span = { start: 131_072 * 20, end: 131_072 * 80 };
    for (let round = 0; round < 8; round++) {
      map.learn(respond(chunks, map.questions(span, { fileSizeBytes, limit: 200, round })));
    }
    expect(map.list(span.start, span.end)).toBeNull();
    expect(map.missing(span.start, span.end).length).toBeGreaterThan(0);
  });

  it('that no chunk can have are left out', () => {
    const map = new ChunkMap();
    map.add(0, 0, MerkleHash.ZERO);
    map.add(0, 131_073, MerkleHash.ZERO);
    expect(map.missing(0, 10)).toEqual([{ start: 0, end: 10 }]);
  });
});
