import type { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { ShardFile } from '../shard/index.js';
import type { KnownXorbRun } from './place-chunks.js';
import type { Origin, PlacementPolicy } from './ports.js';

/** Stands for one file of a session; opaque. */
export type FileHandle = number;

/** Options of {@link createDedupSession}. */
export interface DedupSessionOptions {
  /** Keyed BLAKE3. */
  readonly hasher: Hasher;
  /** @default createPricedPlacement() */
  readonly placement?: PlacementPolicy;
  /**
   * A xorb is cut while raw bytes + 8 × chunks stay at or below this. Below 131,080 no chunk would
   * fit, above 64 MiB no server would take it.
   * @default 67108864
   */
  readonly xorbMaxBytes?: number;
  /** At most this many chunks in a xorb, 1 to 8192. @default 8192 */
  readonly xorbMaxChunks?: number;
  /**
   * Most chunks of shards from outside kept in memory; what does not fit is not used.
   * @default DEFAULT_MAX_KNOWN_CHUNKS
   */
  readonly maxKnownChunks?: number;
  /** Most terms of one file: what fits into a shard, or fewer. @default MAX_FILE_TERMS */
  readonly maxFileTerms?: number;
}

/** Chunks `[start, end)` of the batch are new: appended in this order to xorb `slot`. */
export interface NewRun {
  readonly slot: number;
  readonly start: number;
  readonly end: number;
}

/** A xorb that takes no more chunks. */
export interface ClosedXorb {
  /** Number of the xorb in the session, from 0 in order of opening. */
  readonly slot: number;
  readonly hash: MerkleHash;
  /** 32 bytes per chunk. */
  readonly chunkHashes: Uint8Array;
  readonly chunkLengths: Uint32Array;
  readonly rawBytes: number;
}

/** What {@link DedupSession.place} did with one batch. */
export interface PlaceResult {
  /** In order. A run with another slot follows only after the former slot was closed. */
  readonly newRuns: readonly NewRun[];
  /** Xorbs that got full during this call. */
  readonly closed: readonly ClosedXorb[];
  /** Bytes for which the file now refers to xorbs that shards from outside told of. */
  readonly outsideBytes: number;
  /** The file has more terms than a shard can hold: {@link DedupSession.finishFile} will refuse it. */
  readonly tooManyTerms: boolean;
}

/** What became of one file. Bytes are uncompressed; the four parts add up to `sizeBytes`. */
export interface FileSummary {
  readonly fileHash: MerkleHash;
  readonly sizeBytes: number;
  readonly chunkCount: number;
  readonly termCount: number;
  readonly newBytes: number;
  readonly newChunks: number;
  /** `sessionBytes + localBytes + globalBytes`. */
  readonly dedupedBytes: number;
  readonly dedupedChunks: number;
  /** Known from this session (the file itself included), from local shards, from responses. */
  readonly sessionBytes: number;
  readonly localBytes: number;
  readonly globalBytes: number;
  /** Known bytes that the placement policy stored again (part of `newBytes`). */
  readonly refusedBytes: number;
}

/** Sizes of a session. */
export interface DedupStats {
  /** Chunks stored by this session, in closed xorbs and the open one. */
  readonly chunks: number;
  readonly xorbs: number;
  /** Uncompressed bytes of those chunks. */
  readonly rawBytes: number;
  /** Chunks learnt from shards. */
  readonly knownChunks: number;
  /** Different keys among the shards in use. */
  readonly keys: number;
  /** Memory of all chunk tables. */
  readonly indexBytes: number;
  /** The part of it that shards from outside take. */
  readonly outsideBytes: number;
  /** Memory of the records of finished files. */
  readonly fileBytes: number;
  /** Uncompressed bytes in the open xorb, 0 without one. */
  readonly openXorbBytes: number;
}

/**
 * Decides for every chunk of every file of an upload where it lives. One index serves all files of
 * the session, also those that are open at the same time, and it holds the chunks of the xorb that
 * is still being filled: nothing is stored twice. No I/O: callers hand in hashes, get back which
 * chunks to append to which xorb, and in the end the shards to register.
 */
export interface DedupSession {
  /**
   * Learns the xorbs of a shard, plain or keyed. An expired one, or one that does not fit into
   * `maxKnownChunks` and `maxBytes`, adds nothing (`xorbs` 0); the keys that served longest ago make
   * way for it.
   * @param nowSeconds the time, unix seconds
   * @param maxBytes memory that all of them together may take, as an estimate. @default Infinity
   * @throws OrbweaverError `TRUNCATED`, `FORMAT_INVALID`, `LIMIT_EXCEEDED`, `UNSUPPORTED`: the shard
   * is unreadable or breaks a limit; nothing of it was added. Callers drop it and go on.
   */
  addShard(
    bytes: Uint8Array,
    origin: Exclude<Origin, 'session' | 'resumed'>,
    nowSeconds: number,
    maxBytes?: number,
  ): { readonly xorbs: number; readonly chunks: number };
  /**
   * Learns where parts of stored xorbs lie, in order, as far as there is memory.
   * @param maxBytes memory that all that is known from outside may take, as an estimate
   * @returns chunks added
   */
  addRuns(
    runs: Iterable<KnownXorbRun>,
    origin: Exclude<Origin, 'session' | 'resumed'>,
    maxBytes: number,
  ): number;
  /** Numbers of those of these chunks (32 bytes each) that nothing knows. */
  unknownOf(hashes: Uint8Array): number[];
  /**
   * Takes the xorbs of a plain shard that an interrupted run of the same upload has stored: they count
   * as the session's own, whatever memory they take, and are listed in its shards when its files use
   * them.
   * @throws OrbweaverError like {@link DedupSession.addShard}: nothing of it was added
   */
  resumeXorbs(shard: Uint8Array): void;
  /**
   * Forgets what was told from outside, keyed shards first, then parts of xorbs, until no more than
   * `maxBytes` are used; plain shards stay.
   */
  shrinkOutside(maxBytes: number): void;
  openFile(): FileHandle;
  /**
   * Indices into the batch that follows in `file` which are worth asking globally. To be called
   * once per batch, in order, before {@link DedupSession.place} gets it; it may be several batches
   * ahead of that.
   */
  queriesFor(file: FileHandle, hashes: Uint8Array, lengths: Uint32Array): number[];
  /**
   * Places the next chunks of `file`: `hashes` has 32 bytes per chunk, `lengths` the uncompressed
   * lengths (1 to 131,072). Both are borrowed for the call.
   */
  place(file: FileHandle, hashes: Uint8Array, lengths: Uint32Array): PlaceResult;
  /** Closes the open xorb early or at the end; null when there is none. */
  closeOpenXorb(): ClosedXorb | null;
  /** Notes the serialized size of a closed xorb for the shard. */
  setSerializedBytes(slot: number, bytes: number): void;
  /**
   * Ends a file. `sha256` is the plain digest, 32 bytes, when the target wants it.
   * @throws OrbweaverError `TOO_MANY_TERMS`: no shard can hold it; it is dropped, the others are fine
   */
  finishFile(file: FileHandle, sha256?: Uint8Array): FileSummary;
  /**
   * Adds a file that is not read: its record of an earlier upload, with verification. It counts as known
   * from this machine.
   */
  adoptFile(record: ShardFile): FileSummary;
  /**
   * Finished files since the last call, in order, up to the first that names a xorb of this session
   * which `isStored` denies; what is given makes the record of one, until the next call of the session.
   */
  takeStoredFiles(isStored: (xorb: MerkleHash) => boolean): Iterable<() => ShardFile>;
  /** Forgets a file that will not be finished. What it added to xorbs stays known and usable. */
  dropFile(file: FileHandle): void;
  /** Files finished or adopted so far, since the session started over. */
  readonly finishedCount: number;
  /** Leaves a finished file, by its number from 0, out of the shards that are made from here on. */
  dropFinished(file: number): void;
  /**
   * Upload bodies for all finished files and all xorbs of this session.
   * @param maxBytes largest shard wanted (a single file that is larger gets a shard of its own).
   * @throws TypeError while a xorb is open
   * @throws OrbweaverError `LIMIT_EXCEEDED` when one file needs more than 64 MiB
   * @default 16777216
   */
  shards(maxBytes?: number): Uint8Array[];
  /** The same, made one at a time, so that no more than one has to be in memory. */
  eachShard(maxBytes?: number): IterableIterator<Uint8Array>;
  /**
   * Begins a second round, for files that were refused: forgets the finished files and everything
   * from outside, keeps what the session stored and those resumed xorbs that `keepsResumed` vouches
   * for. The shards that follow list only the session's xorbs that `isListed` denies, so that each is
   * listed once in all.
   * @throws TypeError while a file or a xorb is open
   */
  startOver(
    isListed: (xorb: MerkleHash) => boolean,
    keepsResumed?: (xorb: MerkleHash) => boolean,
  ): void;
  stats(): DedupStats;
}
