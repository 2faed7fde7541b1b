import type { ErrorFields } from '../errors.js';
import type { Exchange } from '../http/index.js';
import type { HubEntry, RepoDesignation, RepoId, RepoVisibility } from '../hub/index.js';
import type { TokenSource } from '../transport/index.js';
import type {
  ClientOptions,
  ClientUploadOptions,
  FailedUpload,
  UploadBase,
} from './client-types.js';
import type { FolderUploadOptions, SkippedEntry } from './folder-types.js';
import type { UploadInput } from './input.js';

/** What {@link createHub} is told, besides options of `createClient` of the same meaning. */
export interface HubOptions
  extends Omit<
    ClientOptions,
    'endpoint' | 'token' | 'exchange' | 'dispatcher' | 'headers' | 'sessionId'
  > {
  /** Base URL of the Hub. @default 'https://huggingface.co' */
  readonly hubUrl?: string | undefined;
  /** Token of the Hub, or where to get one. @default none is sent */
  readonly accessToken?: string | TokenSource | undefined;
  /**
   * How data comes: from the content-addressed store, as plain HTTP, or `auto`: from the store, and from
   * the first file on that it cannot give, as plain HTTP. @default 'auto'
   */
  readonly transport?: HubTransport | undefined;
  /** Sends the requests instead of the sockets of this process. */
  readonly exchange?: Exchange | undefined;
  /** Told, in a sentence, what an operator should know: that the store was given up for plain HTTP. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

export type HubTransport = 'auto' | 'xet' | 'http';

/** A file to commit. */
export interface HubFile {
  /** Path in the repository. */
  readonly path: string;
  readonly content: UploadInput;
  /** 64 hexadecimal digits, when it is known: nothing is hashed then. */
  readonly sha256?: string | undefined;
  /**
   * When it was changed, milliseconds since 1970; buckets keep it. @default that of the file on disk or of the
   * `File`, else the time of the upload
   */
  readonly mtimeMs?: number | undefined;
}

/** A file of the store that a bucket gets under a path, without its bytes. */
export interface HubCopy {
  readonly path: string;
  /** 64 digits, as listings tell it. */
  readonly fileHash: string;
  /** Repository or bucket that has it. */
  readonly from: RepoDesignation;
}

/** What all operations on a repository are told. */
export interface HubRepoOptions {
  readonly repo: RepoDesignation;
  /** Branch, tag or commit; of changes a branch. Buckets have none. @default 'main' */
  readonly revision?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a change is described. */
export interface HubCommitOptions extends HubRepoOptions {
  /** First line of the message. @default what was done, in a few words */
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  /** Propose the change instead of making it. @default false */
  readonly createPr?: boolean | undefined;
  /** The head that the caller has looked at; another one is a `CONFLICT`. @default any */
  readonly parentCommit?: string | undefined;
}

/** What an upload is told; `base`, `rehash` and `maxXorbBytes` as by `client.upload`. */
export interface HubUploadOptions
  extends HubCommitOptions,
    Pick<ClientUploadOptions, 'base' | 'rehash' | 'maxXorbBytes'> {
  /**
   * What goes in the same change, folders by a path that ends in a slash. The files count after that: one
   * that is named in both, or lies in such a folder, is there in the end. @default none
   */
  readonly deletePaths?: readonly string[] | undefined;
  /** Files that are copied in the same change; into buckets only. @default none */
  readonly copies?: readonly HubCopy[] | undefined;
  /**
   * Do everything but send and commit: the result says what would be, `sentBytes` included, and has no
   * `commits`. @default false
   */
  readonly dryRun?: boolean | undefined;
  /** Told what became of each file, once. */
  readonly onFile?: ((file: HubUploadedFile) => void) | undefined;
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
}

/** Where an upload or download of several files is. Bytes are those of the files. */
export interface HubProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly wireBytes: number;
  readonly doneFileCount: number;
  readonly fileCount: number;
}

/** What became of a file of an upload. */
export interface HubUploadedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** `stored`: in the content-addressed store; `inline`: in the commit; `unchanged`: it was there. */
  readonly how: 'stored' | 'inline' | 'unchanged';
  /** 64 digits, of stored ones. */
  readonly fileHash: string | null;
  readonly sha256: string | null;
  /** Bytes of it that the store did not have. */
  readonly newBytes: number;
}

/** What an upload came to. */
export interface HubUploadResult {
  /** Those made; none when nothing differs from what is there. */
  readonly commits: readonly HubMadeCommit[];
  readonly files: readonly HubUploadedFile[];
  /** Files that are in no commit. */
  readonly failed: readonly FailedUpload[];
  readonly deletedPaths: readonly string[];
  /** What was left out on purpose: what `.gitignore` names, a socket, or a link with `symlinks: 'skip'`. */
  readonly skipped: readonly SkippedEntry[];
  /** What became of `base`; absent: there was none. */
  readonly bases?: readonly UploadBase[];
  /** Why large files went whole although the store was wanted; absent: they did not. */
  readonly storeGivenUp?: string;
  /** Sent to the store, or whole. */
  readonly sentBytes: number;
  readonly wallMs: number;
}

