import { OrbweaverError } from '../errors.js';
import type { HubEntry, RepoDesignation, RepoVisibility } from '../hub/index.js';
import { fileInfo, repoOf } from '../hub/index.js';
import { checkOptions } from '../options/index.js';
import type { TokenSource } from '../transport/index.js';
import { createHub } from './hub.js';
import { editedFile, type HubEdit } from './hub-edit.js';
import { createHubParts } from './hub-parts.js';
import { FUNCTION_RULES } from './hub-rules.js';
import type {
  Hub,
  HubCopy,
  HubFile,
  HubFolderDownloadOptions,
  HubFolderDownloadResult,
  HubFolderUploadOptions,
  HubOptions,
  HubProgress,
  HubUploadResult,
} from './hub-types.js';
import type { UploadInput } from './input.js';
import type { RemoteSlice } from './remote-file.js';

/**
 * The functions of `@huggingface/hub` under their own names, each with a hub of its own for the length of
 * the call. docs/hub-client.md says what is equal and what differs.
 */

/** How a function reaches the Hub, spelled as there. */
export interface HubCredentials {
  /** @default none is sent */
  readonly accessToken?: string | TokenSource | undefined;
  /** The same in the older form. */
  readonly credentials?: { readonly accessToken: string } | undefined;
  /** @default 'https://huggingface.co' */
  readonly hubUrl?: string | undefined;
  /** Sends the requests, those to the store too. @default connections of this process */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** More settings, those of `createHub`. */
  readonly hub?: Omit<HubOptions, 'accessToken' | 'hubUrl' | 'fetch'> | undefined;
}

interface Common extends HubCredentials {
  readonly repo: RepoDesignation;
  readonly abortSignal?: AbortSignal | undefined;
}

interface Change extends Common {
  readonly commitTitle?: string | undefined;
  readonly commitDescription?: string | undefined;
  /** @default 'main' */
  readonly branch?: string | undefined;
  readonly isPullRequest?: boolean | undefined;
  readonly parentCommit?: string | undefined;
}

/** How data is sent. What changes nothing here is taken all the same, so that calls need not be changed. */
interface Sending {
  /** @default true */
  readonly useXet?: boolean | undefined;
  /** Told from time to time where the upload is. */
  readonly onProgress?: ((progress: HubProgress) => void) | undefined;
  /** Without effect: worker threads hash anyway (`hub: { workers }`). */
  readonly useWebWorkers?: unknown;
  /** Without effect: a folder is given to {@link uploadFolder}, which takes all of it. */
  readonly maxFolderDepth?: unknown;
  /** Without effect: an edit asks the store. */
  readonly rangeEditCache?: unknown;
}

/** What a commit came to. */
export interface CommitOutput {
  readonly commit: { readonly oid: string; readonly url: string };
  readonly pullRequestUrl?: string;
  readonly hookOutput: string;
}

/** A path or bytes with their path in the repository; a `File` brings its name along. */
export type FileInput =
  | { readonly path: string; readonly content: UploadInput; readonly sha256?: string | undefined }
  | {
      readonly path: string;
      readonly originalContent: Blob | HubBlob;
      readonly edits: readonly HubEdit[];
    }
  | File
  | URL;

/** Uploads files and commits them. */
export async function uploadFiles(
  params: Change & Sending & { readonly files: readonly FileInput[] },
): Promise<CommitOutput | undefined> {
  checkOptions('uploadFiles', params, FUNCTION_RULES.uploadFiles);
  const files = params.files.map(hubFileOf);
  const result = await withHub(params, (hub) => hub.uploadFiles(files, changeOf(params)));
  return outputOf(result);
}

/** Uploads one file and commits it. */
export async function uploadFile(
  params: Change & Sending & { readonly file: FileInput },
): Promise<CommitOutput | undefined> {
  checkOptions('uploadFile', params, FUNCTION_RULES.uploadFile);
  const { file, ...rest } = params;
  return uploadFiles({ ...rest, files: [file] });
}

/** Uploads what a folder holds. */
export async function uploadFolder(
  params: Change &
    Pick<Sending, 'useXet' | 'onProgress'> &
    Pick<HubFolderUploadOptions, 'folder' | 'path' | 'include' | 'exclude' | 'deleteRemoved'>,
): Promise<CommitOutput | undefined> {
  checkOptions('uploadFolder', params, FUNCTION_RULES.uploadFolder);
  const { folder, path, include, exclude, deleteRemoved } = params;
  const options = { ...changeOf(params), folder, path, include, exclude, deleteRemoved };
  return outputOf(await withHub(params, (hub) => hub.uploadFolder(options)));
}

