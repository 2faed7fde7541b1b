import { describe, expect, it } from 'vitest';
import {
  createPricedPlacement,
  createReadFastPlacement,
  createReferencePlacement,
  createStoreLeastPlacement,
  DEFAULT_PLACEMENT_PRICES,
  type KnownRun,
  READ_FAST_PRICES,
} from '../../src/dedup/index.js';
import { SplitMix64 } from '../support/generators.js';
import { bytesOf, CheckedSession, outsideXorb, range, readCost } from './model.js';

/** 3167 chunks in four xorbs, as a checkpoint of 205 MB is stored. */
const stored = [0, 800, 1600, 2400].map((start) =>
  outsideXorb(range(start, Math.min(start + 800, 3167))),
);

/** The checkpoint with `count` chunks replaced at random places. */
function edited(count: number, seed: number): { chunks: number[]; fresh: number[] } {
  const chunks = range(0, 3167);
  const fresh: number[] = [];
  const random = new SplitMix64(seed);
  while (fresh.length < count) {
    const at = random.below(chunks.length);
    if ((chunks[at] as number) >= 5000) continue;
    chunks[at] = 5000 + fresh.length;
    fresh.push(chunks[at] as number);
  }
  return { chunks, fresh };
}

function upload(policy: ReturnType<typeof createPricedPlacement>, chunks: number[]) {
  const checked = new CheckedSession({ placement: policy });
  for (const [i, xorb] of stored.entries()) checked.addOutside([xorb], i % 2 === 0 ? 1 : null);
  const summary = checked.add(chunks, 128);
  const shards = checked.end();
  return { summary, cost: readCost(shards, stored, summary.fileHash) };
}

describe('edits spread over a big file', () => {
  const { chunks, fresh } = edited(503, 11);

  it('cost what is new and no more, and few requests, by default', () => {
    const { summary, cost } = upload(createPricedPlacement(), chunks);
    expect(summary.newBytes).toBe(bytesOf(fresh));
    expect(summary.refusedBytes).toBe(0);
    // Stored alone the file would be 4 requests; here it is a little more to read, not 786 terms.
    expect(summary.termCount).toBeGreaterThan(500);
    expect(cost.requests).toBeLessThan(40);
    expect(cost.bytes).toBeLessThan(1.25 * summary.sizeBytes);
  });

  it('cost half as much again under the rule of the reference client', () => {
    const { summary } = upload(createReferencePlacement(), chunks);
    expect(summary.newBytes).toBeGreaterThan(1.5 * bytesOf(fresh));
    expect(summary.refusedBytes).toBe(summary.newBytes - bytesOf(fresh));
  });
});

describe('edits spread over a big file whose readers come first', () => {
  const { chunks, fresh } = edited(503, 11);
  const fast = upload(createReadFastPlacement(), chunks);
  const least = upload(createStoreLeastPlacement(), chunks);
  const price = ({ requests, bytes }: { requests: number; bytes: number }) =>
    requests * DEFAULT_PLACEMENT_PRICES.requestBytes + bytes;

  it('are stored again where they lie so dense that reading over them would cost a twentieth', () => {
    const { summary, cost } = fast;
    expect(summary.newBytes).toBeGreaterThan(1.5 * bytesOf(fresh));
    // What readers pay beyond the file: a twentieth, the first credit, and a request for each of
    // the eight xorbs at hand.
    const { sizeBytes } = summary;
    const { creditPerByte, creditBytes, requestBytes } = READ_FAST_PRICES;
    const bound = sizeBytes * (1 + creditPerByte) + creditBytes + 8 * requestBytes;
    expect(price(cost)).toBeLessThan(bound);
    expect(price(cost)).toBeLessThan(price(least.cost));
  });

  it('are left where they are when they are few', () => {
    const few = edited(20, 12);
    const { summary } = upload(createReadFastPlacement(), few.chunks);
    expect(summary.newBytes).toBe(bytesOf(few.fresh));
  });
});