/** A commit that was made; buckets have none, and all is null. */
export interface HubMadeCommit {
  readonly oid: string | null;
  readonly url: string | null;
  readonly pullRequestUrl: string | null;
}

/** What a folder upload is told; `files`, `hidden` and `names` as by `client.uploadFolder`. */
export interface HubFolderUploadOptions
  extends HubUploadOptions,
    Pick<FolderUploadOptions, 'files' | 'hidden'> {
  /** Links are taken for what they lead to, or left out: a repository has none. @default 'follow' */
  readonly symlinks?: 'follow' | 'skip' | undefined;
  /** @default 'native' */
  readonly names?: FolderUploadOptions['names'];
  /** Folder on disk. */
  readonly folder: string;
  /** Where it goes. @default the top of the repository */
  readonly path?: string | undefined;
  /** Only what matches one of these patterns. @default all */
  readonly include?: readonly string[] | undefined;
  /** Without what matches one of these. `.git` never goes along. @default none */
  readonly exclude?: readonly string[] | undefined;
  /** Delete what lies below `path` and is not in the folder. @default false */
  readonly deleteRemoved?: boolean | undefined;
}

/** What a download of one file is told. */
export interface HubFileDownloadOptions extends HubRepoOptions {
  readonly path: string;
  /** Path on disk. */
  readonly to: string;
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
}

/** A file that came. */
export interface HubDownloadedFile {
  readonly path: string;
  /** Where it is. */
  readonly to: string;
  readonly sizeBytes: number;
  /** 0: it was there already. */
  readonly fetchedBytes: number;
  readonly requestCount: number;
  /** True when its bytes were held against a hash that the Hub told. */
  readonly verified: boolean;
  /** How it came. */
  readonly transport: 'xet' | 'http' | 'none';
}

/** What a download of a folder is told. */
export interface HubFolderDownloadOptions extends HubRepoOptions {
  /** What of the repository. @default all of it */
  readonly path?: string | undefined;
  /** Folder on disk; made if it is missing. Of `cache` the folder of the cache. */
  readonly to: string;
  /** Lay the files out as the cache of the Python client, where it finds them. @default false */
  readonly cache?: boolean | undefined;
  readonly include?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  /** Names that every system takes, or those that this one takes. @default 'portable' */
  readonly names?: FolderUploadOptions['names'];
  /** Go on with what an interrupted download left. @default true */
  readonly resume?: boolean | undefined;
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
  /** Told of each file that came, once. */
  readonly onFile?: ((file: HubDownloadedFile) => void) | undefined;
}

/** What a download of a folder came to. */
export interface HubFolderDownloadResult {
  readonly files: readonly HubDownloadedFile[];
  readonly failed: readonly FailedDownload[];
  /** Folder that holds them: of a cache that of the snapshot. */
  readonly folder: string;
  readonly sizeBytes: number;
  readonly fetchedBytes: number;
  readonly requestCount: number;
  readonly wallMs: number;
}

/** A file that did not come; the others did. */
export interface FailedDownload extends FailedUpload {
  readonly fields: ErrorFields;
}

/** A Hub: repositories by name instead of files by hash. */
export interface Hub {
  /** Uploads files and commits them: several thousand to a commit. */
  uploadFiles(files: readonly HubFile[], options: HubUploadOptions): Promise<HubUploadResult>;
  uploadFolder(options: HubFolderUploadOptions): Promise<HubUploadResult>;
  downloadFile(options: HubFileDownloadOptions): Promise<HubDownloadedFile>;
  downloadFolder(options: HubFolderDownloadOptions): Promise<HubFolderDownloadResult>;
  /** What lies below a path, in the Hub's order. */
  listFiles(options: HubListOptions): AsyncGenerator<HubEntry, void>;
  /** Deletes files, and folders by a path that ends in a slash. */
  deleteFiles(paths: readonly string[], options: HubCommitOptions): Promise<HubMadeCommit>;
  createRepo(options: HubCreateOptions): Promise<HubCreatedRepo>;
  deleteRepo(options: Pick<HubRepoOptions, 'repo' | 'signal'>): Promise<void>;
  /** Ends connections and threads. */
  close(): Promise<void>;
}

export interface HubListOptions extends HubRepoOptions {
  readonly path?: string | undefined;
  readonly recursive?: boolean | undefined;
  readonly expand?: boolean | undefined;
}

/** A repository that was made, or was there. */
export interface HubCreatedRepo {
  readonly url: string;
  /** `namespace/name`. */
  readonly id: string;
  readonly isNew: boolean;
}

export interface HubCreateOptions {
  readonly repo: RepoDesignation;
  /** Who sees it. @default the namespace's own rule */
  readonly visibility?: RepoVisibility | undefined;
  /** The same in the older form: true is `private`, false `public`. */
  readonly isPrivate?: boolean | undefined;
  /** Of a space. @default 'static' */
  readonly sdk?: string | undefined;
  /** Licence that the Hub notes in its card. @default none */
  readonly license?: string | undefined;
  /** Group of the organisation that it belongs to. @default none */
  readonly resourceGroupId?: string | undefined;
  /** One that is there already is success. @default false */
  readonly existOk?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A repository and what is asked of it, after the defaults. */
export interface RepoAt {
  readonly repo: RepoId;
  readonly revision: string;
}
