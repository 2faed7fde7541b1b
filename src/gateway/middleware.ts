import type { Clock } from '../flow/index.js';
import type { Body, HttpRequest, HttpResponse } from '../http/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { bodyLength, guardBody } from './body.js';
import type { Call, Handler } from './call.js';
import { type CorsOptions, corsHeaders, preflightHeaders } from './cors.js';
import { failure } from './failures.js';
import { type GatewayMemory, SMALL_BODY_MAX_BYTES } from './memory.js';
import type { GatewaySettings } from './options.js';
import type { Authenticate, GatewayAccess } from './ports.js';
import { emptyResponse, errorResponse } from './responses.js';
import type { BodyKind } from './router.js';
import { allows, scopesFor } from './scopes.js';
import { SHARD_BODY_MAX_BYTES } from './shard-intake.js';
import { checkTenant } from './tenants.js';

/**
 * What happens to every request, each concern around the next:
 *
 *     access(cors(announced(fault(offered(auth(budget(route)))))))
 *
 * `cors` is around the errors, so that a page can read errors too. Paths that are not offered respond
 * before anybody is asked for a token: clients take 404, and only 404, as "not offered".
 */

/** Adds one concern. */
export type Step = (next: Handler) => Handler;

/** Tells of each request when the last byte of its response was taken. */
export function access(
  onAccess: ((access: GatewayAccess) => void) | undefined,
  clock: Clock,
): Step {
  if (onAccess === undefined) return (next) => next;
  return (next) => async (call) => {
    const sinceMs = clock.now();
    const response = await next(call);
    const { request, requestId, path, seen } = call;
    const end = (sentBytes: number): void => {
      const durationMs = clock.now() - sinceMs;
      const { method, url } = request;
      const { status } = response;
      const principal = seen.principalId;
      onAccess({
        requestId,
        method,
        path: path || url.pathname,
        status,
        sentBytes,
        durationMs,
        principal,
        client: request.client ?? null,
      });
    };
    if (response.body !== null) {
      return { ...response, body: countedBody(response.body, { onEnd: end }) };
    }
    end(0);
    return response;
  };
}

/** Who is told of the bytes of a body. */
export interface BodyCounter {
  readonly onBytes?: (bytes: number) => void;
  /** Once, with all bytes that were taken: it was read, broke or is cancelled, whichever is first. */
  readonly onEnd?: (takenBytes: number) => void;
}

/** `body`, counted. */
export function countedBody(body: Body, { onBytes, onEnd }: BodyCounter): Body {
  let takenBytes = 0;
  let over = false;
  const finish = (): void => {
    if (over) return;
    over = true;
    onEnd?.(takenBytes);
  };
  const count = (bytes: number): void => {
    takenBytes += bytes;
    onBytes?.(bytes);
    if (bytes === 0) finish();
  };
  const { sizeBytes, nextView, take } = body;
  return {
    sizeBytes,
    async fill(into) {
      const bytes = await body.fill(into);
      count(bytes);
      return bytes;
    },
    ...(nextView && {
      nextView(maxBytes: number) {
        const view = nextView.call(body, maxBytes);
        count(view.length);
        return view;
      },
    }),
    ...(take && {
      async take() {
        const piece = await take.call(body);
        count(piece.length);
        return piece;
      },
    }),
    cancel(reason) {
      finish();
      body.cancel(reason);
    },
  };
}

/** Headers of every response: its id, and what a web page needs to read it. */
export function cors(options: CorsOptions | null): Step {
  return (next) => async (call) => {
    const { headers } = call.request;
    const response = await next(call);
    const isPreflight = call.request.method === 'OPTIONS' && response.status === 204;
    return {
      ...response,
      headers: {
        ...response.headers,
        ...corsHeaders(options, headers),
        ...(isPreflight ? preflightHeaders(options, headers, response.headers['allow'] ?? '') : {}),
        'x-request-id': call.requestId,
      },
    };
  };
}

/** What is thrown becomes a response; what is left of a body that was not read is let go. */
export function fault(report: (call: Call, error: unknown) => void): Step {
  return (next) => async (call) => {
    try {
      return await next(call);
    } catch (error) {
      report(call, error);
      call.request.body?.cancel(error);
      return errorResponse(error);
    }
  };
}

