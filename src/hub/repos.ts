import { apiPath, type RepoId } from './address.js';
import type { HubHttp } from './http.js';
import { objectOf, textOf } from './json.js';

/** How a repository is made. */
export interface CreateOptions {
  /** Only its owners see it. @default the namespace's own rule */
  readonly isPrivate?: boolean | undefined;
  /** Kind of a space; the Hub wants one. @default 'static' */
  readonly sdk?: string | undefined;
  /** One that is there already is success. @default false */
  readonly existOk?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** Makes a repository. @throws OrbweaverError `CONFLICT` when there is one, without `existOk` */
export async function createRepo(
  http: HubHttp,
  repo: RepoId,
  { isPrivate, sdk = 'static', existOk = false, signal }: CreateOptions,
): Promise<{ readonly url: string; readonly isNew: boolean }> {
  const what = `creating ${repo.type} ${repo.name}`;
  const isBucket = repo.type === 'bucket';
  const [namespace, name] = repo.name.includes('/') ? repo.name.split('/') : [null, repo.name];
  const rights = isPrivate === undefined ? {} : { private: isPrivate };
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
          ...rights,
          ...(repo.type === 'space' ? { sdk } : {}),
        },
    expected: existOk ? [409] : [],
    signal,
  });
  const url = objectOf(response.json)?.['url'];
  return {
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