describe('a file of crumbs', () => {
  // Every second chunk is new, the others lie far from each other in what is known.
  const crumbs = range(0, 1500).map((i) => (i % 2 === 0 ? 6000 + i : (i * 977) % 3167));

  it('is stored again where reading it would cost more than storing', () => {
    const least = upload(createStoreLeastPlacement(), crumbs);
    const priced = upload(createPricedPlacement(), crumbs);
    expect(least.summary.newBytes).toBe(bytesOf(range(0, 750).map((i) => 6000 + 2 * i)));
    expect(priced.summary.newBytes).toBeGreaterThan(least.summary.newBytes);
    expect(priced.summary.refusedBytes).toBe(priced.summary.newBytes - least.summary.newBytes);
    const { requestBytes, creditBytes, creditPerByte } = DEFAULT_PLACEMENT_PRICES;
    const price = (cost: { requests: number; bytes: number }) =>
      cost.requests * requestBytes + cost.bytes;
    const { sizeBytes, globalBytes } = priced.summary;
    // What readers pay beyond the bytes: the worth of the runs, the credit, one request per xorb
    // and per batch that ended in the middle of something.
    const bound =
      sizeBytes + globalBytes + creditBytes + creditPerByte * sizeBytes + 20 * requestBytes;
    expect(price(priced.cost)).toBeLessThan(bound);
    expect(price(priced.cost)).toBeLessThanOrEqual(price(least.cost));
  });

  it('still deduplicates its first few crumbs', () => {
    const { summary } = upload(createPricedPlacement(), crumbs.slice(0, 20));
    expect(summary.refusedBytes).toBe(0);
  });
});

describe('the priced policy', () => {
  const run = (change: Partial<KnownRun>): KnownRun => ({
    xorb: 1,
    chunkStart: 0,
    chunkCount: 1,
    rawStart: 0,
    rawEnd: 65536,
    origin: 'global',
    open: false,
    openEnded: false,
    continues: false,
    ...change,
  });
  const used = (xorb: number, rawStart: number, rawEnd: number) =>
    ({ xorb, rawStart, rawEnd, chunkCount: 1, isNew: false, startsTerm: true }) as const;

  it('takes the place next to what the file reads anyway', () => {
    const file = createPricedPlacement().openFile();
    file.placed(used(1, 0, 1_000_000));
    const far = run({ xorb: 2 });
    const near = run({ rawStart: 1_100_000, rawEnd: 1_165_536 });
    expect(file.choose([far, near])).toBe(1);
    expect(file.choose([near, far])).toBe(0);
    const behind = run({ xorb: 2, rawEnd: 3_000_000, chunkCount: 50 });
    expect(file.choose([near, behind])).toBe(1); // but a long run is worth a request
  });

  it('refuses a lone short run without credit, takes a long one and one that may go on', () => {
    const file = createPricedPlacement({ creditBytes: 0 }).openFile();
    expect(file.accepts(run({}))).toBe(false);
    expect(file.accepts(run({ openEnded: true }))).toBe(true);
    expect(file.accepts(run({ rawEnd: 262144 }))).toBe(true);
    file.placed(used(1, 100_000, 400_000));
    expect(file.accepts(run({ rawEnd: 65536 }))).toBe(true); // gap of 34 kB
    expect(file.accepts(run({ rawStart: 500_000, rawEnd: 540_000 }))).toBe(false); // gap > size
    expect(file.accepts(run({ rawStart: 200_000, rawEnd: 201_000 }))).toBe(true); // read anyway
  });

  it('spends its credit on short runs and earns it again with the file', () => {
    const file = createPricedPlacement({ creditBytes: 262144 }).openFile();
    let accepted = 0;
    for (let i = 0; i < 100; i++) {
      const crumb = run({ xorb: 10 + i, rawEnd: 16384 });
      if (!file.accepts(crumb)) break;
      file.placed({ ...used(10 + i, 0, 16384) });
      accepted++;
    }
    expect(accepted).toBe(1);
    file.placed({ ...used(1, 0, 4_000_000), isNew: true });
    expect(file.accepts(run({ xorb: 5, rawEnd: 16384 }))).toBe(true);
  });
});

