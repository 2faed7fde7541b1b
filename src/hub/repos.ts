import type { Clock } from '../flow/index.js';
import { pauseFor } from '../transport/web.js';
import { apiPath, pagePath, type RepoId } from './address.js';
import type { HubHttp } from './http.js';
import { objectOf } from './json.js';

/** Who sees a repository: everybody, its owners, or (of spaces) everybody its page and nobody its files. */
export type RepoVisibility = 'public' | 'private' | 'protected';

/** How a repository is made. */
export interface CreateOptions {
  /** Who sees it. @default the namespace's own rule */
  readonly visibility?: RepoVisibility | undefined;
  /** Kind of a space; the Hub wants one. @default 'static' */
  readonly sdk?: string | undefined;
  /** Licence that the Hub notes in its card; not of buckets. @default none */
  readonly license?: string | undefined;
  /** Group of the organisation that it belongs to. @default none */
  readonly resourceGroupId?: string | undefined;
  /** One that is there already is success. @default false */
  readonly existOk?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** How often a repository is asked for again while the Hub makes another one of the same account. */
const MAX_BUSY = 8;
const BUSY_DELAY_MS = 250;

/** Makes a repository. @throws OrbweaverError `CONFLICT` when there is one, without `existOk` */
export async function createRepo(
  http: HubHttp,
  repo: RepoId,
  options: CreateOptions & { readonly clock: Clock },
): Promise<{ readonly url: string; readonly id: string; readonly isNew: boolean }> {
  const { existOk = false, clock, signal } = options;
  const what = `creating ${repo.type} ${repo.name}`;
  for (let busy = 0; ; busy++) {
    const response = await http.request({
      ...{ what, method: 'POST', signal },
      path: repo.type === 'bucket' ? `api/${apiPath(repo)}` : 'api/repos/create',
      json: creationOf(repo, options),
      // Who may not make one may still use the one that is there.
      expected: existOk ? [401, 402, 403, 409] : [409],
    });
    const { status } = response;
    if (status === 409 && busy < MAX_BUSY && /conflicting operation/i.test(response.text)) {
      await pauseFor(BUSY_DELAY_MS * 2 ** Math.min(busy, 4), clock, signal);
      continue;
    }
    const isThere =
      existOk && (status === 409 || (status >= 400 && (await exists(http, repo, signal))));
    if (status >= 400 && !isThere) throw http.failure(response, what);
    const { url, id } = objectOf(response.json) ?? {};
    return {
      id: typeof id === 'string' ? id : repo.name,
      url: typeof url === 'string' ? url : `${http.url.href.replace(/\/+$/, '')}/${pagePath(repo)}`,
      isNew: !isThere,
    };
  }
}

function creationOf(
  repo: RepoId,
  { visibility, sdk = 'static', license, resourceGroupId }: CreateOptions,
): object {
  // What is undefined is not sent.
  const rights = { visibility, resourceGroupId };
  if (repo.type === 'bucket') return rights;
  const [namespace, name] = repo.name.includes('/') ? repo.name.split('/') : [null, repo.name];
  const common = { name, organization: namespace, type: repo.type, license, ...rights };
  return repo.type === 'space' ? { ...common, sdk } : common;
}

async function exists(http: HubHttp, repo: RepoId, signal: AbortSignal): Promise<boolean> {
  const { status } = await http.request({
    what: `asking for ${repo.name}`,
    path: `api/${apiPath(repo)}`,
    expected: [401, 403, 404],
    signal,
  });
  return status < 400;
}

/** Removes a repository with all it has. */
export async function deleteRepo(
  http: HubHttp,
  repo: RepoId,
  options: { readonly missingOk?: boolean | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const [organization, name] = repo.name.includes('/') ? repo.name.split('/') : [null, repo.name];
  const isBucket = repo.type === 'bucket';
  await http.request({
    what: `deleting ${repo.type} ${repo.name}`,
    method: 'DELETE',
    path: isBucket ? `api/${apiPath(repo)}` : 'api/repos/delete',
    ...(isBucket ? {} : { json: { name, organization, type: repo.type } }),
    expected: options.missingOk === true ? [404] : [],
    signal: options.signal,
  });
}
