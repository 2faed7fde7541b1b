import { MAX_CHUNK_BYTES, withRoom } from '../bytes/index.js';
import {
  type ChunkCompressor,
  type CompressionPolicy,
  createChunkCompressor,
} from '../compress/index.js';
import type { BlockCodec } from '../compress/ports.js';
import {
  createMerkleTree,
  DATA_KEY,
  HASH_BYTES,
  type MerkleHash,
  type MerkleTree,
} from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { XorbInfo } from './info.js';
import { RECORD_HEADER_BYTES, XORB_MAX_BYTES, XORB_MAX_CHUNKS } from './limits.js';
import { writeRecordHeader } from './record-header.js';

export interface XorbBuilderOptions {
  readonly codec: BlockCodec;
  readonly hasher: Hasher;
  /** @default 'auto' */
  readonly policy?: CompressionPolicy | undefined;
  /** Most raw bytes plus 8 for each chunk. @default XORB_MAX_BYTES */
  readonly maxBytes?: number | undefined;
  /** @default XORB_MAX_CHUNKS */
  readonly maxChunks?: number | undefined;
}

/** A finished xorb. */
export interface BuiltXorb extends XorbInfo {
  /** The records: what is uploaded. Owned by the caller. */
  readonly bytes: Uint8Array;
}

/**
 * Builds xorbs in memory, one after another, from chunks that the caller has cut. The pipeline of
 * uploads packs in place instead (`createRecordPacker`); this is for tools, tests and small jobs.
 *
 * @example
 * const builder = new XorbBuilder({ codec, hasher });
 * for (const chunk of chunks) {
 *   if (builder.add(chunk)) continue;
 *   save(builder.finish());
 *   builder.add(chunk);
 * }
 * const last = builder.finish(); // null when nothing was added
 */
export class XorbBuilder {
  readonly #hasher: Hasher;
  readonly #compressor: ChunkCompressor;
  readonly #maxBytes: number;
  readonly #maxChunks: number;
  #tree: MerkleTree;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #length = 0;
  #rawBytes = 0;
  #recordEnds: number[] = [];
  #rawEnds: number[] = [];
  #hashes: Uint8Array<ArrayBuffer> = new Uint8Array(64 * HASH_BYTES);

  /** @throws RangeError when a limit is outside of what the protocol allows */
  constructor(options: XorbBuilderOptions) {
    const { maxBytes = XORB_MAX_BYTES, maxChunks = XORB_MAX_CHUNKS } = options;
    const smallest = MAX_CHUNK_BYTES + RECORD_HEADER_BYTES;
    if (!(maxBytes >= smallest && maxBytes <= XORB_MAX_BYTES)) {
      throw new RangeError(`"maxBytes" expected ${smallest} to ${XORB_MAX_BYTES}, got ${maxBytes}`);
    }
    if (!(maxChunks >= 1 && maxChunks <= XORB_MAX_CHUNKS)) {
      throw new RangeError(`"maxChunks" expected 1 to ${XORB_MAX_CHUNKS}, got ${maxChunks}`);
    }
    this.#hasher = options.hasher;
    this.#compressor = createChunkCompressor({ codec: options.codec, policy: options.policy });
    this.#maxBytes = maxBytes;
    this.#maxChunks = maxChunks;
    this.#tree = createMerkleTree(options.hasher);
  }

  /** Chunks in the open xorb. */
  get chunkCount(): number {
    return this.#recordEnds.length;
  }

  /** Bytes of records so far. */
  get serializedBytes(): number {
    return this.#length;
  }

  /** True when a chunk of this length still goes into the open xorb under both limits. */
  fits(chunkBytes: number): boolean {
    const count = this.chunkCount + 1;
    return (
      count <= this.#maxChunks &&
      this.#rawBytes + chunkBytes + RECORD_HEADER_BYTES * count <= this.#maxBytes
    );
  }

  /**
   * Appends one chunk (borrowed) and returns true, or returns false and changes nothing when it
   * does not fit: `finish` and add it again.
   * @throws RangeError when the chunk is longer than 128 KiB
   */
  add(chunk: Uint8Array): boolean {
    if (!this.fits(chunk.length)) return false;
    const { scheme, payload } = this.#compressor.compress(chunk);
    const at = this.#length;
    const end = at + RECORD_HEADER_BYTES + payload.length;
    this.#bytes = withRoom(this.#bytes, end);
    writeRecordHeader(this.#bytes, at, {
      scheme,
      compressedLength: payload.length,
      uncompressedLength: chunk.length,
    });
    this.#bytes.set(payload, at + RECORD_HEADER_BYTES);
    this.#length = end;

    const hashAt = HASH_BYTES * this.chunkCount;
    this.#hashes = withRoom(this.#hashes, hashAt + HASH_BYTES);
    this.#hasher.keyed(DATA_KEY, chunk, this.#hashes, hashAt);
    this.#tree.push(this.#hashes, hashAt, chunk.length);
    this.#rawBytes += chunk.length;
    this.#recordEnds.push(end);
    this.#rawEnds.push(this.#rawBytes);
    return true;
  }

  /** Closes the open xorb and starts the next one; null when it has no chunk (never uploaded). */
  finish(): BuiltXorb | null {
    const count = this.chunkCount;
    if (count === 0) return null;
    const hash: MerkleHash = this.#tree.root();
    const xorb: BuiltXorb = {
      hash,
      bytes: this.#bytes.slice(0, this.#length),
      chunkHashes: this.#hashes.slice(0, HASH_BYTES * count),
      recordEnds: Uint32Array.from(this.#recordEnds),
      rawEnds: Uint32Array.from(this.#rawEnds),
    };
    this.#tree = createMerkleTree(this.#hasher);
    this.#length = 0;
    this.#rawBytes = 0;
    this.#recordEnds = [];
    this.#rawEnds = [];
    return xorb;
  }
}
