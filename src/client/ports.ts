import type { MerkleHash } from '../hash/index.js';
import type { Reconstruction } from '../plan/index.js';

/** A place that bytes are read from, once, in order. Implementations: `io/`, `archive/`. */
export interface Source {
  /** Path or label, for results and messages. */
  readonly name: string;
  /** Bytes, when known before reading; a reader that ends elsewhere is `INPUT_CHANGED`. */
  readonly sizeBytes?: number;
  /** True when `open` may be called again and yields the same bytes (files, blobs, arrays). */
  readonly reopenable: boolean;
  open(signal?: AbortSignal): Promise<SourceReader>;
  /**
   * Reads all `sizeBytes` into the start of `into`, which is longer than that, before it returns: for
   * small files on quick disks, where promises cost more than the reading. False: not now, `open`
   * it.
   * @throws what `open` and `read` reject with
   */
  readNow?(into: Uint8Array): boolean;
}

export interface SourceReader {
  /** Reads the next bytes into the start of `into` (a view, maybe of shared memory); 0 = end. */
  read(into: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** Bytes that can be read anywhere (a ZIP's central directory, an old copy). */
export interface RandomAccess {
  readonly name: string;
  readonly sizeBytes: number;
  /** Fills all of `into` from `offset`; fewer bytes is `INPUT_CHANGED`. */
  readAt(into: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Where a download goes. `offset` counts from the start of the output. */
export interface Sink {
  /** Path or label, for results and messages. */
  readonly name: string;
  /** True: writes may come in any order and overlap in time. False: strictly in order, one at a time. */
  readonly positional: boolean;
  /**
   * Called before the first write, and again when more is known: at least `sizeBytes` will come.
   * A place to refuse early. @throws DISK_FULL, OUTPUT_UNWRITABLE
   */
  prepare?(sizeBytes: number): Promise<void>;
  /** Resolves when the bytes may be reused by the caller. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** The same for pieces that follow each other, where one call is cheaper than many. */
  writeAll?(pieces: readonly Uint8Array[], offset: number): Promise<void>;
  /**
   * After `prepare`: lends the open file to threads that write to it themselves, at any offset, beside
   * `write`. It stays open until the loan ends, also when the sink is aborted meanwhile. Null: not
   * now, `write` is the way.
   */
  lend?(): FileLoan | null;
  /** All is written and verified: make it visible under its final name. */
  commit(sizeBytes: number): Promise<void>;
  /** It failed, for this reason: remove what was written, tell a reader. Never throws. */
  abort(reason?: unknown): Promise<void>;
}

/** A file that its sink has lent out. */
export interface FileLoan {
  readonly fd: number;
  /** Nobody writes by this loan any more; so many bytes were written, in so many milliseconds. */
  end(writtenBytes: number, writeMs: number): void;
  /** The sink's error for one of the system (`ENOSPC`) that a thread met. */
  failure(errno: string, cause: unknown): Error;
}

/**
 * Shards remembered between runs, so that known data is found without asking a server.
 * Implementation: `io/`. An optimisation: it never fails a transfer, what cannot be read is a miss.
 */
export interface ShardCache {
  /** Every shard that has not expired, newest first. */
  load(nowSeconds: number): AsyncIterable<CachedShard>;
  /**
   * Remembers a shard until `expiresAtSeconds` (Unix time). False when it is not kept: larger than
   * the whole limit, expired, or the disk failed.
   */
  put(shard: Uint8Array, expiresAtSeconds: number): Promise<boolean>;
}

export interface CachedShard {
  readonly bytes: Uint8Array;
  /** Forgets it: its reader found that it is damaged or of no use. */
  drop(): Promise<void>;
}

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

/** The CAS protocol as the client sees it. Implementation: `transport/`. Retries are inside. */
export interface CasClient {
  /** Bytes of a keyed shard, or null when unknown. Throws only `ABORTED`: any failure is a miss. */
  queryDedup(chunk: MerkleHash, signal?: AbortSignal): Promise<Uint8Array | null>;
  putXorb(
    xorb: MerkleHash,
    body: XorbBody,
    options?: { signal?: AbortSignal | undefined; onSent?: (bytes: number) => void },
  ): Promise<{ inserted: boolean }>;
  putShard(
    shard: Uint8Array,
    options?: {
      signal?: AbortSignal | undefined;
      onProgress?: (verified: number, total: number) => void;
    },
  ): Promise<{ registered: boolean }>;
  /** Null when `range.start` is at or past the end of the file (416). @throws NOT_FOUND */
  getReconstruction(
    file: MerkleHash,
    range?: ByteRange,
    signal?: AbortSignal,
  ): Promise<Reconstruction | null>;
  /**
   * Bytes of `ranges` of one fetch URL, in the order asked. Buffers are borrowed until the next
   * step. An expired URL is `FORBIDDEN` with `fields.expired === true`; a broken connection after
   * the first byte is retried inside from where it stopped.
   * @param skipBytes bytes at the beginning of the first range that are there already
   */
  fetchRanges(
    url: string,
    ranges: readonly ByteRange[],
    signal?: AbortSignal,
    skipBytes?: number,
  ): AsyncIterable<FetchedPart>;
  /**
   * Reads a range straight into memory of the caller, as far as that goes at the first attempt, and
   * resolves with the bytes that were received; `fetchRanges` gets the rest, and knows why there is
   * one. Once it is settled or `signal` has fired, nothing is written any more.
   * @throws OrbweaverError `ABORTED`, `CLOSED`, `UNSAFE_URL`; what the receiver throws
   */
  receiveRange?(
    url: string,
    range: ByteRange,
    receiver: RangeReceiver,
    signal?: AbortSignal,
  ): Promise<number>;
  close(): Promise<void>;
}

/** Takes the bytes of ranges where it wants them. */
export interface RangeReceiver {
  /**
   * Where the next bytes go, at least one byte of a view (maybe of shared memory), valid until the
   * next call of any method. Null: nowhere now, ask again after `ready`.
   */
  room(): Uint8Array | null;
  /** Resolves when it is worth asking for room again; rejects when nothing is wanted any more. */
  ready(): Promise<void>;
  /** The first `count` bytes of `room` are the next ones of the range with this index. */
  received(rangeIndex: number, count: number): void;
}

export interface FetchedPart {
  /** Index into the `ranges` that were asked. */
  readonly rangeIndex: number;
  readonly bytes: Uint8Array;
}

/**
 * A piece of the pool's memory. `bytes` is the whole slab; ask again after each task (without
 * shared memory the buffer travels to the worker and back, and old views are dead).
 */
export interface Slab {
  readonly bytes: Uint8Array;
  /** Gives the slab back; afterwards it must not be used. Safe to call twice. */
  release(): void;
}

/** A stretch of one file inside a slab. */
export interface SlabSegment {
  /** First byte whose position may be a candidate. */
  readonly start: number;
  readonly end: number;
  /** First byte that belongs to the same file (start of the warm-up window), <= start. */
  readonly fileStart: number;
  /** A chunk starts at `start`, since the file does. Otherwise it is somewhere inside of one. */
  readonly isFirst: boolean;
  /** The file ends at `end`, and so does its last chunk. */
  readonly isLast: boolean;
  /** The SHA-256 of the segment is wanted, too. */
  readonly sha256: boolean;
}

/** What the pool found in a segment. Positions are relative to the slab. */
export interface SegmentChunks {
  /**
   * For a `CutResolver`, ascending: candidates below `certainStart`, from there on cuts that do not
   * depend on what lies before the segment.
   */
  readonly candidates: Uint32Array;
  /** Where the first chunk starts that is certain; `end` when there is none. */
  readonly certainStart: number;
  /** Chunk hashes (data key) of the certain chunks, 32 bytes each. */
  readonly hashes: Uint8Array;
  /** Null when it was not asked for. */
  readonly sha256: Uint8Array | null;
}

export interface PackRequest {
  readonly source: Slab;
  /** Chunks to pack: `starts[i]`, `lengths[i]` inside the source slab, ascending. */
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
  /** The slab written to (may be the source: then records never overtake the chunks still to read). */
  readonly target: Slab;
  readonly targetOffset: number;
}

export interface PackResult {
  /** Bytes written from `targetOffset`. */
  readonly packedBytes: number;
  /** Serialized length of each record, header included. */
  readonly recordLengths: Uint32Array;
}

export interface DecodeRequest {
  readonly input: Slab;
  readonly output: Slab;
  /**
   * Runs of whole records in `input`, four numbers each: its start and end there, and the start and
   * end in `output` of what its compressed chunks decode to, side by side; more or fewer bytes are an
   * error. Chunks that are stored as they are stay where they lie in `input`.
   */
  readonly runs: Uint32Array;
  /**
   * What the thread that decodes writes into a file as soon as all runs are right.
   * @default nothing
   */
  readonly rows?: FileRows | undefined;
}

/** Pieces of two slabs and where they go in an open file; pieces of a row follow each other there. */
export interface FileRows {
  readonly fd: number;
  /** Offset in the file of each row. */
  readonly offsets: Float64Array;
  /** The end of each row in the list of pieces. */
  readonly ends: Uint32Array;
  /**
   * Two numbers for each piece: its place, which is a position of `input` or `-1 - position` of
   * `output`, and its bytes.
   */
  readonly pieces: Int32Array;
}

export interface DecodeResult {
  /** Uncompressed length of each chunk, all runs in order. */
  readonly lengths: Uint32Array;
  /** Chunk hashes, 32 bytes each, computed from the decoded bytes. */
  readonly hashes: Uint8Array;
  /** What writing the rows took, ms. */
  readonly writeMs: number;
}

/** SHA-256 of a stream, computed off the main thread in the order of the calls. */
export interface Sha256Stream {
  /** Resolves when the bytes `slab[start, end)` have been taken in. */
  update(slab: Slab, start: number, end: number): Promise<void>;
  digest(): Promise<Uint8Array>;
  /** Drops the state of a file that will not be finished. */
  dispose(): void;
}

/**
 * The worker pool as the client sees it. Implementation: `workers/` (piscina over shared memory,
 * transferred buffers, or in thread). Tasks on one slab run in the order they were asked for when
 * memory is not shared, and may overlap when it is: callers that write await first.
 */
export interface ComputePool {
  /** Bytes in one slab. */
  readonly slabBytes: number;
  /** Slabs in all; `slabBytes * slabCount` never exceeds `maxMemory`. */
  readonly slabCount: number;
  /** Threads that run tasks; 0 = in thread. */
  readonly threads: number;
  /** Kernel tier in use. */
  readonly tier: string;
  readonly sharedMemory: boolean;
  /** Slabs not handed out now. */
  readonly freeSlabs: number;
  /** Callers waiting in `acquire` now. */
  readonly waiting: number;
  /** All `count` at once, first come first served. @throws ABORTED, CLOSED */
  acquire(count: number, signal?: AbortSignal): Promise<Slab[]>;
  /**
   * Tells that about so many bytes are going to be uploaded or downloaded, so that threads may start
   * before their first task.
   */
  expectBytes?(bytes: number): void;
  /** Called whenever an `acquire` has to wait (so that an open xorb can be cut early). */
  onStarved(listener: () => void): () => void;
  /** Cuts segments and hashes their chunks, as far as that goes without what lies before them. */
  chunk(slab: Slab, segments: readonly SlabSegment[]): Promise<readonly SegmentChunks[]>;
  /** Chunk hashes (data key), 32 bytes each, of chunks `starts[i]`, `lengths[i]`. */
  hash(slab: Slab, starts: Uint32Array, lengths: Uint32Array): Promise<Uint8Array>;
  pack(request: PackRequest): Promise<PackResult>;
  /** @throws OrbweaverError what decoding throws; `STORAGE_FAILED` with the `errno` of a failed write */
  decode(request: DecodeRequest): Promise<DecodeResult>;
  createSha256(): Sha256Stream;
  close(): Promise<void>;
}
