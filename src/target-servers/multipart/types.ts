import type { Clock } from '../../flow/index.js';
import type { Exchange } from '../../http/index.js';
import type { PlannedFault } from '../faults.js';

/** The server in its four generations; docs/targets.md has what tells them apart. */
export type Generation = 'g0' | 'g1' | 'g1a' | 'g2';

export type MultipartRoute =
  | 'create'
  | 'chunk'
  | 'complete'
  | 'resume'
  | 'progress'
  | 'status'
  | 'cancel';

/** What goes wrong with a request. */
export type MultipartFault =
  /** This, and nothing is done: 413, 429 with `retry-after`, 503, an empty 401, problem+json. */
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    }
  /** The connection is cut before anything is done. */
  | { readonly kind: 'cut' }
  /** All is done, and then the connection is cut. */
  | { readonly kind: 'lose-response' }
  /** The task is gone before the request is looked at. */
  | { readonly kind: 'forget-task' }
  /** `chunk`: stored, and missing in the list of what was received. */
  | { readonly kind: 'forget-entry' }
  /** `create`: a plan that cannot be right. */
  | { readonly kind: 'wrong-plan'; readonly chunkSize?: number; readonly chunksCount?: number }
  /** `create`: there is a file with this hash, of this size, that belongs to this user. */
  | { readonly kind: 'exists'; readonly size?: number; readonly owner?: string }
  /** `complete`: what is told of the file is not true. */
  | { readonly kind: 'wrong-result'; readonly hash?: string; readonly size?: number }
  /** The token of the request is no longer good; `freshToken` of the server is. */
  | { readonly kind: 'expire-token' }
  /** `complete` of g1a: processing fails, or is forgotten although it succeeds. */
  | { readonly kind: 'fail-processing' }
  | { readonly kind: 'forget-processing' };

/** What {@link createMultipartServer} is made with. */
export interface MultipartServerOptions {
  readonly generation: Generation;
  /** Users by token. @default { 'test-token': 'user' } */
  readonly tokens?: Readonly<Record<string, string>> | undefined;
  readonly clock: Clock;
  /** Chunks lie in this folder; without one, in memory. */
  readonly folder?: string | undefined;
  /** Size above which the hash covers both ends only. @default 1073741824 */
  readonly endsAboveBytes?: number | undefined;
  /** Bytes of each end. @default 1048576 */
  readonly endBytes?: number | undefined;
  /** Chunk size when none is asked for. @default 5242880 */
  readonly defaultChunkBytes?: number | undefined;
  /** Largest body of a chunk request (g0, g1), the form around it included. @default 6291456 */
  readonly bodyLimitBytes?: number | undefined;
  /** Looks that a 202 takes until it is done (g1a). @default 2 */
  readonly processingLooks?: number | undefined;
  /** How a status is written. @default 'text' */
  readonly statusForm?: 'text' | 'number' | undefined;
  readonly faults?: readonly PlannedFault<MultipartRoute, MultipartFault>[] | undefined;
}

/** A file as the server keeps it. */
export interface StoredFile {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  readonly mimeType: string;
  readonly size: number;
  /** What the server computed: MD5 by its rule (g0, g1), SHA-256 (g2). */
  readonly hash: string;
}

/** The server, and what it has seen. */
export interface MultipartServer {
  readonly exchange: Exchange;
  readonly files: ReadonlyMap<string, StoredFile>;
  /** Requests by route. */
  readonly requests: Readonly<Record<MultipartRoute, number>>;
  /** Whole bodies received for each `<task>/<index>`. */
  readonly chunkBodies: ReadonlyMap<string, number>;
  /** Chunks that were received whole while the task already had them. */
  readonly repeatedChunks: number;
  /** Good after an `expire-token` fault. */
  readonly freshToken: string;
  plan(fault: PlannedFault<MultipartRoute, MultipartFault>): void;
  /** The bytes of a file. */
  read(id: string): Promise<Uint8Array>;
  /** Removes what it keeps on disk. */
  close(): Promise<void>;
}
