import { bytesEqual, isZero, xetHexDecode, xetHexEncode } from '../bytes/index.js';

/** Bytes in every hash of the protocol. */
export const HASH_BYTES = 32;

/**
 * A hash of the protocol as a value: chunk, xorb, file, shard or range hash. Lists of hashes are
 * packed into one `Uint8Array` instead (32 bytes each); a `MerkleHash` is for the single one.
 *
 * The text form prints each group of 8 bytes as a little-endian u64 with 16 lower-case digits, so
 * it is not the hex of the bytes in order.
 *
 * @example
 * const hash = MerkleHash.parse('07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918');
 * hash.bytes[1]; // 1
 */
export class MerkleHash {
  /** 32 zero bytes: the xorb hash of no chunks and the file hash of an empty file. */
  static readonly ZERO: MerkleHash = new MerkleHash(new Uint8Array(HASH_BYTES));

  /** The 32 raw bytes, an own copy. Never written to. */
  readonly bytes: Uint8Array;
  #text: string | undefined;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Copies `bytes[offset, offset + 32)`. @throws RangeError when fewer bytes are there. */
  static from(bytes: Uint8Array, offset = 0): MerkleHash {
    if (offset < 0 || offset + HASH_BYTES > bytes.length) {
      throw new RangeError(
        `"bytes" expected ${HASH_BYTES} bytes at offset ${offset}, got ${bytes.length - offset}`,
      );
    }
    // Not slice(): on a Buffer that is a view, and a view of shared memory would stay shared.
    const copy = new Uint8Array(HASH_BYTES);
    // Not set(subarray()): a view of a small array gives it a buffer outside of the heap.
    for (let i = 0; i < HASH_BYTES; i++) copy[i] = bytes[offset + i] as number;
    return new MerkleHash(copy);
  }

  /**
   * Reads the text form: exactly 64 hexadecimal digits, upper case accepted.
   * @throws OrbweaverError `HASH_INVALID`
   */
  static parse(text: string): MerkleHash {
    return new MerkleHash(xetHexDecode(text));
  }

  /** The text form, 64 lower-case digits. Made once: hashes name things in maps and responses. */
  toString(): string {
    this.#text ??= xetHexEncode(this.bytes);
    return this.#text;
  }

  /** The text form, so that JSON holds what URLs and other clients use. */
  toJSON(): string {
    return this.toString();
  }

  equals(other: MerkleHash): boolean {
    return this === other || bytesEqual(this.bytes, other.bytes);
  }

  isZero(): boolean {
    return isZero(this.bytes);
  }
}
