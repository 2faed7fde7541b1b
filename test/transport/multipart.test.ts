import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOrbweaverError } from '../../src/errors.js';
import { multipartBoundary, parseContentRange } from '../../src/transport/content-range.js';
import { createMultipartReader, type PlacedBytes } from '../../src/transport/multipart.js';
import { RangeCutter } from '../../src/transport/range-cutter.js';
import { pattern } from './support.js';

const object = pattern(5000, 3);

function multipartOf(
  ranges: readonly { start: number; end: number }[],
  boundary = 'b0',
  header = 'Content-Range',
): Buffer {
  const pieces: (string | Uint8Array)[] = ['preamble that is ignored\r\n'];
  for (const { start, end } of ranges) {
    pieces.push(`\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n`);
    pieces.push(`${header}: bytes ${start}-${end - 1}/${object.length}\r\n\r\n`);
    pieces.push(object.subarray(start, end));
  }
  pieces.push(`\r\n--${boundary}--\r\nepilogue`);
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece as Uint8Array)));
}

/** The asked bytes among these, each with the index of its range. */
function take(cutter: RangeCutter, { offset, bytes }: PlacedBytes) {
  const parts: { rangeIndex: number; bytes: Uint8Array }[] = [];
  for (;;) {
    const { next, index } = cutter;
    const from = next.offset - offset;
    if (cutter.done || from < 0 || from >= bytes.length) return parts;
    const part = bytes.subarray(from, from + next.lengthBytes);
    parts.push({ rangeIndex: index, bytes: part });
    cutter.advance(part.length);
  }
}

/** What asked ranges receive from a body that arrives in these slices. */
function receive(
  body: Uint8Array,
  cuts: readonly number[],
  asked: readonly { start: number; end: number }[],
): { got: Buffer[]; cutter: RangeCutter; ended: boolean } {
  const reader = createMultipartReader('b0');
  const cutter = new RangeCutter(asked);
  const got = asked.map(() => Buffer.alloc(0));
  let at = 0;
  for (const cut of [...cuts, body.length]) {
    const end = Math.min(Math.max(at, cut), body.length);
    for (const placed of reader.push(body.subarray(at, end))) {
      for (const part of take(cutter, placed)) {
        got[part.rangeIndex] = Buffer.concat([got[part.rangeIndex] as Buffer, part.bytes]);
      }
    }
    at = end;
  }
  return { got, cutter, ended: reader.ended };
}

const rangesArbitrary = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 })), {
    minLength: 1,
    maxLength: 6,
  })
  .map((gaps) => {
    let at = 0;
    return gaps.map(([gap, length]) => {
      const start = at + gap;
      at = start + length;
      return { start, end: at };
    });
  });

