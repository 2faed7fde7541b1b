import { HubCommits, type InlineOperation, splitDeletions } from '../compose/hub-commits.js';
import { HubTally } from '../compose/hub-tally.js';
import type { HubMadeCommit } from '../compose/hub-types.js';
import { OrbweaverError } from '../errors.js';
import {
  type CommitOperation,
  checkRepoPath,
  createHubHttp,
  createRepo,
  deleteRepo,
  type HubEntry,
  type HubHttp,
  listTree,
  PREUPLOAD_FILES,
  type PreuploadAnswer,
  pathsInfo,
  preupload,
  type RepoId,
  repoOf,
  resolvePath,
  SAMPLE_BYTES,
  xetAccess,
} from '../hub/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import { createPageExchange } from '../transport/web.js';
import { createClient } from './client.js';
import type {
  HubBlob,
  HubChange,
  HubCommitOutput,
  HubCredentials,
  HubFileInput,
  HubFunctions,
  HubParams,
} from './hub-types.js';
import type { BrowserClient } from './types.js';

/**
 * Repositories of a Hub in a page: the same questions, answers and commits as in Node, over `fetch`, and a
 * client of a page for the store.
 */

const DEFAULT_HUB_URL = 'https://huggingface.co';
const DEFAULT_REVISION = 'main';
/** A larger file is not sent inline, whatever the Hub asks for (its own limit is 10 MB). */
const MAX_INLINE_BYTES = 16 * 1024 * 1024;
/** Files of one commit. */
const COMMIT_FILES = 10_000;

/** A file that is to be committed. */
interface Wanted {
  readonly path: string;
  readonly data: Blob;
}

interface PageHub {
  readonly http: HubHttp;
  readonly repo: RepoId;
  readonly signal: AbortSignal;
  clientOf(
    scope: 'read' | 'write',
    options: { readonly revision: string; readonly createPr?: boolean | undefined },
  ): Promise<BrowserClient>;
}

function openHub(params: HubParams): PageHub {
  const { hubUrl = DEFAULT_HUB_URL, fetch = globalThis.fetch.bind(globalThis) } = params;
  const signal = params.abortSignal ?? new AbortController().signal;
  const url = URL.canParse(hubUrl) ? new URL(hubUrl) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.username !== '') {
    throw new TypeError('"hubUrl" expected an http or https URL without query and user');
  }
  const http = createHubHttp({
    ...{ url, token: tokenOf(params), clock: SYSTEM_CLOCK, random: systemRandom },
    exchange: createPageExchange(fetch),
    // Browsers send a name of their own, and would ask the Hub whether another one may be sent.
    userAgent: '',
  });
  const repo = repoOf(params.repo);
  return {
    ...{ http, repo, signal },
    async clientOf(scope, { revision, createPr = false }) {
      const access = await xetAccess(http, repo, SYSTEM_CLOCK, {
        ...{ scope, revision, createPr, signal },
      });
      return createClient({ ...params.client, ...access, fetch });
    },
  };
}

function tokenOf({ accessToken, credentials }: HubCredentials): HubCredentials['accessToken'] {
  return accessToken ?? credentials?.accessToken;
}

export function uploadFiles({
  files,
  ...params
}: Parameters<HubFunctions['uploadFiles']>[0]): Promise<HubCommitOutput | undefined> {
  return change(params, files.map(wantedOf), []);
}

export function deleteFiles({
  paths,
  ...params
}: Parameters<HubFunctions['deleteFiles']>[0]): Promise<HubCommitOutput | undefined> {
  return change(params, [], paths);
}

/** What is added and deleted after that is gone, what is deleted and added after that is there. */
export function commitOperations({
  title: commitTitle,
  description: commitDescription,
  operations,
  ...params
}: Parameters<HubFunctions['commit']>[0]): Promise<HubCommitOutput | undefined> {
  const files = new Map<string, Wanted>();
  const deleted = new Set<string>();
  for (const each of operations) {
    if (each.operation === 'delete') {
      files.delete(each.path);
      deleted.add(each.path);
    } else if (each.operation === 'addOrUpdate') files.set(each.path, wantedOf(each));
    else {
      const { operation } = each as { readonly operation: string };
      const message = `"operation" expected addOrUpdate or delete in a page, got ${JSON.stringify(operation)}`;
      throw new TypeError(message);
    }
  }
  return change({ ...params, commitTitle, commitDescription }, [...files.values()], [...deleted]);
}

function wantedOf(file: HubFileInput): Wanted {
  const named = file instanceof File ? { path: file.name, content: file } : file;
  const { content } = named;
  const path = checkRepoPath(named.path);
  if (content instanceof Blob) return { path, data: content };
  if (content instanceof Uint8Array) {
    return { path, data: new Blob([content as Uint8Array<ArrayBuffer>]) };
  }
  throw new TypeError(`"content" of "${path}" expected a File, Blob or Uint8Array`);
}

