import { hexEncode } from '../bytes/index.js';
import type { Hasher } from '../hash/ports.js';
import { failure } from './failures.js';
import type { GatewayToken, RandomBytes, TokenScope } from './ports.js';

const TOKEN_RANDOM_BYTES = 24;

/**
 * A random bearer token: `orb_` and 48 hexadecimal digits (192 bits).
 *
 * @example
 * const tokens = [{ token: createToken(createRandomBytes()), scope: 'read' as const }];
 */
export function createToken(random: RandomBytes): string {
  return `orb_${hexEncode(random(TOKEN_RANDOM_BYTES))}`;
}

/** Says what the bearer of a header may do. */
export interface TokenGuard {
  /** @throws OrbweaverError 401 without a known token, 403 when its scope does not reach */
  check(authorization: string | null, needed: TokenScope): void;
}

// Visible ASCII: what can stand in an Authorization header after "Bearer ".
const TOKEN_TEXT = /^[\x21-\x7e]+$/;
const BEARER = /^bearer +([\x21-\x7e]+) *$/i;

/**
 * A guard over a fixed list of tokens. Tokens are compared by their keyed hashes under a random
 * key, all of them every time: neither the length nor the first wrong character nor the position in
 * the list shows in the time an answer takes.
 *
 * @throws TypeError when a token could not be sent in a header
 */
export function createTokenGuard(
  tokens: readonly GatewayToken[],
  hasher: Hasher,
  random: RandomBytes,
): TokenGuard {
  const key = random(32);
  const encoder = new TextEncoder();
  const digestOf = (token: string): Uint8Array => {
    const digest = new Uint8Array(32);
    hasher.keyed(key, encoder.encode(token), digest, 0);
    return digest;
  };
  const known = tokens.map(({ token, scope }) => {
    if (!TOKEN_TEXT.test(token)) {
      throw new TypeError('"tokens" expected visible ASCII characters without spaces');
    }
    if (scope !== 'read' && scope !== 'write') {
      throw new TypeError('"tokens" expected a scope of "read" or "write"');
    }
    return { digest: digestOf(token), write: scope === 'write' };
  });
  return {
    check(authorization: string | null, needed: TokenScope): void {
      const given = BEARER.exec(authorization ?? '')?.[1];
      if (given === undefined) {
        throw failure(401, 'AUTH_REQUIRED', 'expected a bearer token in "authorization"');
      }
      const digest = digestOf(given);
      let found = false;
      let mayWrite = false;
      for (const entry of known) {
        const same = sameDigest(digest, entry.digest);
        found = same || found;
        mayWrite = (same && entry.write) || mayWrite;
      }
      if (!found) throw failure(401, 'AUTH_REQUIRED', 'the bearer token is not known here');
      if (needed === 'write' && !mayWrite) {
        throw failure(403, 'FORBIDDEN', 'the token has scope read, this needs write');
      }
    },
  };
}

/** Compares all 32 bytes, whatever they are. */
export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < 32; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}
