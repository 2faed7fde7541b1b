import { describe, expect, it } from 'vitest';
import { createDedupSession, QUERY_SPACING_CHUNKS } from '../../src/dedup/index.js';
import { randomHashes } from '../shard/samples.js';
import { chunksOf, hasher, NOW, outsideXorb, range, shardBytes } from './model.js';

/** `count` chunks of which those at `eligible` may be asked for (their last u64 % 1024 is 0). */
function batchOf(count: number, eligible: readonly number[], seed = 1) {
  const hashes = randomHashes(count, seed);
  for (let i = 0; i < count; i++) hashes[32 * i + 24] = eligible.includes(i) ? 0 : 1;
  for (const i of eligible) hashes[32 * i + 25] = 4;
  return { hashes, lengths: new Uint32Array(count).fill(65536) };
}

describe('what is asked globally', () => {
  it('is the first chunk of each file', () => {
    const session = createDedupSession({ hasher });
    for (let seed = 1; seed < 4; seed++) {
      const { hashes, lengths } = batchOf(10, [], seed);
      const file = session.openFile();
      expect(session.queriesFor(file, hashes, lengths)).toEqual([0]);
      session.place(file, hashes, lengths);
      const next = batchOf(10, [], seed + 10);
      expect(session.queriesFor(file, next.hashes, next.lengths)).toEqual([]);
    }
  });

  it('keeps 256 chunks between questions behind the first chunk, across batches', () => {
    const session = createDedupSession({ hasher });
    const file = session.openFile();
    const asked: number[] = [];
    for (let base = 0; base < 1000; base += 100) {
      const { hashes, lengths } = batchOf(100, [5, 50], base + 1);
      asked.push(...session.queriesFor(file, hashes, lengths).map((i) => base + i));
      session.place(file, hashes, lengths);
    }
    expect(asked).toEqual([0, 5, 305, 605, 905]);
    for (const [i, chunk] of asked.slice(2).entries()) {
      expect(chunk - (asked[i + 1] as number)).toBeGreaterThanOrEqual(QUERY_SPACING_CHUNKS);
    }
  });

  it('is nothing that an index knows: session, local or answer', () => {
    const { hashes, lengths } = chunksOf(range(0, 10));
    const session = createDedupSession({ hasher });
    const first = session.openFile();
    expect(session.queriesFor(first, hashes, lengths)).toEqual([0]);
    session.place(first, hashes, lengths);
    expect(session.queriesFor(session.openFile(), hashes, lengths)).toEqual([]);
    for (const key of [null, 5]) {
      const other = createDedupSession({ hasher });
      other.addShard(shardBytes([outsideXorb(range(0, 10))], key), 'global', NOW);
      expect(other.queriesFor(other.openFile(), hashes, lengths)).toEqual([]);
    }
  });

  it('is not moved by chunks that are known, only by questions', () => {
    const session = createDedupSession({ hasher });
    const known = batchOf(1, [0], 77);
    const before = session.openFile();
    session.place(before, known.hashes, known.lengths);
    const file = session.openFile();
    session.place(file, known.hashes, known.lengths); // chunk 0 is known: no question
    const { hashes, lengths } = batchOf(20, [3], 5);
    expect(session.queriesFor(file, hashes, lengths)).toEqual([3]);
    expect(session.queriesFor(file, hashes, lengths)).toEqual([]);
  });

  it('may run batches ahead of placing', () => {
    const ahead = createDedupSession({ hasher });
    const inTurn = createDedupSession({ hasher });
    const a = ahead.openFile();
    const b = inTurn.openFile();
    const batches = Array.from({ length: 10 }, (_, i) => batchOf(100, [5, 50], i + 1));
    const asked = batches.map(({ hashes, lengths }) => ahead.queriesFor(a, hashes, lengths));
    for (const [i, { hashes, lengths }] of batches.entries()) {
      expect(inTurn.queriesFor(b, hashes, lengths)).toEqual(asked[i]);
      inTurn.place(b, hashes, lengths);
      ahead.place(a, hashes, lengths);
    }
    expect(ahead.finishFile(a).fileHash.toString()).toBe(inTurn.finishFile(b).fileHash.toString());
  });

  it('is nothing for an empty batch', () => {
    const session = createDedupSession({ hasher });
    const file = session.openFile();
    expect(session.queriesFor(file, new Uint8Array(), new Uint32Array())).toEqual([]);
  });
});
