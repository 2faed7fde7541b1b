import { beforeAll, describe, expect, it } from 'vitest';
import { type GeneratorSpec, generate } from '../support/generators.js';
import {
  boundaryLengths,
  createDice,
  createSetups,
  firstDifference,
  type Setup,
  twins,
} from './support.js';

const GUARD_BYTES = 64;
const GUARD = 0xa5;

const contents: { readonly [name: string]: (bytes: number, seed: number) => GeneratorSpec } = {
  random: (bytes, seed) => ({ kind: 'splitmix64', seed, bytes }),
  words: (bytes, seed) => ({ kind: 'words', seed, bytes }),
  floats: (bytes, seed) => ({ kind: 'floats', seed, bytes: bytes & ~3 }),
  zeros: (bytes) => ({ kind: 'constant', value: 0, bytes }),
  affine: (bytes) => ({ kind: 'affine', a: 3, b: 1, bytes }),
  pattern: (bytes, seed) => ({
    kind: 'repeat',
    unit: Array.from({ length: 1 + (seed % 40) }, (_, i) => (i * 91 + seed) & 255),
    bytes,
  }),
  mixed: (bytes, seed) => ({
    kind: 'concat',
    parts: [
      { kind: 'splitmix64', seed, bytes: bytes >> 2 },
      { kind: 'words', seed, bytes: bytes >> 2 },
      { kind: 'splitmix64', seed, bytes: bytes >> 2 },
      { kind: 'constant', value: 7, bytes: bytes >> 2 },
    ],
  }),
};

/** A view with guard bytes around it, which `intact` checks. */
function guarded(setup: Setup, slot: number, length: number, misalign = 0) {
  const all = setup.view(slot, length + 2 * GUARD_BYTES, misalign).fill(GUARD);
  return {
    bytes: all.subarray(GUARD_BYTES, GUARD_BYTES + length),
    intact: () => {
      for (let i = 0; i < GUARD_BYTES; i++) {
        if (all[i] !== GUARD || all[all.length - 1 - i] !== GUARD) return false;
      }
      return true;
    },
  };
}

