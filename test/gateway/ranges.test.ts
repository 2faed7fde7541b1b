import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectiveRange, entityTag, isNotModified } from '../../src/gateway/conditional.js';
import { multipartBody } from '../../src/gateway/multipart-body.js';
import {
  formatRanges,
  MAX_RANGES_PER_REQUEST,
  parseRange,
  parseSignedRanges,
  rangesInside,
  totalBytes,
} from '../../src/gateway/ranges.js';

const span = (start: number, end: number) => ({ start, end });

describe('a Range header', () => {
  it.each([
    [undefined, { kind: 'none' }],
    ['bytes=0-9', { kind: 'ranges', ranges: [span(0, 10)] }],
    ['BYTES= 0-9 ', { kind: 'ranges', ranges: [span(0, 10)] }],
    ['bytes=0-0', { kind: 'ranges', ranges: [span(0, 1)] }],
    ['bytes=90-', { kind: 'ranges', ranges: [span(90, 100)] }],
    ['bytes=-10', { kind: 'ranges', ranges: [span(90, 100)] }],
    ['bytes=-1000', { kind: 'ranges', ranges: [span(0, 100)] }],
    ['bytes=50-1000', { kind: 'ranges', ranges: [span(50, 100)] }],
    ['bytes=0-255999999', { kind: 'ranges', ranges: [span(0, 100)] }],
    ['bytes=5-9, 1-2', { kind: 'ranges', ranges: [span(5, 10), span(1, 3)] }],
    ['bytes=100-', { kind: 'unsatisfiable' }],
    ['bytes=100-100', { kind: 'unsatisfiable' }],
    ['bytes=-0', { kind: 'unsatisfiable' }],
    ['bytes=0-1,200-300', { kind: 'unsatisfiable' }],
    ['', { kind: 'malformed' }],
    ['bytes', { kind: 'malformed' }],
    ['bytes=', { kind: 'malformed' }],
    ['bytes=-', { kind: 'malformed' }],
    ['bytes=9-5', { kind: 'malformed' }],
    ['bytes=a-b', { kind: 'malformed' }],
    ['bytes=1-2,', { kind: 'malformed' }],
    ['bytes=0x1-2', { kind: 'malformed' }],
    ['bytes=1e3-', { kind: 'malformed' }],
    ['bytes=--5', { kind: 'malformed' }],
    ['items=0-5', { kind: 'malformed' }],
    ['bytes=0-9999999999999999', { kind: 'malformed' }],
    ['bytes=99999999999999999-', { kind: 'malformed' }],
  ])('%j of 100 bytes is %j', (header, expected) => {
    expect(parseRange(header, 100)).toEqual(expected);
  });

  it('of an empty thing can never be satisfied', () => {
    for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-5']) {
      expect(parseRange(header, 0)).toEqual({ kind: 'unsatisfiable' });
    }
  });

  it('keeps an end past the size when asked not to clamp', () => {
    expect(parseRange('bytes=5-999', 100, { clampEnd: false })).toEqual({
      kind: 'ranges',
      ranges: [span(5, 1000)],
    });
  });

  it('with more ranges than the limit is malformed, whatever they are', () => {
    const many = (count: number) => `bytes=${Array.from({ length: count }, () => '0-0').join(',')}`;
    expect(parseRange(many(MAX_RANGES_PER_REQUEST), 100).kind).toBe('ranges');
    expect(parseRange(many(MAX_RANGES_PER_REQUEST + 1), 100).kind).toBe('malformed');
  });

  it('never gives a range outside of the thing, for any text', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.stringMatching(/^bytes=[0-9, -]{0,30}$/),
    );
    fc.assert(
      fc.property(text, fc.nat(1000), (header, size) => {
        const result = parseRange(header, size);
        if (result.kind !== 'ranges') return;
        for (const { start, end } of result.ranges) {
          expect(start >= 0 && start < end && end <= size).toBe(true);
        }
      }),
      { numRuns: 500, seed: 7 },
    );
  });
});

describe('signed ranges', () => {
  it('are read back as they were written', () => {
    const ranges = [span(0, 1), span(10, 400), span(67_000_000, 67_108_864)];
    expect(formatRanges(ranges)).toBe('0-0,10-399,67000000-67108863');
    expect(parseSignedRanges(formatRanges(ranges))).toEqual(ranges);
  });

  it('in any other form are nothing', () => {
    for (const text of [
      '',
      '1',
      '1-',
      '-1',
      '5-2',
      '0-1,',
      ',0-1',
      '0-1 ,2-3',
      '0-1;2-3',
      '+0-1',
    ]) {
      expect(parseSignedRanges(text), text).toBeNull();
    }
  });

  it('contain what lies inside of a single one of them', () => {
    const allowed = [span(0, 10), span(10, 20), span(50, 60)];
    expect(rangesInside([span(2, 5), span(50, 60)], allowed)).toBe(true);
    expect(rangesInside([span(5, 15)], allowed)).toBe(false);
    expect(rangesInside([span(0, 10), span(49, 60)], allowed)).toBe(false);
    expect(totalBytes(allowed)).toBe(30);
  });
});

describe('conditional requests', () => {
  const tag = entityTag('abc', 5);

  it('match their tag, weak or strong, alone or in a list', () => {
    expect(isNotModified(undefined, tag)).toBe(false);
    expect(isNotModified('"other"', tag)).toBe(false);
    for (const header of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
      expect(isNotModified(header, tag), header).toBe(true);
    }
  });

  it('drop the range when it is meant for another version', () => {
    expect(effectiveRange('bytes=0-1', undefined, tag)).toBe('bytes=0-1');
    expect(effectiveRange('bytes=0-1', tag, tag)).toBe('bytes=0-1');
    expect(effectiveRange('bytes=0-1', '"other"', tag)).toBeUndefined();
    expect(effectiveRange('bytes=0-1', `W/${tag}`, tag)).toBeUndefined();
  });
});

describe('a multipart body', () => {
  it('has exactly the length that it announces', async () => {
    const source = Uint8Array.from({ length: 300 }, (_, index) => index & 255);
    const body = multipartBody({
      ranges: [span(290, 300), span(0, 1), span(100, 150)],
      totalBytes: 300,
      boundary: 'XYZ',
    });
    const pieces = body.parts.map((part) =>
      part instanceof Uint8Array ? part : source.subarray(part.start, part.end),
    );
    const text = Buffer.concat(pieces).toString('latin1');
    expect(text.length).toBe(body.lengthBytes);
    expect(text.startsWith('--XYZ\r\nContent-Type: application/octet-stream\r\n')).toBe(true);
    expect(text.match(/Content-Range: bytes [0-9-]+\/300\r\n\r\n/g)).toEqual([
      'Content-Range: bytes 290-299/300\r\n\r\n',
      'Content-Range: bytes 0-0/300\r\n\r\n',
      'Content-Range: bytes 100-149/300\r\n\r\n',
    ]);
    expect(text.endsWith('\r\n--XYZ--\r\n')).toBe(true);
  });
});
