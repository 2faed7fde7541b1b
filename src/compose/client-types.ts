import type { Readable, Writable } from 'node:stream';
import type {
  DownloadProgress,
  FetchPlan,
  FilePlan,
  UploadProgress,
  VerifyRange,
} from '../client/index.js';
import type { ErrorCode, OrbweaverError } from '../errors.js';
import type { Exchange } from '../http/index.js';
import type { KernelTier } from '../kernels/index.js';
import type {
  CasClientOptions,
  GrantPolicy,
  RequestDispatcher,
  RetryEvent,
  RetryOptions,
  TokenOption,
} from '../transport/index.js';
import type { ClientEditOptions, ClientSplice, EditResult } from './edit.js';
import type { FolderMethods } from './folder-client.js';
import type { UploadInput } from './input.js';
import type { TransferLimits } from './limits.js';
import type { ComputeOptions } from './options.js';
import type { OpenOptions, RemoteFile } from './remote-file.js';
import type { TokenFile } from './token-file.js';

/**
 * When a chunk that the store has is referred to instead of stored again. Referring saves storage and
 * may cost readers requests: `balanced` weighs the two, `store-least` always refers, `read-fast` refers
 * where readers pay next to nothing, `reference` does as the reference client.
 */
export type PlacementName = 'balanced' | 'store-least' | 'read-fast' | 'reference';

