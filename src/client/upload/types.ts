import type { FileSummary, PlacementPolicy } from '../../dedup/index.js';
import type { Clock } from '../../flow/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { ShardFile } from '../../shard/index.js';
import type {
  CasClient,
  ComputePool,
  ShardCache,
  Source,
  UploadDestination,
  UploadJournal,
} from '../ports.js';
import type { BaseInput, BaseOutcome } from './base.js';
import type { FileRecord } from './file-records.js';
import type { Resumed } from './resumed.js';

/** Sources read at once when nothing else is said. */
export const DEFAULT_READ_CONCURRENCY = 4;
/** Xorbs sent at once in the beginning, and at most, when nothing else is said. */
export const DEFAULT_SEND_CONCURRENCY = 4;
export const MOST_SEND_CONCURRENCY = 32;
/** How long placing waits for the responses to dedup queries, milliseconds. */
export const DEFAULT_QUERY_TIMEOUT_MS = 2000;

/** What an upload may be told; all optional. */
export interface UploadOptions {
  /** Do everything but send: nothing is stored, sizes are counted. @default false */
  readonly dryRun?: boolean | undefined;
  /**
   * Sources read at once; fewer when memory is short. With one, what is new in which file does not
   * depend on timing. @default 4; 1 in a dry run
   */
  readonly readConcurrency?: number | undefined;
  /** Xorbs sent at once, as far as memory holds them. @default what moves most bytes, from 4 on */
  readonly sendConcurrency?: number | undefined;
  /** Ask the server which chunks it has. @default true */
  readonly globalDedup?: boolean | undefined;
  /** Longest wait for such responses, milliseconds; 0: never wait. @default 2000 */
  readonly queryTimeoutMs?: number | undefined;
  /** Refer to known chunks or store them again. @default the policy that prices the read */
  readonly placement?: PlacementPolicy | undefined;
  /** Largest xorb, raw bytes + 8 per chunk. @default what memory allows, at most 64 MiB */
  readonly xorbMaxBytes?: number | undefined;
  /** Largest shard, bytes. @default 16777216 */
  readonly shardMaxBytes?: number | undefined;
  /**
   * Bytes, beside the slabs of the pool, for what the session remembers (chunk index, file records,
   * results) and what it learns (responses to dedup queries, chunks of known shards). What must be
   * remembered is, always; what is learnt has to fit into the rest, or is left out.
   * @default two thirds of the pool's slabs, at least 32 MiB
   */
  readonly knowledgeMaxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called often: after each read, each placed batch, each piece sent; and twice a second while nothing
   * happens. A listener that throws is not called again; the upload goes on, and the summary has its error.
   */
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Called with each shard that was registered (an upload body), for a cache on disk. */
  readonly onShard?: ((shard: Uint8Array) => void) | undefined;
  /**
   * Called with each file that was registered, in the order of `add`, at the end: for many thousands
   * of files cheaper than {@link UploadSummary.files}, which need not be read then.
   */
  readonly onFile?: ((file: FileResult) => void) | undefined;
}

/** What an upload asks of a store, and sends to it. Without reconstructions there are no bases, without the others none by hash alone. */
export type UploadStore = Pick<
  CasClient,
  'queryDedup' | 'denseDedup' | 'queryDedupMany' | 'putXorb' | 'hasXorb' | 'putShard'
> &
  Partial<Pick<CasClient, 'getReconstruction' | 'getChunkHashes' | 'readRanges'>>;

/** What an upload session is made of. */
export interface UploadSessionOptions {
  /** Serves dedup queries, and takes xorbs and shards. Null: there is no server. */
  readonly cas: UploadStore | null;
  /** Takes xorbs and shards instead of `cas`. @default `cas`; without one nothing is sent */
  readonly destination?: UploadDestination | undefined;
  /** Told of everything the destination has acknowledged. @default nobody */
  readonly journal?: UploadJournal | undefined;
  /**
   * Shards of earlier uploads to `cas`, which are looked up before it is asked; what `cas` registers is
   * added. @default none
   */
  readonly cache?: ShardCache | null | undefined;
  /**
   * Told of files as soon as all is stored that they are made of, so that they need not be read again
   * while they are unchanged; of those whose sources have an identity. @default nobody
   */
  readonly onStored?: ((records: readonly FileRecord[]) => void) | undefined;
  readonly pool: ComputePool;
  /** Keyed BLAKE3 of the calling thread. */
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly options?: UploadOptions | undefined;
}

/** Options of one file. */
export interface AddOptions {
  /** True: compute and register it. A string: the digest in hex, registered as it is. @default false */
  readonly sha256?: boolean | string | undefined;
  /**
   * Cancels this file alone, until it is being registered: it is in `failed` with `ABORTED`, and the others go
   * on. Chunks of it that are on their way are stored all the same. @default none
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Told of all chunks of the file, in order: packed hashes and lengths, borrowed for the call.
   * @default nobody
   */
  readonly onChunks?: OnChunks | undefined;
}

/** Takes the next chunks of a file. */
export type OnChunks = (hashes: Uint8Array, lengths: Uint32Array) => void;

/** What became of one file. Bytes are uncompressed. */
export interface FileResult
  extends Pick<
    FileSummary,
    | 'sizeBytes'
    | 'fileHash'
    | 'chunkCount'
    | 'termCount'
    | 'newBytes'
    | 'dedupedBytes'
    | 'sessionBytes'
    | 'localBytes'
    | 'globalBytes'
  > {
  /** The name of the source. */
  readonly name: string;
  /** Lower-case hex of the plain digest; null when not asked for. */
  readonly sha256: string | null;
  /** It was not read: it is what was uploaded before. */
  readonly unchanged: boolean;
}

