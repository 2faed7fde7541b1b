import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createDedupSession,
  createPricedPlacement,
  createReferencePlacement,
  createStoreLeastPlacement,
} from '../../src/dedup/index.js';
import { decodeShard } from '../../src/shard/index.js';
import {
  bytesOf,
  CheckedSession,
  chunksOf,
  hasher,
  lengthOf,
  NOW,
  outsideXorb,
  range,
  shardBytes,
} from './model.js';

const MIN_XORB_BYTES = 131080;

describe('a session against its model', () => {
  /** Chunk lists with repeats, runs and leaps. */
  const chunkList = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 150 }), fc.integer({ min: 1, max: 30 }), fc.nat(3)), {
      maxLength: 8,
    })
    .map((parts) =>
      parts.flatMap(([start, length, kind]) =>
        kind === 0 ? Array.from({ length }, () => start) : range(start, start + length),
      ),
    );
  const arbitrary = fc.record({
    policy: fc.constantFrom(
      createStoreLeastPlacement,
      createReferencePlacement,
      createPricedPlacement,
      () => createPricedPlacement({ creditBytes: 0, creditPerByte: 0 }),
    ),
    maxChunks: fc.constantFrom(1, 7, 40, 8192),
    maxBytes: fc.constantFrom(MIN_XORB_BYTES, 1_000_000, 64 * 1024 * 1024),
    outside: fc.array(fc.tuple(chunkList, fc.constantFrom(null, 1, 2, 3)), { maxLength: 3 }),
    files: fc.array(chunkList, { minLength: 1, maxLength: 4 }),
    steps: fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 0, max: 25 }), fc.nat(20)), {
      minLength: 1,
      maxLength: 30,
    }),
  });

  it('rebuilds every file, whatever the policy, the limits, the batches and the order', () => {
    void fc.assert(
      fc.property(arbitrary, (input) => {
        const placement = input.policy();
        const checked = new CheckedSession({
          placement,
          xorbMaxChunks: input.maxChunks,
          xorbMaxBytes: input.maxBytes,
        });
        const known = new Set<number>();
        for (const [chunks, key] of input.outside) {
          if (chunks.length === 0) continue;
          checked.addOutside([outsideXorb(chunks)], key);
          for (const chunk of chunks) known.add(chunk);
        }
        const open = input.files.map((chunks) => ({ file: checked.open(), left: chunks }));
        for (const [which, count, close] of input.steps) {
          const next = open[which % open.length];
          if (next === undefined) continue;
          checked.place(next.file, next.left.slice(0, count));
          next.left = next.left.slice(count);
          if (close === 0) checked.closeXorb();
        }
        for (const { file, left } of open) {
          checked.place(file, left);
          checked.finish(file);
        }
        checked.end(input.maxChunks === 1 ? 5000 : undefined);
        const unique = new Set(input.files.flat());
        for (const chunk of known) unique.delete(chunk);
        const stored = checked.storedBytes();
        const summed = checked.summaries.reduce((sum, { summary }) => sum + summary.newBytes, 0);
        expect(summed).toBe(stored);
        if (placement.mayRefuse === 'outside') expect(checked.storedTwice()).toBe(0);
        if (placement.name === 'store-least') expect(stored).toBe(bytesOf(unique));
      }),
      { numRuns: 80, seed: 3 },
    );
  }, 120_000);
});

