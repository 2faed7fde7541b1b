import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMPRESSION_POLICIES, type CompressionPolicy } from '../../src/compress/index.js';
import { isOrbweaverError } from '../../src/errors.js';
import { DATA_KEY } from '../../src/hash/index.js';
import type { RecordKernels } from '../../src/xorb/index.js';
import { createRecordDecoder, createRecordPacker, verifyXorb } from '../../src/xorb/index.js';
import { arbitraryContent, contents } from '../compress/contents.js';
import { generate } from '../support/generators.js';
import { readJsonFixture } from '../support/vectors.js';
import { concat, mixedChunks } from '../xorb/support.js';
import { createDice, createSetups, firstDifference, type Setup, twins } from './support.js';

/** The packer and decoder that go chunk by chunk, with the readable codecs: they define the bytes. */
const { codec, hasher } = twins;
const decoder = createRecordDecoder({ codec, hasher });

let setups: Setup[];
beforeAll(async () => {
  // Those whose bytes lie in the kernels' memory.
  setups = (await createSetups()).slice(0, 3);
});

function recordsOf(setup: Setup): RecordKernels {
  const { records } = setup.kernels;
  if (records === null) throw new Error('no kernels for records');
  return records;
}

interface Packed {
  readonly records: Uint8Array;
  readonly lengths: readonly number[];
}

/** By the twin, apart from the source. */
function packReadable(policy: CompressionPolicy, chunks: readonly Uint8Array[]): Packed {
  const source = concat(chunks);
  const lengths = Uint32Array.from(chunks, (chunk) => chunk.length);
  let at = 0;
  const starts = lengths.map((length) => {
    at += length;
    return at - length;
  });
  const target = new Uint8Array(source.length + 8 * chunks.length);
  const recordLengths = new Uint32Array(chunks.length);
  const packer = createRecordPacker({ codec, policy });
  const bytes = packer.pack(source, starts, lengths, target, 0, recordLengths);
  return { records: target.subarray(0, bytes), lengths: [...recordLengths] };
}

/** By the kernels: chunks with `gap` bytes between them, packed in place or into another slot. */
function packKernels(
  setup: Setup,
  policy: CompressionPolicy,
  chunks: readonly Uint8Array[],
  { gap, spare, inPlace }: { gap: number; spare: number; inPlace: boolean },
): Packed {
  const rawBytes = chunks.reduce((sum, chunk) => sum + chunk.length + gap, 0);
  const headroom = 8 * chunks.length + spare;
  const source = setup.view(0, headroom + rawBytes, spare & 15);
  const starts = new Uint32Array(chunks.length);
  const lengths = Uint32Array.from(chunks, (chunk) => chunk.length);
  let at = headroom;
  chunks.forEach((chunk, i) => {
    source.set(chunk, at);
    starts[i] = at;
    at += chunk.length + gap;
  });
  const target = inPlace ? source : setup.view(2, rawBytes + headroom + 8, 3);
  target.fill(0xa5, 0, spare);
  const recordLengths = new Uint32Array(chunks.length);
  const job = { source, starts, lengths, target, targetOffset: spare, recordLengths };
  const bytes = recordsOf(setup).pack(policy, job);
  expect(target.subarray(0, spare).every((byte) => byte === 0xa5)).toBe(true);
  return { records: target.slice(spare, spare + bytes), lengths: [...recordLengths] };
}

function expectSame(found: Packed, expected: Packed, label: unknown): void {
  const difference = firstDifference(found.records, expected.records);
  expect([label, difference, found.lengths]).toEqual([label, -1, expected.lengths]);
}

describe.each(COMPRESSION_POLICIES)('packing in one call, policy %s', (policy) => {
  test('gives the records of every kind and length of chunk, byte for byte', () => {
    for (const { name, bytes } of contents()) {
      const expected = packReadable(policy, [bytes]);
      const layout = { gap: 0, spare: bytes.length & 31, inPlace: true };
      for (const setup of setups)
        expectSame(packKernels(setup, policy, [bytes], layout), expected, name);
    }
  });

  test('gives the records of any list, in place or apart, whatever the gaps', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.integer({ min: 0, max: 12 }),
        fc.array(arbitraryContent(), { maxLength: 3 }),
        fc.nat(40),
        fc.nat(60),
        fc.boolean(),
        (seed, count, more, gap, spare, inPlace) => {
          const chunks = [...mixedChunks(seed, count, 30_000), ...more];
          const expected = packReadable(policy, chunks);
          for (const setup of setups) {
            const found = packKernels(setup, policy, chunks, { gap, spare, inPlace });
            expectSame(found, expected, setup.name);
          }
        },
      ),
      { numRuns: 15, seed: 6 },
    );
  });
});