async function change(
  params: HubChange,
  files: readonly Wanted[],
  deletePaths: readonly string[],
): Promise<HubCommitOutput | undefined> {
  const hub = openHub(params);
  const { branch: revision = DEFAULT_REVISION, isPullRequest: createPr = false } = params;
  const { commitTitle: title, commitDescription: description, parentCommit } = params;
  const paths = new Set(files.map(({ path }) => path));
  if (paths.size < files.length) {
    throw new OrbweaverError('USAGE', 'files expected different paths, got one twice');
  }
  const { first, last } = splitDeletions(files, deletePaths);
  const options = { repo: hub.repo, title, description, createPr, parentCommit };
  const at = { repo: hub.repo, revision };
  const uploading = { parts: { http: hub.http }, at, options, signal: hub.signal };
  const commits = new HubCommits(uploading, first, []);
  const tally = new HubTally(files.length, { onProgress: params.onProgress });
  tally.tell({ totalBytes: files.reduce((sum, { data }) => sum + data.size, 0) });
  if (files.length === 0) await commits.commit([], { first, last });
  for (let start = 0; start < files.length; start += COMMIT_FILES) {
    const some = files.slice(start, start + COMMIT_FILES);
    const answers = await ask(hub, some, { revision, createPr });
    const meant = some.filter(({ path }) => answers.get(path)?.isIgnored !== true);
    const isInline = ({ path, data }: Wanted): boolean =>
      answers.get(path)?.mode === 'regular' && data.size <= MAX_INLINE_BYTES;
    const large = meant.filter((file) => !isInline(file));
    const stored =
      large.length === 0
        ? []
        : await store(hub, large, { answers, commits, tally, revision, createPr });
    await commits.commit(
      stored,
      {
        first: start === 0 ? first : [],
        last: start + COMMIT_FILES >= files.length ? last : [],
      },
      inlined(meant.filter(isInline), tally),
    );
  }
  const made = commits.made.at(-1);
  return made === undefined ? undefined : outputOf(made);
}

async function ask(
  { http, repo, signal }: PageHub,
  files: readonly Wanted[],
  { revision, createPr }: { readonly revision: string; readonly createPr: boolean },
): Promise<ReadonlyMap<string, PreuploadAnswer>> {
  const answers = new Map<string, PreuploadAnswer>();
  // A bucket is not asked how it wants them.
  if (repo.type === 'bucket') return answers;
  for (let start = 0; start < files.length; start += PREUPLOAD_FILES) {
    const questions = await Promise.all(
      files.slice(start, start + PREUPLOAD_FILES).map(async ({ path, data }) => ({
        ...{ path, sizeBytes: data.size },
        sample: new Uint8Array(await data.slice(0, SAMPLE_BYTES).arrayBuffer()),
      })),
    );
    const some = await preupload(http, repo, questions, { revision, createPr, signal });
    for (const [path, answer] of some) answers.set(path, answer);
  }
  return answers;
}

/** Uploads files to the store of the repository. What lies at a path already is the base of the new file. */
async function store(
  hub: PageHub,
  files: readonly Wanted[],
  context: {
    readonly answers: ReadonlyMap<string, PreuploadAnswer>;
    readonly commits: HubCommits;
    readonly tally: HubTally;
    readonly revision: string;
    readonly createPr: boolean;
  },
): Promise<CommitOperation[]> {
  const { answers, commits, tally, revision, createPr } = context;
  const { http, repo, signal } = hub;
  const isBucket = repo.type === 'bucket';
  const present = await pathsInfo(http, repo, {
    ...{ revision, signal, paths: files.map(({ path }) => path) },
  });
  const bases = new Map(present.map(({ path, xetHash }) => [path, xetHash]));
  const client = await hub.clientOf('write', { revision, createPr });
  const { doneBytes, wireBytes } = tally.progress;
  try {
    const inputs = files.map(({ path, data }) => ({ name: path, data, base: bases.get(path) }));
    const result = await client.upload(inputs, {
      ...{ sha256: !isBucket, signal },
      onProgress: (now) =>
        tally.tell({
          doneBytes: doneBytes + now.doneBytes,
          wireBytes: wireBytes + now.sentBytes,
          doneFileCount: now.doneFileCount,
        }),
    });
    const [lost] = result.failed;
    // As there, a file that failed is a failure of all.
    if (lost !== undefined) throw new OrbweaverError(lost.code, `"${lost.path}": ${lost.message}`);
    const times = new Map(files.map(({ path, data }) => [path, timeOf(data)]));
    return result.files
      .filter(({ path, fileHash, sha256 }) => {
        const isSame = isBucket
          ? fileHash === bases.get(path)
          : sha256 !== null && sha256 === answers.get(path)?.oid;
        return !(isSame && commits.stays(path));
      })
      .map(({ path, sha256, fileHash, sizeBytes }) => ({
        ...{ operation: 'stored', path, sha256, fileHash, sizeBytes },
        mtimeMs: isBucket ? times.get(path) : undefined,
      }));
  } finally {
    await client.close();
  }
}

function timeOf(data: Blob): number | undefined {
  return data instanceof File ? data.lastModified : undefined;
}

