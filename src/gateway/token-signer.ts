import { LRUCache } from 'lru-cache';
import { hexEncode } from '../bytes/index.js';
import type { OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import { checkOptions, is } from '../options/index.js';
import { type RandomBytes, SYSTEM_CLOCK, systemRandomBytes } from '../platform/index.js';
import { failure } from './failures.js';
import type { Authenticate, Principal, TokenScope } from './ports.js';
import { includesScope, isTokenScope, TOKEN_SCOPES } from './scopes.js';
import { checkTenant } from './tenants.js';
import type { TokenKey, TokenKeys } from './token-keys.js';
import { createTokenRing } from './token-ring.js';
import { bearerIn } from './tokens.js';

/**
 * Short-lived tokens that name what they allow, so that nobody keeps a list of them: JWTs signed with
 * HS256. A signature by a key pair would let those verify who cannot sign; but whoever reads the keys of
 * a store can read the store, gateways over it have to do both, and an HMAC costs a third.
 *
 *     header   {"alg":"HS256","kid":<key>,"typ":"JWT"}
 *     claims   aud "orbweaver", sub: who (for logs), scope, tenant and repository where there are any,
 *              jti: name of the token, iat and exp: Unix seconds
 *
 * The newest key signs; every key that is kept is accepted. Keys are read again when a token names
 * one that is not known, and every ten seconds while tokens come: a new key is accepted at once and signs
 * within ten seconds, one that was removed is good for ten seconds more.
 */
export interface TokenSigner {
  /**
   * Makes a token, and the first key where there is none.
   *
   * @param lifetimeMs from 1000 on, in whole seconds (rounded up)
   * @throws TypeError, RangeError for claims that cannot be meant; OrbweaverError when keys cannot be kept
   */
  issue(claims: TokenClaims, lifetimeMs: number): Promise<IssuedToken>;
  /**
   * A token by which a principal is represented for a while, with no more rights than it has: what a
   * server gives to clients that have shown who they are in another way.
   *
   * @throws OrbweaverError 403 `FORBIDDEN` for a scope that the principal does not have
   */
  issueToken(principal: Principal, scope: TokenScope, lifetimeMs: number): Promise<IssuedToken>;
  /**
   * Who a token stands for.
   * @throws OrbweaverError 401 `AUTH_REQUIRED` with a sentence that says why not
   */
  verify(token: string): Promise<Principal>;
  /** Null for what is no signed token, or none at all: somebody else may know it. */
  readonly authenticate: Authenticate;
}

/** What a token says. */
export interface TokenClaims {
  readonly scope: TokenScope;
  /** Who it stands for, as logs name them: visible ASCII, at most 128. @default the token's own name */
  readonly id?: string | undefined;
  /** @default none: the root of the store */
  readonly tenant?: string | undefined;
  /** What it was made for; passed on. @default none */
  readonly repository?: string | undefined;
}

/** A token and what became of the claims. */
export interface IssuedToken {
  readonly token: string;
  /** Name of the token: random, no secret. */
  readonly tokenId: string;
  readonly keyId: string;
  /** Milliseconds since 1970, a whole second. */
  readonly expiresMs: number;
  readonly principal: Principal;
}

/** Settings of {@link createTokenSigner}. */
export interface TokenSignerOptions {
  /** Where the keys are: `keptTokenKeys(folder)`, `memoryTokenKeys()` or one of your own. */
  readonly keys: TokenKeys;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  /** @default the random bytes of the machine */
  readonly random?: RandomBytes | undefined;
}

const AUDIENCE = 'orbweaver';
const SIGNED = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const NAME = /^[\x20-\x7e]{1,128}$/;
/** Machines that sign may be ahead of those that verify by so much. The end of a token is exact. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;
/** Tokens that were verified, so that not every request of an upload costs a signature (0.14 ms). */
const MAX_VERIFIED = 1024;
/** Ten years. */
const MAX_LIFETIME_MS = 10 * 366 * 24 * 60 * 60 * 1000;

interface Verified {
  readonly principal: Principal;
  readonly keyId: string;
  readonly expiresMs: number;
}

/**
 * Makes and checks signed tokens.
 *
 * @throws TypeError
 * @example
 * const signer = createTokenSigner({ keys: keptTokenKeys('./store') });
 * const { token } = await signer.issue({ scope: 'read', tenant: 'north' }, 3_600_000);
 * const gateway = createGateway({ store, hasher, codec, authenticate: signer.authenticate });
 */
export function createTokenSigner(options: TokenSignerOptions): TokenSigner {
  const {
    keys,
    clock = SYSTEM_CLOCK,
    random = systemRandomBytes,
  } = checkOptions('createTokenSigner', options, {
    keys: is.required(is.object),
    clock: is.object,
    random: is.callback,
  });
  const ring = createTokenRing(keys, clock);
  const verified = new LRUCache<string, Verified>({
    maxSize: MAX_VERIFIED,
    sizeCalculation: () => 1,
  });

  async function newestKey(): Promise<TokenKey> {
    const newest = await ring.newest();
    if (newest !== null) return newest;
    await addTokenKey(keys, { clock, random });
    return newestKey();
  }

  async function issue(claims: TokenClaims, lifetimeMs: number): Promise<IssuedToken> {
    const { scope, tenant, repository } = checkedClaims(claims);
    if (!(lifetimeMs >= 1000 && lifetimeMs <= MAX_LIFETIME_MS)) {
      throw new RangeError(
        `"lifetimeMs" expected 1000 to ${MAX_LIFETIME_MS} milliseconds, got ${lifetimeMs}`,
      );
    }
    const { SignJWT } = await import('jose');
    const key = await newestKey();
    const tokenId = hexEncode(random(8));
    const id = claims.id ?? `token ${tokenId}`;
    const issuedSeconds = Math.floor(clock.unixMs() / 1000);
    const expiresSeconds = Math.ceil((clock.unixMs() + lifetimeMs) / 1000);
    const token = await new SignJWT({
      scope,
      ...(tenant === undefined ? {} : { tenant }),
      ...(repository === undefined ? {} : { repository }),
    })
      .setProtectedHeader({ alg: 'HS256', kid: key.id, typ: 'JWT' })
      .setAudience(AUDIENCE)
      .setSubject(id)
      .setJti(tokenId)
      .setIssuedAt(issuedSeconds)
      .setExpirationTime(expiresSeconds)
      .sign(key.secret);
    const principal: Principal = { id, scope, tenant, repository };
    return { token, tokenId, keyId: key.id, expiresMs: expiresSeconds * 1000, principal };
  }

  async function verify(token: string): Promise<Principal> {
    const known = verified.get(token);
    if (known !== undefined && (await ring.get(known.keyId)) !== null) {
      return unlessExpired(known, clock).principal;
    }
    const fresh = await check(token);
    verified.set(token, fresh);
    return unlessExpired(fresh, clock).principal;
  }

  async function check(token: string): Promise<Verified> {
    const { decodeProtectedHeader, jwtVerify } = await import('jose');
    const keyId = await readHeader(() => decodeProtectedHeader(token).kid);
    const key = await ring.get(keyId);
    if (key === null) {
      throw refused(
        'the bearer token was signed with a key that is not accepted here; get a new one',
      );
    }
    const { payload } = await jwtVerify(token, key.secret, {
      algorithms: ['HS256'],
      audience: AUDIENCE,
      // Its end is looked at here, with each use.
      currentDate: new Date(0),
    }).catch((cause: unknown) => {
      throw refused('the bearer token is not one of this gateway', cause);
    });
    const { sub, scope, tenant, repository, exp, iat } = payload;
    if (typeof exp !== 'number' || typeof iat !== 'number' || typeof sub !== 'string') {
      throw refused('the bearer token does not say who it is for and until when');
    }
    if (iat * 1000 > clock.unixMs() + CLOCK_SKEW_MS) {
      throw refused('the bearer token was made in the future: check the clocks of both machines');
    }
    const claims = { scope, id: sub, tenant, repository } as TokenClaims;
    try {
      checkedClaims(claims);
    } catch (cause) {
      throw refused('the bearer token has claims that mean nothing here', cause);
    }
    const principal: Principal = { ...claims, id: sub };
    return { principal, keyId: key.id, expiresMs: exp * 1000 };
  }

  return {
    issue,
    async issueToken(principal, scope, lifetimeMs) {
      if (!includesScope(principal.scope, scope)) {
        const message = `a token of scope ${scope} expected a principal that has it, this one has ${principal.scope}`;
        throw failure(403, 'FORBIDDEN', message);
      }
      return issue({ ...principal, scope }, lifetimeMs);
    },
    verify,
    async authenticate({ headers }) {
      const token = bearerIn(headers);
      return token === null || !SIGNED.test(token) ? null : verify(token);
    },
  };
}

/**
 * Makes a key that signs from now on; older ones stay accepted until they are removed.
 *
 * @example
 * const { id } = await addTokenKey(keptTokenKeys('./store'));
 */
export async function addTokenKey(
  keys: TokenKeys,
  { clock = SYSTEM_CLOCK, random = systemRandomBytes }: Partial<TokenSignerOptions> = {},
): Promise<TokenKey> {
  const createdMs = clock.unixMs();
  const id = `${createdMs.toString(36)}-${hexEncode(random(4))}`;
  const key = { id, secret: random(32), createdMs };
  await keys.add(key);
  return key;
}

function checkedClaims(claims: TokenClaims): TokenClaims {
  const { scope, id, tenant, repository } = claims;
  if (!isTokenScope(scope)) {
    throw new TypeError(`"scope" expected one of ${TOKEN_SCOPES.join(', ')}`);
  }
  if (tenant !== undefined && typeof tenant !== 'string') {
    throw new TypeError('"tenant" expected a string');
  }
  checkTenant(tenant);
  for (const [name, text] of Object.entries({ id, repository })) {
    if (text === undefined || (typeof text === 'string' && NAME.test(text))) continue;
    throw new TypeError(`"${name}" expected 1 to 128 visible ASCII characters`);
  }
  return claims;
}

function unlessExpired(verified: Verified, clock: Clock): Verified {
  if (clock.unixMs() < verified.expiresMs) return verified;
  const when = new Date(verified.expiresMs).toISOString();
  throw refused(`the bearer token expired at ${when}; get a new one`);
}

async function readHeader(read: () => string | undefined): Promise<string> {
  try {
    const keyId = read();
    if (typeof keyId === 'string') return keyId;
  } catch {
    // The same as none.
  }
  throw refused('the bearer token is not one of this gateway');
}

function refused(message: string, cause?: unknown): OrbweaverError {
  return failure(401, 'AUTH_REQUIRED', message, cause);
}
