import { is, type OptionRules } from '../options/index.js';
import type { RetryOptions } from '../transport/index.js';
import type {
  ClientDownloadOptions,
  ClientOptions,
  ClientStreamOptions,
  ClientUploadOptions,
  PlanDownloadOptions,
  PlanZipOptions,
  ZipDownloadOptions,
} from './client-types.js';
import { LEAST_XORB_BYTES } from './least-xorb.js';
import { COMPUTE_RULES } from './options.js';

/** What the options of a client and of its methods may be. */

/** Asked for at once: a variable that was never set would show in the first upload only. */
const ENDPOINT_EXPECTED =
  'the URL of a store such as https://cas.example.com, or null for dry runs without one';

export const CLIENT_RULES: OptionRules<ClientOptions> = {
  ...COMPUTE_RULES,
  endpoint: is.required({ ...is.either(is.text, is.none), expected: ENDPOINT_EXPECTED }),
  token: is.either(is.text, is.object, is.callback),
  placement: is.oneOf(['balanced', 'store-least', 'read-fast', 'reference']),
  shardCacheDir: is.text,
  shardCacheBytes: is.integer(0),
  stateFolder: is.text,
  onStateProblem: is.callback,
  retry: is.object,
  stallTimeoutMs: is.number(1),
  responseTimeoutMs: is.number(1),
  dedupTimeoutMs: is.number(1),
  connectTimeoutMs: is.number(1),
  addressTimeoutMs: is.number(10),
  concurrency: is.integer(1, 256),
  limitUpload: is.number(1),
  limitDownload: is.number(1),
  limits: is.object,
  grants: is.oneOf(['auto', 'always', 'never']),
  headers: is.object,
  sessionId: is.text,
  userAgent: is.text,
  allowHosts: is.texts,
  ca: is.text,
  proxy: is.text,
  noProxy: is.texts,
  dispatcher: is.object,
  exchange: is.callback,
  fetch: is.callback,
  onRetry: is.callback,
};

export const RETRY_RULES: OptionRules<RetryOptions> = {
  retries: is.integer(0),
  baseDelayMs: is.number(0),
  maxDelayMs: is.number(0),
  maxRetryAfterMs: is.number(0),
};

export const UPLOAD_RULES: OptionRules<ClientUploadOptions> = {
  sha256: is.flag,
  expand: is.flag,
  base: is.either(is.text, is.texts),
  dryRun: is.flag,
  upToStartSize: is.flag,
  rehash: is.flag,
  maxXorbBytes: is.integer(LEAST_XORB_BYTES),
  signal: is.signal,
  onProgress: is.callback,
  onFile: is.callback,
};

const RANGE_RULES: OptionRules<Omit<ClientDownloadOptions, 'to' | 'resume' | 'seeds'>> = {
  offset: is.integer(0),
  length: is.integer(0),
  verifyRange: is.oneOf(['auto', 'require', 'off']),
  signal: is.signal,
  onProgress: is.callback,
};

export const DOWNLOAD_RULES: OptionRules<ClientDownloadOptions> = {
  to: is.required(is.either(is.text, is.object)),
  resume: is.flag,
  seeds: is.texts,
  ...RANGE_RULES,
};

export const PLAN_RULES: OptionRules<PlanDownloadOptions> = {
  to: is.text,
  resume: is.flag,
  seeds: is.texts,
  offset: RANGE_RULES.offset,
  length: RANGE_RULES.length,
  signal: is.signal,
  onProgress: is.callback,
};

export const STREAM_RULES: OptionRules<ClientStreamOptions> = {
  ...RANGE_RULES,
  onResult: is.callback,
};

export const ZIP_PLAN_RULES: OptionRules<PlanZipOptions> = { signal: is.signal };

export const ZIP_RULES: OptionRules<ZipDownloadOptions> = {
  to: DOWNLOAD_RULES.to,
  signal: is.signal,
  onProgress: is.callback,
};

/** Another store, of which little is asked. */
export const UPSTREAM_RULES: OptionRules<
  Pick<ClientOptions, 'token' | 'ca' | 'allowHosts' | 'retry'> & { readonly endpoint: string }
> = {
  endpoint: is.required(is.text),
  token: CLIENT_RULES.token,
  ca: CLIENT_RULES.ca,
  allowHosts: CLIENT_RULES.allowHosts,
  retry: CLIENT_RULES.retry,
};