describe('packing in one call', () => {
  test('chooses as the readable probe does for weights, tokens, counters and mixtures', () => {
    const dice = createDice(4);
    const noise = generate({ kind: 'splitmix64', seed: 8, bytes: 131_072 });
    const words = generate({ kind: 'words', seed: 9, bytes: 131_072 });
    const kinds: ((i: number) => number)[] = [
      (i) => (i % 4 === 3 ? 60 + ((noise[i] as number) & 3) : (noise[i] as number)),
      (i) => (i % 2 === 1 ? 188 + ((noise[i] as number) & 1) : (noise[i] as number)),
      (i) => (i % 4 < 2 ? (noise[i] as number) & 15 : 0),
      (i) => ((i >> 2) >> (8 * (i & 3))) & 255,
      (i) => (i % 3 === 0 ? 7 : (noise[i] as number) & 63),
      (i) => words[i] as number,
    ];
    const schemes = new Set<number>();
    for (const kind of kinds) {
      for (const length of [9, 300, 1024, 1027, 12_288, 12_291, 65_536, 90_001 + dice(1000)]) {
        const chunk = Uint8Array.from({ length }, (_, i) => kind(i));
        const expected = packReadable('auto', [chunk]);
        schemes.add(expected.records[4] as number);
        for (const setup of setups) {
          const layout = { gap: 0, spare: 5, inPlace: true };
          expectSame(packKernels(setup, 'auto', [chunk], layout), expected, [kind, length]);
        }
      }
    }
    expect([...schemes].sort()).toEqual([0, 1, 2]);
  });

  test('takes lists that are longer than one call', () => {
    const words = generate({ kind: 'words', seed: 1, bytes: 2200 });
    const noise = generate({ kind: 'splitmix64', seed: 1, bytes: 2200 });
    const chunks = Array.from({ length: 2100 }, (_, i) =>
      (i % 2 === 0 ? words : noise).subarray(i, i + (i % 60)),
    );
    const expected = packReadable('auto', chunks);
    for (const setup of setups) {
      const layout = { gap: 1, spare: 0, inPlace: true };
      expectSame(packKernels(setup, 'auto', chunks, layout), expected, setup.name);
    }
  });

  test('declines bytes outside of the memory, and the packer then goes chunk by chunk', () => {
    const [chunk] = mixedChunks(3, 1, 9000) as [Uint8Array];
    const expected = packReadable('auto', [chunk]);
    for (const setup of setups) {
      const target = new Uint8Array(chunk.length + 8);
      const plan = [chunk, Uint32Array.of(0), Uint32Array.of(chunk.length)] as const;
      const recordLengths = new Uint32Array(1);
      const { records } = setup.kernels;
      const packer = createRecordPacker({ codec: setup.kernels.codec, kernels: records });
      const bytes = packer.pack(...plan, target, 0, recordLengths);
      const found = { records: target.subarray(0, bytes), lengths: [...recordLengths] };
      expectSame(found, expected, setup.name);
    }
  });

  test('a policy that does not exist is a RangeError', () => {
    const { records } = (setups[0] as Setup).kernels;
    const policy = 'zstd' as CompressionPolicy;
    expect(() => createRecordPacker({ codec, kernels: records, policy })).toThrow(RangeError);
  });
});

/** Records in slot 0, decoded to slot 1 between guard bytes. */
function decodeKernels(setup: Setup, records: Uint8Array, bytes: number, rawInPlace: boolean) {
  const input = setup.view(0, records.length + 3, 1);
  input.set(records, 3);
  const output = setup.view(1, bytes + 40).fill(0xa5);
  const job = {
    ...{ input, start: 3, end: input.length, output, outputOffset: 20 },
    ...{ expectedBytes: bytes, rawInPlace },
  };
  const decoded = recordsOf(setup).decode(DATA_KEY, job);
  const guards = [...output.subarray(0, 20), ...output.subarray(bytes + 20)];
  expect(guards.every((byte) => byte === 0xa5)).toBe(true);
  return { decoded, output: output.subarray(20, 20 + bytes) };
}