describe('one index for the session', () => {
  it('stores two identical files once, also when both are open at once', () => {
    const checked = new CheckedSession();
    const [a, b] = [checked.open(), checked.open()];
    for (let at = 0; at < 500; at += 50) {
      checked.place(a, range(at, at + 50));
      checked.place(b, range(at, at + 50));
    }
    const [first, second] = [checked.finish(a), checked.finish(b)];
    expect(first.newBytes).toBe(bytesOf(range(0, 500)));
    expect(second).toMatchObject({ newBytes: 0, newChunks: 0, termCount: 1 });
    expect(second.sessionBytes).toBe(second.sizeBytes);
    const [shard] = checked.end();
    expect(shard?.files).toHaveLength(1);
    expect(checked.storedTwice()).toBe(0);
  });

  it('sees chunks of the open xorb, and repeats within one batch', () => {
    const checked = new CheckedSession();
    const summary = checked.add([...range(0, 10), ...range(0, 10), 5, 5, 5], 23);
    expect(summary.newBytes).toBe(bytesOf(range(0, 10)));
    expect(summary.termCount).toBe(1 + 1 + 3);
    checked.end();
  });

  it('makes one term of runs that go on in the next batch', () => {
    const checked = new CheckedSession();
    checked.addOutside([outsideXorb(range(0, 1000))], 7);
    for (const batch of [1, 3, 64, 1000]) {
      const summary = checked.add(range(100, 900), batch);
      expect(summary).toMatchObject({ newBytes: 0, termCount: 1 });
      expect(summary.globalBytes).toBe(bytesOf(range(100, 900)));
    }
    checked.end();
  });

  it('prefers the place that continues the last term', () => {
    const checked = new CheckedSession();
    // Chunk 50 lies in three places; only in the second it follows 49.
    checked.addOutside([outsideXorb([50, 51, 52, 53, 54, 55])], null);
    checked.addOutside([outsideXorb([...range(40, 51), 99])], null);
    checked.addOutside([outsideXorb([50, 51, 52])], 5);
    const summary = checked.add([...range(40, 51), 99], 11);
    expect(summary.termCount).toBe(1);
    checked.end();
  });

  it('counts a file without chunks as one with the zero hash and no terms', () => {
    const checked = new CheckedSession();
    const summary = checked.add([]);
    expect(summary.fileHash.isZero()).toBe(true);
    expect(summary).toMatchObject({ sizeBytes: 0, chunkCount: 0, termCount: 0 });
    const [shard] = checked.end();
    expect(shard?.files[0]?.verification).toEqual([]);
    expect(shard?.xorbs).toEqual([]);
  });

  it('forgets a dropped file, but keeps its chunks for others', () => {
    const checked = new CheckedSession();
    const dropped = checked.open();
    checked.place(dropped, range(0, 20));
    checked.session.dropFile(dropped.handle);
    const summary = checked.add(range(5, 25));
    expect(summary.newBytes).toBe(bytesOf(range(20, 25)));
    const [shard] = checked.end();
    expect(shard?.files).toHaveLength(1);
    expect(shard?.xorbs[0]?.chunkLengths).toHaveLength(25);
    expect(() => checked.place(dropped, [1])).toThrow(TypeError);
  });

  it('writes the SHA-256 where one is given', () => {
    const session = createDedupSession({ hasher });
    const sha256 = Uint8Array.from({ length: 32 }, (_, i) => i);
    const { hashes, lengths } = chunksOf([1, 2]);
    const file = session.openFile();
    session.place(file, hashes, lengths);
    session.finishFile(file, sha256);
    session.closeOpenXorb();
    const [bytes] = session.shards();
    expect(decodeShard(bytes ?? new Uint8Array()).files[0]?.sha256).toEqual(sha256);
  });

  it('cuts a xorb before a chunk would break a limit, counting 8 bytes a chunk', () => {
    const chunks = range(0, 30);
    const exact = bytesOf(chunks.slice(0, 10)) + 8 * 10;
    for (const [maxBytes, first] of [
      [exact, 10],
      [exact - 1, 9],
    ] as const) {
      const checked = new CheckedSession({ xorbMaxBytes: maxBytes });
      checked.add(chunks);
      checked.end();
      expect(checked.slots[0]?.lengths.length).toBe(first);
    }
  });

  it('splits its shards and keeps each xorb in one of them', () => {
    const checked = new CheckedSession({ xorbMaxChunks: 20 });
    for (let i = 0; i < 30; i++) checked.add(range(40 * i, 40 * i + 50));
    const shards = checked.end(8000);
    expect(shards.length).toBeGreaterThan(5);
    const names = shards.flatMap((shard) => shard.xorbs.map((xorb) => xorb.hash.toString()));
    expect(new Set(names).size).toBe(names.length);
  });

  it('tells its size', () => {
    const checked = new CheckedSession({ xorbMaxChunks: 100 });
    checked.addOutside([outsideXorb(range(1000, 1010))], 1);
    checked.addOutside([outsideXorb(range(2000, 2010))], null, 'local');
    checked.add(range(0, 150));
    expect(checked.session.stats()).toMatchObject({
      chunks: 150,
      xorbs: 2,
      rawBytes: bytesOf(range(0, 150)),
      knownChunks: 20,
      keys: 1,
      openXorbBytes: bytesOf(range(100, 150)),
    });
    expect(checked.session.stats().indexBytes).toBeGreaterThan(0);
  });
});

