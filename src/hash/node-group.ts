import type { Hasher } from './ports.js';

/** Fewest nodes that a natural end may leave in a group: matches at index 0 and 1 are ignored. */
export const MIN_NATURAL_NODES = 3;
/** Most nodes of a group. */
export const MAX_GROUP_NODES = 9;
/** Hash string, " : ", 20 digits of the largest u64, newline. */
export const MAX_LINE_BYTES: number = 64 + 3 + 20 + 1;

const DIGITS = Uint8Array.of(48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102);

/**
 * Writes the line of one child to `text` from `at` on; returns where it ends.
 *
 *     <hash string of the child> : <decimal size>\n
 */
export function writeLine(
  text: Uint8Array,
  at: number,
  hashes: Uint8Array,
  offset: number,
  size: number,
): number {
  let end = at;
  for (let i = 0; i < 32; i++) {
    const byte = hashes[offset + (i ^ 7)] as number;
    text[end++] = DIGITS[byte >> 4] as number;
    text[end++] = DIGITS[byte & 15] as number;
  }
  text[end++] = 32;
  text[end++] = 58;
  text[end++] = 32;
  const decimal = String(size);
  for (let i = 0; i < decimal.length; i++) text[end++] = decimal.charCodeAt(i);
  text[end++] = 10;
  return end;
}

/** The text that an inner node hashes, one line per child, written as bytes at once. */
export class NodeGroup {
  readonly #text: Uint8Array;
  #textBytes = 0;
  #count = 0;
  #sizeBytes = 0;

  constructor() {
    this.#text = new Uint8Array(MAX_GROUP_NODES * MAX_LINE_BYTES);
  }

  /** Sum of the sizes: the size of the parent. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  add(hashes: Uint8Array, offset: number, size: number): void {
    this.#textBytes = writeLine(this.#text, this.#textBytes, hashes, offset, size);
    this.#count++;
    this.#sizeBytes += size;
  }

  /** True when no further node may join; `naturalEnd` is what the last node's hash says. */
  isComplete(naturalEnd: boolean): boolean {
    return this.#count === MAX_GROUP_NODES || (naturalEnd && this.#count >= MIN_NATURAL_NODES);
  }

  /** Hash of the parent into `out[0, 32)`. */
  hashInto(hasher: Hasher, key: Uint8Array, out: Uint8Array): void {
    hasher.keyed(key, this.#text.subarray(0, this.#textBytes), out, 0);
  }

  clear(): void {
    this.#textBytes = 0;
    this.#count = 0;
    this.#sizeBytes = 0;
  }
}
