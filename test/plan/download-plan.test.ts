import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DownloadPlan,
  encodeReconstructionV1,
  encodeReconstructionV2,
  OrderedAssembler,
  parseReconstruction,
  planDownload,
  type Reconstruction,
} from '../../src/plan/index.js';
import { sliceTerms } from '../support/slice-terms.js';
import {
  sampleReconstruction,
  type ToyXorb,
  toyFile,
  toyRange,
  toyTerm,
  toyXorb,
} from './support.js';

/** Carries a plan out in memory: every use is cut out of the chunks of its range, then ordered. */
function execute(plan: DownloadPlan, xorbs: readonly ToyXorb[]): Uint8Array {
  const out: number[] = [];
  for (const window of plan.windows) {
    const assembler = new OrderedAssembler({ start: window.outputStart, end: window.outputEnd });
    // Backwards, so that the order of arrival is never the order of the output.
    for (const fetch of window.fetches.toReversed()) {
      const xorb = xorbs.find(({ hash }) => hash.equals(fetch.xorb)) as ToyXorb;
      for (const use of fetch.uses.toReversed()) {
        const range = fetch.ranges[use.rangeIndex];
        expect(range !== undefined && use.chunkStart >= range.chunkStart).toBe(true);
        expect(range !== undefined && use.chunkEnd <= range.chunkEnd).toBe(true);
        let at = use.outputOffset;
        for (const chunk of xorb.chunks.slice(use.chunkStart, use.chunkEnd)) {
          const from = Math.max(0, -at);
          const to = Math.min(chunk.length, use.outputEnd - at);
          if (to > from) {
            const bytes = chunk.subarray(from, to);
            for (const ready of assembler.push({ outputOffset: at + from, bytes })) {
              out.push(...ready.bytes);
            }
          }
          at += chunk.length;
        }
        expect(at - use.outputOffset).toBe(use.unpackedBytes);
      }
    }
    expect(assembler.nextOffset).toBe(out.length);
  }
  return Uint8Array.from(out);
}

