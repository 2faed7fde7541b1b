import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_CHUNK_BYTES } from '../../src/bytes/index.js';
import {
  COMPRESS_SCRATCH_BYTES,
  COMPRESSION_POLICIES,
  type CompressionPolicy,
  type CompressionScheme,
  createChunkCompressor,
  createReadableCodec,
  decompressChunk,
  SCHEME_BG4_LZ4,
  SCHEME_LZ4,
  SCHEME_NONE,
} from '../../src/compress/index.js';
import { isOrbweaverError } from '../../src/errors.js';
import { generate } from '../support/generators.js';
import { arbitraryContent, content, contents, shared } from './contents.js';

const codec = createReadableCodec();
const compressors = new Map(
  COMPRESSION_POLICIES.map((policy) => [policy, createChunkCompressor({ codec, policy })]),
);

function compress(policy: CompressionPolicy, chunk: Uint8Array) {
  const found = compressors.get(policy)?.compress(chunk);
  if (found === undefined) throw new Error(policy);
  return found;
}

const ALLOWED: Readonly<Record<CompressionPolicy, readonly CompressionScheme[]>> = {
  auto: [SCHEME_NONE, SCHEME_LZ4, SCHEME_BG4_LZ4],
  none: [SCHEME_NONE],
  lz4: [SCHEME_NONE, SCHEME_LZ4],
  'bg4-lz4': [SCHEME_NONE, SCHEME_BG4_LZ4],
  smallest: [SCHEME_NONE, SCHEME_LZ4, SCHEME_BG4_LZ4],
};

function checkRoundTrip(policy: CompressionPolicy, chunk: Uint8Array, name = ''): void {
  const { scheme, payload } = compress(policy, chunk);
  expect(ALLOWED[policy], name).toContain(scheme);
  if (scheme === SCHEME_NONE) expect(payload.length).toBe(chunk.length);
  else expect(payload.length, name).toBeLessThan(chunk.length);
  const back = new Uint8Array(chunk.length);
  decompressChunk(codec, scheme, payload.slice(), back);
  expect(Buffer.compare(back, chunk), name).toBe(0);
}

describe.each(COMPRESSION_POLICIES)('policy %s', (policy) => {
  test('gives back every kind and length of content and never grows', () => {
    for (const { name, bytes } of contents()) checkRoundTrip(policy, bytes, name);
  });

  test('gives back any mixture and never grows', () => {
    fc.assert(
      fc.property(arbitraryContent(), (bytes) => checkRoundTrip(policy, bytes)),
      { numRuns: 60, seed: 2 },
    );
  });
});

describe('choice of scheme', () => {
  const chunk = (kind: string) => content(kind, 65_536);

  test('auto takes BG4 for floats and counters, LZ4 for words and zeros, none for random bytes', () => {
    const counter = new Uint8Array(Uint32Array.from({ length: 16_384 }, (_, i) => i).buffer);
    expect(compress('auto', chunk('floats')).scheme).toBe(SCHEME_BG4_LZ4);
    expect(compress('auto', counter).scheme).toBe(SCHEME_BG4_LZ4);
    expect(compress('auto', chunk('words')).scheme).toBe(SCHEME_LZ4);
    expect(compress('auto', chunk('zeros')).scheme).toBe(SCHEME_LZ4);
    expect(compress('auto', chunk('random')).scheme).toBe(SCHEME_NONE);
  });

  test('auto takes BG4 for weights in bf16 and for tokens that are mostly zero bytes', () => {
    // Sums of uniform numbers are near enough to a normal distribution.
    const seeds = generate({ kind: 'splitmix64', seed: 41, bytes: 4 * 131_072 });
    const random = new Uint32Array(seeds.buffer, seeds.byteOffset, 131_072);
    const unit = (i: number) => (random[i] as number) / 2 ** 32;
    const weights = Float32Array.from(
      { length: 32_768 },
      (_, i) => 0.04 * (unit(4 * i) + unit(4 * i + 1) + unit(4 * i + 2) + unit(4 * i + 3) - 2),
    );
    const bits = new Uint32Array(weights.buffer);
    const bf16 = Uint16Array.from(bits, (value) => value >>> 16);
    expect(compress('auto', new Uint8Array(bf16.buffer)).scheme).toBe(SCHEME_BG4_LZ4);

    const tokens = BigInt64Array.from({ length: 8192 }, (_, i) =>
      BigInt(Math.floor(unit(i) ** 4 * 50_000)),
    );
    expect(compress('auto', new Uint8Array(tokens.buffer)).scheme).toBe(SCHEME_BG4_LZ4);
  });

  test('smallest is never larger than lz4, bg4-lz4 or auto', () => {
    for (const { name, bytes } of contents()) {
      const smallest = compress('smallest', bytes).payload.length;
      for (const policy of ['auto', 'lz4', 'bg4-lz4', 'none'] as const) {
        expect(smallest, name).toBeLessThanOrEqual(compress(policy, bytes).payload.length);
      }
    }
  });

  test('auto stays within 3 % of smallest on every kind of the test data', () => {
    for (const kind of ['random', 'zeros', 'words', 'floats', 'affine', 'period3']) {
      const auto = compress('auto', chunk(kind)).payload.length;
      const smallest = compress('smallest', chunk(kind)).payload.length;
      expect(auto, kind).toBeLessThanOrEqual(smallest * 1.03 + 16);
    }
  });

  test('the work of auto is bounded: at most one full pass and a sample', () => {
    let bytes = 0;
    const counting = {
      ...codec,
      lz4Compress(src: Uint8Array, out: Uint8Array) {
        bytes += src.length;
        return codec.lz4Compress(src, out);
      },
    };
    const compressor = createChunkCompressor({ codec: counting });
    for (const kind of ['random', 'zeros', 'words', 'floats', 'affine', 'period3']) {
      for (const length of [20_000, 65_536, 131_072]) {
        bytes = 0;
        compressor.compress(content(kind, length));
        expect(bytes, `${kind} ${length}`).toBeLessThanOrEqual(length + 2 * 6144);
      }
    }
  });

  test('a chunk gets the same bytes whatever was compressed before it', () => {
    const words = compress('auto', chunk('words')).payload.slice();
    compress('auto', chunk('floats'));
    compress('smallest', chunk('zeros'));
    expect(Buffer.compare(compress('auto', chunk('words')).payload, words)).toBe(0);
  });
});

