import { isOrbweaverError } from '../errors.js';
import type { Clock, Scope } from '../flow/index.js';
import { drain } from '../http/index.js';
import { type Call, createCall } from './call.js';
import type { CallScopes } from './call-scopes.js';
import { type Context, type Received, readJson, statusFailure } from './context.js';
import { AttemptFailure, failure } from './failures.js';
import { maskUrl } from './mask.js';
import type { TokenSource, TokenUrl } from './ports.js';

/**
 * Tokens from a URL that gives short-lived ones: `GET` with the caller's headers, and a response of
 *
 *     { "accessToken": "…", "exp": 1767225600, "casUrl": "https://cas.example.com" }
 *
 * or the same in `X-Xet-Access-Token`, `X-Xet-Token-Expiration` (seconds since 1970) and
 * `X-Xet-Cas-Url`. One request at a time, whoever waits for it; a new token before the old one ends.
 */

/** The token is replaced so long before its end, but not before half of its life. */
export const TOKEN_MARGIN_MS = 60_000;
const MAX_RESPONSE_BYTES = 256 * 1024;
const MAX_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface TokenUrlPorts {
  /** Its `send` adds no token. */
  readonly context: Context;
  readonly scopes: CallScopes;
  readonly source: TokenUrl;
}

interface Known {
  readonly token: string;
  /** By the monotonic clock. */
  readonly refreshAt: number;
  readonly endsAt: number;
}

export function createTokenUrl(ports: TokenUrlPorts): Required<TokenSource> {
  const { context, source } = ports;
  const url = new URL(source.refreshUrl);
  let known: Known | null = null;
  let asking: Promise<string> | null = null;

  const ask = (): Promise<string> => {
    asking ??= within(ports.scopes, async (scope) => {
      known = await askOnce(context, url, source.headers ?? {}, scope);
      return known.token;
    }).finally(() => {
      asking = null;
    });
    return asking;
  };

  return {
    async get() {
      const now = context.clock.now();
      if (known !== null && now < known.refreshAt) return known.token;
      const old = known;
      try {
        return await ask();
      } catch (error) {
        // Good for a while yet: a pause of the server that gives tokens is no pause of the transfer.
        if (old !== null && context.clock.now() < old.endsAt && isPassing(error)) return old.token;
        throw error;
      }
    },
    refresh: ask,
  };
}

function isPassing(error: unknown): boolean {
  if (error instanceof AttemptFailure) return error.retry;
  return isOrbweaverError(error) && error.retryable;
}

async function within<T>(scopes: CallScopes, run: (scope: Scope) => Promise<T>): Promise<T> {
  const scope = scopes.open(undefined);
  try {
    scope.check();
    return await run(scope);
  } finally {
    scope.close();
  }
}

async function askOnce(
  context: Context,
  start: URL,
  own: Readonly<Record<string, string>>,
  scope: Scope,
): Promise<Known> {
  const headers = { accept: 'application/json', ...context.commonHeaders, ...own };
  let url = start;
  for (let redirects = 0; ; redirects++) {
    const call = createCall({ name: 'GET of a token', method: 'GET', url, scope, toCas: false });
    const response = await context.send({ method: 'GET', url, headers, body: null, call });
    const received = { call, response };
    if (response.status === 200) return tokenOf(context, received);
    const { location } = response.headers;
    const next =
      REDIRECTS.has(response.status) && location !== undefined && URL.canParse(location, url.href)
        ? new URL(location, url)
        : null;
    // The headers are a credential: they go where the caller has sent them and nowhere else.
    if (next === null || next.origin !== start.origin || redirects === MAX_REDIRECTS) {
      throw await statusFailure(context, received);
    }
    await drain(response.body);
    url = next;
  }
}

async function tokenOf(context: Context, received: Received): Promise<Known> {
  const { call, response } = received;
  const { headers } = response;
  const json = await readJson(context, received, MAX_RESPONSE_BYTES, asRecord);
  const token = json['accessToken'] ?? headers['x-xet-access-token'];
  const exp = json['exp'] ?? headers['x-xet-token-expiration'];
  const casUrl = json['casUrl'] ?? headers['x-xet-cas-url'];
  if (typeof token !== 'string' || token === '') {
    throw wrong(call, '"accessToken" expected a text, got none');
  }
  context.masker.add(token);
  if (casUrl !== undefined) checkStore(context.endpoint, casUrl, call);
  return { token, ...lifeOf(context.clock, exp, headers['date'], call) };
}

/** When to ask again, and when the token is of no use any more. Without an end: when it is refused. */
function lifeOf(
  clock: Clock,
  exp: unknown,
  date: string | undefined,
  call: Call,
): Pick<Known, 'refreshAt' | 'endsAt'> {
  if (exp === undefined || exp === null) {
    return { refreshAt: Number.POSITIVE_INFINITY, endsAt: Number.POSITIVE_INFINITY };
  }
  const endMs = Number(exp) * 1000;
  if (!Number.isFinite(endMs)) throw wrong(call, '"exp" expected seconds since 1970');
  // By the clock of the server, which need not be ours.
  const serverMs = Date.parse(date ?? '');
  const lifeMs = endMs - (Number.isFinite(serverMs) ? serverMs : clock.unixMs());
  if (lifeMs <= 0) throw wrong(call, '"exp" expected a time to come, got one that is over');
  const now = clock.now();
  return { refreshAt: now + lifeMs - Math.min(TOKEN_MARGIN_MS, lifeMs / 2), endsAt: now + lifeMs };
}

/** A token for one store is not sent to another one. */
function checkStore(endpoint: URL, casUrl: unknown, call: Call): void {
  const url = typeof casUrl === 'string' && URL.canParse(casUrl) ? new URL(casUrl) : null;
  if (url?.origin === endpoint.origin) return;
  const got = url === null ? 'something else' : `one for ${maskUrl(url)}`;
  throw wrong(call, `"casUrl" expected the endpoint ${endpoint.origin}, got ${got}`);
}

function asRecord(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null ? { ...json } : {};
}

function wrong(call: Call, message: string): AttemptFailure {
  return failure(call, 'AUTH_REQUIRED', `${message} (${call.name} at ${call.url.host})`, {
    retry: false,
  });
}

/** @throws TypeError */
export function checkTokenUrl(source: TokenUrl): TokenUrl {
  const { refreshUrl, headers = {}, ...rest } = source;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new TypeError(`"token" has no member "${unknown}"`);
  const url =
    typeof refreshUrl === 'string' && URL.canParse(refreshUrl) ? new URL(refreshUrl) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('"token.refreshUrl" expected an http or https URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('"token.refreshUrl" expected no user name; use "token.headers"');
  }
  for (const [name, value] of Object.entries(headers)) {
    // The value is not shown: it is a credential.
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || typeof value !== 'string') {
      throw new TypeError('"token.headers" expected names and texts');
    }
    if (!/^[\t\x20-\x7e]*$/.test(value)) {
      throw new TypeError(`"token.headers.${name}" expected one line of printable ASCII`);
    }
  }
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return { refreshUrl: url.href, headers: Object.fromEntries(lower) };
}

/** What is secret in it. */
export function secretsOfTokenUrl({ headers = {} }: TokenUrl): readonly string[] {
  return Object.values(headers).flatMap((value) => [value, value.replace(/^\S+\s+/, '')]);
}

export function isTokenUrl(token: unknown): token is TokenUrl {
  return typeof token === 'object' && token !== null && 'refreshUrl' in token;
}

/** A token that is asked for each time: what the function says. */
export function tokenSourceOf(read: () => string | Promise<string>): TokenSource {
  return { get: async () => read() };
}
