import type { MerkleHash } from '../hash/index.js';
import { HashTable } from '../shard/index.js';

/**
 * Numbers for xorbs, so that terms are small integers while files are placed. A xorb of the session
 * has a number before it has a hash; the same xorb has one number however it became known.
 */
export class XorbRegistry {
  readonly #hashes: (MerkleHash | null)[] = [];
  readonly #known: HashTable = new HashTable();
  readonly #ids: number[] = [];

  /** A number for a xorb that is still being filled. */
  open(): number {
    this.#hashes.push(null);
    return this.#hashes.length - 1;
  }

  /** Gives a xorb that was opened its hash. */
  close(id: number, hash: MerkleHash): void {
    this.#hashes[id] = hash;
    const count = this.#known.count;
    if (this.#known.add(hash.bytes, 0) === count) this.#ids.push(id);
  }

  /** The number of a finished xorb, or -1. */
  find(hash: MerkleHash): number {
    const known = this.#known.indexOf(hash.bytes, 0);
    return known === -1 ? -1 : (this.#ids[known] as number);
  }

  /** The number of a finished xorb; a new one when it was not known. */
  idOf(hash: MerkleHash): number {
    const count = this.#known.count;
    const known = this.#known.add(hash.bytes, 0);
    if (known < count) return this.#ids[known] as number;
    const id = this.#hashes.length;
    this.#hashes.push(hash);
    this.#ids.push(id);
    return id;
  }

  /** Null while the xorb is open. */
  closedHash(id: number): MerkleHash | null {
    return this.#hashes[id] ?? null;
  }

  /** @throws TypeError while the xorb is open */
  hashOf(id: number): MerkleHash {
    const hash = this.#hashes[id];
    if (hash === null || hash === undefined) throw new TypeError(`xorb ${id} is not closed`);
    return hash;
  }
}