/** A random file over random xorbs, with ranges that cover terms exactly, widely or together. */
const fileArbitrary = fc
  .array(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((lengths) => {
    const xorbs = lengths.map((list, seed) => toyXorb(seed, list));
    const run = fc.integer({ min: 0, max: xorbs.length - 1 }).chain((index) => {
      const count = (xorbs[index] as ToyXorb).chunks.length;
      return fc
        .tuple(fc.integer({ min: 0, max: count - 1 }), fc.integer({ min: 1, max: count }))
        .map(([start, length]) => ({ index, start, end: Math.min(count, start + length) }));
    });
    return fc.record({
      xorbs: fc.constant(xorbs),
      runs: fc.array(run, { minLength: 1, maxLength: 12 }),
      rangeStyle: fc.constantFrom('whole', 'exact', 'overlapping'),
    });
  });

function reconstructionOf(
  xorbs: readonly ToyXorb[],
  runs: readonly { index: number; start: number; end: number }[],
  rangeStyle: string,
): Reconstruction {
  return {
    offsetIntoFirstTerm: 0,
    terms: runs.map(({ index, start, end }) => toyTerm(xorbs[index] as ToyXorb, start, end)),
    fetches: xorbs.map((xorb, index) => {
      const used = runs.filter((run) => run.index === index);
      const exact = used.map(({ start, end }) => toyRange(xorb, start, end));
      const whole = toyRange(xorb, 0, xorb.chunks.length);
      const ranges =
        rangeStyle === 'whole' ? [whole] : rangeStyle === 'exact' ? exact : [...exact, whole];
      const half = Math.ceil(ranges.length / 2);
      return {
        xorb: xorb.hash,
        entries: [
          { url: `https://store/${index}/a`, ranges: ranges.slice(0, half) },
          { url: `https://store/${index}/b`, ranges: ranges.slice(half) },
        ],
      };
    }),
  };
}

describe('a download plan', () => {
  it('gives exactly the asked slice for any file, range, window and answer version', () => {
    fc.assert(
      fc.property(
        fileArbitrary,
        fc.nat(),
        fc.nat(),
        fc.constantFrom(1, 7, 64, 300, undefined),
        fc.boolean(),
        fc.boolean(),
        ({ xorbs, runs, rangeStyle }, a, b, windowBytes, multiRange, versionOne) => {
          const whole = reconstructionOf(xorbs, runs, rangeStyle);
          const file = toyFile(xorbs, whole.terms);
          const start = a % file.length;
          const end = start + 1 + (b % (file.length - start));
          const sliced = sliceTerms(whole.terms, start, end);
          const answer = { ...whole, ...sliced };
          const encode = versionOne ? encodeReconstructionV1 : encodeReconstructionV2;
          const parsed = parseReconstruction(JSON.parse(JSON.stringify(encode(answer))));
          const plan = planDownload(parsed, {
            outputBytes: end - start,
            multiRange,
            ...(windowBytes === undefined ? {} : { windowBytes }),
          });
          expect(plan.outputBytes).toBe(end - start);
          expect(execute(plan, xorbs)).toEqual(file.slice(start, end));
          checkShape(plan, windowBytes ?? Number.POSITIVE_INFINITY, multiRange);
        },
      ),
      { numRuns: 400, seed: 3 },
    );
  });

  function checkShape(plan: DownloadPlan, windowBytes: number, multiRange: boolean): void {
    let position = 0;
    const ordinals: number[] = [];
    for (const window of plan.windows) {
      expect(window.outputStart).toBe(position);
      position = window.outputEnd;
      const uses = window.fetches.flatMap((fetch) => fetch.uses);
      const sizeBytes = window.outputEnd - window.outputStart;
      expect(sizeBytes <= windowBytes || uses.length === 1).toBe(true);
      const seen = new Set<unknown>();
      for (const fetch of window.fetches) {
        if (!multiRange) expect(fetch.ranges).toHaveLength(1);
        for (const [index, range] of fetch.ranges.entries()) {
          expect(seen.has(range)).toBe(false);
          seen.add(range);
          const previous = fetch.ranges[index - 1];
          expect(previous === undefined || previous.byteEnd <= range.byteStart).toBe(true);
          expect(fetch.uses.some((use) => use.rangeIndex === index)).toBe(true);
        }
      }
      for (const use of uses) {
        for (let i = use.chunkStart; i < use.chunkEnd; i++) {
          ordinals.push(use.chunkOrdinal + i - use.chunkStart);
        }
      }
    }
    expect(position).toBe(plan.outputBytes);
    expect(ordinals.sort((x, y) => x - y)).toEqual(
      Array.from({ length: plan.chunkCount }, (_, i) => i),
    );
  }

  it('fetches a range that several terms share once, and uses a chunk twice', () => {
    const plan = planDownload(sampleReconstruction());
    expect(plan.windows).toHaveLength(1);
    const [first, second] = plan.windows[0]?.fetches ?? [];
    expect(first?.url).toBe('https://x/a');
    expect(first?.uses.map(({ chunkStart, chunkOrdinal }) => [chunkStart, chunkOrdinal])).toEqual([
      [0, 0],
      [3, 3],
      [0, 4],
    ]);
    expect(first?.uses[0]?.outputOffset).toBe(-10);
    expect(second?.url).toBe('https://x/b');
    expect(plan.outputBytes).toBe(300 + 50 + 400 + 100 - 10);
  });

  it('fetches nothing for terms behind the wanted end', () => {
    const plan = planDownload(sampleReconstruction(), { outputBytes: 100 });
    expect(plan.windows[0]?.fetches.map(({ url }) => url)).toEqual(['https://x/a']);
    expect(plan.windows[0]?.fetches[0]?.uses[0]?.outputEnd).toBe(100);
    expect(plan.chunkCount).toBe(2);
  });

  it('is empty when nothing is wanted or nothing is there', () => {
    const nothing = { outputBytes: 0, chunkCount: 0, windows: [] };
    expect(planDownload(sampleReconstruction(), { outputBytes: 0 })).toEqual(nothing);
    expect(planDownload({ offsetIntoFirstTerm: 0, terms: [], fetches: [] })).toEqual(nothing);
  });

  it('makes a term that is longer than a window a window of its own', () => {
    const big = toyXorb(1, [40, 40, 40]);
    const plan = planDownload(
      {
        offsetIntoFirstTerm: 0,
        terms: [toyTerm(big, 0, 1), toyTerm(big, 0, 3), toyTerm(big, 1, 2)],
        fetches: [
          { xorb: big.hash, entries: [{ url: 'https://x', ranges: [toyRange(big, 0, 3)] }] },
        ],
      },
      { windowBytes: 50 },
    );
    expect(plan.windows.map(({ outputStart, outputEnd }) => [outputStart, outputEnd])).toEqual([
      [0, 40],
      [40, 160],
      [160, 200],
    ]);
  });

  it('puts many ranges of one URL into requests of at most 64', () => {
    const xorb = toyXorb(1, new Array<number>(400).fill(5));
    const terms = Array.from({ length: 150 }, (_, i) => toyTerm(xorb, 2 * i, 2 * i + 1));
    const ranges = terms.map((term) => toyRange(xorb, term.chunkStart, term.chunkEnd));
    const answer = {
      offsetIntoFirstTerm: 0,
      terms,
      fetches: [{ xorb: xorb.hash, entries: [{ url: 'https://x', ranges }] }],
    };
    const counts = (multiRange: boolean) =>
      planDownload(answer, { multiRange }).windows[0]?.fetches.map((fetch) => fetch.ranges.length);
    expect(counts(true)).toEqual([64, 64, 22]);
    expect(counts(false)).toHaveLength(150);
  });

  it('asks for a range that is worth a request on its own, between short ones that share theirs', () => {
    const xorb = toyXorb(1, new Array<number>(400).fill(64 * 1024));
    // Runs of 1, 1, 40, 1 and 4 chunks of 64 KiB, with a chunk between them.
    const terms = [
      [0, 1],
      [2, 3],
      [4, 44],
      [45, 46],
      [47, 51],
    ].map(([start, end]) => toyTerm(xorb, start as number, end as number));
    const ranges = terms.map((term) => toyRange(xorb, term.chunkStart, term.chunkEnd));
    const plan = planDownload(
      {
        offsetIntoFirstTerm: 0,
        terms,
        fetches: [{ xorb: xorb.hash, entries: [{ url: 'https://x', ranges }] }],
      },
      { multiRange: true },
    );
    const runs = plan.windows[0]?.fetches.map((fetch) => fetch.ranges.map((r) => r.chunkStart));
    expect(runs).toEqual([[0, 2, 45], [4], [47]]);
  });

  it('refuses options that make no sense', () => {
    const sample = sampleReconstruction();
    expect(() => planDownload(sample, { windowBytes: 0 })).toThrow(RangeError);
    expect(() => planDownload(sample, { outputBytes: -1 })).toThrow(RangeError);
    expect(() => planDownload(sample, { outputBytes: 1.5 })).toThrow(RangeError);
  });

  it('says which term has no range when it was not parsed but made', () => {
    const sample = sampleReconstruction();
    expect(() => planDownload({ ...sample, fetches: sample.fetches.slice(0, 1) })).toThrow(
      expect.objectContaining({
        code: 'PROTOCOL',
        fields: expect.objectContaining({ field: 'terms[1]' }),
      }),
    );
  });
});

describe('slicing terms', () => {
  it('keeps whole terms and says how much of the first to drop', () => {
    const xorb = toyXorb(1, [10, 20, 30]);
    const terms = [toyTerm(xorb, 0, 1), toyTerm(xorb, 1, 2), toyTerm(xorb, 2, 3)];
    expect(sliceTerms(terms, 0, 60)).toEqual({ offsetIntoFirstTerm: 0, terms });
    expect(sliceTerms(terms, 10, 30)).toEqual({ offsetIntoFirstTerm: 0, terms: [terms[1]] });
    expect(sliceTerms(terms, 9, 31)).toEqual({ offsetIntoFirstTerm: 9, terms });
    expect(sliceTerms(terms, 59, 1000)).toEqual({ offsetIntoFirstTerm: 29, terms: [terms[2]] });
    expect(sliceTerms(terms, 60, 61).terms).toEqual([]);
    expect(sliceTerms(terms, 5, 5).terms).toEqual([]);
    expect(sliceTerms([], 0, 1).terms).toEqual([]);
  });
});
