import type { HubProgress } from '../compose/hub-types.js';
import type { HubEntry, RepoDesignation, RepoVisibility } from '../hub/index.js';
import type { TokenSource } from '../transport/web.js';
import type { BrowserClientOptions } from './types.js';

export type { HubEntry, HubProgress, RepoDesignation, RepoVisibility };

/** How a function reaches the Hub, spelled as in `@huggingface/hub`. */
export interface HubCredentials {
  /** @default none is sent */
  readonly accessToken?: string | TokenSource | undefined;
  /** The same in the older form. */
  readonly credentials?: { readonly accessToken: string } | undefined;
  /** @default 'https://huggingface.co' */
  readonly hubUrl?: string | undefined;
  /** Sends the requests, those to the store too. @default that of the page */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** More settings, those of `createClient`. */
  readonly client?: Omit<BrowserClientOptions, 'endpoint' | 'token' | 'fetch'> | undefined;
}

/** What all functions are told. */
export interface HubParams extends HubCredentials {
  readonly repo: RepoDesignation;
  readonly abortSignal?: AbortSignal | undefined;
}

/** How a commit is made. */
export interface HubChange extends HubParams {
  /** @default what was done, in a few words */
  readonly commitTitle?: string | undefined;
  readonly commitDescription?: string | undefined;
  /** @default 'main' */
  readonly branch?: string | undefined;
  /** Propose the change instead of making it. @default false */
  readonly isPullRequest?: boolean | undefined;
  /** The head that the caller has looked at; another one is a `CONFLICT`. @default any */
  readonly parentCommit?: string | undefined;
  /** Told from time to time where the upload is. */
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
}

/** A file and its path in the repository; a `File` brings its name along. */
export type HubFileInput = { readonly path: string; readonly content: Blob | Uint8Array } | File;

/** One operation of a commit, of those that a page can make. */
export type HubOperation =
  | {
      readonly operation: 'addOrUpdate';
      readonly path: string;
      readonly content: Blob | Uint8Array;
    }
  | { readonly operation: 'delete'; readonly path: string };

/** What a commit came to. */
export interface HubCommitOutput {
  readonly commit: { readonly oid: string; readonly url: string };
  readonly pullRequestUrl?: string;
  readonly hookOutput: string;
}

/** A file of a repository, like a `Blob`: nothing is fetched before its bytes are asked for. */
export interface HubBlob {
  /** Bytes. */
  readonly size: number;
  readonly etag: string;
  slice(start?: number, end?: number): HubBlob;
  stream(): ReadableStream<Uint8Array>;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  text(): Promise<string>;
}

/** Repositories of a Hub, by the functions of `@huggingface/hub` under their own names. */
export interface HubFunctions {
  /** Uploads files and commits them. Undefined: nothing differs from what is there. @throws OrbweaverError */
  uploadFiles(
    params: HubChange & { readonly files: readonly HubFileInput[] },
  ): Promise<HubCommitOutput | undefined>;
  /** The same for one. @throws OrbweaverError */
  uploadFile(
    params: HubChange & { readonly file: HubFileInput },
  ): Promise<HubCommitOutput | undefined>;
  /** Makes one change of several operations. @throws OrbweaverError */
  commit(
    params: Omit<HubChange, 'commitTitle' | 'commitDescription'> & {
      readonly title: string;
      readonly description?: string | undefined;
      readonly operations: readonly HubOperation[];
    },
  ): Promise<HubCommitOutput | undefined>;
  /** @throws OrbweaverError */
  deleteFiles(
    params: HubChange & { readonly paths: readonly string[] },
  ): Promise<HubCommitOutput | undefined>;
  /** @throws OrbweaverError */
  deleteFile(params: HubChange & { readonly path: string }): Promise<HubCommitOutput | undefined>;
  /** What lies in a repository, as the listing comes. @throws OrbweaverError */
  listFiles(
    params: HubParams & {
      readonly revision?: string | undefined;
      readonly path?: string | undefined;
      readonly recursive?: boolean | undefined;
      readonly expand?: boolean | undefined;
    },
  ): AsyncGenerator<HubEntry, void>;
  /** Null: there is no such file. @throws OrbweaverError */
  downloadFile(
    params: HubParams & { readonly path: string; readonly revision?: string | undefined },
  ): Promise<HubBlob | null>;
  /** Makes a repository. @throws OrbweaverError */
  createRepo(
    params: HubParams & {
      readonly visibility?: RepoVisibility | undefined;
      /** The same in the older form. */
      readonly private?: boolean | undefined;
      readonly files?: readonly HubFileInput[] | undefined;
    },
  ): Promise<{ readonly repoUrl: string; readonly id: string }>;
  /** Removes a repository with all it has. @throws OrbweaverError */
  deleteRepo(params: HubParams): Promise<void>;
}