describe('decoding in one call', () => {
  test('gives chunks, lengths and hashes of every policy', () => {
    for (const policy of COMPRESSION_POLICIES) {
      const chunks = [...mixedChunks(71, 20, 60_000), new Uint8Array(0)];
      const raw = concat(chunks);
      const { records } = packReadable(policy, chunks);
      const plain = new Uint8Array(raw.length);
      const expected = decoder.decode(records, 0, records.length, plain, 0, raw.length);
      for (const setup of setups) {
        const { decoded, output } = decodeKernels(setup, records, raw.length, false);
        expect([policy, decoded?.lengths]).toEqual([policy, expected.lengths]);
        expect([policy, decoded?.hashes]).toEqual([policy, expected.hashes]);
        expect([policy, firstDifference(output, raw)]).toEqual([policy, -1]);
      }
    }
  });

  test('leaves raw chunks where they lie when asked to', () => {
    const chunks = mixedChunks(72, 20, 20_000);
    const { records, lengths } = packReadable('auto', chunks);
    const schemes = lengths.map((_, i) => {
      const at = lengths.slice(0, i).reduce((sum, length) => sum + length, 0);
      return records[at + 4] as number;
    });
    expect(new Set(schemes)).toEqual(new Set([0, 1, 2]));
    const compressed = concat(chunks.filter((_, i) => schemes[i] !== 0));
    const plain = new Uint8Array(compressed.length);
    const run = [records, 0, records.length, plain, 0, plain.length] as const;
    const expected = decoder.decode(...run, { rawInPlace: true });
    for (const setup of setups) {
      const { decoded, output } = decodeKernels(setup, records, compressed.length, true);
      expect(decoded).toEqual({ lengths: expected.lengths, hashes: expected.hashes });
      expect(firstDifference(output, compressed)).toBe(-1);
    }
  });

  test('takes frames of several independent blocks, of every block size, and raw blocks', () => {
    const chunk = generate({ kind: 'words', seed: 5, bytes: 131_072 });
    const block = new Uint8Array(131_072);
    const half = (start: number, raw: boolean): Uint8Array => {
      const content = chunk.subarray(start, start + 65_536);
      const length = raw ? content.length : codec.lz4Compress(content, block);
      const field = Uint32Array.of(raw ? (length | 0x80000000) >>> 0 : length);
      const bytes = raw ? content : block.slice(0, length);
      return concat([new Uint8Array(field.buffer), bytes]);
    };
    for (const [size, sum] of [
      [0x40, 0x82],
      [0x50, 0xfb],
      [0x60, 0x51],
      [0x70, 0x73],
    ] as const) {
      for (const raw of [false, true]) {
        const header = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, size, sum);
        const payload = concat([header, half(0, raw), half(65_536, !raw), new Uint8Array(4)]);
        const { length } = payload;
        const u24 = (value: number) => [value & 255, (value >> 8) & 255, value >> 16];
        const records = concat([Uint8Array.of(0, ...u24(length), 1, ...u24(131_072)), payload]);
        const { decoded, output } = decodeKernels(setups[0] as Setup, records, 131_072, false);
        expect([size, raw, decoded?.lengths]).toEqual([size, raw, Uint32Array.of(131_072)]);
        expect(firstDifference(output, chunk)).toBe(-1);
      }
    }
  });

  test('frames of another kind are declined, and decoded record by record', () => {
    const frames =
      readJsonFixture<{ name: string; content: unknown; frame: string }[]>('lz4/frames.json');
    const setup = setups[0] as Setup;
    let declined = 0;
    for (const { name, content, frame } of frames) {
      const chunk = generate(content as Parameters<typeof generate>[0]);
      const payload = new Uint8Array(Buffer.from(frame, 'base64'));
      if (chunk.length > 131_072 || payload.length > 262_144) continue;
      const u24 = (value: number) => [value & 255, (value >> 8) & 255, value >> 16];
      const header = Uint8Array.of(0, ...u24(payload.length), 1, ...u24(chunk.length));
      const records = concat([header, payload]);
      if (decodeKernels(setup, records, chunk.length, false).decoded === null) declined++;
      const input = setup.view(0, records.length);
      input.set(records);
      const output = setup.view(1, chunk.length);
      const both = createRecordDecoder({ ...setup.kernels, kernels: setup.kernels.records });
      both.decode(input, 0, input.length, output, 0, chunk.length);
      expect([name, firstDifference(output, chunk)]).toEqual([name, -1]);
    }
    expect(declined).toBeGreaterThan(0);
  });

  test('damaged records end as the readable decoder says, or are declined', () => {
    const dice = createDice(12);
    const chunks = mixedChunks(73, 6, 3000);
    const raw = concat(chunks);
    const setup = setups[0] as Setup;
    for (let round = 0; round < 1500; round++) {
      const policy = COMPRESSION_POLICIES[dice(COMPRESSION_POLICIES.length)] ?? 'auto';
      let records = packReadable(policy, chunks.slice(0, 1 + dice(6))).records.slice();
      const damage = dice(3);
      if (damage === 0) records = records.slice(0, dice(records.length));
      else if (damage === 1) (records[dice(records.length)] as number) ^= 1 << dice(8);
      else for (let i = 0; i < 3; i++) records[dice(records.length)] = dice(256);
      const bytes = dice(4) === 0 ? dice(raw.length) : raw.length;
      const rawInPlace = dice(2) === 1;
      const { decoded, output } = decodeKernels(setup, records, bytes, rawInPlace);
      if (decoded === null) continue;
      const plain = new Uint8Array(bytes);
      const run = [records, 0, records.length, plain, 0, bytes] as const;
      expect(decoded).toEqual(decoder.decode(...run, { rawInPlace }));
      expect(firstDifference(output, plain)).toBe(-1);
    }
  });

  test('what it declines because of an error is that error from the decoder', () => {
    const chunks = mixedChunks(74, 3, 3000);
    const setup = setups[0] as Setup;
    const { records } = packReadable('lz4', chunks);
    const input = setup.view(0, records.length);
    input.set(records);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const output = setup.view(1, bytes + 1);
    const both = createRecordDecoder({ ...setup.kernels, kernels: setup.kernels.records });
    const codeOf = (end: number, expected: number): string => {
      try {
        both.decode(input, 0, end, output, 0, expected);
        return 'none';
      } catch (error) {
        return isOrbweaverError(error) ? error.code : String(error);
      }
    };
    expect(codeOf(records.length, bytes)).toBe('none');
    expect(codeOf(records.length - 1, bytes)).toBe('TRUNCATED');
    expect(codeOf(records.length, bytes + 1)).toBe('SIZE_MISMATCH');
    expect(() => both.decode(input, 0, records.length, output, 2, bytes)).toThrow(RangeError);
    expect(() => both.decode(input, 2, 1, output, 0, 0)).toThrow(RangeError);
  });
});

