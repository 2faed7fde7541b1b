import { GrowableBytes, GrowableU32 } from '../bytes/index.js';
import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import { RECORD_BYTES, type ShardFile, type ShardTerm } from '../shard/index.js';
import type { XorbRegistry } from './xorb-registry.js';

/** Values per term in the packed list: xorb, chunk start, chunk end, bytes. */
export const TERM_FIELDS = 4;

/** A file as its shard record needs it; views, borrowed for the call. */
export interface FinishedFile {
  readonly hash: MerkleHash;
  /** {@link TERM_FIELDS} numbers per term. */
  readonly terms: Uint32Array;
  /** 32 bytes per term. */
  readonly verification: Uint8Array;
  readonly sha256: Uint8Array | null;
}

/**
 * The finished files of a session in a handful of arrays, about 90 bytes for a file of one term: as
 * objects, hundreds of thousands of small files took ten times as much.
 */
export class FinishedFiles {
  #hashes = new GrowableBytes();
  #terms = new GrowableU32();
  #verification = new GrowableBytes();
  /** Where each file's terms end, counted in terms. */
  #termEnds = new GrowableU32();
  #digests = new GrowableBytes();
  /** Number of each file's digest + 1; 0: it has none. */
  #digestOf = new GrowableU32();

  /** Those that are not to be registered after all. */
  readonly #dropped = new Set<number>();

  get count(): number {
    return this.#termEnds.length;
  }

  drop(file: number): void {
    this.#dropped.add(file);
  }

  /** Numbers of those that are to be registered; null: all are. */
  wanted(): readonly number[] | null {
    if (this.#dropped.size === 0) return null;
    return Array.from({ length: this.count }, (_, i) => i).filter((i) => !this.#dropped.has(i));
  }

  get memoryBytes(): number {
    return (
      this.#hashes.memoryBytes +
      this.#terms.memoryBytes +
      this.#verification.memoryBytes +
      this.#termEnds.memoryBytes +
      this.#digests.memoryBytes +
      this.#digestOf.memoryBytes
    );
  }

  add({ hash, terms, verification, sha256 }: FinishedFile): void {
    this.#hashes.push(hash.bytes);
    this.#terms.pushAll(terms);
    this.#verification.push(verification);
    this.#termEnds.push(this.#terms.length / TERM_FIELDS);
    if (sha256 !== null) this.#digests.push(sha256);
    this.#digestOf.push(sha256 === null ? 0 : this.#digests.length / HASH_BYTES);
  }

  /** Bytes of the records: header, terms, verification, and metadata when there is a SHA-256. */
  recordBytes(file: number): number {
    const terms = this.#termEnds.at(file) - this.#termStart(file);
    return RECORD_BYTES * (1 + 2 * terms + (this.#digestOf.at(file) === 0 ? 0 : 1));
  }

  /** Numbers of the xorbs that the terms name, one per term. */
  *xorbsOf(file: number): Generator<number> {
    for (let term = this.#termStart(file); term < this.#termEnds.at(file); term++) {
      yield this.#terms.at(TERM_FIELDS * term);
    }
  }

  shardFile(file: number, registry: XorbRegistry): ShardFile {
    const terms: ShardTerm[] = [];
    const verification: MerkleHash[] = [];
    for (let term = this.#termStart(file); term < this.#termEnds.at(file); term++) {
      const at = TERM_FIELDS * term;
      terms.push({
        xorb: registry.hashOf(this.#terms.at(at)),
        chunkStart: this.#terms.at(at + 1),
        chunkEnd: this.#terms.at(at + 2),
        unpackedBytes: this.#terms.at(at + 3),
      });
      verification.push(MerkleHash.from(this.#verification.raw, term * HASH_BYTES));
    }
    const digest = this.#digestOf.at(file);
    return {
      hash: MerkleHash.from(this.#hashes.raw, file * HASH_BYTES),
      terms,
      verification,
      sha256:
        digest === 0
          ? null
          : this.#digests.raw.slice((digest - 1) * HASH_BYTES, digest * HASH_BYTES),
    };
  }

  #termStart(file: number): number {
    return file === 0 ? 0 : this.#termEnds.at(file - 1);
  }
}
