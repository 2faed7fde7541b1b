import { type CompressionPolicy, createReadableCodec } from '../../src/compress/index.js';
import { isOrbweaverError } from '../../src/errors.js';
import { createReadableBlake3 } from '../../src/hash/index.js';
import { type BuiltXorb, XorbBuilder } from '../../src/xorb/index.js';
import { generate, SplitMix64 } from '../support/generators.js';

export const codec = createReadableCodec();
export const hasher = createReadableBlake3();
export const options = { codec, hasher };

/** Code of the error that `run` ends in, or null. Anything but a typed error is thrown on. */
export function codeOf(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    if (!isOrbweaverError(error)) throw error;
    return error.code;
  }
}

/** Chunks of mixed kinds and lengths (up to `maxBytes`), a function of the seed. */
export function mixedChunks(seed: number, count: number, maxBytes: number): Uint8Array[] {
  const random = new SplitMix64(seed);
  return Array.from({ length: count }, (_, i) => {
    const bytes = 1 + random.below(maxBytes);
    const kind = random.below(4);
    if (kind === 0) return generate({ kind: 'splitmix64', seed: seed + i, bytes });
    if (kind === 1) return generate({ kind: 'words', seed: seed + i, bytes });
    if (kind === 2) return generate({ kind: 'floats', seed: seed + i, bytes });
    return generate({ kind: 'constant', value: i & 255, bytes });
  });
}

/** One xorb of all chunks. */
export function build(chunks: readonly Uint8Array[], policy?: CompressionPolicy): BuiltXorb {
  const builder = new XorbBuilder({ ...options, policy });
  for (const chunk of chunks) if (!builder.add(chunk)) throw new Error('does not fit');
  const xorb = builder.finish();
  if (xorb === null) throw new Error('no chunks');
  return xorb;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Every copy of `bytes` with one bit flipped. */
export function* flippedBits(bytes: Uint8Array): Generator<{ bit: number; bytes: Uint8Array }> {
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const copy = bytes.slice();
    copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
    yield { bit, bytes: copy };
  }
}
