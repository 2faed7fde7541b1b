import { OrbweaverError } from '../errors.js';
import { apiPath, checkRepoPath, encodedPath, pagePath, type RepoId } from './address.js';
import type { HubHttp } from './http.js';
import { hashOf, type JsonObject, objectOf, objectsOf, sizeOf, textOf } from './json.js';

/** One entry of a repository. */
export interface HubEntry {
  readonly type: 'file' | 'directory';
  readonly path: string;
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Name of the object in git; empty where there is none (buckets). */
  readonly oid: string;
  /** Of files that lie in large-file storage. */
  readonly lfs?: { readonly oid: string; readonly size: number; readonly pointerSize: number };
  /** File hash in the content-addressed store, for files that lie there. */
  readonly xetHash?: string;
  /** The same of small files that the Hub gives itself; `orbweaver serve` has those in its store as well. */
  readonly storeHash?: string;
  /** With `expand`: the commit that changed it last. */
  readonly lastCommit?: { readonly id: string; readonly title: string; readonly date: string };
  /** Of files of buckets: when it was changed, as its sender said, and when it came; ISO 8601. */
  readonly mtime?: string;
  readonly uploadedAt?: string;
}

/** What of a repository is listed. */
export interface ListOptions {
  readonly revision: string;
  /** @default its top */
  readonly path?: string | undefined;
  /** @default false */
  readonly recursive?: boolean | undefined;
  /** Asks for the last commit of each entry, which takes longer. @default false */
  readonly expand?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** The entries below a path, in pages that follow each other. @throws OrbweaverError `NOT_FOUND`… */
export async function* listTree(
  http: HubHttp,
  repo: RepoId,
  { revision, path = '', recursive = false, expand = false, signal }: ListOptions,
): AsyncGenerator<HubEntry, void> {
  const what = `listing ${repo.name}`;
  const rev = repo.type === 'bucket' ? '' : `/${encodeURIComponent(revision)}`;
  const below = path === '' ? '' : `/${encodedPath(path)}`;
  const query = `?recursive=${recursive}${expand ? '&expand=true' : ''}`;
  let next: string | null = `api/${apiPath(repo)}/tree${rev}${below}${query}`;
  while (next !== null) {
    const response = await http.request({ what, path: next, signal });
    for (const entry of objectsOf(response.json, what)) yield entryOf(entry, what);
    next = nextPage(response.headers['link'] ?? '', what, http);
  }
}

/** What is known of these paths; those that are not there are left out. At most 1000 at a time. */
export async function pathsInfo(
  http: HubHttp,
  repo: RepoId,
  options: {
    readonly revision: string;
    readonly paths: readonly string[];
    readonly signal: AbortSignal;
  },
): Promise<readonly HubEntry[]> {
  const { revision, paths, signal } = options;
  const what = `asking for files of ${repo.name}`;
  const rev = repo.type === 'bucket' ? '' : `/${encodeURIComponent(revision)}`;
  const found: HubEntry[] = [];
  for (let start = 0; start < paths.length; start += PATHS_AT_A_TIME) {
    const { json } = await http.request({
      what,
      method: 'POST',
      path: `api/${apiPath(repo)}/paths-info${rev}`,
      json: { paths: paths.slice(start, start + PATHS_AT_A_TIME), expand: false },
      repeatable: true,
      signal,
    });
    found.push(...objectsOf(json, what).map((entry) => entryOf(entry, what)));
  }
  return found;
}

const PATHS_AT_A_TIME = 500;

/** The commit that a revision means now. */
export async function commitOf(
  http: HubHttp,
  repo: RepoId,
  revision: string,
  signal: AbortSignal,
): Promise<string> {
  const what = `asking for revision "${revision}" of ${repo.name}`;
  const path = `api/${apiPath(repo)}/revision/${encodeURIComponent(revision)}`;
  const { json } = await http.request({ what, path, signal });
  return textOf(objectOf(json), 'sha', what);
}

/** What a Hub says of one file without sending it. */
export interface HubFileInfo {
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of large files, git's SHA-1 of others, without quotes. */
  readonly etag: string;
  /** Null: it does not lie in the content-addressed store. */
  readonly xetHash: string | null;
  /** Commit that the revision meant; null where the Hub does not say. */
  readonly commit: string | null;
  /** Where its bytes are. */
  readonly url: string;
}

/** Address under which a Hub gives a file. */
export function resolvePath(
  repo: RepoId,
  revision: string,
  path: string,
  word: 'resolve' | 'raw' = 'resolve',
): string {
  const rev = repo.type === 'bucket' ? '' : `/${encodeURIComponent(revision)}`;
  return `${pagePath(repo)}/${word}${rev}/${encodedPath(path)}`;
}

/** Other names of a repository, then where its small files are kept. */
const MAX_REDIRECTS = 5;

/**
 * Asks about one file. Null: there is none under that path.
 * @throws OrbweaverError `PROTOCOL` when the Hub does not say how large it is
 */
export async function fileInfo(
  http: HubHttp,
  repo: RepoId,
  options: {
    readonly revision: string;
    readonly path: string;
    /** Of a file of Git LFS the pointer, which is what git has. @default false */
    readonly isRaw?: boolean | undefined;
    readonly signal: AbortSignal;
  },
): Promise<HubFileInfo | null> {
  const { revision, path, isRaw = false, signal } = options;
  const address = resolvePath(repo, revision, path, isRaw ? 'raw' : 'resolve');
  const what = `asking for "${path}" of ${repo.name}`;
  let url = `${http.url.href.replace(/\/+$/, '')}/${address}`;
  let ownUrl = url;
  let commit: string | null = null;
  for (let redirects = 0; ; redirects++) {
    const { status, headers } = await http.request({
      what,
      method: 'HEAD',
      path: url,
      // A compressed length would be that of something else.
      headers: { 'accept-encoding': 'identity' },
      expected: [301, 302, 303, 307, 308, 404],
      signal,
    });
    if (status === 404) {
      const named = headers['x-error-code'] ?? 'EntryNotFound';
      if (named === 'EntryNotFound') return null;
      throw notFound(repo, revision, named);
    }
    commit ??= headers['x-repo-commit'] ?? null;
    const isMoved = status >= 300;
    const isTold = !isRaw && ('x-xet-hash' in headers || 'x-linked-size' in headers);
    if (isTold || !isMoved) {
      // The length of a redirect is that of its own words.
      const length = isMoved ? undefined : headers['content-length'];
      const size = Number((isRaw ? undefined : headers['x-linked-size']) ?? length ?? Number.NaN);
      if (!Number.isSafeInteger(size) || size < 0) {
        throw new OrbweaverError('PROTOCOL', `${what}: the Hub expected to say its size`, { path });
      }
      return { ...namesOf(headers, isRaw), size, commit, url: ownUrl };
    }
    // The repository or the file has another name, or its bytes are kept elsewhere: what is asked for is there.
    const location = headers['location'] ?? '';
    if (!URL.canParse(location, url) || redirects === MAX_REDIRECTS) {
      const text = `${what}: the Hub expected to say where it is, redirected ${redirects + 1} times`;
      throw new OrbweaverError('PROTOCOL', text, { path });
    }
    const next = new URL(location, url);
    url = next.href;
    if (http.isOwn(next)) ownUrl = url;
  }
}

function namesOf(
  headers: Readonly<Record<string, string>>,
  isRaw: boolean,
): Pick<HubFileInfo, 'etag' | 'xetHash'> {
  const etag = (isRaw ? undefined : headers['x-linked-etag']) ?? headers['etag'] ?? '';
  return {
    etag: etag.replace(/^W\//, '').replaceAll('"', ''),
    xetHash: isRaw ? null : hashOf(headers['x-xet-hash']),
  };
}

function notFound(repo: RepoId, revision: string, named: string): Error {
  return new OrbweaverError(
    'NOT_FOUND',
    named === 'RevisionNotFound'
      ? `${repo.name} has no revision "${revision}"`
      : `the Hub has no ${repo.type} "${repo.name}", or the token does not show it`,
    { hubCode: named },
  );
}

function entryOf(entry: JsonObject, what: string): HubEntry {
  const isFolder = entry['type'] === 'directory';
  const lfs = objectOf(entry['lfs']);
  const last = objectOf(entry['lastCommit']);
  const xetHash = hashOf(entry['xetHash']);
  const storeHash = hashOf(entry['storeHash']);
  const size = isFolder ? 0 : sizeOf(entry, 'size', what);
  return {
    type: isFolder ? 'directory' : 'file',
    path: checkRepoPath(textOf(entry, 'path', what)),
    size,
    oid: typeof entry['oid'] === 'string' ? entry['oid'] : '',
    ...(lfs === null
      ? {}
      : {
          lfs: {
            oid: textOf(lfs, 'oid', what),
            size: typeof lfs['size'] === 'number' ? lfs['size'] : size,
            pointerSize: typeof lfs['pointerSize'] === 'number' ? lfs['pointerSize'] : 0,
          },
        }),
    ...(xetHash === null ? {} : { xetHash }),
    ...(storeHash === null ? {} : { storeHash }),
    ...timesOf(entry),
    ...(last === null
      ? {}
      : {
          lastCommit: {
            id: textOf(last, 'id', what),
            title: String(last['title'] ?? ''),
            date: String(last['date'] ?? ''),
          },
        }),
  };
}

function timesOf({ mtime, uploadedAt }: JsonObject): Pick<HubEntry, 'mtime' | 'uploadedAt'> {
  return {
    ...(typeof mtime === 'string' ? { mtime } : {}),
    ...(typeof uploadedAt === 'string' ? { uploadedAt } : {}),
  };
}

/**
 * The next page of a listing. A Hub behind another address, a mirror or a proxy, may name it under its own:
 * it is asked for where the first one was, with the token.
 * @throws OrbweaverError `PROTOCOL` rather than taking a part for the whole
 */
function nextPage(link: string, what: string, http: HubHttp): string | null {
  const target = /<([^>]+)>\s*;\s*rel="?next"?/.exec(link)?.[1];
  if (target === undefined) return null;
  const url = URL.canParse(target, http.url.href) ? new URL(target, http.url) : null;
  if (url !== null && http.isOwn(url)) return url.href;
  if (url?.pathname.startsWith('/api/')) return `${url.pathname}${url.search}`;
  throw new OrbweaverError('PROTOCOL', `${what} expected the address of the next page`);
}
