import type { MerkleHash } from '../hash/index.js';

/**
 * What a CAS says about a file (or a byte range of it), in the form both response versions share.
 *
 * All ranges here are half-open. On the wire chunk ranges are half-open too, but byte ranges have
 * an inclusive end; only `reconstruction-json.ts` knows that.
 */

/** Chunks `[chunkStart, chunkEnd)` of one xorb: the next piece of the file. */
export interface Term {
  readonly xorb: MerkleHash;
  /** Bytes of all chunks of the term after decoding, also for the first and last term of a range. */
  readonly unpackedBytes: number;
  readonly chunkStart: number;
  readonly chunkEnd: number;
  /** Bytes of each chunk after decoding, where the store was asked for them and told. */
  readonly chunkBytes?: Uint32Array | undefined;
}

/** Records of chunks `[chunkStart, chunkEnd)` are stored bytes `[byteStart, byteEnd)` of a xorb. */
export interface FetchRange {
  readonly chunkStart: number;
  readonly chunkEnd: number;
  readonly byteStart: number;
  readonly byteEnd: number;
}

/** One (usually signed) URL and the ranges it may be asked for. */
export interface FetchEntry {
  readonly url: string;
  readonly ranges: readonly FetchRange[];
}

/** Where the bytes of one xorb can be fetched. */
export interface XorbFetch {
  readonly xorb: MerkleHash;
  readonly entries: readonly FetchEntry[];
}

/** A reconstruction response. The output is the terms one after another, less the first bytes. */
export interface Reconstruction {
  /** Bytes to drop at the start of the first term; 0 for whole files. May span several chunks. */
  readonly offsetIntoFirstTerm: number;
  readonly terms: readonly Term[];
  /** One element per xorb. Every term is covered by one range of its xorb. */
  readonly fetches: readonly XorbFetch[];
}