/** One operation of {@link commit}. */
export type CommitFileOperation =
  | {
      readonly operation: 'addOrUpdate';
      readonly path: string;
      readonly content: UploadInput;
    }
  | { readonly operation: 'delete'; readonly path: string }
  /**
   * Another file with some bytes replaced: one of {@link downloadFile}, or any `Blob`. What is the same is
   * not sent; of a file of the store a bucket wants it not even read.
   */
  | {
      readonly operation: 'edit';
      readonly path: string;
      readonly originalContent: Blob | HubBlob;
      readonly edits: readonly HubEdit[];
    }
  /** A file of the store under another path, without its bytes; into buckets only. */
  | {
      readonly operation: 'copy';
      readonly path: string;
      /** As listings tell it. */
      readonly sourceXetHash: string;
      readonly sourceRepo: RepoDesignation;
    };

/**
 * Makes one change of several operations, which count in their order: what is added and deleted after that
 * is gone, what is deleted and added after that is there.
 */
export async function commit(
  params: Omit<Change, 'commitTitle' | 'commitDescription'> &
    Sending & {
      readonly title: string;
      readonly description?: string | undefined;
      readonly operations: readonly CommitFileOperation[];
    },
): Promise<CommitOutput | undefined> {
  checkOptions('commit', params, FUNCTION_RULES.commit);
  const { title: commitTitle, description: commitDescription, operations, ...rest } = params;
  const files: HubFile[] = [];
  const copies: HubCopy[] = [];
  const deletePaths: string[] = [];
  // From the last one on, so that what is deleted later is known.
  for (const one of operations.toReversed()) {
    const { path } = one;
    if (one.operation === 'delete') deletePaths.push(path);
    else if (deletePaths.some((deleted) => covers(deleted, path))) continue;
    else if (one.operation === 'addOrUpdate') files.push({ path, content: one.content });
    else if (one.operation === 'edit') {
      files.push(editedFile(path, one.originalContent, one.edits));
    } else if (one.operation === 'copy') {
      copies.push({ path, fileHash: one.sourceXetHash, from: one.sourceRepo });
    } else throw unknownOperation(one);
  }
  const change = changeOf({ ...rest, commitTitle, commitDescription });
  const result = await withHub(rest, (hub) =>
    hub.uploadFiles(files.reverse(), {
      ...change,
      copies: copies.reverse(),
      deletePaths: deletePaths.reverse(),
    }),
  );
  return outputOf(result);
}

/** Whether deleting a path takes another one along. */
function covers(deleted: string, path: string): boolean {
  return deleted.endsWith('/') ? path.startsWith(deleted) : path === deleted;
}

function unknownOperation({ operation }: { readonly operation: unknown }): TypeError {
  return new TypeError(
    `"operation" expected addOrUpdate, edit, copy or delete, got "${String(operation)}"`,
  );
}

/** Deletes one file. */
export async function deleteFile(
  params: Change & { readonly path: string },
): Promise<CommitOutput> {
  checkOptions('deleteFile', params, FUNCTION_RULES.deleteFile);
  const { path, ...rest } = params;
  return deleteFiles({ ...rest, paths: [path] });
}

/** Deletes files in one commit. */
export async function deleteFiles(
  params: Change & { readonly paths: readonly string[] },
): Promise<CommitOutput> {
  checkOptions('deleteFiles', params, FUNCTION_RULES.deleteFiles);
  const made = await withHub(params, (hub) => hub.deleteFiles(params.paths, commitOf(params)));
  return commitOutput(made);
}

/** What lies below a path. */
export async function* listFiles(
  params: Common & {
    readonly revision?: string | undefined;
    readonly path?: string | undefined;
    readonly recursive?: boolean | undefined;
    readonly expand?: boolean | undefined;
  },
): AsyncGenerator<HubEntry, void> {
  checkOptions('listFiles', params, FUNCTION_RULES.listFiles);
  const { repo, revision, path, recursive, expand, abortSignal: signal } = params;
  const hub = createHub(hubOptionsOf(params));
  try {
    yield* hub.listFiles({ repo, revision, path, recursive, expand, signal });
  } finally {
    await hub.close();
  }
}

/** A file of a repository, of which nothing is fetched before its bytes are asked for. */
export interface HubBlob extends Omit<RemoteSlice, 'slice'> {
  slice(start?: number, end?: number): HubBlob;
  readonly etag: string;
}

/**
 * A file as something like a `Blob`: `size`, `slice`, `stream`, `arrayBuffer`, `bytes`, `text`. Null: there
 * is no such file.
 */
