import type { Budget, Clock } from '../../flow/index.js';
import type { Hasher, MerkleHash } from '../../hash/index.js';
import type {
  ComputePool,
  DedupQueries,
  FileSizes,
  RandomAccess,
  RangeSource,
  Reconstructions,
  Sink,
} from '../ports.js';
import type { KnownChunkHashes } from './known-chunks.js';

/** Bytes of a file: from `offset`, `length` of them or all that follow. */
export interface DownloadRange {
  /** First byte. */
  readonly offset: number;
  /**
   * Bytes wanted; a range that passes the end of the file is cut there.
   * @default all that follow
   */
  readonly length?: number | undefined;
}

/** How far a download is. No number shrinks but `secondsLeft` and the rate. */
export interface DownloadProgress {
  /**
   * `planning`: the store is asked where the bytes are. `resuming`: what an earlier run left is read back and
   * checked. `seeding`: local files are cut, and chunks copied from them. `fetching`. `verifying`: all is
   * written, and held against the file hash. `done`. What does not apply is left out.
   */
  readonly phase: 'planning' | 'resuming' | 'seeding' | 'fetching' | 'verifying' | 'done';
  /** Bytes that the sink has: read back there, copied from local files, fetched. */
  readonly writtenBytes: number;
  /** Bytes that will be written in all, as soon as it is known. */
  readonly totalBytes: number | undefined;
  /** Growth of `writtenBytes` in the last five seconds of this phase. */
  readonly bytesPerSecond: number;
  /** Undefined: not known. */
  readonly secondsLeft: number | undefined;
  /** Bytes of xorbs received. */
  readonly fetchedBytes: number;
  /** Of `writtenBytes`, those that an earlier run had written, and those copied from local files. */
  readonly resumedBytes: number;
  readonly seededBytes: number;
  /** The local file that is being read; null: none is. */
  readonly file: {
    readonly name: string;
    readonly readBytes: number;
    readonly sizeBytes: number;
  } | null;
}

/** Takes the chunks of a file, or of a range of it, in order. */
export interface HashTree {
  push(hashes: Uint8Array, offset: number, sizeBytes: number): void;
  /** The hash of the file that they make. */
  fileHash(): MerkleHash;
}

/** Options of `downloadFile`. */
export interface DownloadOptions {
  /** Seeds that are not stored themselves need its `queryDedup`. */
  readonly cas: Reconstructions & RangeSource & FileSizes & Partial<DedupQueries>;
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly fileHash: MerkleHash;
  /**
   * Bytes of the file, as somebody says: for the progress and for free space that is looked for in time. Nothing
   * is believed of it.
   * @default the store is asked, where it is not known from the first reconstruction
   */
  readonly sizeBytes?: number | undefined;
  /** Committed when everything is checked, aborted otherwise. */
  readonly sink: Sink;
  /**
   * A part of the file. The file hash says nothing about it: lengths, formats and known chunk hashes
   * are checked. From 0 to the end is the whole file.
   * @default the whole file, whose hash is checked
   */
  readonly range?: DownloadRange | undefined;
  /**
   * Chunks that are held against these hashes before their bytes are written. When they cover a range,
   * it is verified.
   * @default none
   */
  readonly knownChunkHashes?: KnownChunkHashes | undefined;
  /**
   * Local files that may have chunks of a whole file: those are copied from there, not fetched. For
   * sinks with a `part`. They are closed when they have been read.
   * @default none
   */
  readonly seeds?: readonly RandomAccess[] | undefined;
  /**
   * Trees that take the chunks of `range` and give the file hash, which has to be `fileHash`: a proof
   * (`range-proof.ts`). The range then begins and ends between two chunks.
   * @default none for a range; that of all chunks for a whole file
   */
  readonly newTree?: (() => HashTree) | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called after each batch of chunks (a slab, some MiB), and twice a second while nothing happens; keep it
   * cheap. One that throws is not called again, and the download goes on.
   */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /**
   * Ranged requests in flight. The pool's slabs bound them too.
   * @default what moves most bytes, from DEFAULT_DOWNLOAD_CONCURRENCY on
   */
  readonly concurrency?: number | undefined;
  /**
   * Bytes of a file that one reconstruction is asked for; bounds the response and the list of its
   * chunks.
   * @default DEFAULT_BLOCK_BYTES
   */
  readonly blockBytes?: number | undefined;
  /**
   * What reconstructions, lists of chunks and bytes copied aside are counted in.
   * @default one of DEFAULT_DOWNLOAD_BUDGET_BYTES for this download
   */
  readonly budget?: Budget | undefined;
}

/** What would be fetched. */
export interface FetchPlan {
  /** Bytes of xorbs to fetch, and the ranges that they are in. */
  readonly fetchBytes: number;
  readonly rangeCount: number;
  /** Requests for reconstructions and for ranges, when none has to be repeated. */
  readonly requestCount: number;
  /** Where from; a store behind the server by its own name. */
  readonly hosts: readonly { readonly host: string; readonly fetchBytes: number }[];
}

/** What a download would do. */
export interface FilePlan extends FetchPlan {
  /** Bytes that would be written. */
  readonly sizeBytes: number;
  /** Bytes of the file that an earlier run has written, read back and found right. */
  readonly resumedBytes: number;
  /** Bytes of the file that seeds have. */
  readonly seededBytes: number;
  /** Why seeds bring nothing, or less than they could; null: nothing is wrong with them. */
  readonly seedNote: string | null;
}

/** What a finished download cost. */
export interface DownloadSummary {
  /** Bytes written. */
  readonly sizeBytes: number;
  /** Bytes of xorbs that came over the wire, repeats included. */
  readonly fetchedBytes: number;
  /** Bytes of the file that an earlier run had written, read back and found right. */
  readonly resumedBytes: number;
  /** Bytes of the file that were copied from seeds. */
  readonly seededBytes: number;
  /** Why seeds brought nothing, or less than they could; null: nothing was wrong with them. */
  readonly seedNote: string | null;
  /** Requests for reconstructions and for ranges. */
  readonly requestCount: number;
  /**
   * True when the bytes were held against the file hash (always for a whole file), or all chunks of a
   * range against known hashes. False: the server is trusted for what the range holds.
   */
  readonly verified: boolean;
}