describe('shards from outside', () => {
  it('count by where they came from', () => {
    const checked = new CheckedSession();
    checked.addOutside([outsideXorb(range(0, 50))], null, 'local');
    checked.addOutside([outsideXorb(range(50, 90))], 3, 'global');
    const summary = checked.add(range(0, 100));
    expect(summary.localBytes).toBe(bytesOf(range(0, 50)));
    expect(summary.globalBytes).toBe(bytesOf(range(50, 90)));
    expect(summary.newBytes).toBe(bytesOf(range(90, 100)));
    checked.end();
  });

  it('list only xorbs of the session in the session’s shards', () => {
    const checked = new CheckedSession();
    checked.addOutside([outsideXorb(range(0, 50))], 3);
    checked.add(range(0, 60));
    const [shard] = checked.end();
    expect(shard?.xorbs.map((xorb) => xorb.chunkLengths.length)).toEqual([10]);
    expect(shard?.files[0]?.terms).toHaveLength(2);
  });

  it('are not used after their expiry', () => {
    const session = createDedupSession({ hasher });
    const bytes = shardBytes([outsideXorb(range(0, 10))], 4, NOW + 10);
    expect(session.addShard(bytes, 'global', NOW + 11)).toEqual({ xorbs: 0, chunks: 0 });
    expect(session.stats().knownChunks).toBe(0);
    expect(session.addShard(bytes, 'global', NOW + 10)).toEqual({ xorbs: 1, chunks: 10 });
  });

  it('add a xorb once, also under another key or when the session made it', () => {
    const checked = new CheckedSession();
    const xorb = outsideXorb(range(0, 10));
    expect(checked.addOutside([xorb], 1)).toEqual({ xorbs: 1, chunks: 10 });
    expect(checked.addOutside([xorb], 1)).toEqual({ xorbs: 0, chunks: 0 });
    expect(checked.addOutside([xorb], null)).toEqual({ xorbs: 1, chunks: 10 });
    expect(checked.addOutside([xorb], 2)).toEqual({ xorbs: 0, chunks: 0 });
    checked.add(range(20, 30));
    checked.closeXorb();
    expect(checked.addOutside([outsideXorb(range(20, 30))], 2)).toEqual({ xorbs: 0, chunks: 0 });
    checked.end();
  });

  it('are refused whole when any of them is unreadable or breaks a limit', () => {
    const good = shardBytes([outsideXorb(range(0, 10)), outsideXorb(range(10, 20))], 1);
    const session = createDedupSession({ hasher });
    const xorbAt = 96;
    const cases: [string, (bytes: Uint8Array, view: DataView) => void][] = [
      ['FORMAT_INVALID', (bytes) => bytes.fill(0, 0, 10)],
      ['UNSUPPORTED', (bytes) => bytes.fill(9, bytes.length - 200, bytes.length - 192)],
      ['LIMIT_EXCEEDED', (_, view) => view.setUint32(xorbAt + 48 + 36, 131073, true)],
      ['LIMIT_EXCEEDED', (_, view) => view.setUint32(xorbAt + 48 + 36, 0, true)],
      ['LIMIT_EXCEEDED', (_, view) => view.setUint32(xorbAt + 36, 70_000, true)],
      ['FORMAT_INVALID', (_, view) => view.setUint32(xorbAt + 96 + 32, 5, true)],
      ['FORMAT_INVALID', (_, view) => view.setUint32(xorbAt + 40, 5, true)],
    ];
    for (const [code, spoil] of cases) {
      const bytes = good.slice();
      spoil(bytes, new DataView(bytes.buffer));
      expect(() => session.addShard(bytes, 'global', NOW)).toThrow(
        expect.objectContaining({ code }),
      );
    }
    for (const end of [0, 1, 47, 48, 96, 200, good.length - 1]) {
      expect(() => session.addShard(good.subarray(0, end), 'global', NOW)).toThrow(
        expect.objectContaining({ name: 'OrbweaverError' }),
      );
    }
    expect(session.stats()).toMatchObject({ knownChunks: 0, keys: 0 });
    expect(session.addShard(good, 'global', NOW).xorbs).toBe(2);
  });

  it('that lie about a length are no match for the chunk', () => {
    const honest = outsideXorb(range(0, 10));
    const chunkLengths = honest.chunkLengths.map((length, i) => (i === 4 ? length - 1 : length));
    const session = createDedupSession({ hasher });
    session.addShard(shardBytes([{ ...honest, chunkLengths }], 1), 'global', NOW);
    const { hashes, lengths } = chunksOf(range(0, 10));
    const { newRuns } = session.place(session.openFile(), hashes, lengths);
    expect(newRuns).toEqual([{ slot: 0, start: 4, end: 5 }]);
  });

  it('never take more memory than allowed: the key that served longest ago goes', () => {
    const checked = new CheckedSession({ maxKnownChunks: 1000 });
    checked.addOutside([outsideXorb(range(0, 400))], 1);
    checked.addOutside([outsideXorb(range(400, 800))], 2);
    expect(checked.add(range(0, 10)).newBytes).toBe(0); // key 1 was useful
    checked.addOutside([outsideXorb(range(800, 1200))], 3);
    expect(checked.session.stats()).toMatchObject({ knownChunks: 800, keys: 2 });
    expect(checked.add(range(0, 400)).newBytes).toBe(0);
    expect(checked.add(range(400, 410)).newBytes).toBe(bytesOf(range(400, 410)));
    expect(checked.addOutside([outsideXorb(range(2000, 3001))], 4)).toEqual({
      xorbs: 0,
      chunks: 0,
    });
    checked.end();
  });

  it('with ever new keys use a bounded number of them', () => {
    const session = createDedupSession({ hasher });
    for (let i = 0; i < 100; i++) {
      session.addShard(shardBytes([outsideXorb([i])], 100 + i), 'global', NOW);
    }
    expect(session.stats().keys).toBe(64);
  });

  it('with nothing but tiny xorbs are not taken in for ever', () => {
    const session = createDedupSession({ hasher, maxKnownChunks: 160 });
    const taken = range(0, 20).map(
      (i) => session.addShard(shardBytes([outsideXorb([i])], 1), 'global', NOW).xorbs,
    );
    expect(taken.filter((xorbs) => xorbs === 1)).toHaveLength(10);
  });
});