describe('after a refusal', () => {
  const run = (rawBytes: number, xorb: number, openEnded = false): KnownRun => ({
    xorb,
    chunkStart: 0,
    chunkCount: 1,
    rawStart: 0,
    rawEnd: rawBytes,
    origin: 'local',
    open: false,
    openEnded,
    continues: false,
  });
  const stored = (rawBytes: number) =>
    ({
      xorb: 1,
      rawStart: 0,
      rawEnd: rawBytes,
      chunkCount: 1,
      isNew: true,
      startsTerm: true,
    }) as const;

  it('readers-first placement stays with storing until half its credit is back', () => {
    const { requestBytes, creditPerByte, resumeCreditBytes } = READ_FAST_PRICES;
    const file = createReadFastPlacement().openFile();
    let xorb = 10;
    while (file.accepts(run(1000, xorb))) {
      file.placed({ ...stored(1000), xorb, isNew: false });
      xorb++;
    }
    expect(xorb).toBe(14); // four requests
    // One request is back: enough for a run, not for the way back.
    file.placed(stored(requestBytes / creditPerByte));
    expect(file.accepts(run(1000, xorb))).toBe(false);
    expect(file.accepts(run(1000, xorb, true))).toBe(false);
    file.placed(stored((resumeCreditBytes - requestBytes) / creditPerByte));
    expect(file.accepts(run(1000, xorb))).toBe(true);
  });

  it('a run that earns what it costs is referred to all the same', () => {
    const { requestBytes, creditPerByte } = READ_FAST_PRICES;
    const file = createReadFastPlacement().openFile();
    for (let xorb = 10; file.accepts(run(1000, xorb)); xorb++) {
      file.placed({ ...stored(1000), xorb, isNew: false });
    }
    expect(file.accepts(run(requestBytes / creditPerByte, 99))).toBe(true);
  });
});

describe('the rule of the reference client', () => {
  const term = (chunkCount: number) =>
    ({ xorb: 1, chunkCount, rawStart: 0, rawEnd: 1, isNew: true, startsTerm: true }) as const;
  const known = (chunkCount: number): KnownRun => ({
    xorb: 2,
    chunkStart: 0,
    chunkCount,
    rawStart: 0,
    rawEnd: 1,
    origin: 'global',
    open: false,
    openEnded: false,
    continues: false,
  });

  it('has no opinion before 128 terms', () => {
    const file = createReferencePlacement().openFile();
    for (let i = 0; i < 127; i++) file.placed(term(1));
    expect(file.accepts(known(1))).toBe(true);
  });

  it('refuses runs below the average while that is low, and wants 8 after a refusal', () => {
    const file = createReferencePlacement().openFile();
    for (let i = 0; i < 128; i++) file.placed(term(3));
    expect(file.accepts(known(3))).toBe(true); // average 3 < 4, but the run is not shorter
    expect(file.accepts(known(2))).toBe(false);
    for (let i = 0; i < 128; i++) file.placed(term(6));
    expect(file.accepts(known(5))).toBe(false); // target is 8 now, average 6
    for (let i = 0; i < 128; i++) file.placed(term(8));
    expect(file.accepts(known(1))).toBe(true); // average reaches the target: low again
    for (let i = 0; i < 128; i++) file.placed(term(5));
    expect(file.accepts(known(1))).toBe(true); // 5 >= 4
  });

  it('counts an extension to the last term', () => {
    const file = createReferencePlacement().openFile();
    for (let i = 0; i < 128; i++) file.placed(term(1));
    expect(file.accepts(known(0.5))).toBe(false);
    file.placed({ ...term(8 * 128), startsTerm: false });
    expect(file.accepts(known(1))).toBe(true);
    for (let i = 0; i < 128; i++) file.placed(term(1)); // the long one leaves the window
    expect(file.accepts(known(0.5))).toBe(false);
  });

  it('stores a refused stretch again but for chunks of the open xorb', () => {
    const checked = new CheckedSession({ placement: createReferencePlacement() });
    const old = outsideXorb(range(3000, 3100));
    checked.addOutside([old], 1);
    // 128 terms of one chunk: far apart and alternating with new ones.
    const crumbs = range(0, 64).flatMap((i) => [3000 + ((i * 37) % 100), 100 + i]);
    checked.add([...crumbs, ...crumbs.slice(0, 8), 3001, 100, 3050], 1000);
    checked.end();
    const { summary } = checked.summaries[0] ?? {};
    expect(summary?.refusedBytes).toBe(0);
    const many = range(0, 200).map((i) => 3000 + ((i * 37) % 100));
    const again = new CheckedSession({ placement: createReferencePlacement() });
    again.addOutside([old], 1);
    const result = again.add([...crumbs, 3001, 3001, 3003, ...many], 1000);
    again.end();
    expect(again.storedTwice()).toBe(0);
    expect(result.newBytes + result.dedupedBytes).toBe(result.sizeBytes);
  });
});