/** What `createClient` is told. */
export interface ClientOptions extends ComputeOptions {
  /**
   * Base URL of the store, such as `https://cas.example.com`. Left out, or null: none, for dry runs.
   * `undefined` is refused: it is a variable that was never set.
   */
  readonly endpoint?: string | null;
  /**
   * Bearer token, or where to get one: a function, an object with `get` and `refresh`, `{ file }` for a file that is
   * read again when its token is refused, or the URL of tokens that end, `{ refreshUrl, headers }`.
   * @default none is sent
   */
  readonly token?: TokenOption | TokenFile | undefined;
  /** Known chunks: refer to them or store them again. @default 'balanced' */
  readonly placement?: PlacementName | undefined;
  /**
   * Folder that remembers what was uploaded, of all endpoints, to dedup against it without asking. Any
   * number of processes may share it. @default none
   */
  readonly shardCacheDir?: string | undefined;
  /** Most bytes in that folder; what was not used for longest goes first. @default 1073741824 */
  readonly shardCacheBytes?: number | undefined;
  /**
   * Folder that remembers unfinished transfers: an upload of the same inputs goes on where one that was
   * cut off has stopped, whatever ended it. It also remembers files that are uploaded, which are not
   * read again while they are unchanged. Any number of processes may share it. @default none
   */
  readonly stateFolder?: string | undefined;
  /** Told, once for each transfer, when that folder is of no use; the transfer goes on without. */
  readonly onStateProblem?: ((error: OrbweaverError) => void) | undefined;
  /** What is tried again, how often and when; what is left out has its default. */
  readonly retry?: Partial<RetryOptions> | undefined;
  /** Silence after which a connection is given up and the request repeated, ms. @default 30000 */
  readonly stallTimeoutMs?: number | undefined;
  /** What a server may take for its response to an upload after the last byte, ms. @default 900000 */
  readonly responseTimeoutMs?: number | undefined;
  /** What a dedup query may take in all, ms; then it is a miss. @default 5000 */
  readonly dedupTimeoutMs?: number | undefined;
  /** Until a connection stands, ms. @default 15000 */
  readonly connectTimeoutMs?: number | undefined;
  /** For one address of a host (or proxy) until the next is tried, ms, at least 10. @default 2500 */
  readonly addressTimeoutMs?: number | undefined;
  /**
   * Whether xorbs go straight into the store behind the server, where it grants that: `auto` where the
   * store is another host, `always`, or `never`. @default 'auto'
   */
  readonly grants?: GrantPolicy | undefined;
  /**
   * Requests of one transfer at a time, ranges or xorbs, as far as memory holds them, whether it is a file,
   * a folder or an edit. It is not changed then, whatever it moves. @default what moves the most bytes, from 8 (download) or 4 (upload) up to 32
   */
  readonly concurrency?: number | undefined;
  /** Most bytes per second that all uploads together send; Infinity: no limit. @default none */
  readonly limitUpload?: number | undefined;
  /** Most bytes per second that all downloads together fetch; Infinity: no limit. @default none */
  readonly limitDownload?: number | undefined;
  /**
   * Caps that several clients of a program share, instead of `limitUpload` and `limitDownload`; made by
   * `createLimits`. @default the client's own
   */
  readonly limits?: TransferLimits | undefined;
  /** More headers for the store; hosts of signed URLs never see them. @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Groups the requests of one session in the logs of the store. @default none is sent */
  readonly sessionId?: string | undefined;
  /** @default 'orbweaver' */
  readonly userAgent?: string | undefined;
  /** Hosts besides the endpoint's that fetch URLs may name although their address is private. */
  readonly allowHosts?: readonly string[] | undefined;
  /** Certificates of authorities to trust besides those that Node trusts, PEM. @default none */
  readonly ca?: string | undefined;
  /** URL of an HTTP proxy that all requests go through in tunnels. @default none */
  readonly proxy?: string | undefined;
  /**
   * Hosts that are asked without the proxy, as in NO_PROXY: names with all below them, `host:port`,
   * addresses, networks such as `10.0.0.0/8`, `*`. @default none
   */
  readonly noProxy?: readonly string[] | undefined;
  /**
   * A dispatcher of undici that all requests go through instead: for HTTP/2, other sockets, mocks. It
   * is slower, and closing it is its owner's. @default none
   */
  readonly dispatcher?: RequestDispatcher | undefined;
  /** Takes all requests instead: a gateway's exchange, without a socket between. @default none */
  readonly exchange?: Exchange | undefined;
  /** Sends all requests instead, where there is no Node. @default none */
  readonly fetch?: CasClientOptions['fetch'] | undefined;
  /** Told of each request that is repeated, or given up for another one (`instead`), and why. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

export interface ClientUploadOptions {
  /** Compute each file's SHA-256 in the same pass and register it. @default false */
  readonly sha256?: boolean | undefined;
  /** Inputs are ZIP archives: upload their entries as files, so that they dedup. @default false */
  readonly expand?: boolean | undefined;
  /**
   * Previous versions of what is uploaded: file hashes of 64 digits, paths of local copies, or folders
   * of them, in which each input looks for the file at its own relative path. What the store has of
   * them is not sent again, even from a machine that remembers nothing. A base that cannot be used is
   * told of in `bases` of the result, and is no failure. @default none
   */
  readonly base?: string | readonly string[] | undefined;
  /** Do everything but send. Asks the store what it has, if there is one. @default false */
  readonly dryRun?: boolean | undefined;
  /**
   * Send files that grow (logs) up to the size that they had when they were looked up.
   * @default false: a file that changes while it is read fails with `INPUT_CHANGED`
   */
  readonly upToStartSize?: boolean | undefined;
  /**
   * Read files again that are unchanged since they were uploaded: same device, inode, size and times.
   * Without a `stateFolder` all files are read. @default false
   */
  readonly rehash?: boolean | undefined;
  /**
   * Most bytes of a request that sends data, at least 1 MiB, for proxies that limit bodies: data goes
   * in more and smaller xorbs. @default 64 MiB, less where memory is small
   */
  readonly maxXorbBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A listener that throws is not called again; `listenerError` of the result says what. */
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  /**
   * Called with each file that was registered, in the order of the inputs, at the end; `files` of the
   * result stays empty then. For many thousands of files. @default they are in the result
   */
  readonly onFile?: ((file: UploadedFile) => void) | undefined;
}

/** One uploaded file. Bytes are those of the file, uncompressed. */
export interface UploadedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** 64 digits: what a download asks for. */
  readonly fileHash: string;
  /** Lower-case hex; null when not asked for. */
  readonly sha256: string | null;
  readonly chunkCount: number;
  readonly termCount: number;
  readonly newBytes: number;
  /** Known before: the sum of the three that follow. */
  readonly dedupedBytes: number;
  readonly sessionBytes: number;
  readonly localBytes: number;
  readonly globalBytes: number;
  /** It was not read, because it is unchanged since it was uploaded; its record was registered again. */
  readonly unchanged: boolean;
}

