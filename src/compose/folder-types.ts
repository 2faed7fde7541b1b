import type { DownloadProgress, FetchPlan, UploadProgress } from '../client/index.js';
import type { FolderChange, FolderEntry, NameRules } from '../folder/index.js';
import type {
  ClientUploadOptions,
  FailedUpload,
  UploadBase,
  UploadedFile,
} from './client-types.js';

/** How folders are named, walked and stored; the rest is as for `upload`. */
export interface FolderUploadOptions
  extends Pick<
    ClientUploadOptions,
    'sha256' | 'rehash' | 'maxXorbBytes' | 'base' | 'dryRun' | 'signal'
  > {
  /**
   * What to leave out: a pattern without a slash is a name in any folder, one with a slash a path from the
   * top, one that ends in a slash means folders only; `*` stops at a slash, `**` does not.
   * @default nothing
   */
  readonly exclude?: readonly string[] | undefined;
  /**
   * Only these, as paths below the one folder that is given, or below the current folder when none is; a
   * folder among them is taken whole. @default all
   */
  readonly files?: readonly string[] | undefined;
  /** Names that begin with a dot, too. @default true */
  readonly hidden?: boolean | undefined;
  /** Symbolic links: stored as links, stored as what they lead to, or left out. @default 'keep' */
  readonly symlinks?: 'keep' | 'follow' | 'skip' | undefined;
  /** Names that every system takes, or those that this one takes; see docs/folders.md. @default 'portable' */
  readonly names?: NameRules | undefined;
  /**
   * The sum over all files; of more than 20,000 the total is known when a walk of its own has counted them. A
   * listener that throws is not called again.
   */
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Called with each file that was registered, with its path on disk. */
  readonly onFile?: ((file: UploadedFile) => void) | undefined;
}

/** Something that was left out on purpose. */
export interface SkippedEntry {
  readonly path: string;
  readonly reason: string;
}

export interface FolderUploadResult {
  /** 64 digits: what `downloadFolder` and `listFolder` ask for; of a dry run, what it would be. */
  readonly manifestHash: string;
  readonly manifestBytes: number;
  readonly fileCount: number;
  readonly folderCount: number;
  readonly symlinkCount: number;
  /** Of all files. */
  readonly sizeBytes: number;
  readonly newBytes: number;
  readonly dedupedBytes: number;
  /** What is not in the manifest although it was meant to be; `path` is that on disk. */
  readonly failed: readonly FailedUpload[];
  /** Sockets, pipes, devices; links with `symlinks: 'skip'`. */
  readonly skipped: readonly SkippedEntry[];
  /** Absent where no base was given. */
  readonly bases?: readonly UploadBase[];
  /** Sent, the manifest included. */
  readonly xorbCount: number;
  readonly xorbBytes: number;
  readonly shardCount: number;
  readonly shardBytes: number;
  readonly wallMs: number;
}

/** How far a restore is. No number shrinks but `secondsLeft` and the rate. */
export interface FolderDownloadProgress extends DownloadProgress {
  /**
   * `planning`: the manifest comes and is checked; of a plan all that follows, too. `fetching`: files are looked
   * at, fetched and written. `verifying`: folders get their rights and times. `done`.
   */
  readonly phase: DownloadProgress['phase'];
  /** Files that are there, those that were left as they were among them. */
  readonly doneFileCount: number;
  /** Undefined while the manifest comes. */
  readonly fileCount: number | undefined;
  /** Bytes of files that are there, and of those that are on their way. */
  readonly writtenBytes: number;
  /** Of all files; undefined while the manifest comes. */
  readonly totalBytes: number | undefined;
  /** The file whose bytes moved last: read, because it was there, or fetched. */
  readonly file: DownloadProgress['file'];
}

export interface FolderDownloadOptions {
  /** The folder that gets what the manifest lists; made if it is missing. */
  readonly to: string;
  /** Files and links that are there: replaced, or left as they are. @default 'replace' */
  readonly existing?: 'replace' | 'keep' | undefined;
  /**
   * Folders with other versions of this one: a file of 4 MiB and more takes the chunks that it has in common
   * with the file of the same path there, and only the rest is fetched. The old file at its own place is
   * used so without being named. @default none
   */
  readonly seeds?: readonly string[] | undefined;
  /**
   * Leave files that are there with the right content, go on with unfinished ones of an earlier run, and use
   * old ones as seeds. False fetches everything. @default true
   */
  readonly resume?: boolean | undefined;
  /** Names that every system takes, or those that this one takes; see docs/folders.md. @default 'portable' */
  readonly names?: NameRules | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A listener that throws is not called again; the download goes on. */
  readonly onProgress?: ((progress: FolderDownloadProgress) => void) | undefined;
}

/** An entry that could not be restored; the others were. `path` is as the manifest has it. */
export interface FailedEntry extends FailedUpload {}

export interface FolderDownloadResult {
  /** Files restored. */
  readonly fileCount: number;
  readonly folderCount: number;
  readonly symlinkCount: number;
  /** Of the files restored. */
  readonly sizeBytes: number;
  /** Left as they were, with `existing: 'keep'`. */
  readonly keptCount: number;
  /** Of the files restored, those that were there with the right content, and so were not fetched. */
  readonly unchangedCount: number;
  /** Bytes of them, and of unfinished files of an earlier run, that were read back instead. */
  readonly resumedBytes: number;
  /** Bytes of the files that were copied from old ones and other seeds. */
  readonly seededBytes: number;
  readonly failed: readonly FailedEntry[];
  /** Bytes of xorbs that came over the wire, for the manifest, too. */
  readonly fetchedBytes: number;
  readonly requestCount: number;
  readonly wallMs: number;
}

/** As for the restore itself. */
export interface FolderPlanOptions extends Omit<FolderDownloadOptions, 'to'> {
  /** The folder that would get what the manifest lists. @default a new one: nothing is there that is of use */
  readonly to?: string | undefined;
}

/** What a restore would do. Counts, sizes and failures are those that its result would have. */
export interface FolderPlan
  extends FetchPlan,
    Omit<FolderDownloadResult, 'fetchedBytes' | 'requestCount' | 'wallMs'> {
  /** Of xorbs, the manifest's among them, which a restore fetches, too. */
  readonly fetchBytes: number;
}

export interface FolderListOptions {
  /** @default 'native': nothing is written, so no name can do harm */
  readonly names?: NameRules | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FolderDiffOptions extends FolderListOptions {
  /** An entry whose time alone is another is a change, too. @default false */
  readonly times?: boolean | undefined;
}

/** What a client reads of folders: nothing is written, in Node or in a page. */
export interface FolderReads {
  /**
   * The entries of a manifest as they come. What was given is right only when it ended without an error.
   * @throws OrbweaverError what `downloadFolder` throws
   */
  listFolder(manifestHash: string, options?: FolderListOptions): AsyncGenerator<FolderEntry, void>;
  /** What differs between two folders, in the order of their entries. @throws what `listFolder` throws */
  diffFolders(
    before: string,
    after: string,
    options?: FolderDiffOptions,
  ): AsyncGenerator<FolderChange, void>;
  /**
   * Whether a stored file says of itself that it is the manifest of a folder: its first bytes are looked at.
   * @throws OrbweaverError `NOT_FOUND`, what `download` throws
   */
  isFolder(
    fileHash: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<boolean>;
}

export type { FolderEntry };
