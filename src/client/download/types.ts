import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { CasClient, ComputePool, Sink } from '../ports.js';

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

/** How far a download is. Every number only grows. */
export interface DownloadProgress {
  /** Bytes handed to the sink and taken by it. */
  readonly writtenBytes: number;
  /** Bytes of xorbs received. */
  readonly fetchedBytes: number;
  /** Bytes that will be written in all, as soon as it is known. */
  readonly totalBytes: number | undefined;
}

/** Options of `downloadFile`. */
export interface DownloadOptions {
  readonly cas: CasClient;
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly fileHash: MerkleHash;
  /** Committed when everything is checked, aborted otherwise. */
  readonly sink: Sink;
  /**
   * A part of the file. It carries no hashes of the file: lengths and formats are checked.
   * @default the whole file, whose hash is checked
   */
  readonly range?: DownloadRange | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch of chunks (a slab, some MiB); keep it cheap. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /**
   * Ranged requests in flight. The pool's slabs bound them too.
   * @default DEFAULT_DOWNLOAD_CONCURRENCY
   */
  readonly concurrency?: number | undefined;
  /**
   * Bytes of a file that one reconstruction is asked for; bounds the answer and the list of its
   * chunks.
   * @default DEFAULT_BLOCK_BYTES
   */
  readonly blockBytes?: number | undefined;
}

/** What a finished download cost. */
export interface DownloadSummary {
  /** Bytes written. */
  readonly sizeBytes: number;
  /** Bytes of xorbs that came over the wire, repeats included. */
  readonly fetchedBytes: number;
  /** Requests for reconstructions and for ranges. */
  readonly requestCount: number;
}
