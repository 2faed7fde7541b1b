import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMPRESSION_POLICIES, type CompressionPolicy } from '../../src/compress/index.js';
import { createRecordDecoder, createRecordPacker } from '../../src/xorb/index.js';
import { generate } from '../support/generators.js';
import { codec, concat, hasher, mixedChunks } from './support.js';

interface Layout {
  readonly source: Uint8Array;
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
}

/** Chunks at `base` with `gap` bytes between them. */
function layOut(chunks: readonly Uint8Array[], base: number, gap = 0, isShared = false): Layout {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length + gap, base);
  const source = new Uint8Array(isShared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes));
  const starts = new Uint32Array(chunks.length);
  let at = base;
  chunks.forEach((chunk, i) => {
    source.set(chunk, at);
    starts[i] = at;
    at += chunk.length + gap;
  });
  return { source, starts, lengths: Uint32Array.from(chunks, (chunk) => chunk.length) };
}

/** Packs into memory of its own: what packing in place has to equal. */
function packApart(policy: CompressionPolicy, chunks: readonly Uint8Array[]): Uint8Array {
  const { source, starts, lengths } = layOut(chunks, 0);
  const target = new Uint8Array(source.length + 8 * chunks.length + 3);
  const recordLengths = new Uint32Array(chunks.length);
  const packer = createRecordPacker({ codec, policy });
  const bytes = packer.pack(source, starts, lengths, target, 3, recordLengths);
  expect(recordLengths.reduce((sum, length) => sum + length, 0)).toBe(bytes);
  return target.slice(3, 3 + bytes);
}

function decode(records: Uint8Array, rawBytes: number): Uint8Array {
  const output = new Uint8Array(rawBytes);
  createRecordDecoder({ codec, hasher }).decode(records, 0, records.length, output, 0, rawBytes);
  return output;
}

describe.each(COMPRESSION_POLICIES)('record packer, policy %s', (policy) => {
  test('records decode to the chunks, whatever their kind and length', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 0, max: 12 }), (seed, count) => {
        const chunks = mixedChunks(seed, count, 9000);
        const raw = concat(chunks);
        expect(Buffer.compare(decode(packApart(policy, chunks), raw.length), raw)).toBe(0);
      }),
      { numRuns: 15, seed: 3 },
    );
  });

  test('packing in place gives the same records for every headroom and gap, shared memory or not', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(200),
        fc.nat(40),
        fc.boolean(),
        (seed, count, spare, gap, isShared) => {
          const chunks = mixedChunks(seed, count, 9000);
          const expected = packApart(policy, chunks);
          const { source, starts, lengths } = layOut(chunks, 8 * count + spare, gap, isShared);
          const at = spare >> 1;
          const recordLengths = new Uint32Array(count);
          const packer = createRecordPacker({ codec, policy });
          const bytes = packer.pack(source, starts, lengths, source, at, recordLengths);
          expect(Buffer.compare(source.subarray(at, at + bytes), expected)).toBe(0);
        },
      ),
      { numRuns: 25, seed: 4 },
    );
  });
});

describe('record packer', () => {
  test('random chunks with the least headroom move down without being overtaken', () => {
    const chunks = mixedChunks(9, 6, 131_072).map((chunk, i) =>
      i % 2 === 0 ? chunk : generate({ kind: 'splitmix64', seed: i, bytes: 60_000 }),
    );
    const { source, starts, lengths } = layOut(chunks, 48);
    const expected = packApart('auto', chunks);
    const packer = createRecordPacker({ codec });
    const bytes = packer.pack(source, starts, lengths, source, 0, new Uint32Array(6));
    expect(Buffer.compare(source.subarray(0, bytes), expected)).toBe(0);
  });

  test('another view of the same memory counts as the same memory', () => {
    const chunks = mixedChunks(10, 4, 4000);
    const { source, starts, lengths } = layOut(chunks, 32);
    const lower = source.subarray(0, source.length);
    const upper = source.subarray(8);
    const packer = createRecordPacker({ codec });
    const lists = [starts.map((start) => start - 8), lengths] as const;
    expect(() => packer.pack(upper, ...lists, lower, 1, new Uint32Array(4))).toThrow(RangeError);
    const bytes = packer.pack(upper, ...lists, lower, 0, new Uint32Array(4));
    expect(Buffer.compare(lower.subarray(0, bytes), packApart('auto', chunks))).toBe(0);
  });

  test('a target behind the source in one memory needs no headroom', () => {
    const chunks = mixedChunks(11, 3, 4000);
    const { source, starts, lengths } = layOut(chunks, 0);
    const memory = new Uint8Array(2 * source.length + 24);
    memory.set(source);
    const packer = createRecordPacker({ codec });
    const bytes = packer.pack(memory, starts, lengths, memory, source.length, new Uint32Array(3));
    const records = memory.subarray(source.length, source.length + bytes);
    expect(Buffer.compare(records, packApart('auto', chunks))).toBe(0);
    expect(Buffer.compare(memory.subarray(0, source.length), source)).toBe(0);
  });

  test('an empty chunk becomes an empty record, no chunks become nothing', () => {
    expect(packApart('auto', [new Uint8Array(0)])).toEqual(new Uint8Array(8));
    expect(packApart('auto', [])).toEqual(new Uint8Array(0));
  });

  test('a plan that does not work is a RangeError before anything is written', () => {
    const packer = createRecordPacker({ codec });
    const source = new Uint8Array(300_000).fill(7);
    const before = source.slice();
    const u32 = (...values: number[]) => Uint32Array.from(values);
    const target = new Uint8Array(300_100);
    const lengths = new Uint32Array(2);
    const plans: (() => number)[] = [
      () => packer.pack(source, u32(0), u32(1, 2), target, 0, lengths),
      () => packer.pack(source, u32(0, 50, 100), u32(10, 10, 10), target, 0, lengths),
      () => packer.pack(source, u32(0, 50), u32(51, 10), target, 0, lengths),
      () => packer.pack(source, u32(50, 0), u32(10, 10), target, 0, lengths),
      () => packer.pack(source, u32(299_999), u32(2), target, 0, lengths),
      () => packer.pack(source, u32(0), u32(131_073), target, 0, lengths),
      () => packer.pack(source, u32(0), u32(100), target, 299_993, lengths),
      () => packer.pack(source, u32(0), u32(100), target, -1, lengths),
      () => packer.pack(source, u32(15, 200), u32(100, 100), source, 0, lengths),
      () => packer.pack(source, u32(16, 200), u32(100, 100), source, 1, lengths),
      () => packer.pack(source, u32(16, 200), u32(100, 100), source, 100, lengths),
    ];
    for (const plan of plans) expect(plan).toThrow(RangeError);
    expect(Buffer.compare(source, before)).toBe(0);
  });
});
