import { OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import type { TokenSource } from '../transport/index.js';
import { apiPath, type RepoId } from './address.js';
import type { HubHttp } from './http.js';
import { objectOf, textOf } from './json.js';

/** A token is replaced when it has less than this left: requests on their way still use it. */
const MARGIN_MS = 60_000;

/** Longest token and address that are taken (the protocol's own limit). */
const MAX_CHARS = 64_000;

/** A store that a repository keeps its data in, and the right to talk to it. */
export interface XetAccess {
  /** Address of the store. */
  readonly endpoint: string;
  /** Asks the Hub for a newer token before the old one ends. */
  readonly token: TokenSource;
}

/** What the access is for. */
export interface XetAccessOptions {
  readonly scope: 'read' | 'write';
  /** Not for buckets. @default 'main' */
  readonly revision?: string | undefined;
  /** The commit will be a pull request: whoever may read may then write. @default false */
  readonly createPr?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** A token of a store, and until when it holds. */
export interface XetGrant {
  /** Address of the store. */
  readonly endpoint: string;
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly endMs: number;
}

/** Asks where the Hub gives tokens of stores: a path, or a URL that it has named. @throws as {@link xetAccess} */
export async function askXetToken(
  http: HubHttp,
  { path, what, signal }: { path: string; what: string; signal: AbortSignal },
): Promise<XetGrant> {
  const { json, headers } = await http.request({ what, path, signal });
  const object = objectOf(json);
  const token = headers['x-xet-access-token'] ?? textOf(object, 'accessToken', what);
  const endpoint = headers['x-xet-cas-url'] ?? textOf(object, 'casUrl', what);
  const end = Number(headers['x-xet-token-expiration'] ?? object?.['exp']);
  if (token.length > MAX_CHARS || endpoint.length > MAX_CHARS || !Number.isFinite(end)) {
    throw new OrbweaverError('FORMAT_INVALID', `${what} expected a token and its end from the Hub`);
  }
  return { endpoint: checkStore(endpoint, http.url), token, endMs: end * 1000 };
}

/**
 * Access to the store of a repository. One question to the Hub at a time, and none while a token holds.
 * @throws OrbweaverError `AUTH_REQUIRED`, `FORBIDDEN`, `NOT_FOUND`; `UNSAFE_URL` when the store that the
 * Hub names would be talked to without encryption although the Hub itself is
 */
export async function xetAccess(
  http: HubHttp,
  repo: RepoId,
  clock: Clock,
  options: XetAccessOptions,
): Promise<XetAccess> {
  const { scope, revision = 'main', createPr = false, signal } = options;
  const rev = repo.type === 'bucket' ? '' : `/${encodeURIComponent(revision)}`;
  const query = createPr && repo.type !== 'bucket' ? '?create_pr=1' : '';
  const path = `api/${apiPath(repo)}/xet-${scope}-token${rev}${query}`;
  const what = `asking for a ${scope} token of ${repo.name}`;
  const ask = (): Promise<XetGrant> => askXetToken(http, { path, what, signal });
  let held = await ask();
  const { endpoint } = held;
  const refresh = async (): Promise<string> => {
    held = await ask();
    return held.token;
  };
  let asking: Promise<string> | null = null;
  const once = (): Promise<string> => {
    asking ??= refresh().finally(() => {
      asking = null;
    });
    return asking;
  };
  return {
    endpoint,
    token: {
      get: async () => (held.endMs - clock.unixMs() > MARGIN_MS ? held.token : once()),
      refresh: once,
    },
  };
}

function checkStore(endpoint: string, hub: URL): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new OrbweaverError('FORMAT_INVALID', 'the Hub expected to name a store by an http URL');
  }
  if (url.protocol === 'http:' && hub.protocol === 'https:') {
    throw new OrbweaverError(
      'UNSAFE_URL',
      `the store of ${hub.host} expected https, got http to ${url.host}: its token would be readable`,
      { host: url.host },
    );
  }
  return url.href;
}
