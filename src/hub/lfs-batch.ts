import { type ErrorCode, isOrbweaverError, OrbweaverError } from '../errors.js';
import { pagePath, type RepoId } from './address.js';
import type { HubHttp } from './http.js';
import { type JsonObject, objectOf, objectsOf, textOf } from './json.js';

/**
 * The batch question of Git LFS: which of some files the Hub wants, and by which way. A file is named by
 * its SHA-256, so it can only be asked about when that is known.
 */

/** `xet`: as chunks through the store; the others whole, in one request or in several. */
export type LfsTransfer = 'xet' | 'basic' | 'multipart';

/** A file that is asked about. */
export interface LfsObject {
  /** SHA-256, 64 hexadecimal digits in lower case. */
  readonly oid: string;
  readonly sizeBytes: number;
}

/** One request that a Hub wants to be made. */
export interface LfsAction {
  readonly url: string;
  /** Headers to send; of `multipart` also the parts. */
  readonly header: Readonly<Record<string, string>>;
}

/** What becomes of one file. */
export type LfsAnswer =
  /** It is there already. */
  | { readonly kind: 'stored' }
  /** Its space is used up, its size or its name are not allowed… */
  | { readonly kind: 'refused'; readonly error: OrbweaverError }
  | {
      readonly kind: 'wanted';
      readonly upload: LfsAction;
      /** Told when it was sent. */
      readonly verify: LfsAction | null;
    };

/** What a Hub says about a batch. */
export interface LfsBatch {
  readonly transfer: LfsTransfer;
  /** By SHA-256. */
  readonly answers: ReadonlyMap<string, LfsAnswer>;
}

/** Files of one question, as the reference client asks. */
export const LFS_BATCH_FILES: number = 256;

export const LFS_JSON: string = 'application/vnd.git-lfs+json';

/**
 * Asks about files that are to be uploaded, at most {@link LFS_BATCH_FILES}. Null: this server knows nothing
 * of Git LFS.
 * @throws OrbweaverError what the Hub says of all of them together, but for a quota, which is said of each
 */
export async function lfsBatch(
  http: HubHttp,
  repo: RepoId,
  objects: readonly LfsObject[],
  options: {
    readonly transfers: readonly LfsTransfer[];
    /** Null: a pull request that is not there yet. */
    readonly branch: string | null;
    readonly signal: AbortSignal;
  },
): Promise<LfsBatch | null> {
  const { transfers, branch, signal } = options;
  const what = `asking which files ${repo.name} has`;
  const asked = {
    operation: 'upload',
    transfers,
    hash_algo: 'sha256',
    ...(branch === null ? {} : { ref: { name: branch } }),
    objects: objects.map(({ oid, sizeBytes }) => ({ oid, size: sizeBytes })),
  };
  let json: unknown;
  try {
    const response = await http.request({
      what,
      method: 'POST',
      path: `${pagePath(repo)}.git/info/lfs/objects/batch`,
      bytes: new TextEncoder().encode(JSON.stringify(asked)),
      headers: { accept: LFS_JSON, 'content-type': LFS_JSON },
      repeatable: true,
      expected: [404, 405, 501],
      signal,
    });
    if (response.status >= 400) return null;
    json = response.json;
  } catch (error) {
    if (!isOrbweaverError(error) || !isQuota(error.code, error.message)) throw error;
    const refused = { kind: 'refused', error: quota(error.message) } as const;
    const [transfer = 'basic'] = transfers;
    return { transfer, answers: new Map(objects.map(({ oid }) => [oid, refused])) };
  }
  const object = objectOf(json);
  const transfer = (object?.['transfer'] ?? 'basic') as LfsTransfer;
  if (!transfers.includes(transfer)) {
    const text = `${what} expected one of ${transfers.join(', ')}, got "${String(transfer)}"`;
    throw new OrbweaverError('PROTOCOL', text.slice(0, 300));
  }
  const answers = objectsOf(object?.['objects'], what).map(
    (each) => [textOf(each, 'oid', what).toLowerCase(), answerOf(each, what, http)] as const,
  );
  return { transfer, answers: new Map(answers) };
}

function answerOf(object: JsonObject, what: string, http: HubHttp): LfsAnswer {
  const error = objectOf(object['error']);
  if (error !== null) {
    const status = Number(error['code'] ?? 0);
    const said = http.mask(String(error['message'] ?? '')).slice(0, 300);
    const code = isQuota(null, said) ? 'QUOTA_EXCEEDED' : codeOf(status);
    const text = `the Hub refuses it with ${status}${said === '' ? '' : `: ${said}`}`;
    return { kind: 'refused', error: new OrbweaverError(code, text, { status }) };
  }
  const actions = objectOf(object['actions']);
  const upload = actionOf(actions?.['upload'], what, http);
  if (upload === null) return { kind: 'stored' };
  return { kind: 'wanted', upload, verify: actionOf(actions?.['verify'], what, http) };
}

function actionOf(value: unknown, what: string, http: HubHttp): LfsAction | null {
  const action = objectOf(value);
  if (action === null) return null;
  const url = textOf(action, 'href', what);
  if (http.url.protocol === 'https:' && !url.startsWith('https:')) {
    const host = URL.canParse(url) ? new URL(url).host : '';
    throw new OrbweaverError('UNSAFE_URL', `${what} expected https URLs, got another to ${host}`);
  }
  const header = Object.entries(objectOf(action['header']) ?? {});
  return {
    url,
    header: Object.fromEntries(header.map(([name, text]) => [name.toLowerCase(), String(text)])),
  };
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return 'AUTH_REQUIRED';
  if (status === 402) return 'PAYMENT_REQUIRED';
  if (status === 403) return 'FORBIDDEN';
  if (status === 404 || status === 410) return 'NOT_FOUND';
  if (status === 409) return 'CONFLICT';
  if (status === 413) return 'LIMIT_EXCEEDED';
  if (status === 507) return 'QUOTA_EXCEEDED';
  if (status === 429) return 'RATE_LIMITED';
  return status >= 500 ? 'SERVER_ERROR' : 'REJECTED';
}

/** The Hub says a quota by 403 and a sentence. */
function isQuota(code: ErrorCode | null, said: string): boolean {
  return code === 'QUOTA_EXCEEDED' || /\bquota\b|storage limit/i.test(said);
}

function quota(message: string): OrbweaverError {
  return new OrbweaverError('QUOTA_EXCEEDED', message);
}
