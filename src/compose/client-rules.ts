import { is, type OptionRules } from '../options/index.js';
import type {
  ClientDownloadOptions,
  ClientOptions,
  ClientStreamOptions,
  ClientUploadOptions,
  PlanDownloadOptions,
  PlanZipOptions,
  ZipDownloadOptions,
} from './client-types.js';
import { COMPUTE_RULES } from './options.js';
import { RANGE_RULES, SEND_RULES, STORE_RULES } from './shared-rules.js';

/** What the options of a client and of its methods may be. */

export const CLIENT_RULES: OptionRules<ClientOptions> = {
  ...COMPUTE_RULES,
  ...STORE_RULES,
  shardCacheDir: is.text,
  stateFolder: is.text,
  connectTimeoutMs: is.number(1),
  addressTimeoutMs: is.number(10),
  userAgent: is.text,
  ca: is.text,
  proxy: is.text,
  noProxy: is.texts,
  dispatcher: is.object,
  exchange: is.callback,
};

export const UPLOAD_RULES: OptionRules<ClientUploadOptions> = {
  ...SEND_RULES,
  expand: is.flag,
  upToStartSize: is.flag,
  rehash: is.flag,
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
