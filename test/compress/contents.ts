import fc from 'fast-check';
import { type GeneratorSpec, generate } from '../support/generators.js';

/** Contents of every kind that a codec treats differently, for lengths up to 128 KiB. */

const LENGTHS = [
  0, 1, 2, 3, 4, 5, 7, 11, 12, 13, 14, 15, 16, 17, 31, 48, 49, 255, 270, 271, 1023, 4095, 8191,
  8192, 12_288, 12_289, 65_535, 65_536, 65_537, 100_003, 131_071, 131_072,
];

const KINDS: Readonly<Record<string, (bytes: number) => GeneratorSpec>> = {
  random: (bytes) => ({ kind: 'splitmix64', seed: 31, bytes }),
  zeros: (bytes) => ({ kind: 'constant', value: 0, bytes }),
  words: (bytes) => ({ kind: 'words', seed: 32, bytes }),
  floats: (bytes) => ({ kind: 'floats', seed: 33, bytes }),
  affine: (bytes) => ({ kind: 'affine', a: 7, b: 3, bytes }),
  period3: (bytes) => ({ kind: 'repeat', unit: [1, 2, 3], bytes }),
};

/** Every kind at every length class. */
export function* contents(): Generator<{ readonly name: string; readonly bytes: Uint8Array }> {
  for (const [kind, spec] of Object.entries(KINDS)) {
    for (const length of LENGTHS) {
      yield { name: `${kind} ${length}`, bytes: generate(spec(length)) };
    }
  }
}

/** One content of a kind. */
export function content(kind: string, bytes: number): Uint8Array {
  const spec = KINDS[kind];
  if (spec === undefined) throw new Error(`no kind ${kind}`);
  return generate(spec(bytes));
}

/** Pieces of random bytes, runs and repeats of earlier bytes: what makes LZ4 take every branch. */
export function arbitraryContent(maxPieces = 12): fc.Arbitrary<Uint8Array> {
  const piece = fc.oneof(
    fc.record({ kind: fc.constant('random' as const), bytes: fc.uint8Array({ maxLength: 400 }) }),
    fc.record({
      kind: fc.constant('run' as const),
      value: fc.integer({ min: 0, max: 255 }),
      length: fc.integer({ min: 1, max: 9000 }),
    }),
    fc.record({
      kind: fc.constant('copy' as const),
      back: fc.integer({ min: 1, max: 80_000 }),
      length: fc.integer({ min: 1, max: 700 }),
    }),
  );
  return fc.array(piece, { maxLength: maxPieces }).map((pieces) => {
    const out = new Uint8Array(131_072);
    let at = 0;
    for (const one of pieces) {
      if (one.kind === 'random') {
        const bytes = one.bytes.subarray(0, out.length - at);
        out.set(bytes, at);
        at += bytes.length;
      } else {
        const end = Math.min(out.length, at + one.length);
        for (; at < end; at++) {
          if (one.kind === 'run') out[at] = one.value;
          else out[at] = out[Math.max(0, at - one.back)] as number;
        }
      }
    }
    return out.slice(0, at);
  });
}

/** A copy in shared memory, away from the start of its buffer. */
export function shared(bytes: Uint8Array, offset = 24): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 2 * offset));
  view.set(bytes, offset);
  return view.subarray(offset, offset + bytes.length);
}
