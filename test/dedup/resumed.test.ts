import { describe, expect, it } from 'vitest';
import { decodeShard } from '../../src/shard/index.js';
import { bytesOf, CheckedSession, outsideXorb, shardBytes } from './model.js';

const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

/** A session that knows these xorbs from an interrupted run. */
function resuming(...xorbs: readonly (readonly number[])[]): CheckedSession {
  const checked = new CheckedSession();
  for (const chunks of xorbs) {
    checked.session.resumeXorbs(shardBytes([outsideXorb(chunks)], null));
  }
  return checked;
}

describe('xorbs of an interrupted run', () => {
  it('are stored: nothing of them is placed again, whatever a reader pays for it', () => {
    // Crumbs that the priced policy would refuse if others had stored them.
    const xorbs = range(0, 200).map((i) => [2 * i, 5000 + i]);
    const checked = new CheckedSession();
    for (const xorb of xorbs) checked.addOutside([outsideXorb(xorb)], null, 'local');
    const crumbs = range(0, 200).map((i) => 2 * i);
    const added = checked.add(crumbs);
    expect(added.newBytes).toBeGreaterThan(0);
    const resumed = resuming(...xorbs);
    const { session } = resumed;
    expect(resumed.add(crumbs)).toMatchObject({
      newBytes: 0,
      localBytes: bytesOf(crumbs),
      dedupedBytes: bytesOf(crumbs),
    });
    expect(session.stats().indexBytes).toBeGreaterThan(400 * 36);
    expect(session.stats().outsideBytes).toBe(0);
  });

  it('are listed beside the files that use them, as they were, and the others are not', () => {
    const checked = resuming(range(0, 50), range(50, 80), range(900, 950));
    checked.add([...range(0, 80), ...range(200, 220)]);
    checked.closeXorb();
    const shards = checked.session.shards().map((bytes) => decodeShard(bytes));
    const listed = shards.flatMap(({ xorbs }) => xorbs);
    const texts = listed.map(({ hash }) => hash.toString());
    const [first, second, unused] = [range(0, 50), range(50, 80), range(900, 950)].map(outsideXorb);
    expect(listed).toHaveLength(3);
    expect(texts).toContain(second?.hash.toString());
    expect(texts).not.toContain(unused?.hash.toString());
    const found = listed.find(({ hash }) => first?.hash.equals(hash));
    expect(found?.chunkHashes).toEqual(first?.chunkHashes);
    expect(found?.chunkLengths).toEqual(first?.chunkLengths);
    expect(found?.chunkStarts).toEqual(first?.chunkStarts);
    expect(found?.serializedBytes).toBe(first?.serializedBytes);
  });

  it('fill shards of their own when they are many', () => {
    const xorbs = range(0, 40).map((i) => range(100 * i, 100 * i + 100));
    const checked = resuming(...xorbs);
    checked.add(range(0, 4000));
    const shards = checked.session.shards(40_000).map((bytes) => decodeShard(bytes));
    expect(shards.length).toBeGreaterThan(4);
    expect(shards.flatMap((shard) => shard.xorbs)).toHaveLength(40);
  });

  it('that nobody vouches for are forgotten in a second round', () => {
    const checked = resuming(range(0, 50), range(50, 80));
    const kept = outsideXorb(range(50, 80)).hash;
    checked.add(range(0, 80));
    checked.closeXorb();
    checked.session.startOver(
      () => true,
      (xorb) => xorb.equals(kept),
    );
    const summary = checked.add(range(0, 80));
    expect(summary).toMatchObject({
      newBytes: bytesOf(range(0, 50)),
      localBytes: bytesOf(range(50, 80)),
    });
  });

  it('are refused when the shard that tells of them is damaged', () => {
    const bytes = shardBytes([outsideXorb(range(0, 5))], null);
    const checked = new CheckedSession();
    expect(() => checked.session.resumeXorbs(bytes.subarray(0, bytes.length - 1))).toThrow(
      expect.objectContaining({ name: 'OrbweaverError' }),
    );
    expect(checked.add(range(0, 5)).newBytes).toBe(bytesOf(range(0, 5)));
  });
});
