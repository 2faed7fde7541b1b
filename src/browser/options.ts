import { RANGE_RULES, SEND_RULES, STORE_RULES } from '../compose/shared-rules.js';
import { is, type OptionRules } from '../options/index.js';
import { MIN_MAX_MEMORY_BYTES } from '../workers/web.js';
import type {
  BrowserClientOptions,
  BrowserDownloadOptions,
  BrowserStreamOptions,
  BrowserUploadOptions,
} from './types.js';

export const CLIENT_RULES: OptionRules<BrowserClientOptions> = {
  ...STORE_RULES,
  workers: is.integer(0, 256),
  maxMemory: is.integer(MIN_MAX_MEMORY_BYTES),
  tier: is.oneOf(['auto', 'simd', 'portable', 'readable']),
  sharedMemory: is.flag,
  compression: is.text,
  workerUrl: is.either(is.text, is.object),
  database: is.text,
};

export const UPLOAD_RULES: OptionRules<BrowserUploadOptions> = SEND_RULES;

export const STREAM_RULES: OptionRules<BrowserStreamOptions> = {
  ...RANGE_RULES,
  onResult: is.callback,
};

export const DOWNLOAD_RULES: OptionRules<BrowserDownloadOptions> = {
  to: is.required(is.object),
  resume: is.flag,
  ...RANGE_RULES,
};
