import { askXetToken, type XetGrant } from '../hub/index.js';
import { createHubParts } from './hub-parts.js';
import type { HubOptions } from './hub-types.js';

/** What {@link storeTokenFrom} is told. */
export interface StoreTokenOptions extends Pick<HubOptions, 'proxy' | 'noProxy' | 'ca'> {
  /** Where a Hub gives tokens of a store. */
  readonly url: string;
  /** Who asks: it is sent as a bearer token. */
  readonly bearer: string;
  readonly signal?: AbortSignal | undefined;
}

/** A token of a store, from an address at which a Hub gives them. @throws OrbweaverError `AUTH_REQUIRED`, `NETWORK`… */
export async function storeTokenFrom(options: StoreTokenOptions): Promise<XetGrant> {
  const { url, bearer, signal, ...network } = options;
  const parts = createHubParts({ ...network, hubUrl: new URL(url).origin, accessToken: bearer });
  try {
    return await parts.run(signal, (inner) =>
      askXetToken(parts.http, { path: url, what: 'asking for a token', signal: inner }),
    );
  } finally {
    await parts.close();
  }
}
