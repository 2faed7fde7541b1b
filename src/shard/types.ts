import type { MerkleHash } from '../hash/index.js';

/**
 * A shard in memory: which files exist, of which chunk ranges of which xorbs they are made, and
 * which chunks those xorbs hold. The byte layout is in `records.ts` and `footer.ts`.
 */

/** One term of a file: chunks `[chunkStart, chunkEnd)` of a xorb. */
export interface ShardTerm {
  readonly xorb: MerkleHash;
  /** Uncompressed bytes of the range; at most 4 GiB - 1. */
  readonly unpackedBytes: number;
  readonly chunkStart: number;
  readonly chunkEnd: number;
  /** Flags of the xorb as written in the term. @default 0 */
  readonly flags?: number;
}

/** One file: its hash and its terms in order. An empty file has the zero hash and no terms. */
export interface ShardFile {
  readonly hash: MerkleHash;
  readonly terms: readonly ShardTerm[];
  /** One range hash per term, or null when the shard carries none. */
  readonly verification: readonly MerkleHash[] | null;
  /** SHA-256 in the order of the digest (the record reverses each 8-byte group), or null. */
  readonly sha256: Uint8Array | null;
}

/** One xorb and its chunks, index by index. */
export interface ShardXorb {
  readonly hash: MerkleHash;
  /** 32 bytes per chunk; keyed when the shard's footer has a key. */
  readonly chunkHashes: Uint8Array;
  /** Offset of each chunk in the uncompressed bytes of the xorb. */
  readonly chunkStarts: Uint32Array;
  /** Uncompressed length of each chunk. */
  readonly chunkLengths: Uint32Array;
  /** {@link CHUNK_FLAG_GLOBAL_DEDUP} or 0 per chunk. */
  readonly chunkFlags: Uint32Array;
  /** Sum of the uncompressed lengths. */
  readonly rawBytes: number;
  /** Bytes of the records as uploaded; 0 = not recorded (the native client never does). */
  readonly serializedBytes: number;
  /** Flags of the xorb header. @default 0 */
  readonly flags?: number;
}

/** The last 200 bytes of a shard that has a footer. Offsets count from the start of the shard. */
export interface ShardFooter {
  readonly fileSectionOffset: number;
  readonly xorbSectionOffset: number;
  readonly fileLookupOffset: number;
  readonly fileLookupCount: number;
  readonly xorbLookupOffset: number;
  readonly xorbLookupCount: number;
  readonly chunkLookupOffset: number;
  readonly chunkLookupCount: number;
  /** 32 bytes; all zero = chunk hashes are not keyed. */
  readonly hmacKey: Uint8Array;
  /** Unix seconds; 0 = not recorded. */
  readonly createdAt: bigint;
  /** Unix seconds; 0 = not recorded, {@link NEVER_EXPIRES} = never. */
  readonly expiresAt: bigint;
  /** Sum of the xorbs' serialized bytes. */
  readonly storedBytesOnDisk: bigint;
  /** Sum of the file sizes. */
  readonly materializedBytes: bigint;
  /** Sum of the xorbs' raw bytes. */
  readonly storedBytes: bigint;
  readonly footerOffset: number;
}

/** A whole shard. `footer` is null for an upload body. */
export interface Shard {
  readonly files: readonly ShardFile[];
  readonly xorbs: readonly ShardXorb[];
  readonly footer: ShardFooter | null;
}

/** Which of the forms of a shard to write; `encode.ts` says what each holds. */
export type ShardVariant = 'upload' | 'keyed' | 'local' | 'stored';
