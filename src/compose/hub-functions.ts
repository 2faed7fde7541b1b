import { OrbweaverError } from '../errors.js';
import type { HubEntry, RepoDesignation } from '../hub/index.js';
import { fileInfo, repoOf } from '../hub/index.js';
import type { TokenSource } from '../transport/index.js';
import { createHub } from './hub.js';
import { createHubParts } from './hub-parts.js';
import type {
  Hub,
  HubFile,
  HubFolderDownloadOptions,
  HubFolderDownloadResult,
  HubFolderUploadOptions,
  HubOptions,
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
  /** More settings, those of `createHub`. */
  readonly hub?: Omit<HubOptions, 'accessToken' | 'hubUrl'> | undefined;
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

/** What a commit came to. */
export interface CommitOutput {
  readonly commit: { readonly oid: string; readonly url: string };
  readonly pullRequestUrl?: string;
  readonly hookOutput: string;
}

/** A path or bytes with their path in the repository; a `File` brings its name along. */
export type FileInput =
  | { readonly path: string; readonly content: UploadInput; readonly sha256?: string | undefined }
  | File
  | URL;

/** Uploads files and commits them. */
export async function uploadFiles(
  params: Change & { readonly files: readonly FileInput[] },
): Promise<CommitOutput | undefined> {
  const files = params.files.map(hubFileOf);
  const result = await withHub(params, (hub) => hub.uploadFiles(files, changeOf(params)));
  return outputOf(result);
}

/** Uploads one file and commits it. */
export function uploadFile(
  params: Change & { readonly file: FileInput },
): Promise<CommitOutput | undefined> {
  const { file, ...rest } = params;
  return uploadFiles({ ...rest, files: [file] });
}

/** Uploads what a folder holds. */
export async function uploadFolder(
  params: Change &
    Pick<HubFolderUploadOptions, 'folder' | 'path' | 'include' | 'exclude' | 'deleteRemoved'>,
): Promise<CommitOutput | undefined> {
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
  | { readonly operation: 'delete'; readonly path: string };

/** Makes one change of several operations. */
export async function commit(
  params: Omit<Change, 'commitTitle' | 'commitDescription'> & {
    readonly title: string;
    readonly description?: string | undefined;
    readonly operations: readonly CommitFileOperation[];
  },
): Promise<CommitOutput | undefined> {
  const { title: commitTitle, description: commitDescription, operations, ...rest } = params;
  const files = operations.flatMap((one) =>
    one.operation === 'addOrUpdate' ? [{ path: one.path, content: one.content }] : [],
  );
  const deletePaths = operations.flatMap((one) => (one.operation === 'delete' ? [one.path] : []));
  const change = changeOf({ ...rest, commitTitle, commitDescription });
  const result = await withHub(rest, (hub) => hub.uploadFiles(files, { ...change, deletePaths }));
  return outputOf(result);
}

/** Deletes one file. */
export function deleteFile(params: Change & { readonly path: string }): Promise<CommitOutput> {
  const { path, ...rest } = params;
  return deleteFiles({ ...rest, paths: [path] });
}

/** Deletes files in one commit. */
export async function deleteFiles(
  params: Change & { readonly paths: readonly string[] },
): Promise<CommitOutput> {
  const made = await withHub(params, (hub) => hub.deleteFiles(params.paths, changeOf(params)));
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
  params: Common & { readonly path: string; readonly revision?: string | undefined },
): Promise<HubBlob | null> {
  const { path, revision = 'main', abortSignal: signal } = params;
  const repo = repoOf(params.repo);
  const parts = createHubParts(hubOptionsOf(params));
  const info = await parts
    .run(signal, (inner) => fileInfo(parts.http, repo, { revision, path, signal: inner }))
    .finally(() => parts.close());
  if (info === null) return null;
  const { lazyBlob } = await import('./hub-blob.js');
  return lazyBlob({ info, at: { repo, revision }, options: hubOptionsOf(params), signal });
}

/** Downloads what lies below a path of a repository into a folder. */
export function downloadFolder(
  params: Common &
    Pick<
      HubFolderDownloadOptions,
      'revision' | 'path' | 'to' | 'cache' | 'include' | 'exclude' | 'onProgress'
    >,
): Promise<HubFolderDownloadResult> {
  const { repo, revision, path, to, cache, include, exclude, onProgress, abortSignal } = params;
  const options = { repo, revision, path, to, cache, include, exclude, onProgress };
  return withHub(params, (hub) => hub.downloadFolder({ ...options, signal: abortSignal }));
}

/** Makes a repository. */
export async function createRepo(
  params: Common & {
    readonly private?: boolean | undefined;
    readonly sdk?: string | undefined;
    readonly files?: readonly { readonly path: string; readonly content: UploadInput }[];
  },
): Promise<{ readonly repoUrl: string }> {
  const { repo, private: isPrivate, sdk, files = [], abortSignal: signal } = params;
  return withHub(params, async (hub) => {
    const { url } = await hub.createRepo({ repo, isPrivate, sdk, signal });
    if (files.length > 0) await hub.uploadFiles(files, { repo, signal });
    return { repoUrl: url };
  });
}

/** Removes a repository with all it has. */
export function deleteRepo(params: Common): Promise<void> {
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

function hubOptionsOf({ accessToken, credentials, hubUrl, hub }: HubCredentials): HubOptions {
  const token = accessToken ?? credentials?.accessToken;
  return { ...hub, ...(hubUrl && { hubUrl }), ...(token && { accessToken: token }) };
}

function changeOf({
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
