import type { ErrorCode, OrbweaverError } from '../../errors.js';
import type { HttpResponse } from '../../http/index.js';
import { failure, publicError, statusOf } from '../failures.js';
import { jsonResponse } from '../responses.js';

/**
 * Errors as clients of the Hub read them: JSON with `error`, the same sentence in `X-Error-Message`, and
 * for what does not exist which thing that is in `X-Error-Code`.
 */

/** What `X-Error-Code` may be. */
export type HubErrorCode =
  | 'RepoNotFound'
  | 'RevisionNotFound'
  | 'EntryNotFound'
  | 'RepoExists'
  | 'NotSupported';

/** An error that ends the request with `status`, and says which thing it is about. */
export function hubFailure(
  status: number,
  hubCode: HubErrorCode,
  message: string,
  fields: Readonly<Record<string, string>> = {},
): OrbweaverError {
  const code: ErrorCode = status === 404 ? 'NOT_FOUND' : status === 409 ? 'CONFLICT' : 'REJECTED';
  return failure(status, code, message, undefined, { ...fields, hubCode });
}

/** The commit was made for a branch that has moved on; whoever sent it looks again and repeats it. */
export function branchMoved(): OrbweaverError {
  return failure(412, 'CONFLICT', 'A commit has happened since. Please refresh and try again.');
}

/** The response for a thrown value. */
export function hubErrorResponse(
  error: unknown,
  { isLfs, isAnonymous }: { readonly isLfs: boolean; readonly isAnonymous: boolean },
): HttpResponse {
  const status = statusOf(error);
  const { code, message } = publicError(error);
  const fields = (error as Partial<OrbweaverError>).fields ?? {};
  const headers: Record<string, string> = { 'x-error-message': headerText(message) };
  const { hubCode, url, commit } = fields;
  if (typeof hubCode === 'string') headers['x-error-code'] = hubCode;
  if (typeof commit === 'string') headers['x-repo-commit'] = commit;
  if (status === 401) {
    // Clients take a 401 without this sentence as a repository that is not there, or that who has no token
    // does not see, and then ask for one.
    if (!isAnonymous) headers['x-error-message'] = 'Invalid credentials in Authorization header';
    headers['www-authenticate'] = isLfs ? 'Basic realm="orbweaver"' : 'Bearer';
    if (isLfs) headers['lfs-authenticate'] = 'Basic realm="orbweaver"';
  }
  if (status === 503 || status === 429) headers['retry-after'] = '1';
  if (status === 408) headers['connection'] = 'close';
  if (isLfs) headers['content-type'] = LFS_JSON;
  const about = typeof url === 'string' ? { url } : {};
  return jsonResponse({ error: message, message, code, ...about }, status, headers);
}

/** What Git LFS calls its JSON. */
export const LFS_JSON = 'application/vnd.git-lfs+json';

/** Header values are visible ASCII; names of files need not be. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 500);
}
