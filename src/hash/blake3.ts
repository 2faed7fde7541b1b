import type { Hasher } from './ports.js';

/**
 * BLAKE3 in keyed mode, 256 bits out, any length: written to be read beside the BLAKE3 paper
 * (section 2), as the oracle of the kernels and the fallback where WebAssembly may not run.
 *
 *   input  = chunks of 1024 bytes = blocks of 64 bytes
 *   chunk  -> chaining value: its blocks one after the other, flags START and END at its ends
 *   parent -> chaining value: one block, the two children's values side by side
 *   tree   : the left child is the largest complete subtree that leaves something to the right
 *   root   : the last compression carries the flag ROOT; its first 32 bytes are the hash
 *
 * All words are little-endian u32, and every addition is modulo 2^32 (`| 0`).
 */

const BLOCK_BYTES = 64;
const LEAF_BYTES = 1024;

const FLAG_CHUNK_START = 1;
const FLAG_CHUNK_END = 2;
const FLAG_PARENT = 4;
const FLAG_ROOT = 8;
const FLAG_KEYED_HASH = 16;

/** The first four words of the SHA-256 start value, which fill the rows below the chaining value. */
const IV = Int32Array.of(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a);

/** Which message word comes in which place of the next round. */
const PERMUTATION = Uint8Array.of(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8);
const ROUNDS = 7;

/** Row r: the message words of round r in the order in which they are mixed in. */
function messageSchedule(): Uint8Array {
  const schedule = new Uint8Array(16 * ROUNDS);
  for (let i = 0; i < 16; i++) schedule[i] = i;
  for (let i = 16; i < schedule.length; i++) {
    const previousRow = i - 16 - (i & 15);
    schedule[i] = schedule[previousRow + (PERMUTATION[i & 15] as number)] as number;
  }
  return schedule;
}

