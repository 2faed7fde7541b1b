import { apiPath, type RepoId } from './address.js';
import type { HubHttp } from './http.js';
import { objectOf, textOf } from './json.js';

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

/** Makes a repository. @throws OrbweaverError `CONFLICT` when there is one, without `existOk` */
export async function createRepo(
  http: HubHttp,
  repo: RepoId,
  options: CreateOptions,
): Promise<{ readonly url: string; readonly id: string; readonly isNew: boolean }> {
  const { visibility, sdk = 'static', license, existOk = false, resourceGroupId, signal } = options;
  const what = `creating ${repo.type} ${repo.name}`;
  const isBucket = repo.type === 'bucket';
  const [namespace, name] = repo.name.includes('/') ? repo.name.split('/') : [null, repo.name];
  // What is undefined is not sent.
  const rights = { visibility, resourceGroupId };
  const response = await http.request({
    what,
    method: 'POST',
    path: isBucket ? `api/${apiPath(repo)}` : 'api/repos/create',
    json: isBucket
      ? rights
      : {
          name,
          organization: namespace,
          type: repo.type,
          license,
          ...rights,
          ...(repo.type === 'space' ? { sdk } : {}),
        },
    expected: existOk ? [409] : [],
    signal,
  });
  const { url, id } = objectOf(response.json) ?? {};
  return {
    id: typeof id === 'string' ? id : repo.name,
    url: typeof url === 'string' ? url : `${http.url.href.replace(/\/+$/, '')}/${repo.name}`,
    isNew: response.status !== 409,
  };
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

/** Who the token belongs to. */
export async function whoAmI(http: HubHttp, signal: AbortSignal): Promise<string> {
  const what = 'asking who the token belongs to';
  const { json } = await http.request({ what, path: 'api/whoami-v2', signal });
  return textOf(objectOf(json), 'name', what);
}
