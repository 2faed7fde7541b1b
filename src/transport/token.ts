import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { drain } from '../http/index.js';
import type { Call, Layer } from './call.js';
import { AttemptFailure, failure } from './failures.js';
import type { Masker } from './mask.js';
import type { TokenSource } from './ports.js';

/**
 * The CAS token as the calls see it: read for every attempt, refreshed by one call at a time, and
 * made known to the masker before anything can be said about it.
 */
export interface Tokens {
  /** The token to send now; empty when the server is used without one. */
  current(): Promise<string>;
  /**
   * A token other than `refused`, or null when there is none. Calls that were refused together
   * share one refresh.
   */
  after(refused: string): Promise<string | null>;
}

/** Visible ASCII: what a bearer token consists of, and nothing that could break a header. */
const TOKEN_PATTERN = /^[\x21-\x7e]*$/;

/** @throws TypeError when a fixed token cannot be sent in a header */
export function createTokens(source: TokenSource | string, masker: Masker): Tokens {
  if (typeof source === 'string') {
    if (!TOKEN_PATTERN.test(source)) {
      throw new TypeError('"token" expected visible ASCII characters only');
    }
    masker.add(source);
    return { current: async () => source, after: async () => null };
  }
  let refreshing: Promise<string> | null = null;
  const checked = async (read: () => Promise<string>): Promise<string> => {
    const token = await read();
    if (typeof token !== 'string' || !TOKEN_PATTERN.test(token)) {
      throw new OrbweaverError(
        'AUTH_REQUIRED',
        '"token" expected visible ASCII characters only, got something else from its source',
      );
    }
    masker.add(token);
    return token;
  };
  const refresh = (): Promise<string> => {
    refreshing ??= checked(() => source.refresh?.() ?? source.get()).finally(() => {
      refreshing = null;
    });
    return refreshing;
  };
  return {
    current: () => refreshing ?? checked(() => source.get()),
    async after(refused) {
      const known = await (refreshing ?? checked(() => source.get()));
      if (known !== refused) return known;
      if (source.refresh === undefined) return null;
      const fresh = await refresh();
      return fresh === refused ? null : fresh;
    },
  };
}

/** What the CAS is told with each request. */
export interface TokenPorts {
  readonly tokens: Tokens;
  readonly masker: Masker;
  /** Sent to the CAS only: session id and the caller's own headers. */
  readonly casHeaders: Readonly<Record<string, string>>;
}

/**
 * Requests to the CAS carry the token. A 401 is repeated once per call with a newer token, if there
 * is one.
 */
export function withToken({ tokens, masker, casHeaders }: TokenPorts): Layer {
  const read = async (call: Call, refused?: string): Promise<string | null> => {
    try {
      return await call.scope.race(
        refused === undefined ? tokens.current() : tokens.after(refused),
      );
    } catch (exception) {
      call.scope.check();
      // A URL of tokens that failed as any other request does, to be asked again like one.
      if (exception instanceof AttemptFailure) throw exception;
      if (isOrbweaverError(exception)) {
        throw new AttemptFailure(exception, { retry: exception.retryable });
      }
      const text = exception instanceof Error ? masker.mask(exception.message) : 'unknown';
      const message = `"token" expected from its source, got an error: ${text}`;
      throw failure(call, 'AUTH_REQUIRED', message, { retry: false });
    }
  };
  return (next) => async (request) => {
    const { call } = request;
    if (!call.toCas) return next(request);
    for (let token = await read(call); ; ) {
      const authorization = token === '' ? undefined : { authorization: `Bearer ${token}` };
      const headers = { ...casHeaders, ...request.headers, ...authorization };
      const response = await next({ ...request, headers });
      if (response.status !== 401 || call.memory.refreshed || !token) return response;
      call.memory.refreshed = true;
      const fresh = await read(call, token);
      if (fresh === null) return response;
      await drain(response.body);
      request.body?.rewind?.();
      token = fresh;
    }
  };
}
