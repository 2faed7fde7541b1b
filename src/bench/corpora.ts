import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

/**
 * Seeded inputs: the same name, size and seed give the same bytes on every machine, except
 * `binaries`, which is made of the ELF or Mach-O files that the machine has.
 */
export type CorpusName = 'random' | 'text' | 'fp32' | 'bf16' | 'binaries';

const BLOCK_BYTES = 1 << 20;

/** A fast seeded generator of 32-bit words (xoshiro128**, Blackman and Vigna, public domain). */
function createRandom(seed: number): () => number {
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

type BlockMaker = (block: Uint8Array) => void;

/** Makes the blocks of one corpus one after another. */
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

/** Lines of words with the frequencies of prose: compresses about as source trees do. */
function textMaker(next: () => number): BlockMaker {
  const words = Array.from({ length: 4096 }, () =>
    Array.from({ length: 2 + (next() % 9) }, () => String.fromCharCode(97 + (next() % 26))).join(
      '',
    ),
  );
  let rest = '';
  return (block) => {
    let text = rest;
    const parts: string[] = [];
    for (let length = text.length; length < block.length; ) {
      // The square of a uniform value prefers the first words, as language does.
      const u = (next() >>> 8) / 2 ** 24;
      const word = words[Math.floor(u * u * words.length)] as string;
      const end = next() % 12 === 0 ? '\n' : ' ';
      parts.push(word, end);
      length += word.length + 1;
    }
    text += parts.join('');
    for (let i = 0; i < block.length; i++) block[i] = text.charCodeAt(i);
    rest = text.slice(block.length);
  };
}

/** Normal values with standard deviation 0.02, as weights of models are; bf16 drops 16 bits. */
function weightsMaker(next: () => number, half: boolean): BlockMaker {
  const float = new Float32Array(1);
  const bits = new Uint32Array(float.buffer);
  let spare: number | null = null;
  const normal = (): number => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(((next() >>> 8) + 1) / 2 ** 24)) * 0.02;
    const angle = (2 * Math.PI * next()) / 2 ** 32;
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return (block) => {
    if (half) {
      const values = new Uint16Array(block.buffer, block.byteOffset, block.length >> 1);
      for (let i = 0; i < values.length; i++) {
        float[0] = normal();
        values[i] = (bits[0] as number) >>> 16;
      }
    } else {
      const values = new Float32Array(block.buffer, block.byteOffset, block.length >> 2);
      for (let i = 0; i < values.length; i++) values[i] = normal();
    }
  };
}

/** Writes a corpus file unless one of that size is there already. Memory: one block. */
export async function writeCorpus(
  path: string,
  corpus: { readonly name: CorpusName; readonly seed: number; readonly sizeBytes: number },
): Promise<void> {
  const there = await stat(path).catch(() => null);
  if (there?.size === corpus.sizeBytes) return;
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

/** The Node executable and shared libraries of the machine, one after another. */
async function copyBinaries(
  file: Awaited<ReturnType<typeof open>>,
  sizeBytes: number,
): Promise<void> {
  let at = 0;
  for await (const path of binaryFiles()) {
    if (at >= sizeBytes) return;
    for await (const piece of createReadStream(path, { highWaterMark: BLOCK_BYTES })) {
      const bytes = piece as Uint8Array;
      const { bytesWritten } = await file.write(
        bytes,
        0,
        Math.min(bytes.length, sizeBytes - at),
        at,
      );
      at += bytesWritten;
      if (at >= sizeBytes) return;
    }
  }
  throw new Error(`this machine has only ${at} bytes of binaries; ask for fewer than ${sizeBytes}`);
}

async function* binaryFiles(): AsyncGenerator<string> {
  yield process.execPath;
  const seen = new Set<string>();
  for (const folder of ['/usr/lib', '/usr/local/lib', '/usr/bin', '/opt']) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    entries.sort((a, b) => (join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1));
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || seen.has(path)) continue;
      seen.add(path);
      const { size } = await stat(path);
      if (size < 1_000_000) continue;
      const handle = await open(path, 'r').catch(() => null);
      if (handle === null) continue;
      const magic = Buffer.alloc(4);
      await handle.read(magic, 0, 4, 0);
      await handle.close();
      const kind = magic.readUInt32BE(0);
      if (kind === 0x7f454c46 || kind === 0xcffaedfe) yield path;
    }
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
    const bytes = new Uint8Array(Math.ceil((1000 + (next() % 99_000)) / 4) * 4);
    make(bytes);
    await writeFile(path, bytes);
    paths.push(path);
  }
  return paths;
}

/** An edited copy: `edits` places, each with `insertBytes` random bytes inserted. */
export async function writeInsertedCopy(
  from: string,
  to: string,
  options: { readonly edits: number; readonly insertBytes: number; readonly seed: number },
): Promise<void> {
  const original = await readFile(from);
  const next = createRandom(options.seed);
  const places = Array.from({ length: options.edits }, () =>
    Math.floor((next() / 2 ** 32) * original.length),
  ).sort((a, b) => a - b);
  const file = await open(to, 'w');
  try {
    let at = 0;
    for (const place of places) {
      await file.write(original.subarray(at, place));
      await file.write(Uint8Array.from({ length: options.insertBytes }, () => next()));
      at = place;
    }
    await file.write(original.subarray(at));
  } finally {
    await file.close();
  }
}

/** A copy of an array of fp32 rows in which `count` random rows are changed by `delta`. */
export async function writeChangedRows(
  from: string,
  to: string,
  options: {
    readonly rowBytes: number;
    readonly count: number;
    readonly delta: number;
    readonly seed: number;
  },
): Promise<void> {
  const bytes = await readFile(from);
  const next = createRandom(options.seed);
  const rows = Math.floor(bytes.length / options.rowBytes);
  const copy = new Uint8Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  const values = new Float32Array(copy.buffer, 0, copy.length >> 2);
  for (let i = 0; i < options.count; i++) {
    const row = next() % rows;
    const start = (row * options.rowBytes) >> 2;
    for (let j = 0; j < options.rowBytes >> 2; j++) {
      values[start + j] = (values[start + j] as number) + options.delta;
    }
  }
  await writeFile(to, copy);
}