/** One file that could not be uploaded; the others were. */
export interface FailedUpload {
  readonly path: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly exitCode: number;
  /** Of the response that it failed with; null: there was none. */
  readonly status: number | null;
  /** What the server calls the request; null: it did not say. */
  readonly requestId: string | null;
}

/** What became of a base. */
export interface UploadBase {
  /** The hash or path. */
  readonly base: string;
  /** 64 digits; null when a local copy could not be read. */
  readonly fileHash: string | null;
  /** Chunks that the store has of it, and that this upload knew by it. */
  readonly knownChunks: number;
  /** Bytes of xorbs that were read to learn it; a local copy needs none. */
  readonly readBytes: number;
  /** Why it was not used, a sentence; null: it was. */
  readonly problem: string | null;
}

export interface UploadResult {
  /** In the order of the inputs. */
  readonly files: readonly UploadedFile[];
  readonly failed: readonly FailedUpload[];
  /** Absent where no base was given. */
  readonly bases?: readonly UploadBase[];
  /** Xorbs sent, and their serialized bytes. */
  readonly xorbCount: number;
  readonly xorbBytes: number;
  readonly shardCount: number;
  readonly shardBytes: number;
  readonly wallMs: number;
  /** What the first listener to fail threw (`onProgress`, `onFile`); the files are uploaded all the same. */
  readonly listenerError?: Error;
}

