/**
 * The half of this module that a page can load, as an entry point of its own: the store over `fetch`,
 * without anything of Node.
 */
import type { CasClient } from '../client/ports.js';
import type { Exchange } from '../http/index.js';
import { reusedPieces } from '../platform/index.js';
import type { NameLookup } from './ports.js';
import { checkStoreOptions, type StoreOptions } from './settings.js';
import { storeClient } from './store-client.js';
import { createFetchExchange } from './wires/fetch.js';
import { pageBody } from './wires/page-body.js';

export type { GrantPolicy } from './grants.js';
export type { RetryEvent, TokenOption, TokenSource, TokenUrl } from './ports.js';
export type { RetryOptions } from './retry-table.js';
export type { StoreOptions } from './settings.js';
export { createTargetHttp, type TargetHttp, type TargetResponse } from './targets/http.js';
export { pauseFor } from './targets/pause.js';
export type { Rates } from './watchdog.js';

/** A page resolves no names: the browser connects, under its own rules. */
const NO_LOOKUP: NameLookup = (hostname, _options, callback) =>
  callback(new Error(`${hostname} cannot be resolved here`), '', 0);

/** Requests of a page. */
export function createPageExchange(fetch: typeof globalThis.fetch): Exchange {
  return createFetchExchange(fetch, pageBody, reusedPieces);
}

/**
 * The CAS protocol over `fetch`. URLs that the store names are judged as elsewhere, as far as their
 * text says where they lead.
 *
 * @throws TypeError, RangeError for options that cannot work
 */
export function createFetchCasClient(
  options: Omit<StoreOptions, 'userAgent'>,
  fetch: typeof globalThis.fetch,
): CasClient {
  // Browsers send a name of their own, and would ask the server whether another one may be sent.
  const settings = checkStoreOptions({ ...options, userAgent: '' });
  const exchange = createPageExchange(fetch);
  return storeClient(settings, {
    lookup: NO_LOOKUP,
    secrets: [],
    wireOf: () => ({ exchange, close: async () => {} }),
  });
}