describe('LZ4 kernels', () => {
  let setups: Setup[];
  beforeAll(async () => {
    setups = await createSetups();
  });

  /** Kernel to kernel, kernel to twin, and the twin's block, byte for byte. */
  function roundTrip(setup: Setup, content: Uint8Array, misalign: number): void {
    const { codec } = setup.kernels;
    const n = content.length;
    const src = setup.view(0, n, misalign);
    src.set(content);
    const packed = guarded(setup, 1, n + Math.ceil(n / 255) + 16, misalign + 3);
    const length = codec.lz4Compress(src, packed.bytes);
    const label = [setup.name, n, length];
    expect([...label, length > 0, packed.intact()]).toEqual([...label, true, true]);

    const block = packed.bytes.subarray(0, length);
    const out = guarded(setup, 2, n, misalign + 1);
    expect([...label, codec.lz4Decompress(block, out.bytes, 0)]).toEqual([...label, n]);
    expect([...label, firstDifference(out.bytes, content), out.intact()]).toEqual([
      ...label,
      -1,
      true,
    ]);

    const plain = new Uint8Array(n);
    expect([...label, twins.codec.lz4Decompress(block, plain, 0)]).toEqual([...label, n]);
    expect([...label, firstDifference(plain, content)]).toEqual([...label, -1]);

    const readable = setup.view(3, packed.bytes.length);
    const readableLength = twins.codec.lz4Compress(src, readable);
    const difference = firstDifference(readable.subarray(0, readableLength), block);
    expect([...label, readableLength, difference]).toEqual([...label, length, -1]);
  }

  it.each(Object.keys(contents))('round-trip %s of every length from 0 to 2100', (name) => {
    const content = generate((contents[name] as (typeof contents)[string])(2100, 21));
    for (const setup of setups) {
      const step = setup === setups[0] ? 1 : 37;
      for (let n = 0; n <= content.length; n += step)
        roundTrip(setup, content.subarray(0, n), n & 15);
    }
  });

  it.each(Object.keys(contents))('round-trip %s at every boundary and of chunk size', (name) => {
    for (const setup of setups) {
      for (const n of boundaryLengths()) {
        if (setup !== setups[0] && n < 60_000) continue;
        roundTrip(setup, generate((contents[name] as (typeof contents)[string])(n, n)), n & 15);
      }
    }
  });

  it('round-trip blocks longer than one copy', () => {
    for (const setup of setups) {
      for (const n of [163_840, 163_841, 500_000]) {
        roundTrip(setup, generate({ kind: 'words', seed: 5, bytes: n }), 3);
      }
    }
  });

  it('give the same block whatever was compressed before', () => {
    const text = generate({ kind: 'words', seed: 6, bytes: 90_000 });
    const first = setups[0] as Setup;
    const reference = new Uint8Array(100_000);
    const length = first.kernels.codec.lz4Compress(text, reference);
    for (const setup of setups) {
      for (const seed of [1, 2, 3]) {
        const noise = generate({ kind: seed === 2 ? 'splitmix64' : 'words', seed, bytes: 131_072 });
        setup.kernels.codec.lz4Compress(noise, new Uint8Array(140_000));
        const out = new Uint8Array(100_000);
        expect(setup.kernels.codec.lz4Compress(text, out)).toBe(length);
        expect(firstDifference(out.subarray(0, length), reference.subarray(0, length))).toBe(-1);
      }
    }
  });

  it('return 0 when the block does not fit, to the byte, and write nothing outside', () => {
    for (const setup of setups) {
      for (const [name, make] of Object.entries(contents)) {
        const content = generate(make(3000, 9));
        const whole = new Uint8Array(4000);
        const length = setup.kernels.codec.lz4Compress(content, whole);
        const src = setup.view(0, content.length);
        src.set(content);
        for (const room of [0, 1, 2, 12, length >> 1, length - 1]) {
          const out = guarded(setup, 1, room);
          expect([name, room, setup.kernels.codec.lz4Compress(src, out.bytes)]).toEqual([
            name,
            room,
            0,
          ]);
          expect(out.intact()).toBe(true);
        }
        const out = guarded(setup, 1, length);
        expect(setup.kernels.codec.lz4Compress(src, out.bytes)).toBe(length);
        expect(out.intact()).toBe(true);
      }
    }
  });

  it('repeat near patterns of every distance and length', () => {
    for (const setup of setups) {
      for (let distance = 1; distance <= 40; distance++) {
        for (const match of [4, 5, 15, 18, 19, 33, 64, 270, 1000]) {
          const unit = Uint8Array.from({ length: distance }, (_, i) => (i * 7 + distance) & 255);
          const block = sequence(unit, distance, match, [1, 2, 3, 4, 5]);
          // Room for nothing more, and for wide copies.
          for (const extra of [0, 100]) {
            const n = distance + match + 5;
            const out = guarded(setup, 1, n + extra);
            expect(setup.kernels.codec.lz4Decompress(block, out.bytes, 0)).toBe(n);
            expect(out.intact()).toBe(true);
            for (let i = 0; i < distance + match; i++) {
              if (out.bytes[i] !== unit[i % distance])
                expect([distance, match, i]).toBe('repeated');
            }
            expect([...out.bytes.subarray(n - 5, n)]).toEqual([1, 2, 3, 4, 5]);
          }
        }
      }
    }
  });

  it('reach back over what stood in front of a linked block, but not before it', () => {
    for (const setup of setups) {
      for (const history of [1, 17, 65_535, 65_536, 100_000]) {
        const before = generate({ kind: 'splitmix64', seed: 3, bytes: history });
        const reach = Math.min(history, 65_535);
        const out = guarded(setup, 1, history + 30);
        out.bytes.set(before);
        const block = sequence(new Uint8Array(0), reach, 20, [9, 8, 7, 6, 5]);
        expect(setup.kernels.codec.lz4Decompress(block, out.bytes, history)).toBe(history + 25);
        const expected = Uint8Array.from(
          { length: 20 },
          (_, i) => before[history - reach + (i % reach)] as number,
        );
        expect(out.bytes.slice(history, history + 20)).toEqual(expected);
        expect(firstDifference(out.bytes.subarray(0, history), before)).toBe(-1);
        if (reach === history) {
          const further = sequence(new Uint8Array(0), Math.min(history + 1, 65_535), 20, [1]);
          const end = setup.kernels.codec.lz4Decompress(further, out.bytes, history);
          expect(end).toBe(history === 65_535 ? history + 21 : -1);
        }
        expect(out.intact()).toBe(true);
      }
    }
  });

  it('refuse what breaks the rules of the format', () => {
    const bad: [string, number[], number][] = [
      ['nothing at all', [], 10],
      ['a token without literals', [0x10], 10],
      ['a count that is cut off', [0xf0], 100],
      ['a count that never ends', [0xf0, ...Array(50).fill(255)], 100],
      ['half a distance', [0x10, 1, 5], 10],
      ['distance 0', [0x10, 1, 0, 0, 0x10, 1], 100],
      ['a distance before the start', [0x10, 1, 2, 0, 0x10, 1], 100],
      ['an end after a match', [0x10, 1, 1, 0], 100],
      ['more literals than room', [0x50, 1, 2, 3, 4, 5], 4],
      ['a longer match than room', [0x10, 1, 1, 0, 0x10, 1], 4],
      ['a match length that is cut off', [0x1f, 1, 1, 0], 100],
      ['a match length that never ends', [0x1f, 1, 1, 0, ...Array(50).fill(255)], 1000],
    ];
    for (const setup of setups) {
      for (const [name, bytes, room] of bad) {
        const block = setup.view(0, bytes.length, 1);
        block.set(bytes);
        const out = guarded(setup, 1, room);
        expect([name, setup.kernels.codec.lz4Decompress(block, out.bytes, 0)]).toEqual([name, -1]);
        expect([name, out.intact()]).toEqual([name, true]);
        expect(twins.codec.lz4Decompress(block, new Uint8Array(room), 0)).toBe(-1);
      }
      const out = new Uint8Array(4);
      for (const start of [-1, 5, Number.NaN]) {
        expect(setup.kernels.codec.lz4Decompress(Uint8Array.of(0x10, 1), out, start)).toBe(-1);
      }
      expect(setup.kernels.codec.lz4Decompress(Uint8Array.of(0), out, 4)).toBe(4);
    }
  });

  it('answer damaged blocks like the twin and touch no byte outside of the output', () => {
    const dice = createDice(31);
    for (const setup of setups) {
      for (let round = 0; round < 500; round++) {
        const names = Object.keys(contents);
        const make = contents[names[dice(names.length)] as string] as (typeof contents)[string];
        const content = generate(make(1 + dice(1500), dice(1000)));
        const whole = new Uint8Array(content.length * 2 + 32);
        const length = twins.codec.lz4Compress(content, whole);
        let damaged = whole.slice(0, length);
        const damage = dice(5);
        if (damage === 0) damaged = damaged.subarray(0, dice(length + 1));
        else if (damage === 1) for (let i = 0; i < 3; i++) damaged[dice(length)] = dice(256);
        else if (damage === 2) damaged[dice(length)] = 255;
        else if (damage === 3) damaged.fill(255, dice(length));
        else (damaged[dice(length)] as number) ^= 1 << dice(8);

        const room = dice(3) === 0 ? dice(content.length + 1) : content.length + dice(3) * 50;
        const start = dice(2) * dice(room + 1);
        const history = generate({ kind: 'affine', a: 5, b: 2, bytes: start });
        const src = guarded(setup, 0, damaged.length, dice(16));
        src.bytes.set(damaged);
        const out = guarded(setup, 1, room, dice(16));
        out.bytes.set(history);
        const expected = new Uint8Array(room);
        expected.set(history);
        const end = setup.kernels.codec.lz4Decompress(src.bytes, out.bytes, start);
        const twinEnd = twins.codec.lz4Decompress(damaged, expected, start);
        expect([setup.name, round, end]).toEqual([setup.name, round, twinEnd]);
        expect([
          round,
          out.intact(),
          firstDifference(out.bytes.subarray(0, start), history),
        ]).toEqual([round, true, -1]);
        if (end >= 0) {
          expect(firstDifference(out.bytes.subarray(0, end), expected.subarray(0, end))).toBe(-1);
        }
      }
    }
  });

  it('survive truncation at each byte and each flipped bit of a small block', () => {
    const content = generate((contents['mixed'] as (typeof contents)[string])(400, 2));
    const whole = new Uint8Array(600);
    const length = twins.codec.lz4Compress(content, whole);
    const setup = setups[0] as Setup;
    const src = setup.view(0, length);
    const out = guarded(setup, 1, content.length);
    for (let cut = 0; cut < length; cut++) {
      src.set(whole.subarray(0, length));
      const end = setup.kernels.codec.lz4Decompress(src.subarray(0, cut), out.bytes, 0);
      expect(end).toBe(twins.codec.lz4Decompress(whole.subarray(0, cut), new Uint8Array(400), 0));
      for (let bit = 0; bit < 8; bit++) {
        src.set(whole.subarray(0, length));
        (src[cut] as number) ^= 1 << bit;
        const flipped = setup.kernels.codec.lz4Decompress(src, out.bytes, 0);
        expect(flipped).toBe(twins.codec.lz4Decompress(src, new Uint8Array(400), 0));
      }
    }
    expect(out.intact()).toBe(true);
  });
});

/** One block by hand: literals, a match, and last literals. */
function sequence(
  literals: Uint8Array,
  distance: number,
  match: number,
  last: number[],
): Uint8Array {
  const bytes: number[] = [];
  const extra = match - 4;
  bytes.push((Math.min(literals.length, 15) << 4) | Math.min(extra, 15));
  const more = (n: number): void => {
    if (n < 15) return;
    let rest = n - 15;
    for (; rest >= 255; rest -= 255) bytes.push(255);
    bytes.push(rest);
  };
  more(literals.length);
  bytes.push(...literals, distance & 255, distance >> 8);
  more(extra);
  bytes.push(last.length << 4, ...last);
  return Uint8Array.from(bytes);
}
