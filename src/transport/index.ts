export { createCasClient } from './cas-client.js';
export type { Crc64OfPieces, GrantPolicy } from './grants.js';
export { createMasker, type Masker, maskUrl } from './mask.js';
export type { CasClientOptions } from './options.js';
export type {
  DispatcherRequest,
  DispatcherResponse,
  NameLookup,
  RequestDispatcher,
  RetryEvent,
  TokenOption,
  TokenSource,
  TokenUrl,
} from './ports.js';
export { DEFAULT_RETRY, type RetryOptions } from './retry-table.js';
export type { Rates } from './watchdog.js';
