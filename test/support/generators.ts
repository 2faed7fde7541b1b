/**
 * Seeded data for tests and benchmarks: each kind is a function of its parameters, so a fixture
 * needs to name the recipe only (`fixtures/README.md` has the definitions).
 */

export type GeneratorSpec =
  | { readonly kind: 'splitmix64'; readonly seed: number | bigint; readonly bytes: number }
  | { readonly kind: 'constant'; readonly value: number; readonly bytes: number }
  | { readonly kind: 'words'; readonly seed: number | bigint; readonly bytes: number }
  | { readonly kind: 'floats'; readonly seed: number | bigint; readonly bytes: number }
  /** `byte[i] = (i * a + b) & 255` */
  | { readonly kind: 'affine'; readonly a: number; readonly b: number; readonly bytes: number }
  /** `unit` again and again. */
  | { readonly kind: 'repeat'; readonly unit: readonly number[]; readonly bytes: number }
  /** `s = (s * 1111 + 12345) mod 2^24`, three bytes little-endian a step. */
  | { readonly kind: 'lcg24'; readonly seed: number; readonly bytes: number }
  | { readonly kind: 'concat'; readonly parts: readonly GeneratorSpec[] }
  /** Bytes `[start, end)` of another recipe. */
  | {
      readonly kind: 'slice';
      readonly of: GeneratorSpec;
      readonly start: number;
      readonly end: number;
    };

/** The bytes of a recipe. Some 300 MB/s and more. */
export function generate(spec: GeneratorSpec): Uint8Array {
  return generateOnce(spec, new Map());
}

/** One result per recipe within a call: fixtures cut many slices out of the same 10 MB. */
function generateOnce(spec: GeneratorSpec, made: Map<string, Uint8Array>): Uint8Array {
  switch (spec.kind) {
    case 'splitmix64':
      return splitmix64Bytes(spec.seed, spec.bytes);
    case 'constant':
      return new Uint8Array(spec.bytes).fill(spec.value);
    case 'words':
      return words(spec.seed, spec.bytes);
    case 'floats':
      return floats(spec.seed, spec.bytes);
    case 'affine': {
      const out = new Uint8Array(spec.bytes);
      for (let i = 0; i < out.length; i++) out[i] = (i * spec.a + spec.b) & 255;
      return out;
    }
    case 'repeat': {
      const out = new Uint8Array(spec.bytes);
      for (let i = 0; i < out.length; i++) out[i] = spec.unit[i % spec.unit.length] as number;
      return out;
    }
    case 'lcg24':
      return lcg24(spec.seed, spec.bytes);
    case 'concat': {
      const parts = spec.parts.map((part) => generateOnce(part, made));
      const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        out.set(part, at);
        at += part.length;
      }
      return out;
    }
    case 'slice': {
      const key = JSON.stringify(spec.of, (_, value) =>
        typeof value === 'bigint' ? String(value) : value,
      );
      let whole = made.get(key);
      if (whole === undefined) {
        whole = generateOnce(spec.of, made);
        made.set(key, whole);
      }
      return whole.subarray(spec.start, spec.end);
    }
  }
}

/** SplitMix64 with its 64-bit values as two unsigned halves (BigInt would be 50 times slower). */
export class SplitMix64 {
  #stateLow: number;
  #stateHigh: number;
  /** Halves of the last output. */
  low = 0;
  high = 0;

  constructor(seed: number | bigint) {
    const state = BigInt.asUintN(64, BigInt(seed));
    this.#stateLow = Number(state & 0xffff_ffffn);
    this.#stateHigh = Number(state >> 32n);
  }

  /** Makes the next output, in `low` and `high`. */
  next(): void {
    const sum = this.#stateLow + 0x7f4a7c15;
    this.#stateLow = sum >>> 0;
    this.#stateHigh = (this.#stateHigh + 0x9e3779b9 + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
    this.low = this.#stateLow;
    this.high = this.#stateHigh;
    this.#xorShift(30);
    this.#multiply(0x1ce4e5b9, 0xbf58476d);
    this.#xorShift(27);
    this.#multiply(0x133111eb, 0x94d049bb);
    this.#xorShift(31);
  }

  #xorShift(count: number): void {
    this.low = (this.low ^ ((this.low >>> count) | (this.high << (32 - count)))) >>> 0;
    this.high = (this.high ^ (this.high >>> count)) >>> 0;
  }

  #multiply(low: number, high: number): void {
    const a = this.low;
    const lowLow = (a & 0xffff) * (low & 0xffff);
    const lowHigh = (a & 0xffff) * (low >>> 16);
    const highLow = (a >>> 16) * (low & 0xffff);
    const middle = (lowLow >>> 16) + (lowHigh & 0xffff) + (highLow & 0xffff);
    const carried =
      (a >>> 16) * (low >>> 16) + (lowHigh >>> 16) + (highLow >>> 16) + (middle >>> 16);
    this.high = (carried + Math.imul(a, high) + Math.imul(this.high, low)) >>> 0;
    this.low = Math.imul(a, low) >>> 0;
  }

  /** A number in `[0, bound)`; the tiny bias does not matter to tests. */
  below(bound: number): number {
    this.next();
    return Math.floor((this.high / 4294967296) * bound);
  }
}

function splitmix64Bytes(seed: number | bigint, length: number): Uint8Array {
  const padded = new Uint8Array(Math.ceil(length / 8) * 8);
  const view = new DataView(padded.buffer);
  const random = new SplitMix64(seed);
  for (let at = 0; at < padded.length; at += 8) {
    random.next();
    view.setUint32(at, random.low, true);
    view.setUint32(at + 4, random.high, true);
  }
  return padded.subarray(0, length);
}

function words(seed: number | bigint, length: number): Uint8Array {
  const texts = Array.from({ length: 2048 }, (_, i) =>
    Uint8Array.from(String((i * 40503) & 0xffff), (digit) => digit.charCodeAt(0)),
  );
  const out = new Uint8Array(length + 6);
  const random = new SplitMix64(seed);
  let at = 0;
  while (at < length) {
    random.next();
    for (const digit of texts[random.low & 2047] as Uint8Array) out[at++] = digit;
    out[at++] = ((random.low >>> 11) & 15) === 0 ? 10 : 32;
  }
  return out.subarray(0, length);
}

function floats(seed: number | bigint, length: number): Uint8Array {
  const out = new Uint8Array(length + 4);
  const random = new SplitMix64(seed);
  for (let at = 0; at < length; at += 4) {
    random.next();
    out[at] = random.low & 255;
    out[at + 1] = (random.low >>> 8) & 255;
    out[at + 2] = ((random.low >>> 16) & 15) | 48;
    out[at + 3] = 60 + 128 * ((random.low >>> 24) & 1);
  }
  return out.subarray(0, length);
}

function lcg24(seed: number, length: number): Uint8Array {
  const out = new Uint8Array(length + 3);
  let state = seed;
  for (let at = 0; at < length; at += 3) {
    state = (state * 1111 + 12345) & 0xff_ffff;
    out[at] = state & 255;
    out[at + 1] = (state >>> 8) & 255;
    out[at + 2] = state >>> 16;
  }
  return out.subarray(0, length);
}
