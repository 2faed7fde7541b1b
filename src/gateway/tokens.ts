import { hexEncode } from '../bytes/index.js';
import type { Hasher } from '../hash/ports.js';
import type { HttpHeaders } from '../http/index.js';
import { type RandomBytes, systemRandomBytes } from '../platform/index.js';
import type { Authenticate, GatewayToken, Principal } from './ports.js';
import { includesScope, isTokenScope, TOKEN_SCOPES } from './scopes.js';
import { checkTenant } from './tenants.js';

const TOKEN_RANDOM_BYTES = 24;

/**
 * A random bearer token: `orb_` and 48 hexadecimal digits (192 bits).
 *
 * @example
 * const tokens = [{ token: createToken(), scope: 'read' as const }];
 */
export function createToken(random: RandomBytes = systemRandomBytes): string {
  return `orb_${hexEncode(random(TOKEN_RANDOM_BYTES))}`;
}

// Visible ASCII: what can stand in an Authorization header after "Bearer ".
const TOKEN_TEXT = /^[\x21-\x7e]+$/;
const BEARER = /^bearer +([\x21-\x7e]+) *$/i;

/** The token in the headers of a request, or null. */
export function bearerIn(headers: HttpHeaders): string | null {
  return BEARER.exec(headers['authorization'] ?? '')?.[1] ?? null;
}

/** Asks one after the other until somebody knows who is asking. */
export function anyOf(ways: readonly Authenticate[]): Authenticate {
  return async (request) => {
    for (const authenticate of ways) {
      const principal = await authenticate(request);
      if (principal !== null) return principal;
    }
    return null;
  };
}

/**
 * Knows the bearers of a fixed list of tokens. Tokens are compared by their keyed hashes under a
 * random key, all of them every time: neither the length nor the first wrong character nor the
 * position in the list shows in the time a response takes. Of entries with the same token the one
 * that may do more counts.
 *
 * @throws TypeError when a token could not be sent in a header
 */
export function tokenList(
  tokens: readonly GatewayToken[],
  hasher: Hasher,
  random: RandomBytes,
): Authenticate {
  const key = random(32);
  const encoder = new TextEncoder();
  const digestOf = (token: string): Uint8Array => {
    const digest = new Uint8Array(32);
    hasher.keyed(key, encoder.encode(token), digest, 0);
    return digest;
  };
  const known = tokens.map(({ token, scope, id, tenant }, index) => {
    if (!TOKEN_TEXT.test(token)) {
      throw new TypeError('"tokens" expected visible ASCII characters without spaces');
    }
    if (!isTokenScope(scope)) {
      throw new TypeError(`"tokens" expected a scope of ${TOKEN_SCOPES.join(', ')}`);
    }
    checkTenant(tenant);
    const principal: Principal = { id: id ?? `token ${index}`, scope, tenant };
    return { digest: digestOf(token), principal };
  });
  return ({ headers }) => {
    const given = bearerIn(headers);
    if (given === null) return null;
    const digest = digestOf(given);
    let found: Principal | null = null;
    for (const { digest: expected, principal } of known) {
      const same = sameDigest(digest, expected);
      if (same && (found === null || includesScope(principal.scope, found.scope)))
        found = principal;
    }
    return found;
  };
}

/** Compares all 32 bytes, whatever they are. */
export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < 32; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
