import { type ErrorCode, OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import { type Body, bytesBody, type Exchange, type HttpHeaders } from '../http/index.js';
import type { RandomSource } from '../platform/index.js';
import type { TokenSource } from '../transport/index.js';
import { createTargetHttp, type TargetHttp, type TargetResponse } from '../transport/web.js';

/** Small requests to a Hub: its address, the token, its errors. */

/** What {@link createHubHttp} is made with. */
export interface HubHttpOptions {
  /** Base URL of the Hub. */
  readonly url: URL;
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** @default none is sent */
  readonly token?: string | TokenSource | undefined;
  /** Empty: none is sent. */
  readonly userAgent: string;
}

/** One request. */
export interface HubRequest {
  /** What is done, for messages: `creating the repository`. */
  readonly what: string;
  /** @default 'GET' */
  readonly method?: string | undefined;
  /** Path below the Hub's address, encoded, with its query; or a whole URL that the Hub gave. */
  readonly path: string;
  readonly headers?: HttpHeaders | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as they are, with the type in `headers`. */
  readonly bytes?: Uint8Array | undefined;
  /** A body instead, made for each attempt. */
  readonly body?: (() => Promise<Body>) | undefined;
  /** False: without the token, which else goes to the Hub itself and nowhere else. @default true */
  readonly authorize?: boolean | undefined;
  /** Sending it twice does no harm. @default true, false for POST */
  readonly repeatable?: boolean | undefined;
  /** Statuses, besides those of success, that the caller understands. */
  readonly expected?: readonly number[] | undefined;
  readonly signal: AbortSignal;
  /** @default 120000 */
  readonly timeoutMs?: number | undefined;
}

/** Requests to a Hub. */
export interface HubHttp {
  readonly url: URL;
  /** @throws OrbweaverError for any status that is neither success nor expected */
  request(request: HubRequest): Promise<TargetResponse>;
  /** The error that a response is, in the words of the Hub. */
  failure(response: TargetResponse, what: string): OrbweaverError;
  /** True for an address of the Hub itself: only there the token goes. */
  isOwn(url: URL): boolean;
  mask(text: string): string;
}

/** Repositories that were renamed are answered with a redirect to the new name. */
const MAX_REDIRECTS = 3;

export function createHubHttp(options: HubHttpOptions): HubHttp {
  const { url: base, exchange, clock, random, token, userAgent } = options;
  const http: TargetHttp = createTargetHttp({ kind: 'hub', exchange, clock, random, token });
  const isOwn = (url: URL): boolean => url.origin === base.origin;
  const root = base.href.replace(/\/+$/, '');
  return {
    url: base,
    isOwn,
    mask: (text) => http.mask(text),
    failure: (response, what) => failureOf(response, what, http),
    async request(request) {
      const { method = 'GET', path, json, expected = [], signal, timeoutMs } = request;
      const { authorize = true } = request;
      const bytes =
        json === undefined ? request.bytes : new TextEncoder().encode(JSON.stringify(json));
      const type = json === undefined ? {} : { 'content-type': 'application/json' };
      let url = new URL(/^https?:/.test(path) ? path : `${root}/${path.replace(/^\//, '')}`);
      for (let redirects = 0; ; redirects++) {
        const response = await http.request({
          method,
          url,
          headers: {
            ...(userAgent === '' ? {} : { 'user-agent': userAgent }),
            ...type,
            ...request.headers,
          },
          body: bytes === undefined ? request.body : () => bytesBody(bytes),
          repeatable: request.repeatable ?? method !== 'POST',
          signal,
          timeoutMs,
          authorize: authorize && isOwn(url),
        });
        const { status, headers } = response;
        if ((status >= 200 && status < 300) || expected.includes(status)) return response;
        const next = redirectOf(status, headers, url);
        if (next === null) throw failureOf(response, request.what, http);
        if (redirects === MAX_REDIRECTS || !isOwn(next)) {
          throw new OrbweaverError(
            'REJECTED',
            `${request.what}: the Hub expected to respond itself, redirects to ${next.host}`,
            { status },
          );
        }
        url = next;
      }
    },
  };
}

function redirectOf(status: number, headers: HttpHeaders, url: URL): URL | null {
  const location = headers['location'];
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return null;
  return URL.canParse(location, url.href) ? new URL(location, url) : null;
}

/** The Hub says what is wrong in headers, which hold for requests without a body too. */
function failureOf(response: TargetResponse, what: string, http: TargetHttp): OrbweaverError {
  const { status, headers } = response;
  const named = headers['x-error-code'] ?? '';
  const said = headers['x-error-message'];
  const base = http.failure(response, { what });
  const code = codeOf(status) ?? base.code;
  const text =
    said === undefined
      ? base.message
      : http.mask(`${what}: the Hub responded with ${status}: ${said}`).slice(0, 500);
  return new OrbweaverError(code, text, {
    ...base.fields,
    ...(named === '' ? {} : { hubCode: named }),
  });
}

function codeOf(status: number): ErrorCode | null {
  if (status === 404) return 'NOT_FOUND';
  // Who may not see a repository is told that it does not exist, with a 401 where no token came.
  if (status === 401) return 'AUTH_REQUIRED';
  if (status === 403) return 'FORBIDDEN';
  if (status === 409 || status === 412) return 'CONFLICT';
  if (status === 429) return 'RATE_LIMITED';
  return null;
}
