import type { HttpRequest } from '../../http/index.js';
import type { Call, Handler } from '../call.js';
import type { Authenticate } from '../ports.js';
import { bearerIn } from '../tokens.js';
import { hubErrorResponse } from './errors.js';

/** What requests to the Hub need of the way every request takes. */

/** Errors of endpoints of the Hub, and of paths below `/api/` that nobody offers, in its own form. */
export function hubErrors(
  report: (call: Call, error: unknown) => void,
): (next: Handler) => Handler {
  return (next) => async (call) => {
    const { match, path, request } = call;
    const form = match.kind === 'route' ? match.route.form : undefined;
    if (form === undefined && !path.startsWith('/api/')) return next(call);
    try {
      return await next(call);
    } catch (error) {
      report(call, error);
      request.body?.cancel(error);
      const isAnonymous = request.headers['authorization'] === undefined;
      return hubErrorResponse(error, { isLfs: form === 'lfs', isAnonymous });
    }
  };
}

/**
 * Git knows names and passwords only: the token is the password then. Only for the endpoints that git
 * asks.
 */
export function basicTokens(): (next: Handler) => Handler {
  return (next) => (call) => {
    const { match, request } = call;
    const given = request.headers['authorization'];
    const basic = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(given ?? '')?.[1];
    if (basic === undefined || match.kind !== 'route' || match.route.form === undefined) {
      return next(call);
    }
    const pair = Buffer.from(basic, 'base64').toString('utf8');
    const token = pair.slice(pair.indexOf(':') + 1);
    const headers = { ...request.headers, authorization: `Bearer ${token}` };
    return next({ ...call, request: withHeaders(request, headers) });
  };
}

const PREFIX = 'hf_';

/**
 * `authenticate`, also for tokens with `hf_` in front of them: some clients of the Hub send none without.
 */
export function prefixedTokens(authenticate: Authenticate): Authenticate {
  return async (request) => {
    const token = bearerIn(request.headers);
    if (token?.startsWith(PREFIX) !== true) return authenticate(request);
    const { method, url, headers } = request;
    const authorization = `Bearer ${token.slice(PREFIX.length)}`;
    const bare = { method, url, headers: { ...headers, authorization } };
    let refused: { readonly error: unknown } | null = null;
    try {
      const principal = await authenticate(bare);
      if (principal !== null) return principal;
    } catch (error) {
      refused = { error };
    }
    const principal = await authenticate(request);
    if (principal === null && refused !== null) throw refused.error;
    return principal;
  };
}

function withHeaders(request: HttpRequest, headers: HttpRequest['headers']): HttpRequest {
  const { method, url, body } = request;
  return {
    ...{ method, url, headers, body },
    get signal() {
      return request.signal;
    },
  };
}
