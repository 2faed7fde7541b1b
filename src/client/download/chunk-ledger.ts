import { OrbweaverError } from '../../errors.js';
import { HASH_BYTES, type MerkleTree } from '../../hash/index.js';
import type { DecodeResult } from '../ports.js';

/**
 * Hash and length of every chunk of one reconstruction answer, in file order, packed: 36 bytes a
 * chunk. Filled in any order while ranges arrive; read once, in order, to rebuild the file hash.
 */
export class ChunkLedger {
  readonly #hashes: Uint8Array;
  readonly #lengths: Uint32Array;

  /** @throws OrbweaverError `LIMIT_EXCEEDED` when an answer claims more chunks than it has bytes */
  constructor(chunkCount: number, claimedBytes: number) {
    // Claimed counts come from the server: a chunk has at least one byte.
    const limit = Math.min(MAX_LEDGER_CHUNKS, claimedBytes);
    if (chunkCount > limit) {
      throw new OrbweaverError(
        'LIMIT_EXCEEDED',
        `"chunk count" expected at most ${limit} in ${claimedBytes} bytes, got ${chunkCount}`,
        { field: 'chunk count', expected: limit, got: chunkCount },
      );
    }
    this.#hashes = new Uint8Array(HASH_BYTES * chunkCount);
    this.#lengths = new Uint32Array(chunkCount);
  }

  /** Chunks `[first, last)` of `decoded` are chunks `ordinal` and following of the answer. */
  record(ordinal: number, decoded: DecodeResult, first: number, last: number): void {
    this.#hashes.set(
      decoded.hashes.subarray(HASH_BYTES * first, HASH_BYTES * last),
      HASH_BYTES * ordinal,
    );
    this.#lengths.set(decoded.lengths.subarray(first, last), ordinal);
  }

  /**
   * Appends all chunks to `tree`, less those in the first `dropBytes` bytes (an answer for a part
   * of a file may begin with chunks that the part before it had).
   *
   * @throws OrbweaverError `PROTOCOL` when the part does not begin between two chunks
   */
  appendTo(tree: MerkleTree, dropBytes: number): void {
    let position = 0;
    for (let i = 0; i < this.#lengths.length; i++) {
      const length = this.#lengths[i] as number;
      if (length === 0) throw new OrbweaverError('INTERNAL', `chunk ${i} was never decoded`);
      if (position >= dropBytes) tree.push(this.#hashes, HASH_BYTES * i, length);
      else if (position + length > dropBytes) {
        throw new OrbweaverError(
          'PROTOCOL',
          `"offset_into_first_range" expected a chunk boundary, got ${dropBytes}`,
          { field: 'offset_into_first_range', got: dropBytes },
        );
      }
      position += length;
    }
  }
}

/** 288 MiB of ledger: a part of a file (4 GiB) of chunks of 512 bytes, 128 times smaller than any. */
const MAX_LEDGER_CHUNKS: number = 1 << 23;