describe('hashing a list in one call', () => {
  test('gives the hash of each piece, wherever it lies', () => {
    const dice = createDice(5);
    for (const setup of setups) {
      const data = setup.view(0, 400_000, 1);
      data.set(generate({ kind: 'splitmix64', seed: 2, bytes: 400_000 }));
      for (const count of [0, 1, 7, 1500]) {
        const starts = Uint32Array.from({ length: count }, () => dice(260_000));
        const lengths = starts.map(() => dice(count > 100 ? 300 : 131_073));
        const found = setup.kernels.hasher.keyedList?.(DATA_KEY, data, starts, lengths);
        const expected = new Uint8Array(32 * count);
        starts.forEach((start, i) => {
          const piece = data.subarray(start, start + (lengths[i] as number));
          hasher.keyed(DATA_KEY, piece, expected, 32 * i);
        });
        expect([setup.name, found]).toEqual([setup.name, expected]);
      }
    }
  });

  test('pieces out of bounds are a RangeError, bytes elsewhere are declined', () => {
    const setup = setups[0] as Setup;
    const data = setup.view(0, 1000);
    const hash = (bytes: Uint8Array, start: number, length: number) =>
      setup.kernels.hasher.keyedList?.(
        DATA_KEY,
        bytes,
        Uint32Array.of(0, start),
        Uint32Array.of(1, length),
      );
    expect(hash(data, 1000, 0)).toHaveLength(64);
    for (const [start, length] of [
      [1000, 1],
      [1001, 0],
      [1, 2 ** 32 - 1],
    ] as const) {
      expect(() => hash(data, start, length)).toThrow(RangeError);
    }
    expect(hash(new Uint8Array(1000), 0, 1)).toBeNull();
  });
});

