import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyBinaries } from './binaries.js';

/**
 * Seeded inputs: the same name, size and seed give the same bytes on every machine, except
 * `binaries`, which is made of the ELF or Mach-O files that the machine has.
 */
export type CorpusName = 'random' | 'text' | 'fp32' | 'bf16' | 'binaries';

const BLOCK_BYTES = 1 << 20;

/** Fills a block with the next bytes of a corpus. */
export type BlockMaker = (block: Uint8Array) => void;

/**
 * Makes the blocks of one corpus one after another. Blocks start at a multiple of four bytes of their
 * buffer; their lengths are multiples of four, save for text.
 */
export function createBlockMaker(name: Exclude<CorpusName, 'binaries'>, seed: number): BlockMaker {
  const next = createRandom(seed);
  switch (name) {
    case 'random':
      return (block) => {
        const words = new Uint32Array(block.buffer, block.byteOffset, block.length >> 2);
        for (let i = 0; i < words.length; i++) words[i] = next();
        for (let i = words.length << 2; i < block.length; i++) block[i] = next();
      };
    case 'text':
      return textMaker(next);
    case 'fp32':
    case 'bf16':
      return weightsMaker(next, name === 'bf16');
  }
}

/** Lines of words and of phrases that come again: LZ4 takes it to 62 %. */
function textMaker(next: () => number): BlockMaker {
  // The square of a uniform value prefers the first entries, as language does.
  const pick = (list: readonly string[]): string => {
    const u = (next() >>> 8) / 2 ** 24;
    return list[Math.floor(u * u * list.length)] as string;
  };
  const letters = (count: number): string =>
    Array.from({ length: count }, () => String.fromCharCode(97 + (next() % 26))).join('');
  const words = Array.from({ length: 4096 }, () => letters(2 + (next() % 9)));
  const phrases = Array.from({ length: 4096 }, () =>
    Array.from({ length: 2 + (next() % 6) }, () => pick(words)).join(' '),
  );
  let rest = '';
  return (block) => {
    const parts = [rest];
    for (let length = rest.length; length < block.length; ) {
      const part = next() % 3 === 0 ? pick(phrases) : pick(words);
      parts.push(part, next() % 12 === 0 ? '\n' : ' ');
      length += part.length + 1;
    }
    const text = parts.join('');
    for (let i = 0; i < block.length; i++) block[i] = text.charCodeAt(i);
    rest = text.slice(block.length);
  };
}

/**
 * Bell-shaped values around 0 with standard deviation 0.02, as weights of models are; bf16 drops 16
 * bits. Sums of four uniform values: only exact operations, so the bytes are the same in every
 * engine, which logarithm and sine do not promise. As all typed arrays here: little-endian machines.
 */
function weightsMaker(next: () => number, half: boolean): BlockMaker {
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  // Four uniform values over [0, 2^32) have the variance 4 * 2^64 / 12.
  const scale = (0.02 * Math.sqrt(3)) / 2 ** 32;
  const draw = (): number => (next() + next() + next() + next() - 2 ** 33) * scale;
  return (block) => {
    if (half) {
      const values = new Uint16Array(block.buffer, block.byteOffset, block.length >> 1);
      for (let i = 0; i < values.length; i++) {
        float[0] = draw();
        values[i] = (bits[0] as number) >>> 16;
      }
    } else {
      const values = new Float32Array(block.buffer, block.byteOffset, block.length >> 2);
      for (let i = 0; i < values.length; i++) values[i] = draw();
    }
  };
}

/** Writes a corpus file. Memory: one block. */
export async function writeCorpus(
  path: string,
  corpus: { readonly name: CorpusName; readonly seed: number; readonly sizeBytes: number },
): Promise<void> {
  const file = await open(path, 'w');
  try {
    if (corpus.name === 'binaries') {
      await copyBinaries(file, corpus.sizeBytes);
      return;
    }
    const make = createBlockMaker(corpus.name, corpus.seed);
    const block = new Uint8Array(BLOCK_BYTES);
    for (let at = 0; at < corpus.sizeBytes; at += BLOCK_BYTES) {
      make(block);
      await file.write(block, 0, Math.min(BLOCK_BYTES, corpus.sizeBytes - at), at);
    }
  } finally {
    await file.close();
  }
}

/** `count` files of 1 to 100 kB of random bytes. Returns their paths. */
export async function writeSmallFiles(
  folder: string,
  count: number,
  seed: number,
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const next = createRandom(seed);
  const make = createBlockMaker('random', seed + 1);
  const paths: string[] = [];
  for (let i = 0; i < count; i++) {
    const path = join(folder, `f${String(i).padStart(5, '0')}`);
    const sizeBytes = 1000 + (next() % 99_000);
    const bytes = new Uint8Array(Math.ceil(sizeBytes / 4) * 4);
    make(bytes);
    await writeFile(path, bytes.subarray(0, sizeBytes));
    paths.push(path);
  }
  return paths;
}

/** A fast seeded generator of 32-bit words (xoshiro128**, Blackman and Vigna, public domain). */
export function createRandom(seed: number): () => number {
  let s = seed >>> 0;
  const mix = (): number => {
    // SplitMix32 spreads the seed over the state.
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let a = mix();
  let b = mix();
  let c = mix();
  let d = mix();
  return () => {
    const x = Math.imul(b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}
