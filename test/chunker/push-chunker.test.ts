import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ChunkerParams,
  chunkerParams,
  createChunkHasher,
  createPushChunker,
  createReadableScanner,
  DEFAULT_PARAMS,
  findCuts,
  type GearScanner,
} from '../../src/chunker/index.js';
import { chunkHash, createReadableBlake3 } from '../../src/hash/index.js';
import { generate } from '../support/generators.js';

const scanner = createReadableScanner();
const hasher = createReadableBlake3();

function lengthsOf(data: Uint8Array, params: ChunkerParams): number[] {
  let start = 0;
  return Array.from(findCuts(scanner, data, params), (cut) => {
    const length = cut - start;
    start = cut;
    return length;
  });
}

/** Pieces between sorted borders, each in memory of its own that is overwritten afterwards. */
function* pieces(data: Uint8Array, borders: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (const border of [...borders, data.length]) {
    const piece = data.slice(at, border);
    yield piece;
    piece.fill(0xee);
    at = border;
  }
}

const SMALL = chunkerParams(1024);
const random = generate({ kind: 'splitmix64', seed: 51, bytes: 60_000 });
const periodic = generate({ kind: 'repeat', unit: [...random.subarray(0, 300)], bytes: 60_000 });
const constant = generate({ kind: 'constant', value: 1, bytes: 60_000 });

describe('push chunker', () => {
  it.each([1, 2, 37, 63, 64, 65, 255, 1023, 1024, 1025, 1087, 4096])(
    'cuts pieces of %i bytes as it cuts the whole',
    (size) => {
      for (const data of [random, periodic, constant]) {
        const chunker = createPushChunker({ scanner, params: SMALL });
        const lengths: number[] = [];
        for (let at = 0; at < data.length; at += size) {
          lengths.push(...chunker.push(data.subarray(at, at + size)));
        }
        lengths.push(...chunker.finish());
        expect(lengths).toEqual(lengthsOf(data, SMALL));
      }
    },
  );

  it('gives the same chunks for any split, again and again on one instance', () => {
    const chunkers = [SMALL, DEFAULT_PARAMS].map((params) => ({
      params,
      chunker: createPushChunker({ scanner, params }),
    }));
    const big = generate({ kind: 'splitmix64', seed: 52, bytes: 500_000 });
    fc.assert(
      fc.property(
        fc.array(fc.nat(500_000), { maxLength: 30 }),
        fc.nat(500_000),
        (inner, single) => {
          for (const { params, chunker } of chunkers) {
            const data = params === SMALL ? random : big;
            const borders = [...inner, single, single + 1, single + 70]
              .map((border) => Math.min(border, data.length))
              .sort((a, b) => a - b);
            const lengths: number[] = [];
            for (const piece of pieces(data, borders)) lengths.push(...chunker.push(piece));
            lengths.push(...chunker.finish());
            expect(lengths).toEqual(lengthsOf(data, params));
          }
        },
      ),
      { seed: 7, numRuns: 30 },
    );
  });

  it('reports a chunk at most 1 KiB after its end', () => {
    const chunker = createPushChunker({ scanner, params: SMALL });
    const cuts = findCuts(scanner, random, SMALL);
    let reported = 0;
    for (let pushed = 1; pushed <= random.length; pushed++) {
      reported += chunker.push(random.subarray(pushed - 1, pushed)).length;
      const known = cuts.findIndex((cut) => cut > pushed - 1024);
      expect(reported).toBeGreaterThanOrEqual(known === -1 ? 0 : known);
    }
  });

  it('looks at no byte much more than once, however small the pieces', () => {
    let scanned = 0;
    const counting: GearScanner = {
      scan(data, start, end, maskBits, out) {
        scanned += end - Math.max(0, start - 63);
        return scanner.scan(data, start, end, maskBits, out);
      },
    };
    const chunker = createPushChunker({ scanner: counting });
    const data = generate({ kind: 'constant', value: 3, bytes: 400_000 });
    for (let at = 0; at < data.length; at++) chunker.push(data.subarray(at, at + 1));
    chunker.finish();
    expect(scanned).toBeLessThan(data.length * 1.1);
  });

  it('makes no chunk of nothing', () => {
    const chunker = createPushChunker();
    expect(chunker.finish()).toEqual([]);
    expect(chunker.push(new Uint8Array(0))).toEqual([]);
    expect(chunker.finish()).toEqual([]);
    expect([...chunker.push(new Uint8Array(150_000)), ...chunker.finish()]).toEqual([
      131_072, 18_928,
    ]);
  });
});

describe('chunk hasher', () => {
  it('gives offset, length and hash of each chunk for any split, twice on one instance', () => {
    const expected = lengthsOf(random, SMALL).map((length, i, all) => {
      const offset = all.slice(0, i).reduce((sum, one) => sum + one, 0);
      const bytes = random.subarray(offset, offset + length);
      return { offset, length, hash: chunkHash(hasher, bytes).toString() };
    });
    const chunks = createChunkHasher({
      scanner,
      params: SMALL,
      hashChunk: (bytes) => chunkHash(hasher, bytes).toString(),
    });
    fc.assert(
      fc.property(fc.array(fc.nat(60_000), { maxLength: 60 }), (borders) => {
        borders.sort((a, b) => a - b);
        const found = [];
        for (const piece of pieces(random, borders)) found.push(...chunks.push(piece));
        found.push(...chunks.finish());
        expect(found).toEqual(expected);
      }),
      { seed: 8, numRuns: 30 },
    );
    const bytewise = [];
    for (let at = 0; at < random.length; at++) {
      bytewise.push(...chunks.push(random.subarray(at, at + 1)));
    }
    bytewise.push(...chunks.finish());
    expect(bytewise).toEqual(expected);
  });
});