describe('hashing in one call', () => {
  test('gives lengths and hashes of every policy, and touches no record', () => {
    for (const policy of COMPRESSION_POLICIES) {
      const chunks = [...mixedChunks(73, 12, 60_000), new Uint8Array(0)];
      const { records } = packReadable(policy, chunks);
      const plain = new Uint8Array(concat(chunks).length);
      const expected = decoder.decode(records, 0, records.length, plain, 0, plain.length);
      for (const setup of setups) {
        const input = setup.view(0, records.length + 3, 1);
        input.set(records, 3);
        const job = { input, start: 3, end: input.length };
        expect([policy, recordsOf(setup).hash(DATA_KEY, job)]).toEqual([policy, expected]);
        expect(firstDifference(input.subarray(3), records)).toBe(-1);
      }
    }
  });

  test('verifies xorbs of any number of records as the readable way does', () => {
    const words = generate({ kind: 'words', seed: 1, bytes: 3000 });
    const noise = generate({ kind: 'splitmix64', seed: 1, bytes: 3000 });
    const chunks = Array.from({ length: 2100 }, (_, i) =>
      (i % 2 === 0 ? words : noise).subarray(i % 90, (i % 90) + 1 + (i % 300)),
    );
    for (const count of [1, 511, 512, 513, 1100, 2100]) {
      const { records } = packReadable('auto', chunks.slice(0, count));
      const expected = verifyXorb({ codec, hasher }, records);
      for (const setup of setups) {
        const input = setup.view(0, records.length, 1);
        input.set(records);
        const found = verifyXorb({ codec, hasher, kernels: recordsOf(setup) }, input);
        expect([count, found]).toEqual([count, expected]);
      }
    }
  });

  test('finds the damage that the readable way finds', () => {
    const chunks = mixedChunks(74, 12, 9000);
    const { records } = packReadable('auto', chunks);
    const { hash } = verifyXorb({ codec, hasher }, records);
    const failure = (run: () => unknown): string => {
      try {
        run();
        return 'none';
      } catch (error) {
        if (!isOrbweaverError(error)) throw error;
        return `${error.code}: ${error.message}`;
      }
    };
    const dice = createDice(9);
    for (let turn = 0; turn < 300; turn++) {
      const at = dice(records.length);
      const damaged = records.slice();
      damaged[at] = (damaged[at] as number) ^ (1 << dice(8));
      const expected = failure(() => verifyXorb({ codec, hasher }, damaged, hash));
      expect(expected).not.toBe('none');
      const setup = setups[turn % setups.length] as Setup;
      const input = setup.view(0, records.length, 1);
      input.set(damaged);
      const kernels = recordsOf(setup);
      const found = failure(() => verifyXorb({ codec, hasher, kernels }, input, hash));
      expect([at, found]).toEqual([at, expected]);
    }
  });

  test('declines bytes outside of its memory, and more records than it has room for', () => {
    const { records } = packReadable('auto', mixedChunks(75, 3, 9000));
    const many = packReadable('none', new Array(1025).fill(Uint8Array.of(1))).records;
    for (const setup of setups) {
      const kernels = recordsOf(setup);
      const job = { input: records, start: 0, end: records.length };
      expect(kernels.hash(DATA_KEY, job)).toBe(null);
      const input = setup.view(0, many.length, 0);
      input.set(many);
      expect(kernels.hash(DATA_KEY, { input, start: 0, end: many.length })).toBe(null);
      const fewer = { input, start: 0, end: many.length - 9 };
      expect(kernels.hash(DATA_KEY, fewer)?.lengths.length).toBe(1024);
    }
  });
});
