import type { HttpHeaders } from '../http/index.js';

/** Cross-origin requests: which web pages may talk to the gateway, as the Fetch standard asks. */

/** Settings of CORS. */
export interface CorsOptions {
  /** Origins as browsers write them (`https://app.example`), or all of them. */
  readonly origins: '*' | readonly string[];
  /** How long a browser remembers a preflight, in seconds. @default 86400 */
  readonly maxAgeSeconds?: number | undefined;
}

const DEFAULT_MAX_AGE_SECONDS = 24 * 60 * 60;
/** What a page may read of a response beyond the few headers that it always may. */
const EXPOSED = [
  ...[
    'accept-ranges',
    'content-length',
    'content-range',
    'etag',
    'retry-after',
    'www-authenticate',
  ],
  ...['x-orbweaver-dedup', 'x-request-id'],
  // What clients of the Hub look at; the Hub exposes them as well.
  ...['link', 'x-error-code', 'x-error-message', 'x-linked-etag', 'x-linked-size', 'x-repo-commit'],
  ...['x-total-count', 'x-xet-hash'],
].join(', ');
/** Names as they can stand in a header. */
const HEADER_NAMES = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*$/;

/** @throws TypeError */
export function checkCors(cors: CorsOptions, name: string): CorsOptions {
  const { origins } = cors;
  const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text;
  if (origins !== '*' && !(Array.isArray(origins) && origins.every(isOrigin))) {
    throw new TypeError(`"${name}.origins" expected "*" or a list of origins`);
  }
  return cors;
}

/** The headers that a response to `request` carries; none for pages that may not read it. */
export function corsHeaders(cors: CorsOptions | null, request: HttpHeaders): HttpHeaders {
  if (cors === null) return {};
  const { origin } = request;
  const all = cors.origins === '*';
  // What depends on the origin must not be served to another one by a cache.
  const vary: Record<string, string> = all ? {} : { vary: 'origin' };
  if (origin === undefined || !(cors.origins === '*' || cors.origins.includes(origin))) return vary;
  return {
    ...vary,
    'access-control-allow-origin': all ? '*' : origin,
    'access-control-expose-headers': EXPOSED,
  };
}

/** What a preflight is told on top; the methods are those of the path. */
export function preflightHeaders(
  cors: CorsOptions | null,
  request: HttpHeaders,
  methods: string,
): HttpHeaders {
  const asked = request['access-control-request-headers'];
  if (cors === null || request['access-control-request-method'] === undefined) return {};
  return {
    'access-control-allow-methods': methods,
    ...(asked !== undefined && HEADER_NAMES.test(asked)
      ? { 'access-control-allow-headers': asked }
      : {}),
    'access-control-max-age': String(cors.maxAgeSeconds ?? DEFAULT_MAX_AGE_SECONDS),
  };
}
