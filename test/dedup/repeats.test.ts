import { beforeAll, describe, expect, it } from 'vitest';
import { createDedupSession, type DedupSession } from '../../src/dedup/index.js';
import { fileHash, type MerkleHash } from '../../src/hash/index.js';
import type { Hasher } from '../../src/hash/ports.js';
import { decodeShard } from '../../src/shard/index.js';
import { createThreadKernels } from '../../src/workers/index.js';
import { randomHashes } from '../shard/samples.js';
import { verifyFile } from '../support/verify-file.js';
import { bytesOf, CheckedSession, lengthOf, NOW, outsideXorb, range, shardBytes } from './model.js';

let hasher: Hasher;
beforeAll(async () => {
  hasher = (await createThreadKernels()).hasher;
});

const CHUNK = 131_072;
const [zeros] = [randomHashes(1, 0x20)];

/** Places `count` zero chunks in batches of `batch`; xorbs get the size that zeros compress to. */
function placeZeros(session: DedupSession, file: number, count: number, batch = 64): void {
  const hashes = new Uint8Array(32 * batch);
  for (let i = 0; i < batch; i++) hashes.set(zeros as Uint8Array, 32 * i);
  const lengths = new Uint32Array(batch).fill(CHUNK);
  for (let done = 0; done < count; done += batch) {
    const size = Math.min(batch, count - done);
    session.place(file, hashes.subarray(0, 32 * size), lengths.subarray(0, size));
  }
}

describe('a run of one chunk', () => {
  it('of 90 GiB fits into one shard with room to spare', () => {
    const session = createDedupSession({ hasher });
    const count = (90 * 1024 * 1024 * 1024) / CHUNK;
    const file = session.openFile();
    placeZeros(session, file, count, 1024);
    const summary = session.finishFile(file);
    session.closeOpenXorb();
    expect(summary.chunkCount).toBe(count);
    expect(summary.termCount).toBeLessThan(count / 64 + 1000);
    expect(session.stats().rawBytes).toBeLessThanOrEqual(64 * CHUNK);
    const shards = session.shards();
    expect(shards).toHaveLength(1);
    const [shard] = shards.map((bytes) => decodeShard(bytes));
    expect(shards[0]?.length).toBeLessThan(2 * 1024 * 1024);
    expect(shard?.files[0]?.terms).toHaveLength(summary.termCount);
  }, 60_000);

  it('has the file hash of the serial definition, and terms that prove it', () => {
    const session = createDedupSession({ hasher });
    const file = session.openFile();
    placeZeros(session, file, 3000, 7);
    const hashes = new Uint8Array(32 * 3000);
    for (let i = 0; i < 3000; i++) hashes.set(zeros as Uint8Array, 32 * i);
    const expected = fileHash(hasher, hashes, new Uint32Array(3000).fill(CHUNK));
    expect(session.finishFile(file).fileHash.toString()).toBe(expected.toString());
    session.closeOpenXorb();
    // Range hashes and file hash are proved against the copies in the xorb.
    const [shard] = session.shards().map((bytes) => decodeShard(bytes));
    const xorb = shard?.xorbs[0];
    const record = shard?.files[0];
    if (xorb === undefined || record === undefined) throw new Error('nothing in the shard');
    const proved = verifyFile(hasher, record, () => xorb);
    expect(proved).toEqual({ sizeBytes: 3000 * CHUNK, chunkCount: 3000 });
  });

  it('costs less than a hundredth of its bytes, however long, and nothing below 16 MiB', () => {
    for (const count of [2, 64, 128, 129, 200, 500, 5000, 50_000]) {
      const session = createDedupSession({ hasher });
      const file = session.openFile();
      placeZeros(session, file, count, 13);
      const { newChunks } = session.finishFile(file);
      expect(newChunks - 1).toBeLessThanOrEqual(Math.floor((count - 1) / 128));
    }
  });

  it('that comes in many short pieces finds the copies of the pieces before', () => {
    const session = createDedupSession({ hasher });
    const other = randomHashes(2000, 5);
    const file = session.openFile();
    for (let piece = 0; piece < 200; piece++) {
      session.place(file, other.subarray(32 * piece, 32 * piece + 32), Uint32Array.of(9000));
      placeZeros(session, file, 96, 32);
    }
    const summary = session.finishFile(file);
    // One term each would be 19,200.
    expect(summary.termCount).toBeLessThan(4000);
    expect(summary.newChunks).toBeLessThan(200 + 1 + (200 * 96) / 128);
  });

  it('is shared by files that are read at the same time, with other chunks in between', () => {
    const checked = new CheckedSession();
    const [a, b] = [checked.open(), checked.open()];
    for (let i = 0; i < 150; i++) {
      checked.place(
        a,
        Array.from({ length: 20 }, () => 7),
      );
      checked.place(b, [100 + i, ...Array.from({ length: 20 }, () => 7)]);
    }
    const [first, second] = [checked.finish(a), checked.finish(b)];
    expect(first.termCount).toBeLessThan(1200);
    expect(second.termCount).toBeLessThan(1500);
    checked.end();
    expect(checked.storedTwice()).toBeLessThan(6000 / 128);
  });

  it.each([null, 3])('is found outside, copies and single chunks (key %s)', (key) => {
    for (const copies of [1, 64]) {
      const checked = new CheckedSession();
      const known = outsideXorb([...range(0, 5), ...Array.from({ length: copies }, () => 9), 3]);
      checked.addOutside([known], key);
      const summary = checked.add(Array.from({ length: 6400 }, () => 9));
      expect(summary.termCount).toBeLessThan(copies === 64 ? 130 : 1100);
      expect(summary.newBytes).toBeLessThanOrEqual((lengthOf(9) * 6400) / 100);
      if (copies === 64) expect(summary.newBytes).toBe(0);
      checked.end();
    }
  });

  it('keeps to the limits of small xorbs', () => {
    const checked = new CheckedSession({ xorbMaxBytes: 1_000_000, xorbMaxChunks: 12 });
    const summary = checked.add(
      [...range(5, 20), ...Array.from({ length: 4000 }, () => 3), ...range(0, 20)],
      11,
    );
    expect(summary.termCount).toBeLessThan(2500);
    checked.end();
  });
});

