import { OrbweaverError } from '../../errors.js';
import { HASH_BYTES, type Hasher, MerkleHash, xorbHash } from '../../hash/index.js';
import type { DownloadPlan, PlannedFetch } from '../../plan/index.js';
import type { DecodeResult } from '../ports.js';

/** Bytes of memory for each chunk of a ledger. */
export const LEDGER_BYTES_PER_CHUNK: number = HASH_BYTES + 4;

/**
 * Hash and length of every chunk of one block, in file order, packed. Filled in any order while
 * ranges arrive; read in order, to rebuild the file hash.
 */
export class ChunkLedger {
  readonly hashes: Uint8Array;
  readonly lengths: Uint32Array;

  constructor(chunkCount: number) {
    this.hashes = new Uint8Array(HASH_BYTES * chunkCount);
    this.lengths = new Uint32Array(chunkCount);
  }

  /** Chunks `[first, last)` of `decoded` are chunks `ordinal` and following of the block. */
  record(ordinal: number, decoded: DecodeResult, first: number, last: number): void {
    this.hashes.set(
      decoded.hashes.subarray(HASH_BYTES * first, HASH_BYTES * last),
      HASH_BYTES * ordinal,
    );
    this.lengths.set(decoded.lengths.subarray(first, last), ordinal);
  }

  copy(): ChunkLedger {
    const copy = new ChunkLedger(this.lengths.length);
    copy.hashes.set(this.hashes);
    copy.lengths.set(this.lengths);
    return copy;
  }

  /** True when one of the chunks that `fetch` was for has another hash in `other`. */
  differs(other: ChunkLedger, fetch: PlannedFetch): boolean {
    return fetch.uses.some(({ chunkOrdinal, chunkStart, chunkEnd }) => {
      const end = HASH_BYTES * (chunkOrdinal + chunkEnd - chunkStart);
      for (let at = HASH_BYTES * chunkOrdinal; at < end; at++) {
        if (this.hashes[at] !== other.hashes[at]) return true;
      }
      return false;
    });
  }
}

/**
 * Fetches whose bytes may be damaged. A xorb's hash is the root over all of its chunks, so a xorb that
 * the file uses whole proves itself; of one that it uses in part nothing can be said.
 */
export function unprovenFetches(
  plan: DownloadPlan,
  ledger: ChunkLedger,
  hasher: Hasher,
): PlannedFetch[] {
  const fetches = plan.windows.flatMap((window) => window.fetches);
  const chunksOf = new Map<string, { readonly xorb: MerkleHash; readonly ordinals: number[] }>();
  for (const { xorb, uses } of fetches) {
    const key = xorb.toString();
    const known = chunksOf.get(key) ?? { xorb, ordinals: [] };
    chunksOf.set(key, known);
    for (const { chunkStart, chunkEnd, chunkOrdinal } of uses) {
      for (let chunk = chunkStart; chunk < chunkEnd; chunk++) {
        known.ordinals[chunk] = chunkOrdinal + (chunk - chunkStart);
      }
    }
  }
  const proven = new Set<string>();
  for (const [key, { xorb, ordinals }] of chunksOf) {
    const hashes = new Uint8Array(HASH_BYTES * ordinals.length);
    const sizes = new Uint32Array(ordinals.length);
    ordinals.forEach((ordinal, chunk) => {
      const at = HASH_BYTES * ordinal;
      hashes.set(ledger.hashes.subarray(at, at + HASH_BYTES), HASH_BYTES * chunk);
      sizes[chunk] = ledger.lengths[ordinal] as number;
    });
    // A chunk that is missing has length 0 here, which no chunk has.
    if (!sizes.includes(0) && xorbHash(hasher, hashes, sizes).equals(xorb)) proven.add(key);
  }
  return fetches.filter(({ xorb }) => !proven.has(xorb.toString()));
}

/** The last chunk that a reader got a part of before its download went on elsewhere. */
interface Seam {
  readonly hash: MerkleHash;
  readonly length: number;
}

/** What an evaluation of a ledger starts and ends with. */
export interface LedgerSpan {
  /** Bytes of chunks at its start that the part before it had. */
  readonly dropBytes: number;
  /** Bytes behind those that count; a chunk that ends later is left for the next part. */
  readonly untilBytes: number;
}

/** Where chunks go whose hashes make up the file's. */
interface ChunkTarget {
  push(hashes: Uint8Array, offset: number, size: number): void;
}

/**
 * Passes the chunks of the ledgers of a file on, part after part. A part may end inside a chunk, which
 * then comes again with the next part and has to be the same.
 */
export class LedgerChain {
  readonly #target: ChunkTarget;
  #seam: Seam | null = null;

  constructor(target: ChunkTarget) {
    this.#target = target;
  }

  /**
   * @returns the bytes of the chunks that were passed on
   * @throws OrbweaverError `PROTOCOL` when the part does not begin between two chunks; `INTEGRITY` when
   * a chunk that was delivered in part came differently
   */
  append({ hashes, lengths }: ChunkLedger, { dropBytes, untilBytes }: LedgerSpan): number {
    let position = -dropBytes;
    for (let i = 0; i < lengths.length && position < untilBytes; i++) {
      const length = lengths[i] as number;
      if (length === 0) throw new OrbweaverError('INTERNAL', `chunk ${i} was never decoded`);
      if (position >= 0) {
        if (this.#seam !== null) this.#checkSeam(MerkleHash.from(hashes, HASH_BYTES * i), length);
        if (position + length > untilBytes) {
          this.#seam = { hash: MerkleHash.from(hashes, HASH_BYTES * i), length };
          break;
        }
        this.#target.push(hashes, HASH_BYTES * i, length);
      } else if (position + length > 0) {
        throw new OrbweaverError(
          'PROTOCOL',
          `"offset_into_first_range" expected a chunk boundary, got ${dropBytes}`,
          { field: 'offset_into_first_range', got: dropBytes },
        );
      }
      position += length;
    }
    return Math.max(0, position);
  }

  #checkSeam(hash: MerkleHash, length: number): void {
    const seam = this.#seam;
    this.#seam = null;
    if (seam === null || (seam.length === length && seam.hash.equals(hash))) return;
    const message = `a chunk of ${seam.length} bytes expected ${seam.hash}, got ${hash}`;
    throw new OrbweaverError('INTEGRITY', `${message} when it was fetched again`, {
      expected: seam.hash.toString(),
      got: hash.toString(),
    });
  }
}