/** 404 for unknown paths, 405 and OPTIONS for known ones, 503 when the gateway closes. */
export function offered(isClosed: () => boolean): Step {
  return (next) => async (call) => {
    const { match, request } = call;
    if (match.kind === 'unknown') throw failure(404, 'NOT_FOUND', 'this gateway has no such path');
    if (match.kind === 'wrong-method') {
      if (request.method !== 'OPTIONS') return emptyResponse(405, { allow: match.allow });
      return emptyResponse(204, { allow: `${match.allow}, OPTIONS` });
    }
    if (isClosed()) throw failure(503, 'CLOSED', 'the gateway is shutting down');
    return next(call);
  };
}

/** Most chunks in one dedup query, and most files. */
export const MAX_QUERY_CHUNKS = 256;
export const MAX_QUERY_FILES = 16;

/** Tells clients who know that they may ask densely; each response that needs a token says so. */
export function announced(oneIn: number): Step {
  const value = `one-in=${oneIn}, max-chunks=${MAX_QUERY_CHUNKS}`;
  return (next) => async (call) => {
    const response = await next(call);
    if (call.match.kind !== 'route' || call.match.route.scope === null) return response;
    return { ...response, headers: { ...response.headers, 'x-orbweaver-dedup': value } };
  };
}

/** Who is asking, and whether they may. */
export function auth(authenticate: Authenticate): Step {
  return (next) => async (call) => {
    const { match, request } = call;
    const scope = match.kind === 'route' ? match.route.scope : null;
    if (scope === null) return next(call);
    const principal = await authenticate(request);
    call.seen.principalId = principal?.id ?? null;
    if (principal === null) {
      const given = request.headers['authorization'] !== undefined;
      throw failure(
        401,
        'AUTH_REQUIRED',
        given ? 'the bearer token is not known here' : 'expected a bearer token in "authorization"',
      );
    }
    checkTenant(principal.tenant);
    call.seen.tenant = principal.tenant ?? null;
    if (!allows(principal.scope, scope)) {
      throw failure(
        403,
        'FORBIDDEN',
        `the token has scope ${principal.scope}, this needs ${scopesFor(scope)}`,
      );
    }
    return next({ ...call, principal });
  };
}

const BODY_LIMITS: Readonly<Record<BodyKind, number>> = {
  // Raw 64 MiB, a header for each chunk (the reference client sends that much for incompressible
  // data), and a footer that some tool may leave on.
  xorbs: XORB_ACCEPT_MAX_BYTES,
  shards: SHARD_BODY_MAX_BYTES,
  small: SMALL_BODY_MAX_BYTES,
  // Whoever takes it piece by piece says what is too much.
  commits: Number.MAX_SAFE_INTEGER,
  stream: Number.MAX_SAFE_INTEGER,
};

/** The body under the rules of its route. Nothing of it is read here, and no memory is taken. */
export function budget(parts: {
  readonly memory: GatewayMemory;
  readonly settings: GatewaySettings;
  readonly clock: Clock;
}): Step {
  const { memory, settings, clock } = parts;
  return (next) =>
    (call): Promise<HttpResponse> => {
      const { match, request } = call;
      const kind = match.kind === 'route' ? match.route.body : undefined;
      if (kind === undefined) return next(call);
      const declared = bodyLength(request);
      const rules = {
        limitBytes: BODY_LIMITS[kind],
        minRate: settings.minBodyRate,
        graceMs: settings.bodyGraceMs,
        isScarce: () => kind !== 'stream' && memory[kind].isScarce,
        clock,
      };
      const body = request.body === null ? null : guardBody(request.body, declared, rules);
      return next({ ...call, request: withBody(request, body) });
    };
}

export function withBody(request: HttpRequest, body: Body | null): HttpRequest {
  const { method, url, headers } = request;
  return {
    method,
    url,
    headers,
    client: request.client,
    body,
    // Most requests never ask for it, and some servers make it only then.
    get signal() {
      return request.signal;
    },
  };
}
