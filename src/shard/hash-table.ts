import { withRoom } from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import { HASH_BYTES } from '../hash/index.js';

/**
 * A set of hashes that remembers in which order they came: packed bytes and an open-addressing
 * table over a typed array, about 44 bytes per hash. For files and xorbs; chunks have a larger
 * sibling in the dedup module.
 *
 * The hashes may come from an enemy, who can choose them so that they fall on the same slots. A
 * fixed mixing function cannot prevent that, but it shows: at a load of at most one half a chain
 * of {@link MAX_PROBES} honest hashes has a chance of 2^-64, so that a longer one is an error
 * instead of a quadratic loop.
 *
 * @example
 * const table = new HashTable();
 * table.add(hash.bytes, 0); // 0, and 0 again for the same hash
 */
export class HashTable {
  #hashes: Uint8Array<ArrayBuffer>;
  #slots: Uint32Array;
  #count = 0;
  /** The table before it grew, until all that it holds is in the new one too; else null. */
  #old: Uint32Array | null = null;
  /** Hashes `[moved, toMove)` are in the old table only. */
  #moved = 0;
  #toMove = 0;

  constructor() {
    this.#hashes = new Uint8Array(16 * HASH_BYTES);
    this.#slots = new Uint32Array(32);
  }

  /** Different hashes added so far. */
  get count(): number {
    return this.#count;
  }

  /** All hashes in order, 32 bytes each, and unused room behind them: valid until the next {@link add}. */
  get hashes(): Uint8Array {
    return this.#hashes;
  }

  /** Number of `hashes[offset, offset + 32)` in order of arrival, or -1. */
  indexOf(hashes: Uint8Array, offset: number): number {
    const slot = this.#slots[this.#find(this.#slots, hashes, offset)] as number;
    if (slot !== 0 || this.#old === null) return slot - 1;
    return (this.#old[this.#find(this.#old, hashes, offset)] as number) - 1;
  }

  /**
   * Adds a hash unless it is there; returns its number. It was new when the number is the former
   * {@link count}.
   * @throws OrbweaverError `FORMAT_INVALID` when the hashes were chosen to collide.
   */
  add(hashes: Uint8Array, offset: number): number {
    const found = this.indexOf(hashes, offset);
    if (found >= 0) return found;
    const index = this.#count;
    this.#hashes = withRoom(this.#hashes, (index + 1) * HASH_BYTES);
    // Not set(subarray()): a view of a small array gives it a buffer outside of the heap.
    const to = index * HASH_BYTES;
    for (let i = 0; i < HASH_BYTES; i++) this.#hashes[to + i] = hashes[offset + i] as number;
    this.#slots[this.#find(this.#slots, hashes, offset)] = index + 1;
    this.#count = index + 1;
    this.#move(MOVES_PER_ADD);
    if (this.#count * 2 > this.#slots.length) this.#grow();
    return index;
  }

  /** The hash with this number: a view, valid until the next {@link add}. */
  at(index: number): Uint8Array {
    if (!(index >= 0 && index < this.#count)) {
      throw new RangeError(`"index" expected 0 to ${this.#count - 1}, got ${index}`);
    }
    return this.#hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }

  /** The slot that holds the hash, or the empty one where it belongs. */
  #find(slots: Uint32Array, hashes: Uint8Array, offset: number): number {
    const mask = slots.length - 1;
    let at = mix(hashes, offset, 0x9e3779b1) & mask;
    const step = mix(hashes, offset, 0x85ebca6b) | 1; // odd: reaches every slot of a power of two
    for (let probe = 0; probe < MAX_PROBES; probe++) {
      const slot = slots[at] as number;
      if (slot === 0 || this.#equals(slot - 1, hashes, offset)) return at;
      at = (at + step) & mask;
    }
    throw new OrbweaverError(
      'FORMAT_INVALID',
      `hashes expected to be spread by chance, got ${MAX_PROBES} on one chain`,
      { probes: MAX_PROBES },
    );
  }

  #equals(index: number, hashes: Uint8Array, offset: number): boolean {
    const base = index * HASH_BYTES;
    for (let i = 0; i < HASH_BYTES; i++) {
      if (this.#hashes[base + i] !== hashes[offset + i]) return false;
    }
    return true;
  }

  /** A table of twice the length: it is filled while more is added, so that no single add takes long. */
  #grow(): void {
    this.#move(this.#toMove - this.#moved);
    this.#old = this.#slots;
    this.#slots = new Uint32Array(2 * this.#old.length);
    this.#moved = 0;
    this.#toMove = this.#count;
  }

  #move(count: number): void {
    if (this.#old === null) return;
    const end = Math.min(this.#moved + count, this.#toMove);
    for (; this.#moved < end; this.#moved++) {
      const at = this.#find(this.#slots, this.#hashes, this.#moved * HASH_BYTES);
      this.#slots[at] = this.#moved + 1;
    }
    if (this.#moved === this.#toMove) this.#old = null;
  }
}

/** Moved with each add: all of them long before the table is full again. */
const MOVES_PER_ADD = 4;

const MAX_PROBES = 64;

/** All 32 bytes folded into an u32. */
function mix(hashes: Uint8Array, offset: number, factor: number): number {
  let value = factor;
  for (let i = offset; i < offset + HASH_BYTES; i += 4) {
    const word =
      (hashes[i] as number) |
      ((hashes[i + 1] as number) << 8) |
      ((hashes[i + 2] as number) << 16) |
      ((hashes[i + 3] as number) << 24);
    value = Math.imul(value ^ word, factor);
    value ^= value >>> 15;
  }
  return value >>> 0;
}
