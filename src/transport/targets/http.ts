import { type ErrorFields, isOrbweaverError, OrbweaverError } from '../../errors.js';
import { type Clock, Scope } from '../../flow/index.js';
import { type Body, type Exchange, type HttpHeaders, readAll } from '../../http/index.js';
import type { RandomSource } from '../../platform/index.js';
import { createMasker, type Masker } from '../mask.js';
import type { TokenSource } from '../ports.js';
import {
  backoffMs,
  DEFAULT_RETRY,
  type RetryOptions,
  requestedPauseMs,
  verdictOfStatus,
} from '../retry-table.js';
import { createTokens } from '../token.js';
import { targetError } from './errors.js';
import { pauseFor } from './pause.js';
import type { TargetErrorClass, TargetIds, TargetKind } from './ports.js';

/**
 * Small requests of targets over an {@link Exchange}: the token, a bound in time, repeats where they
 * are harmless, responses that are read whole. Everything of HTTP that targets share is in this file.
 */

/** What {@link createTargetHttp} is made with. */
export interface TargetHttpOptions {
  readonly kind: TargetKind;
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Sent as `Authorization: Bearer …`. @default none is sent */
  readonly token?: string | TokenSource | undefined;
  /** Attempts after the first one of a request that may be repeated. @default 4 */
  readonly retries?: number | undefined;
  /** Other secrets that must not appear in a message. @default none */
  readonly secrets?: readonly string[] | undefined;
}

/** A request of a target. */
export interface TargetRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: HttpHeaders | undefined;
  /** Called for each attempt; without `sizeBytes` the body is sent in chunks. @default no body */
  readonly body?: (() => Body | Promise<Body>) | undefined;
  /** It may be sent again when there was no response, or one that says "later". */
  readonly repeatable: boolean;
  readonly signal: AbortSignal;
  /** From the start of an attempt to the end of its response, ms. @default 120000 */
  readonly timeoutMs?: number | undefined;
  /** Whether the token goes along; never to another host. @default true */
  readonly authorize?: boolean | undefined;
  /** A status that would be repeated is final after all. @default none */
  readonly isFinal?: ((response: TargetResponse) => boolean) | undefined;
}

/** A whole response. A redirect is a response like any other: none is followed. */
export interface TargetResponse {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly bytes: Uint8Array;
  /** UTF-8, as far as it is that. */
  readonly text: string;
  /** Undefined when it is no JSON. */
  readonly json: unknown;
}

/** Sends requests. */
export interface TargetHttp {
  /**
   * @returns the response, whatever its status
   * @throws OrbweaverError `NETWORK`, `STALLED` when there was none; `LIMIT_EXCEEDED` above 4 MiB
   */
  request(request: TargetRequest): Promise<TargetResponse>;
  /** The error for a response that is none of the expected ones. */
  failure(response: TargetResponse, options: FailureOptions): OrbweaverError;
  /** Text without the secrets in use. */
  mask(text: string): string;
}

/** What {@link TargetHttp.failure} is told. */
export interface FailureOptions {
  /** What was asked: `creating the upload`. */
  readonly what: string;
  readonly ids?: TargetIds | undefined;
  /** @default by the status */
  readonly class?: TargetErrorClass | undefined;
  readonly planAgain?: boolean | undefined;
}

/** The requests are small, and somebody waits for each: sooner again than those that move data. */
const RETRY: RetryOptions = {
  ...DEFAULT_RETRY,
  retries: 4,
  baseDelayMs: 500,
  maxDelayMs: 30_000,
};
const DEFAULT_TIMEOUT_MS = 120_000;
const MAX_RESPONSE_BYTES = 4 * 1024 * 1024;
const MESSAGE_CHARS = 300;

