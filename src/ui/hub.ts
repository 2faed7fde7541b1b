import { api, apiJson } from './api.js';
import type { RepoName } from './route.js';
import { REPO_TYPES } from './route.js';

/** Repositories, by the endpoints that clients of the Hub use (docs/hub.md). */

export interface RepoInfo extends RepoName {
  readonly isPrivate: boolean;
  readonly lastModified: string;
}

/** A repository with the bytes of the files that its branches and tags have, each of them once. */
export interface SizedRepo extends RepoInfo {
  readonly sizeBytes: number;
}

export interface Entry {
  readonly type: 'file' | 'directory';
  readonly path: string;
  readonly size: number;
  readonly oid: string;
  readonly lfs?: { readonly oid: string };
  readonly xetHash?: string;
  readonly lastCommit?: { readonly id: string; readonly title: string; readonly date: string };
  /** Of a file in a bucket: when it changed where it comes from, and when it came. */
  readonly mtime?: string;
  readonly uploadedAt?: string;
}

export interface Commit {
  readonly id: string;
  readonly title: string;
  readonly message: string;
  readonly date: string;
  readonly authors: readonly { readonly user: string }[];
}

export interface Refs {
  readonly branches: readonly { readonly name: string }[];
  readonly tags: readonly { readonly name: string }[];
}

/** A part of a list, and where the next part begins. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

interface ListedRepo {
  readonly id: string;
  readonly private: boolean;
  readonly lastModified: string;
}

/** All repositories but buckets, a page of each type at a time. */
export async function listRepos(signal: AbortSignal): Promise<readonly RepoInfo[]> {
  const lists = await Promise.all(
    REPO_TYPES.filter((type) => type !== 'buckets').map(async (type) => {
      const found = await pagesOf<ListedRepo>(`api/${type}?limit=500`, signal);
      return found.map(
        (repo): RepoInfo => ({
          ...{ type, id: repo.id, isPrivate: repo.private, lastModified: repo.lastModified },
        }),
      );
    }),
  );
  return lists.flat();
}

interface StoredRepo {
  readonly id: string;
  /** `model`. */
  readonly type: string;
  readonly updatedAt: string;
  readonly visibility: string;
  readonly storage: number;
}

/** All repositories, buckets too, with their sizes, for which the gateway reads the folders of each. */
export async function listSizes(signal: AbortSignal): Promise<readonly SizedRepo[]> {
  const found = await pagesOf<StoredRepo>('api/settings/repositories?limit=100', signal);
  return found.flatMap(({ id, type: one, updatedAt, visibility, storage }) => {
    const type = REPO_TYPES.find((each) => each === `${one}s`);
    if (type === undefined) return [];
    const isPrivate = visibility === 'private';
    return [{ type, id, isPrivate, lastModified: updatedAt, sizeBytes: storage }];
  });
}

/** A git repository elsewhere that keeps its large files here. */
export interface GitRepo {
  readonly id: string;
  readonly fileCount: number;
  readonly sizeBytes: number;
}

export async function listGitRepos(signal: AbortSignal): Promise<readonly GitRepo[]> {
  const found = await pagesOf<{
    readonly id: string;
    readonly files: number;
    readonly storage: number;
  }>('api/settings/git-repositories?limit=100', signal);
  return found.map(({ id, files, storage }) => ({ id, fileCount: files, sizeBytes: storage }));
}

/** Enough for a list that somebody reads. */
const MAX_PAGES = 20;

async function pagesOf<Item>(path: string, signal: AbortSignal): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  for (let i = 0; i < MAX_PAGES; i++) {
    const page: Page<Item> = await pageOf<Item>(path, cursor, signal);
    items.push(...page.items);
    cursor = page.next;
    if (cursor === null) break;
  }
  return items;
}