export interface ClientDownloadOptions {
  /** A path, or a Node stream that is written in order and checked at its end. */
  readonly to: string | Writable;
  /** First byte of a range. @default 0 */
  readonly offset?: number | undefined;
  /** Bytes of a range; cut at the end of the file. @default all that follow */
  readonly length?: number | undefined;
  /**
   * Go on with what an earlier call for the same file and path left beside the path, when it failed or
   * its process was killed: bytes that are read back and have the right hashes are not fetched again. For
   * whole files of 4 MiB and more that go to a path. The file that is there under the path is a seed.
   * False begins anew, without either.
   * @default true
   */
  readonly resume?: boolean | undefined;
  /**
   * Paths of local files that may have parts of a whole file that goes to a path: older versions, other
   * builds. Their chunks are copied instead of fetched, each checked by its hash. `seedNote` of the result
   * says when that brought nothing. @default none but the file that is replaced
   */
  readonly seeds?: readonly string[] | undefined;
  /**
   * Whether a range is proved against the file hash: `auto` does so where the store offers what that takes
   * (one more request, and some chunks beyond the range), `require` refuses to go without, `off` does not
   * ask. @default 'auto'
   */
  readonly verifyRange?: VerifyRange | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A listener that throws is not called again; the download goes on. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** As for the download itself. */
export interface PlanDownloadOptions extends Omit<ClientDownloadOptions, 'to' | 'verifyRange'> {
  /** The path that it would have. @default a stream: nothing that is there is of use */
  readonly to?: string | undefined;
}

export type PlanZipOptions = Pick<ClientDownloadOptions, 'signal'>;

/** What a download of several files into one ZIP would do. */
export interface ZipPlan extends FetchPlan {
  readonly fileCount: number;
  /** Of the files; the archive is a little larger. */
  readonly sizeBytes: number;
}

export interface ClientStreamOptions
  extends Omit<ClientDownloadOptions, 'to' | 'resume' | 'seeds'> {
  /** Told what {@link OrbweaverClient.download} would return, when all is checked, just before the stream ends. */
  readonly onResult?: ((result: DownloadResult) => void) | undefined;
}

export interface DownloadResult {
  /** Bytes written. */
  readonly sizeBytes: number;
  /** Bytes of xorbs that came over the wire. */
  readonly fetchedBytes: number;
  /** Bytes of the file that an earlier call had written, read back and found right. */
  readonly resumedBytes: number;
  /** Bytes of the file that were copied from seeds. */
  readonly seededBytes: number;
  /** Why seeds brought nothing, or less than they could; null: nothing was wrong with them. */
  readonly seedNote: string | null;
  readonly requestCount: number;
  /**
   * True when the bytes were held against the file hash: always for a whole file, and for a range where
   * the store offers a proof. False for another range, of which lengths and formats are checked.
   */
  readonly verified: boolean;
  readonly wallMs: number;
}

/** One file of a ZIP that is made of downloads. */
export interface ZipEntryRequest {
  readonly hash: string;
  /** Path inside the archive. */
  readonly name: string;
}

/** Settings of {@link OrbweaverClient.downloadZip}. */
export type ZipDownloadOptions = Pick<ClientDownloadOptions, 'to' | 'signal' | 'onProgress'>;

/** Uploads and downloads over one pool of workers and one set of connections. */
export interface OrbweaverClient extends FolderMethods {
  /** Worker threads; 0: everything runs on the calling thread. */
  readonly threads: number;
  readonly tier: KernelTier;
  /** Why `tier` is not the fastest there is; null when it is, or was asked for. */
  readonly fallbackReason: string | null;
  /** Why the folder of `shardCacheDir` is not used; null when it is, or when there is none. */
  readonly cacheProblem: OrbweaverError | null;
  /**
   * Uploads any number of files as one session. A file that fails is in `failed`, the others go on.
   * @throws OrbweaverError when the session as a whole fails: `AUTH_REQUIRED`, `NETWORK`, `ABORTED`,
   * `CLOSED` after {@link OrbweaverClient.close}…
   * @throws TypeError for something that is no input, and for wrong or unknown options
   */
  upload(
    inputs: UploadInput | readonly UploadInput[],
    options?: ClientUploadOptions,
  ): Promise<UploadResult>;
  /**
   * Rebuilds a file or a range of it. A path gets its name only after all checks.
   * @throws OrbweaverError `HASH_INVALID`, `NOT_FOUND`, `INTEGRITY`, `RANGE_INVALID`, `DISK_FULL`…
   */
  download(fileHash: string, options: ClientDownloadOptions): Promise<DownloadResult>;
  /**
   * Says what {@link download} would fetch and from where, and what need not be: it reads back what an earlier
   * call left and cuts the seeds, and changes nothing.
   * @throws OrbweaverError `HASH_INVALID`, `NOT_FOUND`, `RANGE_INVALID`…
   */
  planDownload(fileHash: string, options?: PlanDownloadOptions): Promise<FilePlan>;
  /**
   * Opens a file for reading anywhere in it: small reads cost what they read, and what is read again or by
   * several at a time is fetched once.
   * @throws OrbweaverError `HASH_INVALID`, `NOT_FOUND`, `NETWORK`…
   */
  open(fileHash: string, options?: OpenOptions): Promise<RemoteFile>;
  /** The same as a readable stream, which ends with an error when a check fails. */
  stream(fileHash: string, options?: ClientStreamOptions): Readable;
  /**
   * Changes a stored file at the cost of the change: the old one stays, the new one has the hash that an
   * upload of it would have. Offsets are those of the old file. Only chunks around the changes are read,
   * and held against the file hash; where the store does not tell chunk hashes the whole file is
   * (`wasReadBack`).
   * @throws OrbweaverError `RANGE_INVALID` for splices that overlap or do not lie in the file,
   * `INTEGRITY` when the store gave other bytes than the file's, `INPUT_*`, `NOT_FOUND`…
   * @example
   * const { fileHash } = await client.edit(hash, [{ offset: 10, deleteBytes: 4, insert: bytes }]);
   */
  edit(
    fileHash: string,
    splices: readonly ClientSplice[],
    options?: ClientEditOptions,
  ): Promise<EditResult>;
  /** Adds an input to the end of a stored file: an edit. */
  append(fileHash: string, input: UploadInput, options?: ClientEditOptions): Promise<EditResult>;
  /** Streams several files into one ZIP archive as they are rebuilt. */
  downloadZip(
    entries: readonly ZipEntryRequest[],
    options: ZipDownloadOptions,
  ): Promise<DownloadResult>;
  /** Says what {@link downloadZip} would fetch, and from where. @throws OrbweaverError as that */
  planZip(entries: readonly ZipEntryRequest[], options?: PlanZipOptions): Promise<ZipPlan>;
  /**
   * Caps of uploads and downloads, bytes per second; what is set holds at once, also for what is under
   * way. Infinity: no limit.
   */
  readonly limits: TransferLimits;
  /** Ends workers and connections; what still runs is cancelled. */
  close(): Promise<void>;
}
