import type { DownloadProgress, UploadProgress } from '../client/index.js';
import type { Source } from '../client/ports.js';
import type {
  ClientDownloadOptions,
  ClientOptions,
  ClientStreamOptions,
  ClientUploadOptions,
  DownloadResult,
  UploadedFile,
  UploadResult,
} from '../compose/client-types.js';
import type { TransferLimits } from '../compose/limits.js';
import type { ComputeOptions } from '../compose/options.js';
import type { OpenOptions, RemoteFile } from '../compose/remote-file.js';
import type { ClientEditOptions, EditResult, Splice } from '../compose/splices.js';
import type { OrbweaverError } from '../errors.js';
import type { KernelTier } from '../kernels/index.js';
import type { TokenOption } from '../transport/web.js';
import type { BrowserFolderMethods } from './folder-types.js';

export type {
  DownloadProgress,
  DownloadResult,
  EditResult,
  OpenOptions,
  RemoteFile,
  UploadedFile,
  UploadProgress,
  UploadResult,
};

/** What {@link createClient} is told, as in Node where it says nothing else. */
export interface BrowserClientOptions
  extends Omit<ComputeOptions, 'workerUrl'>,
    Pick<
      ClientOptions,
      | 'endpoint'
      | 'placement'
      | 'retry'
      | 'stallTimeoutMs'
      | 'responseTimeoutMs'
      | 'dedupTimeoutMs'
      | 'concurrency'
      | 'limitUpload'
      | 'limitDownload'
      | 'limits'
      | 'headers'
      | 'sessionId'
      | 'allowHosts'
      | 'fetch'
      | 'onRetry'
    > {
  /** As in Node, without files. @default none is sent */
  readonly token?: TokenOption | undefined;
  /**
   * As in Node. A page cannot tell a server that knows no grants from a broken connection, so they have to
   * be asked for. @default 'never'
   */
  readonly grants?: ClientOptions['grants'];
  /**
   * Where `browser-worker.js` of this package lies, when it is not beside this file.
   * @default beside this file, as bundlers that know `new Worker(new URL(…))` keep it
   */
  readonly workerUrl?: string | URL | undefined;
  /**
   * Name of an IndexedDB database of this origin, such as `orbweaver`, which remembers unfinished uploads and
   * downloads, so that the same one goes on where the page was left, and what was uploaded, to dedup against
   * it without asking. Any number of pages may share it. @default nothing is remembered
   */
  readonly database?: string | undefined;
  /** Most bytes of shards in that database; what was not used for longest goes first. @default 268435456 */
  readonly shardCacheBytes?: number | undefined;
  /** Told, once for each upload, when that database is of no use; the upload goes on without. */
  readonly onStateProblem?: ((error: OrbweaverError) => void) | undefined;
}

/** An input with a name of its own. */
export interface BrowserNamedInput {
  /** Name in results and messages. @default that of a `File` */
  readonly name?: string | undefined;
  readonly data: BrowserInputData;
  /** The file hash of the previous version of this one: what the store has of it is not sent again. */
  readonly base?: string | undefined;
  /** 64 hexadecimal digits: registered as they are, without computing. */
  readonly sha256?: string | undefined;
  /** Cancels this input alone, as in Node. @default none */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that a page can have. */
export type BrowserInputData =
  | Blob
  | Uint8Array
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Source;

/** What can be uploaded. Streams may be of unknown length. */
export type BrowserInput = BrowserInputData | BrowserNamedInput;

/** Options of an upload, as in Node; `base` takes file hashes only. */
export type BrowserUploadOptions = Omit<ClientUploadOptions, 'expand' | 'upToStartSize' | 'rehash'>;

/** A file that a page may write: a `FileSystemFileHandle`, of its own storage (OPFS) or the user's. */
export interface OutputFile {
  readonly name: string;
  createWritable(options?: { keepExistingData?: boolean }): Promise<OutputFileStream>;
}

/** The part of a `FileSystemWritableFileStream` that is used. */
export interface OutputFileStream {
  write(chunk: { type: 'write'; position: number; data: Uint8Array<ArrayBuffer> }): Promise<void>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
}

/** Options of a download, as in Node where it says nothing else. */
export interface BrowserDownloadOptions
  extends Omit<ClientDownloadOptions, 'to' | 'resume' | 'seeds'> {
  /**
   * A file, which has its old content until all checks are done; or a stream, which is written in order
   * and closed when all checks are done, aborted when one fails.
   */
  readonly to: OutputFile | WritableStream<Uint8Array>;
  /**
   * Goes on with what an earlier call left of the same whole file, in this page or one before it: what is
   * there is read back and hashed, and only the rest is fetched. Needs a client with `database`. With `true` for a
   * file of the user, the bytes wait in the page's own storage and are copied when all are there: they take
   * their place twice. False begins anew. @default true for a file of the page's own storage (OPFS)
   */
  readonly resume?: boolean | undefined;
}

/** Options of a stream, as in Node. */
export type BrowserStreamOptions = ClientStreamOptions;

/** One change of a stored file, as in Node. */
export interface BrowserSplice extends Splice<BrowserInput> {}

/** Options of an edit, as in Node. */
export type BrowserEditOptions = ClientEditOptions;

/** Uploads and downloads in a page, over one pool of web workers. */
export interface BrowserClient extends BrowserFolderMethods {
  /** Web workers; 0: everything runs on the thread of the page. */
  readonly threads: number;
  readonly tier: KernelTier;
  /** Why `tier` is not the fastest there is; null when it is, or was asked for. */
  readonly fallbackReason: string | null;
  /** Workers share memory: the page is cross-origin isolated. */
  readonly sharedMemory: boolean;
  /** As in Node. @throws OrbweaverError, TypeError */
  upload(
    inputs: BrowserInput | readonly BrowserInput[],
    options?: BrowserUploadOptions,
  ): Promise<UploadResult>;
  /** Rebuilds a file or a range of it. @throws OrbweaverError, TypeError */
  download(fileHash: string, options: BrowserDownloadOptions): Promise<DownloadResult>;
  /** The same as a stream, which fails when a check fails. Cancelling it ends the download. */
  stream(fileHash: string, options?: BrowserStreamOptions): ReadableStream<Uint8Array>;
  /** Opens a stored file for reads anywhere, as in Node. @throws OrbweaverError, TypeError */
  open(fileHash: string, options?: OpenOptions): Promise<RemoteFile>;
  /**
   * Changes a stored file, as in Node: only what is new is sent, and the result is another stored file.
   * @throws OrbweaverError, TypeError
   */
  edit(
    fileHash: string,
    splices: readonly BrowserSplice[],
    options?: BrowserEditOptions,
  ): Promise<EditResult>;
  /** Adds an input to the end of a stored file: an edit. */
  append(fileHash: string, input: BrowserInput, options?: BrowserEditOptions): Promise<EditResult>;
  /** Caps of uploads and downloads, bytes per second; what is set holds at once. */
  readonly limits: TransferLimits;
  /** Ends workers; what still runs is cancelled. */
  close(): Promise<void>;
}
