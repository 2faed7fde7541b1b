import { LEAST_XORB_BYTES } from '../compose/least-xorb.js';
import { is, type OptionRules } from '../options/index.js';
import type { RetryOptions } from '../transport/web.js';
import { MIN_MAX_MEMORY_BYTES } from '../workers/web.js';
import type {
  BrowserClientOptions,
  BrowserDownloadOptions,
  BrowserStreamOptions,
  BrowserUploadOptions,
} from './types.js';

/** Asked for at once: a variable that was never set would show in the first upload only. */
const ENDPOINT_EXPECTED =
  'the URL of a store such as https://cas.example.com, or null for dry runs without one';

export const CLIENT_RULES: OptionRules<BrowserClientOptions> = {
  endpoint: is.required({ ...is.either(is.text, is.none), expected: ENDPOINT_EXPECTED }),
  token: is.either(is.text, is.object, is.callback),
  workers: is.integer(0, 256),
  maxMemory: is.integer(MIN_MAX_MEMORY_BYTES),
  tier: is.oneOf(['auto', 'simd', 'portable', 'readable']),
  sharedMemory: is.flag,
  compression: is.text,
  workerUrl: is.either(is.text, is.object),
  database: is.text,
  shardCacheBytes: is.integer(0),
  onStateProblem: is.callback,
  placement: is.oneOf(['balanced', 'store-least', 'read-fast', 'reference']),
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

export const UPLOAD_RULES: OptionRules<BrowserUploadOptions> = {
  sha256: is.flag,
  base: is.either(is.text, is.texts),
  dryRun: is.flag,
  maxXorbBytes: is.integer(LEAST_XORB_BYTES),
  signal: is.signal,
  onProgress: is.callback,
  onFile: is.callback,
};

export const STREAM_RULES: OptionRules<BrowserStreamOptions> = {
  offset: is.integer(0),
  length: is.integer(0),
  verifyRange: is.oneOf(['auto', 'require', 'off']),
  signal: is.signal,
  onProgress: is.callback,
  onResult: is.callback,
};

const { onResult: _, ...RANGE_RULES } = STREAM_RULES;

export const DOWNLOAD_RULES: OptionRules<BrowserDownloadOptions> = {
  to: is.required(is.object),
  resume: is.flag,
  ...RANGE_RULES,
};
