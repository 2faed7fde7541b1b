import { createStepMeter, GrowableBytes, GrowableU32, type Sequence } from '../bytes/index.js';
import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import { HashTable } from './hash-table.js';
import type { ShardFile, ShardTerm } from './types.js';

/** Files of more terms stay the objects that they are: there are few of them, and reading one takes long. */
const PACKED_TERMS = 64;

/**
 * The files of a shard, each once, packed into a few typed arrays: 24 bytes and two or three hashes for a
 * file of one term, instead of ten objects. One of them is made again whenever it is asked for.
 *
 *   words of a file    terms × 8 + flags
 *                      each term: number of its xorb, unpacked bytes, first chunk, end chunk, flags
 *   its hashes         the range hash of each term and the SHA-256, where the flags say so
 *   words of a long    IS_LONG, its number among the long ones
 *
 * @example
 * const files = new PackedFiles();
 * for (const event of reader.push(bytes)) if (event.type === 'file') files.add(event.file);
 * for (const { hash, terms } of files) console.log(`${hash}: ${terms.length} terms`);
 */
export class PackedFiles implements Sequence<ShardFile> {
  readonly #table = new HashTable();
  /** Where the words and the hashes of each file begin. */
  readonly #places = new GrowableU32();
  readonly #words = new GrowableU32();
  readonly #hashes = new GrowableBytes();
  readonly #xorbTable = new HashTable();
  /** One object for all terms that name a xorb. */
  readonly #xorbs: MerkleHash[] = [];
  readonly #long: ShardFile[] = [];

  get length(): number {
    return this.#table.count;
  }

  /** The hashes of the files, 32 bytes each, and unused room behind them: valid until the next {@link add}. */
  get hashes(): Uint8Array {
    return this.#table.hashes;
  }

  /**
   * False: a file of this hash is there already, and stays as it is. Numbers must be of 32 bits.
   * @throws OrbweaverError `FORMAT_INVALID` when hashes were chosen to collide
   */
  add(file: ShardFile): boolean {
    const { hash, terms, verification, sha256 } = file;
    const index = this.length;
    if (this.#table.add(hash.bytes, 0) !== index) return false;
    this.#places.push(this.#words.length);
    this.#places.push(this.#hashes.length);
    const isUneven = verification !== null && verification.length !== terms.length;
    if (terms.length > PACKED_TERMS || isUneven) {
      this.#words.push(IS_LONG);
      this.#words.push(this.#long.push(file) - 1);
      return true;
    }
    const flags =
      (verification === null ? 0 : HAS_VERIFICATION) + (sha256 === null ? 0 : HAS_SHA256);
    this.#words.push(terms.length * FLAGS + flags);
    for (const term of terms) {
      this.#words.push(this.#numberOf(term.xorb));
      this.#words.push(term.unpackedBytes);
      this.#words.push(term.chunkStart);
      this.#words.push(term.chunkEnd);
      this.#words.push(term.flags ?? 0);
    }
    for (const { bytes } of verification ?? []) this.#hashes.push(bytes);
    if (sha256 !== null) this.#hashes.push(sha256);
    return true;
  }

  at(index: number): ShardFile | undefined {
    if (!(index >= 0 && index < this.length)) return undefined;
    const words = this.#words;
    const hashes = this.#hashes.raw;
    let word = this.#places.at(2 * index);
    let hashAt = this.#places.at(2 * index + 1);
    const head = words.at(word++);
    if (head === IS_LONG) return this.#long[words.at(word)];
    const count = Math.floor(head / FLAGS);
    const terms: ShardTerm[] = [];
    for (let number = 0; number < count; number++, word += TERM_WORDS) {
      const term = {
        xorb: this.#xorbs[words.at(word)] as MerkleHash,
        unpackedBytes: words.at(word + 1),
        chunkStart: words.at(word + 2),
        chunkEnd: words.at(word + 3),
      };
      const flags = words.at(word + 4);
      terms.push(flags === 0 ? term : { ...term, flags });
    }
    const verification: MerkleHash[] | null = (head & HAS_VERIFICATION) === 0 ? null : [];
    if (verification !== null) {
      for (let number = 0; number < count; number++, hashAt += HASH_BYTES) {
        verification.push(MerkleHash.from(hashes, hashAt));
      }
    }
    const sha256 = (head & HAS_SHA256) === 0 ? null : hashes.slice(hashAt, hashAt + HASH_BYTES);
    const hash = MerkleHash.from(this.#table.hashes, index * HASH_BYTES);
    return { hash, terms, verification, sha256 };
  }

  *[Symbol.iterator](): Generator<ShardFile> {
    for (let index = 0; index < this.length; index++) yield this.at(index) as ShardFile;
  }

  #numberOf(xorb: MerkleHash): number {
    const last = this.#xorbs.length - 1;
    if (last >= 0 && this.#xorbs[last] === xorb) return last;
    const number = this.#xorbTable.add(xorb.bytes, 0);
    if (number === this.#xorbs.length) this.#xorbs.push(xorb);
    return number;
  }
}

const FLAGS = 8;
const HAS_VERIFICATION = 1;
const HAS_SHA256 = 2;
const IS_LONG = 4;
const TERM_WORDS = 5;

/** The hashes of files, 32 bytes each and perhaps room behind them, valid until one is added; in steps. */
export function* fileHashesOf(files: Sequence<ShardFile>): Generator<void, Uint8Array> {
  if (files instanceof PackedFiles) return files.hashes;
  const isDue = createStepMeter();
  const hashes = new Uint8Array(files.length * HASH_BYTES);
  let at = 0;
  for (const { hash } of files) {
    hashes.set(hash.bytes, at);
    at += HASH_BYTES;
    if (isDue(1)) yield;
  }
  return hashes;
}
