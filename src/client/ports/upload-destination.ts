import type { MerkleHash } from '../../hash/index.js';
import type { SendTurn, XorbBody } from './store.js';

/**
 * Where an upload ends: `read → chunk → join → ask → place → pack → send`, and from `send` on it is
 * somebody else's. A store of the CAS protocol is one destination; whatever else wants packed xorbs
 * and the records of files implements the same two types.
 */
export interface UploadDestination {
  readonly xorbs: XorbConsumer;
  readonly shards: ShardConsumer;
}

/** A xorb whose records are packed. */
export interface PackedXorb {
  readonly hash: MerkleHash;
  /** Its records; the pieces are borrowed until `take` has settled. */
  readonly body: XorbBody;
  readonly chunkCount: number;
  /** Bytes of its chunks, uncompressed. */
  readonly rawBytes: number;
}

/** Takes packed xorbs, several at a time, in any order. */
export interface XorbConsumer {
  /**
   * True: it takes a turn itself for the time that it sends ({@link TakeOptions.turn}), and may be given
   * more xorbs than there are turns. @default false: each `take` is a turn as a whole
   */
  readonly takesTurns?: boolean | undefined;
  /**
   * Resolves when the xorb is stored for good. `inserted` is false when it was there before.
   * @throws OrbweaverError whatever it throws ends the upload: files refer to the xorb
   */
  take(xorb: PackedXorb, options: TakeOptions): Promise<{ readonly inserted: boolean }>;
}

/** Options of {@link XorbConsumer.take}. */
export interface TakeOptions {
  readonly signal: AbortSignal;
  /** Bytes sent since the last call. */
  readonly onSent: (bytes: number) => void;
  /** For those that take turns: as in `PutXorbOptions`. */
  readonly turn: SendTurn;
}

/** Takes the records of files, as shards, when all xorbs that they name are stored. */
export interface ShardConsumer {
  /**
   * @throws OrbweaverError `REJECTED` or `NOT_FOUND`: a term may name a xorb that is not there; files
   * that name foreign xorbs are then uploaded again without them. Anything else ends the upload.
   */
  register(shard: Uint8Array, options: RegisterShardOptions): Promise<unknown>;
}

/** Options of {@link ShardConsumer.register}. */
export interface RegisterShardOptions {
  readonly signal: AbortSignal;
  /** So much of what the shard names was checked, where the destination says so. */
  readonly onProgress: (verified: number, total: number) => void;
}

/** The chunks of a xorb in order: 32 bytes of hash and the uncompressed length of each. */
export interface XorbChunks {
  readonly hashes: Uint8Array;
  readonly lengths: Uint32Array;
}

/**
 * Told of what is certain, before the upload goes on: a durable journal writes it down here. What it
 * throws ends the upload.
 */
export interface UploadJournal {
  /**
   * The destination has this xorb of `bytes` serialized bytes; its memory is kept until this resolves.
   * `chunks` are those that it holds, for the caller to keep.
   */
  onAcknowledged?(xorb: MerkleHash, bytes: number, chunks: XorbChunks): void | Promise<void>;
  /** It has registered this shard (an upload body). */
  onRegistered?(shard: Uint8Array): void | Promise<void>;
}
