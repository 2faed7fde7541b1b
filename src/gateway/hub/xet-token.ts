import type { HttpHeaders } from '../../http/index.js';
import type { Call } from '../call.js';
import { bearerIn } from '../tokens.js';
import type { Hub } from './hub.js';

/** What a client of the Hub needs to talk to the store itself. */
export interface XetToken {
  readonly accessToken: string;
  readonly casUrl: string;
  /** Unix seconds. */
  readonly exp: number;
}

const LIFETIME_SECONDS = 3600;

/**
 * A token for the store, which is this same server: one that ends in an hour and says no more than is
 * needed, where the gateway signs some; else the one that the client came with, about which it asks again
 * in an hour.
 */
export async function xetToken(
  { services: { clock }, signer }: Pick<Hub, 'services' | 'signer'>,
  call: Call,
  does: 'read' | 'upload',
): Promise<XetToken> {
  const { principal, baseUrl: casUrl } = call;
  if (signer !== undefined && principal !== null) {
    // Clients that upload read as well: what they edit, and what they deduplicate against.
    const scope = does === 'read' ? 'read' : principal.scope === 'append' ? 'append' : 'write';
    const issued = await signer.issueToken(principal, scope, LIFETIME_SECONDS * 1000);
    return { accessToken: issued.token, casUrl, exp: issued.expiresMs / 1000 };
  }
  const accessToken = bearerIn(call.request.headers) ?? '';
  return { accessToken, casUrl, exp: Math.floor(clock.unixMs() / 1000) + LIFETIME_SECONDS };
}

/** The same as headers, which some clients read in place of the body. */
export function xetHeaders({ accessToken, casUrl, exp }: XetToken): HttpHeaders {
  return {
    'X-Xet-Access-Token': accessToken,
    'X-Xet-Cas-Url': casUrl,
    'X-Xet-Token-Expiration': String(exp),
  };
}

export function lowerCased(headers: HttpHeaders): HttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}