describe('wrong use', () => {
  it('is refused at once', () => {
    const session = createDedupSession({ hasher });
    const file = session.openFile();
    const { hashes, lengths } = chunksOf([1, 2, 3]);
    expect(() => session.place(file + 1, hashes, lengths)).toThrow(TypeError);
    expect(() => session.place(file, hashes.subarray(1), lengths)).toThrow(RangeError);
    for (const bad of [0, 131073]) {
      expect(() => session.place(file, hashes, lengths.with(1, bad))).toThrow(RangeError);
    }
    expect(session.stats().chunks).toBe(0);
    session.place(file, hashes, lengths);
    expect(() => session.finishFile(file, new Uint8Array(31))).toThrow(RangeError);
    session.finishFile(file);
    expect(() => session.finishFile(file)).toThrow(TypeError);
    expect(() => session.shards()).toThrow(TypeError);
    expect(() => session.setSerializedBytes(0, 1)).toThrow(TypeError);
    session.closeOpenXorb();
    expect(session.closeOpenXorb()).toBeNull();
    expect(() => session.setSerializedBytes(1, 1)).toThrow(RangeError);
    expect(() => session.setSerializedBytes(0, -1)).toThrow(RangeError);
    for (const options of [
      { xorbMaxBytes: MIN_XORB_BYTES - 1 },
      { xorbMaxBytes: 64 * 1024 * 1024 + 1 },
      { xorbMaxChunks: 0 },
      { xorbMaxChunks: 8193 },
      { maxKnownChunks: -1 },
    ]) {
      expect(() => createDedupSession({ hasher, ...options })).toThrow(RangeError);
    }
  });

  it('does not matter where the hashes lie in memory', () => {
    const { hashes, lengths } = chunksOf(range(0, 10));
    const shifted = new Uint8Array(hashes.length + 3).subarray(3);
    shifted.set(hashes);
    const session = createDedupSession({ hasher });
    const file = session.openFile();
    session.place(file, hashes, lengths);
    expect(session.place(file, shifted, lengths).newRuns).toEqual([]);
    expect(lengthOf(0)).toBe(lengths[0]);
  });
});