export function createTargetHttp(options: TargetHttpOptions): TargetHttp {
  const { kind, exchange, clock, random, token, retries = RETRY.retries, secrets = [] } = options;
  const masker = createMasker(secrets);
  const tokens = token === undefined ? null : createTokens(token, masker);

  const attempt = async (request: TargetRequest, bearer: string): Promise<TargetResponse> => {
    const { method, url, headers, body, timeoutMs = DEFAULT_TIMEOUT_MS } = request;
    const scope = new Scope({ clock, signal: request.signal, what: 'the transfer' });
    scope.after(timeoutMs, () => scope.end(stalled(url, timeoutMs)));
    try {
      const bytes = (await body?.()) ?? null;
      return await scope.call(async (signal) => {
        const response = await exchange({
          method,
          url,
          headers:
            bearer === '' ? { ...headers } : { ...headers, authorization: `Bearer ${bearer}` },
          body: bytes,
          signal,
        });
        return whole(
          response.status,
          response.headers,
          await readAll(response.body, MAX_RESPONSE_BYTES),
        );
      });
    } catch (error) {
      throw asNetworkError(error, url, masker);
    } finally {
      scope.close();
    }
  };

  const pause = async (
    request: TargetRequest,
    retry: number,
    afterMs: number | null,
  ): Promise<void> => {
    const ownMs = backoffMs(retry, random, RETRY);
    await pauseFor(Math.max(ownMs, afterMs ?? 0), clock, request.signal);
  };

  return {
    async request(request) {
      const authorized = tokens !== null && request.authorize !== false;
      let bearer = authorized ? await tokens.current() : '';
      let refreshed = false;
      for (let retry = 0; ; retry++) {
        const mayRepeat = request.repeatable && retry < retries;
        let response: TargetResponse;
        try {
          response = await attempt(request, bearer);
        } catch (error) {
          if (!mayRepeat || !isTransientError(error)) throw error;
          await pause(request, retry, null);
          continue;
        }
        if (response.status === 401 && authorized && !refreshed) {
          // A refused request was not carried out, so this is no repeat.
          const next = await tokens.after(bearer);
          if (next === null) return response;
          bearer = next;
          refreshed = true;
          continue;
        }
        if (!mayRepeat || !isLater(response.status) || request.isFinal?.(response) === true) {
          return response;
        }
        const afterMs = requestedPauseMs(response.headers, clock.unixMs());
        if (afterMs !== null && afterMs > RETRY.maxRetryAfterMs) return response;
        await pause(request, retry, afterMs);
      }
    },
    failure(response, { what, ids, planAgain, class: named }) {
      const { status } = response;
      const said = masker.maskCut(messageOf(response), MESSAGE_CHARS);
      const fields: Record<string, string | number> = { status };
      const afterMs = requestedPauseMs(response.headers, clock.unixMs());
      if (afterMs !== null) fields['retryAfterMs'] = afterMs;
      return targetError({
        kind,
        class: named ?? classOfStatus(status),
        message: `${what}: the ${kind} server responded with ${status}${said === '' ? '' : `: ${said}`}`,
        ids,
        fields: fields satisfies ErrorFields,
        planAgain,
        ...(status === 403 && named === undefined ? { code: 'FORBIDDEN' as const } : {}),
      });
    },
    mask: (text) => masker.mask(text),
  };
}

/** What a status means where a target knows nothing better. */
export function classOfStatus(status: number): TargetErrorClass {
  if (status === 401 || status === 403) return 'auth';
  if (status === 402) return 'payment-required';
  if (status === 409) return 'conflict';
  if (status === 507) return 'quota';
  if (status === 501) return 'permanent';
  return isLater(status) ? 'transient' : 'permanent';
}

/** The table of all requests says what may go away by itself. */
function isLater(status: number): boolean {
  return verdictOfStatus(status) === 'retry';
}

/** True when there was no response, for reasons that may go away. */
function isTransientError(error: unknown): boolean {
  return isOrbweaverError(error) && (error.code === 'NETWORK' || error.code === 'STALLED');
}

function asNetworkError(error: unknown, url: URL, masker: Masker): unknown {
  if (isOrbweaverError(error)) return error;
  // Mistakes of the program are not the network's.
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const said = error instanceof Error ? error.message : String(error);
  return new OrbweaverError(
    'NETWORK',
    `${url.origin}${url.pathname}: ${masker.maskCut(said, MESSAGE_CHARS)}`,
    { host: url.host },
    error,
  );
}

function stalled(url: URL, timeoutMs: number): OrbweaverError {
  return new OrbweaverError(
    'STALLED',
    `${url.origin}${url.pathname} expected a response within ${timeoutMs} ms, got none`,
    { host: url.host, timeoutMs },
  );
}

function whole(status: number, headers: HttpHeaders, bytes: Uint8Array): TargetResponse {
  const text = new TextDecoder().decode(bytes);
  let json: unknown;
  try {
    json = text === '' ? undefined : JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status, headers, bytes, text, json };
}

/** What a server says in words: `message`, `error`, `detail` or `title` of JSON, else the text. */
function messageOf({ json, text }: TargetResponse): string {
  if (typeof json === 'object' && json !== null) {
    for (const key of ['message', 'error', 'detail', 'title']) {
      const value: unknown = (json as Record<string, unknown>)[key];
      if (typeof value === 'string' && value !== '') return value;
    }
  }
  return text.replace(/\s+/g, ' ').trim();
}
