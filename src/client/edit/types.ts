import type { Budget, Clock } from '../../flow/index.js';
import type { Hasher, MerkleHash } from '../../hash/index.js';
import type { CasClient, ComputePool, Source, UploadJournal } from '../ports.js';
import type { UploadOptions, UploadProgress } from '../upload/index.js';

/** One change: at `offset` of the old file, `deleteBytes` make place for the bytes of `insert`. */
export interface FileSplice {
  /** Counted in the old file, whatever the other splices do. `'end'`: behind its last byte. */
  readonly offset: number | 'end';
  readonly deleteBytes: number;
  /** Null: nothing is inserted. */
  readonly insert: Source | null;
}

/** Options of `editFile`. */
export interface EditFileOptions {
  readonly cas: CasClient;
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly fileHash: MerkleHash;
  /** In any order, without overlaps. */
  readonly splices: readonly FileSplice[];
  readonly signal?: AbortSignal | undefined;
  /** As of an upload of the bytes that are cut anew. */
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** What reconstructions and lists of chunks are counted in. */
  readonly budget?: Budget | undefined;
  /** Ranges asked for at a time. @default what moves the most bytes */
  readonly concurrency?: number | undefined;
  readonly upload?:
    | Pick<UploadOptions, 'placement' | 'xorbMaxBytes' | 'sendConcurrency'>
    | undefined;
  /** Remembers what is acknowledged, and what an earlier run had acknowledged. @default nothing is remembered */
  readonly memory?: EditMemory | undefined;
}

/** What a later run of the same edit goes on with. */
export interface EditMemory {
  readonly journal: UploadJournal;
  /** Of earlier runs: a plain shard for each xorb. */
  acknowledged(): AsyncIterable<Uint8Array>;
}

/** What an edit made, and what it cost. */
export interface EditSummary {
  readonly fileHash: MerkleHash;
  readonly sizeBytes: number;
  /** Bytes of xorbs that were read from the store. */
  readonly readBytes: number;
  /** Bytes of xorbs and shards that were sent. */
  readonly sentBytes: number;
  /** The whole file was read, because the store does not tell the hashes of its chunks. */
  readonly wasReadBack: boolean;
}