export async function downloadFile(
  params: Common & {
    readonly path: string;
    readonly revision?: string | undefined;
    /** False reads it as plain HTTP. @default true */
    readonly xet?: boolean | object | undefined;
    /** Without effect: how many requests run at a time is found out (`hub: { concurrency }`). */
    readonly parallelDownloads?: unknown;
    /** Of a file of Git LFS the pointer, which is what git has. @default false */
    readonly raw?: boolean | undefined;
    readonly downloadInfo?: undefined;
  },
): Promise<HubBlob | null> {
  checkOptions('downloadFile', params, FUNCTION_RULES.downloadFile);
  const { path, revision = 'main', raw: isRaw, abortSignal: signal } = params;
  const repo = repoOf(params.repo);
  const parts = createHubParts(hubOptionsOf(params));
  const info = await parts
    .run(signal, (inner) => fileInfo(parts.http, repo, { revision, path, isRaw, signal: inner }))
    .finally(() => parts.close());
  if (info === null) return null;
  const { lazyBlob } = await import('./hub-blob.js');
  return lazyBlob({ info, at: { repo, revision }, options: hubOptionsOf(params), signal });
}

/** Downloads what lies below a path of a repository into a folder. */
export async function downloadFolder(
  params: Common &
    Pick<
      HubFolderDownloadOptions,
      'revision' | 'path' | 'to' | 'cache' | 'include' | 'exclude' | 'onProgress'
    >,
): Promise<HubFolderDownloadResult> {
  checkOptions('downloadFolder', params, FUNCTION_RULES.downloadFolder);
  const { repo, revision, path, to, cache, include, exclude, onProgress, abortSignal } = params;
  const options = { repo, revision, path, to, cache, include, exclude, onProgress };
  return withHub(params, (hub) => hub.downloadFolder({ ...options, signal: abortSignal }));
}

/** Makes a repository. */
export async function createRepo(
  params: Common & {
    /** @default the namespace's own rule */
    readonly visibility?: RepoVisibility | undefined;
    /** The same in the older form. */
    readonly private?: boolean | undefined;
    readonly sdk?: string | undefined;
    readonly license?: string | undefined;
    readonly resourceGroupId?: string | undefined;
    readonly files?: readonly { readonly path: string; readonly content: UploadInput }[];
  },
): Promise<{ readonly repoUrl: string; readonly id: string }> {
  checkOptions('createRepo', params, FUNCTION_RULES.createRepo);
  const { repo, visibility, private: isPrivate, files = [], abortSignal: signal } = params;
  const { sdk, license, resourceGroupId } = params;
  return withHub(params, async (hub) => {
    const rest = { sdk, license, resourceGroupId };
    const { url, id } = await hub.createRepo({ repo, visibility, isPrivate, ...rest, signal });
    if (files.length > 0) await hub.uploadFiles(files, { repo, signal });
    return { repoUrl: url, id };
  });
}

/** Removes a repository with all it has. */
export async function deleteRepo(params: Common): Promise<void> {
  checkOptions('deleteRepo', params, FUNCTION_RULES.deleteRepo);
  return withHub(params, (hub) =>
    hub.deleteRepo({ repo: params.repo, signal: params.abortSignal }),
  );
}

async function withHub<T>(params: HubCredentials, work: (hub: Hub) => Promise<T>): Promise<T> {
  const hub = createHub(hubOptionsOf(params));
  try {
    return await work(hub);
  } finally {
    await hub.close();
  }
}

function hubOptionsOf(
  params: HubCredentials & { readonly useXet?: unknown; readonly xet?: unknown },
): HubOptions {
  const { accessToken, credentials, hubUrl, fetch, hub, useXet, xet } = params;
  const token = accessToken ?? credentials?.accessToken;
  return {
    ...hub,
    ...(hubUrl && { hubUrl }),
    ...(token && { accessToken: token }),
    ...(fetch && { fetch }),
    ...(useXet === false || xet === false ? { transport: 'http' } : {}),
  };
}

function changeOf({ onProgress, ...change }: Change & Pick<Sending, 'onProgress'>) {
  return { ...commitOf(change), onProgress };
}

function commitOf({
  repo,
  branch: revision,
  commitTitle: title,
  commitDescription: description,
  isPullRequest: createPr,
  parentCommit,
  abortSignal: signal,
}: Change) {
  return { repo, revision, title, description, createPr, parentCommit, signal };
}

function hubFileOf(input: FileInput): HubFile {
  if (input instanceof URL) {
    return { path: decodeURIComponent(input.pathname.split('/').pop() ?? ''), content: input };
  }
  if ('edits' in input) return editedFile(input.path, input.originalContent, input.edits);
  return 'path' in input ? input : { path: input.name, content: input };
}

/** As there, one commit is the result; a file that failed is a failure of all. */
function outputOf({ commits, failed }: HubUploadResult): CommitOutput | undefined {
  const [first] = failed;
  if (first !== undefined)
    throw new OrbweaverError(first.code, `"${first.path}": ${first.message}`);
  const last = commits.at(-1);
  return last === undefined ? undefined : commitOutput(last);
}

function commitOutput({
  oid,
  url,
  pullRequestUrl,
}: HubUploadResult['commits'][number]): CommitOutput {
  return {
    commit: { oid: oid ?? '', url: url ?? '' },
    ...(pullRequestUrl === null ? {} : { pullRequestUrl }),
    hookOutput: '',
  };
}
