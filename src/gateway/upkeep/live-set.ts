import { OrbweaverError } from '../../errors.js';
import type { MerkleHash } from '../../hash/index.js';

/**
 * A set of hashes that may say yes for one that was never added (once in 2^64 times the number of
 * hashes), and never no for one that was: 64 bits of each hash in a table with open addressing, 8 to 16
 * bytes a hash and, while it grows, half of that again. Who keeps what is in it keeps too much at worst.
 */
export class LiveSet {
  readonly #maxBytes: number;
  #low = new Uint32Array(1024);
  #high = new Uint32Array(1024);
  #count = 0;

  /** @param maxBytes the most that it takes, growing included */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  has(hash: MerkleHash): boolean {
    const [low, high] = wordsOf(hash);
    return this.#low[this.#find(low, high)] !== 0;
  }

  /** @throws OrbweaverError `USAGE` when it would take more memory than it may */
  add(hash: MerkleHash): void {
    const [low, high] = wordsOf(hash);
    const at = this.#find(low, high);
    if (this.#low[at] !== 0) return;
    this.#low[at] = low;
    this.#high[at] = high;
    this.#count++;
    if (this.#count * 4 > this.#low.length * 3) this.#grow();
  }

  #find(low: number, high: number): number {
    const mask = this.#low.length - 1;
    let at = Math.imul(high ^ low, 0x9e3779b1) >>> 0;
    for (at &= mask; this.#low[at] !== 0; at = (at + 1) & mask) {
      if (this.#low[at] === low && this.#high[at] === high) break;
    }
    return at;
  }

  #grow(): void {
    const size = 2 * this.#low.length;
    // The old table and the new one.
    if (12 * size > this.#maxBytes) {
      const message = `more than ${this.#count} xorbs are in use: allow more than ${this.#maxBytes} bytes of memory`;
      throw new OrbweaverError('USAGE', message, { maxMemory: this.#maxBytes });
    }
    const [oldLow, oldHigh] = [this.#low, this.#high];
    this.#low = new Uint32Array(size);
    this.#high = new Uint32Array(size);
    for (const [index, low] of oldLow.entries()) {
      if (low === 0) continue;
      const at = this.#find(low, oldHigh[index] as number);
      this.#low[at] = low;
      this.#high[at] = oldHigh[index] as number;
    }
  }
}

/** Two words of the hash, the first never 0, which marks an empty place. */
function wordsOf({ bytes }: MerkleHash): readonly [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [view.getUint32(0, true) || 1, view.getUint32(4, true)];
}