describe('reading multipart/byteranges', () => {
  it('gives the asked ranges however the body is sliced', () => {
    fc.assert(
      fc.property(rangesArbitrary, fc.array(fc.nat(6000), { maxLength: 20 }), (ranges, cuts) => {
        const body = multipartOf(ranges);
        const { got, cutter, ended } = receive(
          body,
          cuts.sort((a, b) => a - b),
          ranges,
        );
        expect(cutter.done && ended).toBe(true);
        for (const [i, { start, end }] of ranges.entries()) {
          expect(got[i]).toEqual(Buffer.from(object.subarray(start, end)));
        }
      }),
      { numRuns: 200, seed: 5 },
    );
  });

  it('reads a body byte by byte', () => {
    const ranges = [
      { start: 3, end: 9 },
      { start: 100, end: 101 },
    ];
    const body = multipartOf(ranges, 'b0', 'cOnTeNt-rAnGe');
    const { got, cutter } = receive(body, body.map((_, i) => i) as never, ranges);
    expect(cutter.done).toBe(true);
    expect(got[1]).toEqual(Buffer.from(object.subarray(100, 101)));
  });

  it('cuts asked ranges out of parts that join or add some', () => {
    const asked = [
      { start: 10, end: 20 },
      { start: 30, end: 40 },
      { start: 500, end: 600 },
    ];
    const body = multipartOf([
      { start: 0, end: 5 },
      { start: 8, end: 50 },
      { start: 490, end: 610 },
    ]);
    const { got, cutter } = receive(body, [], asked);
    expect(cutter.done).toBe(true);
    for (const [i, { start, end }] of asked.entries()) {
      expect(got[i]).toEqual(Buffer.from(object.subarray(start, end)));
    }
  });

  it('leaves over what comes before its turn', () => {
    const asked = [
      { start: 10, end: 20 },
      { start: 30, end: 40 },
    ];
    const { cutter, got } = receive(multipartOf([asked[1], asked[0]] as never), [], asked);
    expect(got[0]).toHaveLength(10);
    expect(cutter.missing({ onlyFirst: false, wholeFirst: false })).toEqual([asked[1]]);
  });

  it('stays unfinished at every truncation, with no wrong byte', () => {
    const ranges = [
      { start: 3, end: 40 },
      { start: 100, end: 140 },
    ];
    const body = multipartOf(ranges);
    for (let length = 0; length < body.length; length++) {
      const { got } = receive(body.subarray(0, length), [], ranges);
      for (const [i, { start }] of ranges.entries()) {
        const part = got[i] as Buffer;
        expect(part).toEqual(Buffer.from(object.subarray(start, start + part.length)));
      }
    }
  });

  it('answers flipped bytes with the right bytes, fewer of them, or PROTOCOL', () => {
    const ranges = [
      { start: 3, end: 40 },
      { start: 100, end: 140 },
    ];
    const body = multipartOf(ranges);
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Uint8Array.from(body);
        damaged[at] = (damaged[at] as number) ^ flip;
        try {
          receive(damaged, [], ranges);
        } catch (error) {
          expect(isOrbweaverError(error) && error.code).toBe('PROTOCOL');
        }
      }),
      { numRuns: 300, seed: 12 },
    );
  });

  it.each([
    ['a part without a range', '--b0\r\ncontent-type: a\r\n\r\nxx'],
    ['an unreadable range', '--b0\r\ncontent-range: bytes 5-3/9\r\n\r\nxx'],
    ['an endless line', `--b0\r\n${'x'.repeat(9000)}`],
    ['endless headers', `--b0\r\n${'a: b\r\n'.repeat(100)}`],
    ['an endless preamble', 'x\r\n'.repeat(100)],
    ['more data than announced', '--b0\r\ncontent-range: bytes 0-0/9\r\n\r\nxyz\r\n--b0--'],
  ])('refuses %s', (_name, text) => {
    const reader = createMultipartReader('b0');
    expect(() => reader.push(new TextEncoder().encode(text))).toThrow(
      expect.objectContaining({ code: 'PROTOCOL' }),
    );
  });
});

describe('the headers of ranged answers', () => {
  it.each([
    ['bytes 0-9/100', { start: 0, end: 10, totalBytes: 100 }],
    ['BYTES  5-5/*', { start: 5, end: 6, totalBytes: null }],
    ['bytes 0-99/50', null],
    ['bytes 9-3/50', null],
    ['bytes */50', null],
    ['items 0-9/100', null],
    ['', null],
    [`bytes 0-${'9'.repeat(30)}/*`, null],
  ])('reads Content-Range %j', (header, expected) => {
    expect(parseContentRange(header)).toEqual(expected);
  });

  it.each([
    ['multipart/byteranges; boundary=abc', 'abc'],
    ['Multipart/ByteRanges;charset=x; Boundary="a b:c"', 'a b:c'],
    ['multipart/byteranges; boundary="a\\"b"', 'a"b'],
    ['multipart/byteranges', null],
    ['multipart/byteranges; boundary=""', null],
    ['multipart/mixed; boundary=abc', null],
    ['application/octet-stream', null],
  ])('reads the boundary of %j', (header, expected) => {
    expect(multipartBoundary(header)).toBe(expected);
  });
});

describe('the range cutter', () => {
  it('goes on from where it stopped, or from the start of the range', () => {
    const cutter = new RangeCutter([
      { start: 10, end: 20 },
      { start: 30, end: 40 },
    ]);
    expect(cutter.insideRange).toBe(false);
    take(cutter, { offset: 10, bytes: object.subarray(10, 14) });
    expect(cutter.insideRange).toBe(true);
    expect(cutter.missing({ onlyFirst: false, wholeFirst: false })).toEqual([
      { start: 14, end: 20 },
      { start: 30, end: 40 },
    ]);
    expect(cutter.missing({ onlyFirst: true, wholeFirst: true })).toEqual([{ start: 10, end: 20 }]);
    const [rest] = take(cutter, { offset: 10, bytes: object.subarray(10, 20) });
    expect(rest?.bytes).toEqual(object.subarray(14, 20));
  });

  it('refuses empty and absurd ranges', () => {
    for (const range of [
      { start: 5, end: 5 },
      { start: -1, end: 5 },
      { start: 0, end: 2 ** 60 },
      { start: 0.5, end: 2 },
    ]) {
      expect(() => new RangeCutter([range])).toThrow(RangeError);
    }
  });
});