/** A file that was not uploaded. */
export interface FailedFile {
  readonly name: string;
  readonly error: Error;
}

/** What became of a session. In a dry run, xorbs and shards are what would have been sent. */
export interface UploadSummary {
  /** Files that are registered, in the order of `add`; made when it is first read. */
  readonly files: readonly FileResult[];
  readonly failed: readonly FailedFile[];
  /** Xorbs sent, or found to be there. */
  readonly xorbCount: number;
  /** Serialized bytes of those xorbs. */
  readonly xorbBytes: number;
  /** Xorbs among them that the server already had. */
  readonly knownXorbCount: number;
  readonly shardCount: number;
  readonly shardBytes: number;
  /** Dedup queries sent, and responses that taught something. */
  readonly queryCount: number;
  readonly responseCount: number;
  /** Memory of the chunk index at the end. */
  readonly indexBytes: number;
  /** The most that was ever taken of {@link UploadOptions.knowledgeMaxBytes}. */
  readonly knowledgePeakBytes: number;
  /** What the first listener to fail threw (`onProgress`, `onShard`, `onFile`). */
  readonly listenerError?: Error;
}

/** Where a session stands. No number shrinks but `secondsLeft` and the rate. */
export interface UploadProgress {
  /**
   * `reading`: files are read, cut and sent at the same time. `sending`: all is read, the last xorbs are on
   * their way. `registering`: all data is there, the store checks and registers the files. `done`.
   */
  readonly phase: 'reading' | 'sending' | 'registering' | 'done';
  /**
   * Bytes of files that the store has: known there, unchanged, or sent; what was read is far ahead of it.
   * What was sent and not acknowledged counts but for its last byte. In a dry run, what was looked at.
   */
  readonly doneBytes: number;
  /**
   * Sum of the known sizes of all files added, of refused ones once more; undefined while one of unknown size
   * is unread.
   */
  readonly totalBytes: number | undefined;
  /** Growth of `doneBytes` in the last five seconds of this phase. */
  readonly bytesPerSecond: number;
  /** Undefined: not known. */
  readonly secondsLeft: number | undefined;
  readonly fileCount: number;
  /** Files read and placed to their end. */
  readonly doneFileCount: number;
  readonly readBytes: number;
  /** Of unchanged files, which are not read. */
  readonly skippedBytes: number;
  /** Placed so far: new, and known already. */
  readonly newBytes: number;
  readonly dedupedBytes: number;
  /** Serialized bytes of xorbs sent, and of those that are ready to be. */
  readonly sentBytes: number;
  readonly toSendBytes: number;
  /** Of `registering`: how much of the files at hand the store has checked; null: it does not say. */
  readonly finalization: { readonly verified: number; readonly total: number } | null;
  /** The file that was read last; `sizeBytes` is undefined when it is not known. */
  readonly file: {
    readonly name: string;
    readonly readBytes: number;
    readonly sizeBytes: number | undefined;
  } | null;
}

/** One upload of any number of files that share an index. */
export interface UploadSession {
  /**
   * Adds a file. Resolves when all its bytes are read and have a place; it is registered only after
   * {@link UploadSession.finish}. Rejects when this file failed; the others go on. Files may be
   * added without waiting for the one before. A rejection that nobody looks at is no fault: the
   * error is in the summary, too.
   *
   * @throws TypeError for a wrong `sha256`
   * @throws OrbweaverError `CLOSED` after `finish`; `INPUT_*` as the source deserves; the error that
   * ended the whole session (`ABORTED` after `abort`)
   */
  add(source: Source, options?: AddOptions): Promise<FileResult>;
  /**
   * The same without a promise, for thousands of files: what became of it is in the summary.
   * @throws what {@link UploadSession.add} throws, and rejects with before it takes the file
   */
  enqueue(source: Source, options?: AddOptions): void;
  /**
   * Adds a file that is not read: `record`, of an earlier upload of the same bytes, is registered again.
   * When the store refuses it, `source` is read after all, if it can be opened twice.
   * @throws what {@link UploadSession.enqueue} throws; TypeError for a record without verification
   */
  enqueueKnown(source: Source, record: ShardFile, options?: AddOptions): void;
  /** Resolves when few files wait to be read; null: that is so. Then memory does not grow with them. */
  ready(): Promise<void> | null;
  /**
   * Learns a shard of this machine (a cache of earlier uploads).
   * @throws OrbweaverError the errors of `decodeShard`: nothing of it was added
   */
  addKnownShard(shard: Uint8Array): { readonly xorbs: number; readonly chunks: number };
  /**
   * Learns a previous version of what is going to be added: a local copy, which is read to its end, or
   * the hash of a stored file. Nothing about it fails the upload; files that are added before it has
   * resolved may not know of it yet.
   * @throws OrbweaverError the error that ended the whole session
   */
  addBase(base: BaseInput): Promise<BaseOutcome>;
  /**
   * Takes the xorbs that an interrupted run of the same upload has had acknowledged, each as a plain
   * shard of one xorb (what {@link UploadJournal.onAcknowledged} was told): nothing of them is sent
   * again. To be called before files are added. The store is asked whether it still has each; where it
   * does not say, `trusts` decides, to be true only when all sources can be read twice. Shards that
   * are none are left out.
   * @throws OrbweaverError the error that ended the session
   */
  resume(
    shards: AsyncIterable<Uint8Array>,
    options: { readonly trusts: boolean },
  ): Promise<Resumed>;
  /**
   * Waits for all files, sends what is left, registers all files and reports. To be called once.
   * @throws OrbweaverError the error that ended the session: nothing is registered then, or not all
   */
  finish(): Promise<UploadSummary>;
  /** Stops everything. Pending calls reject with `ABORTED`. Safe to call at any time. */
  abort(reason?: unknown): void;
}