/** The hasher in plain TypeScript. One instance hashes one input at a time. */
export function createReadableBlake3(): Hasher {
  const schedule = messageSchedule();
  /** The 4 x 4 state: chaining value in rows 0 and 1, constants, then counter, length, flags. */
  const v = new Int32Array(16);
  const message = new Int32Array(16);
  const keyWords = new Int32Array(8);
  const result = new Int32Array(8);

  /** The quarter round: mixes words a, b, c, d of the state with two message words. */
  function g(a: number, b: number, c: number, d: number, x: number, y: number): void {
    let va = v[a] as number;
    let vb = v[b] as number;
    let vc = v[c] as number;
    let vd = v[d] as number;
    va = (va + vb + x) | 0;
    vd ^= va;
    vd = (vd >>> 16) | (vd << 16);
    vc = (vc + vd) | 0;
    vb ^= vc;
    vb = (vb >>> 12) | (vb << 20);
    va = (va + vb + y) | 0;
    vd ^= va;
    vd = (vd >>> 8) | (vd << 24);
    vc = (vc + vd) | 0;
    vb ^= vc;
    vb = (vb >>> 7) | (vb << 25);
    v[a] = va;
    v[b] = vb;
    v[c] = vc;
    v[d] = vd;
  }

  function word(row: number, place: number): number {
    return message[schedule[row + place] as number] as number;
  }

  /** Compresses `message` into the chaining value `cv` (8 words, replaced). */
  function compress(cv: Int32Array, counter: number, blockBytes: number, flags: number): void {
    v.set(cv);
    v.set(IV, 8);
    v[12] = counter | 0;
    v[13] = Math.floor(counter / 4294967296) | 0;
    v[14] = blockBytes;
    v[15] = flags;
    for (let row = 0; row < 16 * ROUNDS; row += 16) {
      // Columns, then diagonals.
      g(0, 4, 8, 12, word(row, 0), word(row, 1));
      g(1, 5, 9, 13, word(row, 2), word(row, 3));
      g(2, 6, 10, 14, word(row, 4), word(row, 5));
      g(3, 7, 11, 15, word(row, 6), word(row, 7));
      g(0, 5, 10, 15, word(row, 8), word(row, 9));
      g(1, 6, 11, 12, word(row, 10), word(row, 11));
      g(2, 7, 8, 13, word(row, 12), word(row, 13));
      g(3, 4, 9, 14, word(row, 14), word(row, 15));
    }
    for (let i = 0; i < 8; i++) cv[i] = (v[i] as number) ^ (v[i + 8] as number);
  }

  /** Loads the block `data[start, end)`, filled up with zeros to 64 bytes. */
  function loadBlock(data: Uint8Array, start: number, end: number): void {
    if (end - start === BLOCK_BYTES) {
      for (let i = 0, at = start; i < 16; i++, at += 4) {
        message[i] =
          (data[at] as number) |
          ((data[at + 1] as number) << 8) |
          ((data[at + 2] as number) << 16) |
          ((data[at + 3] as number) << 24);
      }
      return;
    }
    message.fill(0);
    for (let i = 0; start + i < end; i++) {
      message[i >> 2] =
        (message[i >> 2] as number) | ((data[start + i] as number) << (8 * (i & 3)));
    }
  }

  /** Chaining value of one leaf of at most 1024 bytes (of none: one empty block). */
  function leaf(
    data: Uint8Array,
    start: number,
    end: number,
    index: number,
    root: number,
  ): Int32Array {
    const cv = keyWords.slice();
    let at = start;
    do {
      const blockEnd = Math.min(at + BLOCK_BYTES, end);
      const isFirst = at === start;
      const isLast = blockEnd === end;
      loadBlock(data, at, blockEnd);
      const flags =
        FLAG_KEYED_HASH | (isFirst ? FLAG_CHUNK_START : 0) | (isLast ? FLAG_CHUNK_END | root : 0);
      compress(cv, index, blockEnd - at, flags);
      at = blockEnd;
    } while (at < end);
    return cv;
  }

  /** Chaining value of the subtree over `data[start, end)`, whose first leaf has number `index`. */
  function subtree(
    data: Uint8Array,
    start: number,
    end: number,
    index: number,
    root: number,
  ): Int32Array {
    const length = end - start;
    if (length <= LEAF_BYTES) return leaf(data, start, end, index, root);
    let leftBytes = LEAF_BYTES;
    while (leftBytes * 2 < length) leftBytes *= 2;
    const middle = start + leftBytes;
    const left = subtree(data, start, middle, index, 0);
    const right = subtree(data, middle, end, index + leftBytes / LEAF_BYTES, 0);
    message.set(left);
    message.set(right, 8);
    const cv = keyWords.slice();
    compress(cv, 0, BLOCK_BYTES, FLAG_KEYED_HASH | FLAG_PARENT | root);
    return cv;
  }

  function loadKey(key: Uint8Array): void {
    if (key.length !== 32) throw new RangeError(`"key" expected 32 bytes, got ${key.length}`);
    const view = new DataView(key.buffer, key.byteOffset, 32);
    for (let i = 0; i < 8; i++) keyWords[i] = view.getInt32(4 * i, true);
  }

  function digest(data: Uint8Array, start: number, end: number, out: Uint8Array, at: number): void {
    result.set(subtree(data, start, end, 0, FLAG_ROOT));
    for (let i = 0; i < 32; i++) out[at + i] = (result[i >> 2] as number) >>> (8 * (i & 3));
  }

  return {
    keyed(key, data, out, outOffset) {
      loadKey(key);
      digest(data, 0, data.length, out, outOffset);
    },
    keyedMany(key, data, start, ends, count, out, outOffset) {
      loadKey(key);
      let from = start;
      for (let i = 0; i < count; i++) {
        const to = ends[i] as number;
        digest(data, from, to, out, outOffset + 32 * i);
        from = to;
      }
    },
  };
}
