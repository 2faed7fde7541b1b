/**
 * A piece of the pool's memory. `bytes` is the whole slab; ask again after each task (without
 * shared memory the buffer travels to the worker and back, and old views are dead).
 */
export interface Slab {
  readonly bytes: Uint8Array;
  /**
   * For whoever uses the bytes beside the owner (a socket, a sink): the memory goes to nobody else
   * before the returned function was called, also when the owner releases the slab meanwhile.
   */
  borrow(): () => void;
  /** Hands it on: the result is the owner, this handle is dead. */
  move(): Slab;
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
}

export interface DecodeResult {
  /** Uncompressed length of each chunk, all runs in order. */
  readonly lengths: Uint32Array;
  /** Chunk hashes, 32 bytes each, computed from the decoded bytes. */
  readonly hashes: Uint8Array;
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
  /** @throws OrbweaverError what decoding throws */
  decode(request: DecodeRequest): Promise<DecodeResult>;
  /** `into.set(bytes)` for bytes of a slab, as fast as the machine can. */
  copyOut(bytes: Uint8Array, into: Uint8Array): void;
  createSha256(): Sha256Stream;
  close(): Promise<void>;
}
