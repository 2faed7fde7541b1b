import { is, type OptionRule, type OptionRules } from '../options/index.js';
import type { RetryOptions } from '../transport/web.js';
import type { ClientOptions, ClientStreamOptions, ClientUploadOptions } from './client-types.js';
import type { FolderDiffOptions, FolderListOptions } from './folder-types.js';
import { LEAST_XORB_BYTES } from './least-xorb.js';

/** What options may be that a client has in Node and in a page. */

/** Asked for at once: a variable that was never set would show in the first upload only. */
const ENDPOINT_EXPECTED =
  'the URL of a store such as https://cas.example.com, or null for dry runs without one';

/** Of a client: the store, and how it is spoken with. */
export const STORE_RULES: OptionRules<
  Pick<
    ClientOptions,
    | 'endpoint'
    | 'token'
    | 'placement'
    | 'shardCacheBytes'
    | 'onStateProblem'
    | 'retry'
    | 'stallTimeoutMs'
    | 'responseTimeoutMs'
    | 'dedupTimeoutMs'
    | 'concurrency'
    | 'limitUpload'
    | 'limitDownload'
    | 'limits'
    | 'grants'
    | 'headers'
    | 'sessionId'
    | 'allowHosts'
    | 'fetch'
    | 'onRetry'
  >
> = {
  endpoint: is.required({ ...is.either(is.text, is.none), expected: ENDPOINT_EXPECTED }),
  token: is.either(is.text, is.object, is.callback),
  placement: is.oneOf(['balanced', 'store-least', 'read-fast', 'reference']),
  shardCacheBytes: is.integer(0),
  onStateProblem: is.callback,
  retry: is.object,
  stallTimeoutMs: is.number(1),
  responseTimeoutMs: is.number(1),
  dedupTimeoutMs: is.number(1),
  concurrency: is.integer(1, 256),
  limitUpload: is.number(1),
  limitDownload: is.number(1),
  limits: is.object,
  grants: is.oneOf(['auto', 'always', 'never']),
  headers: is.object,
  sessionId: is.text,
  allowHosts: is.texts,
  fetch: is.callback,
  onRetry: is.callback,
};

export const RETRY_RULES: OptionRules<RetryOptions> = {
  retries: is.integer(0),
  baseDelayMs: is.number(0),
  maxDelayMs: is.number(0),
  maxRetryAfterMs: is.number(0),
};

/** Of an upload of files or of folders. */
export const SEND_RULES: OptionRules<
  Pick<
    ClientUploadOptions,
    'sha256' | 'base' | 'dryRun' | 'maxXorbBytes' | 'signal' | 'onProgress' | 'onFile'
  >
> = {
  sha256: is.flag,
  base: is.either(is.text, is.texts),
  dryRun: is.flag,
  maxXorbBytes: is.integer(LEAST_XORB_BYTES),
  signal: is.signal,
  onProgress: is.callback,
  onFile: is.callback,
};

/** Of a download of a file, or of a part of it. */
export const RANGE_RULES: OptionRules<Omit<ClientStreamOptions, 'onResult'>> = {
  offset: is.integer(0),
  length: is.integer(0),
  verifyRange: is.oneOf(['auto', 'require', 'off']),
  signal: is.signal,
  onProgress: is.callback,
};

export const NAMES: OptionRule = is.oneOf(['portable', 'native']);

export const LIST_FOLDER_RULES: OptionRules<FolderListOptions> = {
  names: NAMES,
  signal: is.signal,
};

export const DIFF_FOLDERS_RULES: OptionRules<FolderDiffOptions> = {
  ...LIST_FOLDER_RULES,
  times: is.flag,
};
