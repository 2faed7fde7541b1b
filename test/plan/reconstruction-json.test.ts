import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOrbweaverError } from '../../src/errors.js';
import {
  encodeReconstructionV1,
  encodeReconstructionV2,
  parseReconstruction,
  type Reconstruction,
} from '../../src/plan/index.js';
import { sampleReconstruction, toyHash } from './support.js';

/** Plain values, so that `toEqual` compares texts and numbers. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function codeOf(run: () => unknown): { code: string; field: unknown; message: string } {
  try {
    run();
  } catch (error) {
    if (isOrbweaverError(error)) {
      return { code: error.code, field: error.fields['field'], message: error.message };
    }
    throw error;
  }
  return { code: 'none', field: null, message: '' };
}

const hash = toyHash(1).toString();
const v2 = () => ({
  offset_into_first_range: 0,
  terms: [{ hash, unpacked_length: 300, range: { start: 1, end: 3 } }],
  xorbs: {
    [hash]: [
      {
        url: 'https://store/x',
        ranges: [{ chunks: { start: 0, end: 4 }, bytes: { start: 0, end: 999 } }],
      },
    ],
  },
});
const v1 = () => ({
  offset_into_first_range: 0,
  terms: v2().terms,
  fetch_info: {
    [hash]: [
      { range: { start: 0, end: 4 }, url: 'https://store/x', url_range: { start: 0, end: 999 } },
    ],
  },
});

describe('reading reconstruction answers', () => {
  it('makes the inclusive byte ends of the wire half-open', () => {
    const { terms, fetches, offsetIntoFirstTerm } = parseReconstruction(v2());
    expect(offsetIntoFirstTerm).toBe(0);
    expect(plain(terms)).toEqual([{ xorb: hash, unpackedBytes: 300, chunkStart: 1, chunkEnd: 3 }]);
    expect(fetches[0]?.entries[0]?.ranges).toEqual([
      { chunkStart: 0, chunkEnd: 4, byteStart: 0, byteEnd: 1000 },
    ]);
  });

  it('reads version 1 as one entry per fetch info', () => {
    expect(plain(parseReconstruction(v1()))).toEqual(plain(parseReconstruction(v2())));
  });

  it('ignores fields it does not know, also inside of terms', () => {
    const json = v2();
    Object.assign(json, { more: 1 });
    Object.assign(json.terms[0] as object, { chunk_color: [1, 2] });
    expect(parseReconstruction(json).terms).toHaveLength(1);
  });

  it('takes chunk sizes that add up, and no others', () => {
    const parse = (sizes: unknown) => {
      const json = v2();
      Object.assign(json.terms[0] as object, { chunk_byte_sizes: sizes });
      return parseReconstruction(json).terms[0]?.chunkBytes;
    };
    expect(parse([100, 200])).toEqual(Uint32Array.of(100, 200));
    expect(parse(null)).toBeUndefined();
    for (const wrong of [[100], [100, 201], [100, 100, 100], [300, 0], [-1, 301], 'x', [{}, 1]]) {
      expect(() => parse(wrong)).toThrow('chunk_byte_sizes');
    }
  });

  it('takes an empty file with or without an empty fetch list', () => {
    for (const rest of [{}, { fetch_info: {} }, { xorbs: {} }, { fetch_info: null }]) {
      const parsed = parseReconstruction({ offset_into_first_range: 0, terms: [], ...rest });
      expect(parsed).toEqual({ offsetIntoFirstTerm: 0, terms: [], fetches: [] });
    }
  });

  it('keeps what was written, in both versions', () => {
    const original = sampleReconstruction();
    for (const encode of [encodeReconstructionV1, encodeReconstructionV2]) {
      const back = parseReconstruction(JSON.parse(JSON.stringify(encode(original))));
      expect(plain(back)).toEqual(plain(original));
    }
  });

  it('writes the field names of the protocol', () => {
    const sample = sampleReconstruction();
    expect(Object.keys(encodeReconstructionV1(sample))).toEqual([
      'offset_into_first_range',
      'terms',
      'fetch_info',
    ]);
    const [entry] = Object.values(encodeReconstructionV2(sample).xorbs);
    expect(entry?.[0]).toEqual({
      url: 'https://x/a',
      ranges: [{ chunks: { start: 0, end: 4 }, bytes: { start: 0, end: 1031 } }],
    });
  });
});

describe('refusing broken reconstruction answers with PROTOCOL and the field', () => {
  const cases: [name: string, json: unknown, field: string][] = [
    ['no object', 7, 'reconstruction'],
    ['null', null, 'reconstruction'],
    ['an array', [], 'reconstruction'],
    ['no terms', { ...v2(), terms: undefined }, 'terms'],
    ['a negative offset', { ...v2(), offset_into_first_range: -1 }, 'offset_into_first_range'],
    ['a text offset', { ...v2(), offset_into_first_range: '0' }, 'offset_into_first_range'],
    [
      'an offset past its term',
      { ...v2(), offset_into_first_range: 300 },
      'offset_into_first_range',
    ],
    ['no fetch information', { ...v2(), xorbs: undefined }, 'fetch_info'],
    ['fetch information of the wrong type', { ...v2(), xorbs: [] }, 'xorbs'],
    ['a bad hash', { ...v2(), terms: [{ ...v2().terms[0], hash: 'xyz' }] }, 'terms[0].hash'],
    [
      'an impossible length',
      { ...v2(), terms: [{ ...v2().terms[0], unpacked_length: 2 * 131_072 + 1 }] },
      'terms[0].unpacked_length',
    ],
    [
      'a term of nothing',
      { ...v2(), terms: [{ ...v2().terms[0], unpacked_length: 0 }] },
      'terms[0].unpacked_length',
    ],
    [
      'a turned chunk range',
      { ...v2(), terms: [{ ...v2().terms[0], range: { start: 3, end: 3 } }] },
      'terms[0].range.end',
    ],
    [
      'an absurd chunk number',
      { ...v2(), terms: [{ ...v2().terms[0], range: { start: 0, end: 2 ** 40 } }] },
      'terms[0].range.end',
    ],
    [
      'a term that no range covers',
      { ...v2(), terms: [{ ...v2().terms[0], range: { start: 3, end: 5 } }] },
      'terms[0].range',
    ],
    [
      'a term of an unknown xorb',
      { ...v2(), terms: [{ ...v2().terms[0], hash: toyHash(5).toString() }] },
      'terms[0].range',
    ],
    ['an empty URL', withRange({ url: '' }), `xorbs.${hash}[0].url`],
    [
      'fewer bytes than record headers',
      withRange({ ranges: [{ chunks: { start: 0, end: 4 }, bytes: { start: 0, end: 30 } }] }),
      `xorbs.${hash}[0].ranges[0].bytes.end`,
    ],
    [
      'a start inside of earlier headers',
      withRange({ ranges: [{ chunks: { start: 1, end: 4 }, bytes: { start: 7, end: 900 } }] }),
      `xorbs.${hash}[0].ranges[0].bytes.start`,
    ],
    [
      'bytes past any xorb',
      withRange({ ranges: [{ chunks: { start: 0, end: 4 }, bytes: { start: 0, end: 2 ** 33 } }] }),
      `xorbs.${hash}[0].ranges[0].bytes.end`,
    ],
  ];
  function withRange(change: object): unknown {
    const json = v2();
    return { ...json, xorbs: { [hash]: [{ ...json.xorbs[hash]?.[0], ...change }] } };
  }

  it.each(cases)('%s', (_name, json, field) => {
    const { code, field: found } = codeOf(() => parseReconstruction(json));
    expect({ code, field: found }).toEqual({ code: 'PROTOCOL', field });
  });

  it('never shows the URL in a message', () => {
    const json = withRange({ url: `https://store/x?sig=${'s'.repeat(70_000)}` });
    const { code, message } = codeOf(() => parseReconstruction(json));
    expect(code).toBe('PROTOCOL');
    expect(message).not.toContain('sss');
  });

  it('answers any JSON value with a result or PROTOCOL, never with another error', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        expect(['none', 'PROTOCOL']).toContain(codeOf(() => parseReconstruction(json)).code);
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it('answers a damaged answer with a result or PROTOCOL', () => {
    const text = JSON.stringify(v2());
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...paths(v2())), fc.oneof(fc.jsonValue(), fc.double())), {
          minLength: 1,
          maxLength: 3,
        }),
        (changes) => {
          const json: unknown = JSON.parse(text);
          for (const [path, value] of changes) put(json, path, value);
          let result: Reconstruction | null = null;
          const { code } = codeOf(() => {
            result = parseReconstruction(json);
          });
          expect(['none', 'PROTOCOL']).toContain(code);
          if (code === 'none') expect(result).not.toBeNull();
        },
      ),
      { numRuns: 500, seed: 11 },
    );
  });

  it('decides about a long list of overlapping ranges without comparing each with each', () => {
    const ranges = Array.from({ length: 40_000 }, () => ({
      chunks: { start: 0, end: 1 },
      bytes: { start: 0, end: 99 },
    }));
    const wide = { chunks: { start: 0, end: 8000 }, bytes: { start: 0, end: 1_000_000 } };
    const terms = Array.from({ length: 40_000 }, (_, i) => ({
      hash,
      unpacked_length: 10,
      range: { start: i % 7999, end: (i % 7999) + 1 },
    }));
    const parsed = parseReconstruction({
      offset_into_first_range: 0,
      terms,
      xorbs: { [hash]: [{ url: 'https://store/x', ranges: [wide, ...ranges] }] },
    });
    expect(parsed.terms).toHaveLength(40_000);
  });
});

/** Paths of all values inside of a JSON value. */
function paths(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [at];
  const inner = Object.entries(value).flatMap(([key, child]) => paths(child, [...at, key]));
  return at.length === 0 ? inner : [at, ...inner];
}

function put(json: unknown, path: readonly string[], value: unknown): void {
  let at = json;
  for (const key of path.slice(0, -1)) {
    if (typeof at !== 'object' || at === null) return;
    at = (at as Record<string, unknown>)[key];
  }
  const last = path.at(-1);
  if (typeof at === 'object' && at !== null && last !== undefined) {
    (at as Record<string, unknown>)[last] = value;
  }
}
