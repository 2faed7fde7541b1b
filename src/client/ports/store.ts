import type { MerkleHash } from '../../hash/index.js';
import type { FileChunkHashes, Reconstruction } from '../../plan/index.js';

/** A serialized xorb: its records in order, in pieces that stay valid until `putXorb` settles. */
export interface XorbBody {
  readonly sizeBytes: number;
  readonly pieces: readonly Uint8Array[];
}

/** Inclusive start, exclusive end, bytes of the stored xorb. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What a server has announced that takes many chunks in one question. */
export interface DenseDedup {
  /** It lists the chunks whose hash is a multiple of this ({@link isDedupEligible}). */
  readonly oneIn: number;
  /** Most chunks in one question. */
  readonly maxChunks: number;
}

/** One question about many things. */
export interface DedupQuestion {
  readonly chunks: readonly MerkleHash[];
  /** Stored files of which all chunks are wanted. */
  readonly files?: readonly MerkleHash[];
}

/** Says which stored xorbs hold a chunk. */
export interface DedupQueries {
  /** What the server has announced so far; null: nothing, and nobody may ask it that way. */
  denseDedup?(): DenseDedup | null;
  /** Like `queryDedup`, about many chunks and files at once, for servers that take that. */
  queryDedupMany?(
    question: DedupQuestion,
    signal?: AbortSignal,
    admit?: (totalBytes: number) => boolean,
  ): Promise<Uint8Array | null>;
  /**
   * Bytes of a keyed shard, or null when unknown. Throws only `ABORTED`: any failure is a miss.
   * @param admit asked, as a response arrives, whether there is memory for so many bytes in all; when
   * not, the response is given up and counts as a miss. Asked before the memory is taken.
   */
  queryDedup(
    chunk: MerkleHash,
    signal?: AbortSignal,
    admit?: (totalBytes: number) => boolean,
  ): Promise<Uint8Array | null>;
}

/** Options of {@link XorbStore.putXorb}. */
export interface PutXorbOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes sent since the last call. */
  readonly onSent?: ((bytes: number) => void) | undefined;
  /**
   * Called before bytes of the xorb are sent: resolves when they may be, with what is to be called when
   * they are, once. What else a xorb takes (asking before, committing after) happens outside of a turn.
   * @default at once
   */
  readonly turn?: SendTurn | undefined;
}

/** See {@link PutXorbOptions.turn}. */
export type SendTurn = () => Promise<() => void>;

/** Takes xorbs. */
export interface XorbStore {
  putXorb(
    xorb: MerkleHash,
    body: XorbBody,
    options?: PutXorbOptions,
  ): Promise<{ inserted: boolean }>;
  /**
   * Whether the xorb is stored whole and will stay, so that it need not be sent. False is always
   * right, and any failure but `ABORTED` is a false.
   */
  hasXorb?(xorb: MerkleHash, signal?: AbortSignal): Promise<boolean>;
}

/** Takes shards, which register files. */
export interface ShardRegistry {
  putShard(
    shard: Uint8Array,
    options?: {
      signal?: AbortSignal | undefined;
      onProgress?: (verified: number, total: number) => void;
    },
  ): Promise<{ registered: boolean }>;
}

/** Says where the chunks of a file are. */
export interface Reconstructions {
  /** Null when `range.start` is at or past the end of the file (416). @throws NOT_FOUND */
  getReconstruction(
    file: MerkleHash,
    range?: ByteRange,
    signal?: AbortSignal,
  ): Promise<Reconstruction | null>;
}

/** Says how large a file is. */
export interface FileSizes {
  /** Null when the server has no such file, or does not say. */
  getFileSize?(file: MerkleHash, signal?: AbortSignal): Promise<number | null>;
}

/** Says which hashes the chunks of a file have, without their bytes. */
export interface ChunkHashes {
  /**
   * The windows of whole chunks around `dirty` ranges (any order; at least one; cut at the end of the
   * file), and what the chunks outside of them hash to. Null: the server does not offer that, or has no
   * such file.
   * @throws OrbweaverError `REJECTED` when no range lies in the file; `PROTOCOL`
   * @throws RangeError for ranges that cannot be, and for more than fit into a header (about 250)
   */
  getChunkHashes(
    file: MerkleHash,
    dirty: readonly ByteRange[],
    signal?: AbortSignal,
  ): Promise<FileChunkHashes | null>;
}

/** Where the chunks of several files are. */
export interface BatchReconstruction {
  /** The terms of all files, one file after another in the order asked; every range once. */
  readonly reconstruction: Reconstruction;
  /** Terms of each file. */
  readonly termCounts: readonly number[];
}

/** Says where the chunks of many files are, at once. */
export interface BatchReconstructions {
  /**
   * Null: the store has no such request. `files` are different ones, none of them empty, at most a thousand.
   * @throws NOT_FOUND when one of them is missing
   */
  getReconstructions(
    files: readonly MerkleHash[],
    signal?: AbortSignal,
  ): Promise<BatchReconstruction | null>;
}

/** Gives the bytes of fetch URLs. */
export interface RangeSource {
  /**
   * Ranges of one fetch URL, read one after another straight into memory of the caller. Nothing is
   * sent before the first `fill`, and nothing is read that was not asked for.
   */
  readRanges(url: string, ranges: readonly ByteRange[], options?: ReadRangesOptions): RangeReader;
}

/** The CAS protocol as the client sees it. Implementation: `transport/`. Retries are inside. */
export interface CasClient
  extends DedupQueries,
    XorbStore,
    ShardRegistry,
    Reconstructions,
    FileSizes,
    ChunkHashes,
    BatchReconstructions,
    RangeSource {
  close(): Promise<void>;
}

/** Options of {@link CasClient.readRanges}. */
export interface ReadRangesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for each request that is sent, repeats included. */
  readonly onRequest?: (() => void) | undefined;
  /** Called when the server asked for fewer requests (429, 503) and the request will be repeated. */
  readonly onRefused?: (() => void) | undefined;
}

/** A reader of ranges. Retries are inside: it goes on from where a connection broke. */
export interface RangeReader {
  /** Index, into the ranges that were asked, of the range that the last bytes belong to. */
  readonly rangeIndex: number;
  /**
   * Writes the next bytes to the start of `into` and resolves with how many, never beyond the end of
   * a range; 0: all ranges are read. One call at a time; `into` may be shared memory, and is the
   * reader's until the promise has settled, also after `cancel`.
   * @throws OrbweaverError `FORBIDDEN` with `fields.expired === true` for a URL whose time is over;
   * `NOT_FOUND`, `NETWORK`, `STALLED`, `PROTOCOL`, `UNSAFE_URL`, `ABORTED`, `CLOSED`
   */
  fill(into: Uint8Array): Promise<number>;
  /** Nothing more is wanted. Safe to call twice, and during a `fill`. */
  cancel(): void;
}
