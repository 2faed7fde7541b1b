import type { Budget } from '../flow/index.js';
import type { OrbweaverClient } from './client-types.js';
import type { DownloadParts } from './download.js';

const PARTS = Symbol('parts');

/** What downloads of a client work with, for what is composed of one. */
export type ClientParts = DownloadParts & { readonly budget: Budget };

/** Notes them with a client; `parts` is asked at each use, because a closed client has none. */
export function withParts(client: OrbweaverClient, parts: () => ClientParts): OrbweaverClient {
  return Object.assign(client, { [PARTS]: parts });
}

/** @throws OrbweaverError `CLOSED`; TypeError for a client that `createClient` has not made */
export function downloadPartsOf(client: OrbweaverClient): ClientParts {
  const parts = (client as { readonly [PARTS]?: () => ClientParts })[PARTS];
  if (parts === undefined) throw new TypeError('a client expected to come from createClient');
  return parts();
}
