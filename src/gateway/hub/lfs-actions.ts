import type { Call } from '../call.js';
import type { Claim } from './claims.js';
import type { Hub } from './hub.js';
import { createLfsFiles } from './lfs-files.js';
import { type LfsGrant, lfsUrl } from './lfs-url.js';
import { pathOf } from './names.js';
import type { Repo } from './repos.js';
import { xetHeaders, xetToken } from './xet-token.js';

/** What Git LFS is told to do with a file. */

/**
 * How files travel:
 *
 *   basic      whole, by an address of this server
 *   xet        as chunks, uploads only: agents of that name cannot download, and git-lfs does not try
 *              another way then
 *   orbweaver  as chunks, both ways
 */
export type LfsTransfer = 'basic' | 'xet' | 'orbweaver';

/** The best transfer that the client names as one of its own. */
export function lfsTransfer(operation: 'upload' | 'download', offered: unknown): LfsTransfer {
  const known = Array.isArray(offered) ? offered : [];
  if (known.includes('orbweaver')) return 'orbweaver';
  return operation === 'upload' && known.includes('xet') ? 'xet' : 'basic';
}

/** A file that a batch asks about. */
export interface LfsAsked {
  readonly hub: Hub;
  readonly call: Call;
  readonly repo: Repo;
  readonly transfer: LfsTransfer;
  readonly oid: string;
  readonly sizeBytes: number;
}

const URL_LIFETIME_SECONDS = 6 * 3600;

/**
 * A file is not asked for again when it was hashed here. Where somebody only said what its SHA-256 is, it
 * is asked for: clients with chunks then send nothing but what is missing of it.
 */
export async function lfsUpload(asked: LfsAsked, found: Claim | null): Promise<object> {
  const { hub, call, repo, oid, sizeBytes, transfer } = asked;
  if (found?.proved === true && found.sizeBytes === sizeBytes) {
    await createLfsFiles(hub).keep(repo, oid, found.file);
    return {};
  }
  const verify = {
    href: `${call.baseUrl}${pathOf(repo)}.git/info/lfs/objects/verify`,
    ...auth(call),
  };
  if (transfer === 'basic') {
    const upload = { href: signed(asked, 'upload'), expires_in: URL_LIFETIME_SECONDS };
    return { authenticated: true, actions: { upload, verify } };
  }
  const xet = xetHeaders(await xetToken(hub, call, 'upload'));
  const header = { ...xet, 'X-Xet-Session-Id': call.requestId };
  const upload = { href: tokenUrl(asked, 'write'), header };
  // What a repository elsewhere has sent as chunks is kept for it when git-lfs verifies it; clients of the
  // Hub commit what they have sent.
  return { authenticated: true, actions: repo.type === 'git' ? { upload, verify } : { upload } };
}

export async function lfsDownload(asked: LfsAsked, found: Claim | null): Promise<object> {
  const { hub, call, transfer } = asked;
  if (found === null) return { error: { code: 404, message: 'the object does not exist' } };
  const href = signed(asked, 'download');
  const download = { href, expires_in: URL_LIFETIME_SECONDS };
  if (transfer === 'basic') return { authenticated: true, actions: { download } };
  const xet = xetHeaders(await xetToken(hub, call, 'read'));
  const header = { ...xet, 'X-Xet-Hash': found.file.toString() };
  return { authenticated: true, actions: { download: { ...download, header } } };
}

/** Where an agent asks for another token. */
function tokenUrl({ call, repo }: LfsAsked, scope: 'read' | 'write'): string {
  const at =
    repo.type === 'git' ? pathOf(repo) : `/api/${repo.type}s/${repo.namespace}/${repo.name}`;
  return `${call.baseUrl}${at}/xet-${scope}-token/main`;
}

/** Git LFS sends what it is given with an action, and nothing that it knows itself. */
function auth({ request }: Call): { readonly header?: { readonly Authorization: string } } {
  const { authorization } = request.headers;
  return authorization === undefined ? {} : { header: { Authorization: authorization } };
}

function signed({ hub, call, repo, oid, sizeBytes }: LfsAsked, does: LfsGrant['does']): string {
  const { secrets, clock } = hub.services;
  const expiresSeconds = Math.floor(clock.unixMs() / 1000) + URL_LIFETIME_SECONDS;
  const id = `${repo.type}/${repo.namespace}/${repo.name}`;
  return lfsUrl(secrets, call.baseUrl, { does, oid, sizeBytes, repo: id, expiresSeconds });
}