describe('memory', () => {
  test('chunk, scratch and output may be views of shared memory', () => {
    const scratch = shared(new Uint8Array(COMPRESS_SCRATCH_BYTES));
    for (const kind of ['random', 'words', 'floats']) {
      const chunk = shared(content(kind, 100_003));
      const out = shared(new Uint8Array(100_010));
      const { scheme, payload } = createChunkCompressor({ codec, scratch }).compress(chunk);
      const length = payload.length;
      out.set(payload, 7);
      const expected = compress('auto', content(kind, 100_003));
      expect(scheme).toBe(expected.scheme);
      expect(Buffer.compare(out.subarray(7, 7 + length), expected.payload)).toBe(0);
      const back = shared(new Uint8Array(100_003));
      decompressChunk(codec, scheme, out.subarray(7, 7 + length), back, scratch);
      expect(Buffer.compare(back, chunk)).toBe(0);
    }
  });

  test('wrong options are RangeErrors', () => {
    const wrong = 'zstd' as CompressionPolicy;
    expect(() => createChunkCompressor({ codec, policy: wrong })).toThrow(RangeError);
    expect(() => createChunkCompressor({ codec, scratch: new Uint8Array(9) })).toThrow(RangeError);
    expect(() => compress('auto', new Uint8Array(MAX_CHUNK_BYTES + 1))).toThrow(RangeError);
  });
});

describe('decompressChunk', () => {
  const codeOf = (run: () => void): string | null => {
    try {
      run();
      return null;
    } catch (error) {
      if (!isOrbweaverError(error)) throw error;
      return error.code;
    }
  };

  test('another length than promised is FORMAT_INVALID for every scheme', () => {
    for (const policy of ['none', 'lz4', 'bg4-lz4'] as const) {
      const { scheme, payload } = compress(policy, content('zeros', 1000));
      for (const length of [999, 1001, 0]) {
        const run = () => decompressChunk(codec, scheme, payload, new Uint8Array(length));
        expect(codeOf(run), `${policy} ${length}`).toBe('FORMAT_INVALID');
      }
    }
  });

  test('unknown schemes and too long outputs are refused', () => {
    const out = new Uint8Array(4);
    for (const scheme of [3, 99, 255]) {
      const run = () => decompressChunk(codec, scheme as CompressionScheme, out, new Uint8Array(4));
      expect(codeOf(run)).toBe('UNSUPPORTED');
    }
    const long = new Uint8Array(MAX_CHUNK_BYTES + 1);
    expect(codeOf(() => decompressChunk(codec, 0, long, long.slice()))).toBe('LIMIT_EXCEEDED');
  });

  test('a payload cut at any byte is TRUNCATED or FORMAT_INVALID', () => {
    for (const policy of ['none', 'lz4', 'bg4-lz4'] as const) {
      const { scheme, payload } = compress(policy, content('floats', 300));
      for (let end = 0; end < payload.length; end++) {
        const run = () =>
          decompressChunk(codec, scheme, payload.subarray(0, end), new Uint8Array(300));
        expect(codeOf(run)).toMatch(/^(TRUNCATED|FORMAT_INVALID)$/);
      }
    }
  });
});