describe('a file that no shard can hold', () => {
  it('fails alone, with what to do next; what it stored is still listed', () => {
    const session = createDedupSession({ hasher, maxFileTerms: 1000 });
    const good = session.openFile();
    const hashes = randomHashes(2, 1);
    session.place(good, hashes, Uint32Array.of(9000, 9000));
    const bad = session.openFile();
    // Two chunks in turns that were stored the other way round: each is a term of its own.
    const batch = 100;
    const turns = new Uint8Array(32 * batch);
    for (let i = 0; i < batch; i++) {
      turns.set(hashes.subarray(i % 2 === 0 ? 32 : 0, i % 2 === 0 ? 64 : 32), 32 * i);
    }
    const lengths = new Uint32Array(batch).fill(9000);
    let tooManyTerms = false;
    let placed = 0;
    // B A | B A | …: A B side by side in the xorb makes terms of two, but for the first and last.
    while (!tooManyTerms && placed < 10_000) {
      tooManyTerms = session.place(bad, turns, lengths).tooManyTerms;
      placed += batch;
    }
    expect(tooManyTerms).toBe(true);
    expect(() => session.finishFile(bad)).toThrow(
      expect.objectContaining({ code: 'TOO_MANY_TERMS', hint: expect.stringContaining('parts') }),
    );
    const { fileHash: hash } = session.finishFile(good);
    session.closeOpenXorb();
    const shards = session.shards().map((bytes) => decodeShard(bytes));
    expect(shards.flatMap(({ files }) => files.map((file) => file.hash.toString()))).toEqual([
      hash.toString(),
    ]);
    expect(shards.flatMap(({ xorbs }) => xorbs)).toHaveLength(1);
  });
});

describe('a second round', () => {
  it('lists what no shard has listed yet, and only that, and knows nothing from outside', () => {
    const checked = new CheckedSession();
    const { session } = checked;
    checked.addOutside([outsideXorb(range(500, 600))], 4);
    checked.add([...range(0, 10), ...range(500, 550)]);
    checked.closeXorb();
    const [first] = session.shards().map((bytes) => decodeShard(bytes));
    const own = first?.xorbs[0]?.hash as MerkleHash;
    for (const isListed of [true, false]) {
      session.startOver((hash) => isListed && hash.equals(own));
      const file = checked.open();
      checked.place(file, [...range(0, 10), ...range(500, 550)]);
      const summary = session.finishFile(file.handle);
      expect(summary.sessionBytes).toBe(isListed ? bytesOf(range(0, 10)) : summary.sizeBytes);
      expect(summary.globalBytes).toBe(0);
      checked.closeXorb();
      const [second] = session.shards().map((bytes) => decodeShard(bytes));
      // Once listed, always listed; the xorb of the first second round is not, yet.
      expect(second?.xorbs).toHaveLength(1);
      expect(second?.xorbs[0]?.hash.equals(own)).toBe(false);
      expect(second?.files).toHaveLength(1);
    }
  });
});

describe('memory of what is known from outside', () => {
  it('is bounded by bytes, and shrinks when told to', () => {
    const checked = new CheckedSession();
    const { session } = checked;
    const shards = [1, 2, 3].map((seed) => outsideXorb(range(seed * 1000, seed * 1000 + 1000)));
    checked.addOutside([shards[0] as (typeof shards)[number]], 1);
    const { outsideBytes } = session.stats();
    expect(outsideBytes).toBeGreaterThan(1000 * 36);
    // What does not fit is left out; an old key makes way for a new one.
    const bytes = [2, 3].map((key, i) =>
      shardBytes([shards[i + 1] as (typeof shards)[number]], key),
    );
    const none = { xorbs: 0, chunks: 0 };
    expect(session.addShard(bytes[0] as Uint8Array, 'global', NOW, 20_000)).toEqual(none);
    const all = { xorbs: 1, chunks: 1000 };
    expect(session.addShard(bytes[1] as Uint8Array, 'global', NOW, 60_000)).toEqual(all);
    expect(session.stats().keys).toBe(1);
    session.shrinkOutside(0);
    expect(session.stats()).toMatchObject({ outsideBytes: 0, keys: 0, knownChunks: 0 });
  });
});