async function* inlined(
  files: readonly Wanted[],
  tally: HubTally,
): AsyncGenerator<InlineOperation, void> {
  for (const { path, data } of files) {
    const bytes = new Uint8Array(
      await data.arrayBuffer().catch((error: unknown) => {
        const text = `"${path}" expected a readable input, got ${error}`;
        throw new OrbweaverError('INPUT_UNREADABLE', text, { path }, error);
      }),
    );
    const { doneBytes, doneFileCount } = tally.progress;
    tally.tell({ doneBytes: doneBytes + bytes.length, doneFileCount: doneFileCount + 1 });
    yield { operation: 'inline', path, bytes };
  }
}

function outputOf({ oid, url, pullRequestUrl }: HubMadeCommit): HubCommitOutput {
  return {
    commit: { oid: oid ?? '', url: url ?? '' },
    ...(pullRequestUrl === null ? {} : { pullRequestUrl }),
    hookOutput: '',
  };
}

export async function* listFiles({
  revision = DEFAULT_REVISION,
  path,
  recursive,
  expand,
  ...params
}: Parameters<HubFunctions['listFiles']>[0]): AsyncGenerator<HubEntry, void> {
  const { http, repo, signal } = openHub(params);
  yield* listTree(http, repo, { revision, path, recursive, expand, signal });
}

export async function downloadFile({
  path,
  revision = DEFAULT_REVISION,
  ...params
}: Parameters<HubFunctions['downloadFile']>[0]): Promise<HubBlob | null> {
  const hub = openHub(params);
  const { http, repo, signal } = hub;
  // Not from the response to a HEAD: a page is not told what a redirect says.
  const found = await pathsInfo(http, repo, { revision, paths: [path], signal });
  const entry = found.find((each) => each.path === path && each.type === 'file');
  if (entry === undefined) return null;
  const { xetHash, size, lfs, oid } = entry;
  // Threads of a client end by themselves when they have nothing to do.
  let client: Promise<BrowserClient> | null = null;
  let plain: Promise<Blob> | null = null;
  const streamOf = (start: number, end: number): ReadableStream<Uint8Array> => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const pipe = async (): Promise<void> => {
      if (xetHash === undefined) {
        plain ??= readPlain(hub, params, { path, revision });
        return (await plain).slice(start, end).stream().pipeTo(writable, { signal });
      }
      client ??= hub.clientOf('read', { revision });
      const range = start === 0 && end === size ? {} : { offset: start, length: end - start };
      return (await client).stream(xetHash, { ...range, signal }).pipeTo(writable);
    };
    const run = start === end ? writable.close() : pipe();
    run.catch((error: unknown) => writable.abort(error).catch(() => {}));
    return readable;
  };
  return blobOf(streamOf, { start: 0, end: size, etag: lfs?.oid ?? oid });
}

/** A small file, which the Hub keeps itself. */
async function readPlain(
  { http, repo, signal }: PageHub,
  { fetch = globalThis.fetch.bind(globalThis), ...credentials }: HubParams,
  { path, revision }: { readonly path: string; readonly revision: string },
): Promise<Blob> {
  const token = tokenOf(credentials);
  const text = typeof token === 'object' ? await token.get() : token;
  const url = `${http.url.href.replace(/\/+$/, '')}/${resolvePath(repo, revision, path)}`;
  const headers = text === undefined ? {} : { authorization: `Bearer ${text}` };
  const response = await fetch(url, { headers, signal });
  if (response.ok) return response.blob();
  const code = response.status === 404 ? 'NOT_FOUND' : 'SERVER_ERROR';
  throw new OrbweaverError(code, `"${path}" expected its bytes, got status ${response.status}`);
}

function blobOf(
  streamOf: (start: number, end: number) => ReadableStream<Uint8Array>,
  { start, end, etag }: { readonly start: number; readonly end: number; readonly etag: string },
): HubBlob {
  const size = end - start;
  const clamp = (at: number): number =>
    start + (at < 0 ? Math.max(0, size + Math.trunc(at)) : Math.min(Math.trunc(at), size));
  const response = (): Response => new Response(streamOf(start, end));
  return {
    ...{ size, etag },
    slice(from = 0, to = size) {
      const first = clamp(from);
      return blobOf(streamOf, { start: first, end: Math.max(first, clamp(to)), etag });
    },
    stream: () => streamOf(start, end),
    arrayBuffer: () => response().arrayBuffer(),
    bytes: async () => new Uint8Array(await response().arrayBuffer()),
    text: () => response().text(),
  };
}

export async function makeRepo({
  visibility,
  private: isPrivate,
  files = [],
  ...params
}: Parameters<HubFunctions['createRepo']>[0]): ReturnType<HubFunctions['createRepo']> {
  const { http, repo, signal } = openHub(params);
  const said = isPrivate === undefined ? undefined : isPrivate ? 'private' : 'public';
  const options = { visibility: visibility ?? said, signal, clock: SYSTEM_CLOCK };
  const { url, id } = await createRepo(http, repo, options);
  if (files.length > 0) await uploadFiles({ ...params, files });
  return { repoUrl: url, id };
}

export async function removeRepo(params: HubParams): Promise<void> {
  const { http, repo, signal } = openHub(params);
  await deleteRepo(http, repo, { signal });
}
