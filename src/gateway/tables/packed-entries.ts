import {
  ByteWriter,
  createStepMeter,
  GrowableBytes,
  GrowableU32,
  type Sequence,
} from '../../bytes/index.js';
import { HASH_BYTES, type MerkleHash } from '../../hash/index.js';
import { compareBytes, compareKeys, type TableEntry } from './entries.js';

/** Entries of a table that is to be written. An array of them is one. */
export interface EntryList extends Sequence<TableEntry> {
  /** Order of two of them, by their indexes. @default that of `compareEntries`, of what `at` gives */
  compare?(a: number, b: number): number;
}

const ROOM_BYTES: number = 64 * 1024;

/**
 * Entries packed into blocks of memory: an array and a buffer for each of half a million would keep the
 * collector busy for seconds. What it gives are views.
 */
export class PackedEntries implements EntryList {
  readonly #keys = new GrowableBytes();
  readonly #blocks: ByteWriter[] = [];
  /** Of each value: its block, where it begins in there, its length. */
  readonly #places = new GrowableU32();

  get length(): number {
    return this.#places.length / PLACE_WORDS;
  }

  /** @param write writes a value of at most `valueBytes` bytes */
  add(key: Uint8Array, valueBytes: number, write: (writer: ByteWriter) => void): void {
    const block = this.#roomFor(valueBytes);
    const start = block.length;
    write(block);
    this.#keys.push(key);
    this.#places.push(this.#blocks.length - 1);
    this.#places.push(start);
    this.#places.push(block.length - start);
  }

  at(index: number): TableEntry | undefined {
    if (!(index >= 0 && index < this.length)) return undefined;
    const key = this.#keys.raw.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    return { key, value: this.#valueAt(index) };
  }

  compare(a: number, b: number): number {
    const keys = this.#keys.raw;
    return (
      compareKeys(keys, a * HASH_BYTES, keys, b * HASH_BYTES) ||
      compareBytes(this.#valueAt(a), this.#valueAt(b))
    );
  }

  *[Symbol.iterator](): Generator<TableEntry> {
    for (let index = 0; index < this.length; index++) yield this.at(index) as TableEntry;
  }

  #valueAt(index: number): Uint8Array {
    const at = PLACE_WORDS * index;
    const block = this.#blocks[this.#places.at(at)] as ByteWriter;
    const start = this.#places.at(at + 1);
    return block.finish().subarray(start, start + this.#places.at(at + 2));
  }

  /** Most registrations are of a few files: the first block is a small one. */
  #roomFor(bytes: number): ByteWriter {
    const last = this.#blocks[this.#blocks.length - 1];
    if (last !== undefined && last.length + bytes <= ROOM_BYTES) return last;
    const block = new ByteWriter(last === undefined ? Math.max(1024, bytes) : ROOM_BYTES);
    this.#blocks.push(block);
    return block;
  }
}

const PLACE_WORDS = 3;

/** The same value under each of the keys. */
export function* entriesUnder(
  keys: Sequence<MerkleHash>,
  value: Uint8Array,
): Generator<void, EntryList> {
  const isDue = createStepMeter();
  const entries = new PackedEntries();
  for (const { bytes } of keys) {
    entries.add(bytes, value.length, (writer) => writer.bytes(value));
    if (isDue(1)) yield;
  }
  return entries;
}
