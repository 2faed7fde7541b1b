import type { CompressionPolicy } from '../compress/index.js';

/** Chunks in memory, and where their records go; as `RecordPacker.pack` checked them. */
export interface PackJob {
  readonly source: Uint8Array;
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
  readonly target: Uint8Array;
  readonly targetOffset: number;
  /** Filled: the length of each record. */
  readonly recordLengths: Uint32Array;
}

/** Whole records in memory, and where their chunks go; as `RecordDecoder.decode` checked them. */
export interface DecodeJob {
  readonly input: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly output: Uint8Array;
  readonly outputOffset: number;
  readonly expectedBytes: number;
  readonly rawInPlace: boolean;
}

/** Whole records in memory whose chunks are only hashed. */
export type HashJob = Pick<DecodeJob, 'input' | 'start' | 'end'>;

/** Lengths and hashes (32 bytes each) of decoded chunks. */
export interface DecodedRecords {
  /** Uncompressed length of each chunk in order. */
  readonly lengths: Uint32Array;
  /** Chunk hashes, 32 bytes each, computed from the decoded bytes. */
  readonly hashes: Uint8Array;
}

/**
 * Packing and decoding of whole lists of records in one call, for those who can do it faster than
 * chunk by chunk. It may decline any job, before or after it has written to the job's output; the
 * packer and the decoder of this module then do it themselves. What it does not decline it does
 * byte for byte as they would.
 */
export interface RecordKernels {
  /** Bytes of all records, or -1 (and nothing written): declined. */
  pack(policy: CompressionPolicy, job: PackJob): number;
  /** Null: declined, because of where the bytes lie or of what they are. */
  decode(key: Uint8Array, job: DecodeJob): DecodedRecords | null;
  /** The same without the chunks. Null: declined, likewise; a job of more than 1024 records is. */
  hash(key: Uint8Array, job: HashJob): DecodedRecords | null;
}