async function pageOf<Item>(
  path: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Item>> {
  const more =
    cursor === null ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`;
  const response = await api(path + more, { signal });
  // Of the address of the next page only this counts: it may be that of a proxy.
  const link = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
  const next = link === undefined ? null : new URL(link).searchParams.get('cursor');
  return { items: (await response.json()) as readonly Item[], next };
}

const at = ({ type, id }: RepoName): string => `api/${type}/${id}`;
/** Paths below a bucket name no revision. */
const ofRevision = ({ type }: RepoName, revision: string): string =>
  type === 'buckets' ? '' : `/${encodeURIComponent(revision)}`;
const pathText = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

export function listFolder(
  repo: RepoName,
  branch: string,
  path: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Entry>> {
  const below = path === '' ? '' : `/${pathText(path)}`;
  return pageOf<Entry>(`${at(repo)}/tree${ofRevision(repo, branch)}${below}`, cursor, signal);
}

/** Entries with the commit that changed each of them last. */
export function describePaths(
  repo: RepoName,
  revision: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<readonly Entry[]> {
  return apiJson(`${at(repo)}/paths-info${ofRevision(repo, revision)}`, {
    ...{ method: 'POST', json: { paths, expand: true }, signal },
  });
}

export async function listRefs(repo: RepoName, signal: AbortSignal): Promise<Refs> {
  if (repo.type === 'buckets') return { branches: [], tags: [] };
  return apiJson(`${at(repo)}/refs`, { signal });
}

export function listCommits(
  repo: RepoName,
  revision: string,
  cursor: string | null,
  signal: AbortSignal,
): Promise<Page<Commit>> {
  return pageOf(`${at(repo)}/commits/${encodeURIComponent(revision)}?limit=50`, cursor, signal);
}

export async function createRepo({ type, id }: RepoName): Promise<void> {
  if (type === 'buckets') {
    await api(at({ type, id }), { method: 'POST', json: {} });
    return;
  }
  await api('api/repos/create', { method: 'POST', json: { type: type.slice(0, -1), name: id } });
}

export interface Preuploaded {
  readonly path: string;
  readonly uploadMode: 'regular' | 'lfs';
  readonly shouldIgnore: boolean;
}

export async function askHowToSend(
  repo: RepoName,
  branch: string,
  files: readonly { readonly path: string; readonly size: number; readonly sample: string }[],
  signal: AbortSignal,
): Promise<readonly Preuploaded[]> {
  const path = `${at(repo)}/preupload/${encodeURIComponent(branch)}`;
  const { files: said } = await apiJson<{ files: readonly Preuploaded[] }>(path, {
    ...{ method: 'POST', json: { files }, signal },
  });
  return said;
}

/** @returns the name of the commit */
export async function commit(
  repo: RepoName,
  branch: string,
  lines: Blob,
  signal: AbortSignal,
): Promise<string> {
  const { commitOid } = await apiJson<{ commitOid: string }>(
    `${at(repo)}/commit/${encodeURIComponent(branch)}`,
    {
      ...{ method: 'POST', body: lines, signal },
      headers: { 'content-type': 'application/x-ndjson' },
    },
  );
  return commitOid;
}

/**
 * Adds stored files to a bucket, one JSON object a line.
 * @throws Error when one of them cannot be added; the others are
 */
export async function addToBucket(repo: RepoName, lines: Blob, signal: AbortSignal): Promise<void> {
  const { failed } = await apiJson<{
    readonly failed: readonly { readonly path: string; readonly error: string }[];
  }>(`${at(repo)}/batch`, {
    ...{ method: 'POST', body: lines, signal },
    headers: { 'content-type': 'application/x-ndjson' },
  });
  const [first] = failed;
  if (first !== undefined) throw new Error(`${first.path}: ${first.error}`);
}

const filesOf = ({ type, id }: RepoName): string => (type === 'models' ? id : `${type}/${id}`);

/** Path of a file's bytes. */
export function resolvePath(repo: RepoName, revision: string, path: string): string {
  return `${filesOf(repo)}/resolve${ofRevision(repo, revision)}/${pathText(path)}`;
}

export interface LfsAnswer {
  readonly error?: { readonly message: string };
  readonly actions?: {
    readonly upload?: { readonly href: string };
    readonly download?: { readonly href: string };
  };
}

/** Asks for a signed address by which one file of Git LFS is sent or fetched whole. */
export async function askLfs(
  repo: RepoName,
  operation: 'upload' | 'download',
  object: { readonly oid: string; readonly size: number },
  signal?: AbortSignal,
): Promise<LfsAnswer> {
  const { objects } = await apiJson<{ objects: readonly LfsAnswer[] }>(
    `${filesOf(repo)}.git/info/lfs/objects/batch`,
    {
      ...{ method: 'POST', signal },
      json: { operation, transfers: ['basic'], hash_algo: 'sha256', objects: [object] },
    },
  );
  const [answer] = objects;
  if (answer === undefined) throw new Error('The gateway said nothing about the file.');
  if (answer.error !== undefined) throw new Error(answer.error.message);
  return answer;
}
