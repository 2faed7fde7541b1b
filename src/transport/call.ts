import type { Scope } from '../flow/index.js';
import type { HttpRequest, HttpResponse } from '../http/index.js';

/**
 * A request on its way through the client:
 *
 *     call ─► retry ─► token ─► URL policy ─► limit ─► watchdog ─► wire
 *
 * Everything between is a function around the next one. Retrying is around all of it and around the
 * reading of the body, because a response counts only when it was read. The limiter stands inside of
 * the URL policy, so that each host on the way of a redirect is held to its own limit. The wire is a
 * plain `Exchange` that knows nothing of calls; the watchdog makes its signal.
 */
export interface CallRequest extends Omit<HttpRequest, 'signal'> {
  readonly call: Call;
}

/** What a request belongs to: the same object for all attempts. */
export interface Call {
  /** For messages, without hashes: `POST /v1/xorbs`. */
  readonly name: string;
  readonly method: string;
  readonly url: URL;
  /** Ends when the caller, a deadline or the client gives up. */
  readonly scope: Scope;
  /** True for the CAS, which gets the token and the caller's headers; false for a URL of its data. */
  readonly toCas: boolean;
  /** A 429 is this call's own matter: it holds back no other call. */
  readonly ownPauses?: boolean | undefined;
  /** Milliseconds from the last byte of the request to the first of the response. */
  readonly responseTimeoutMs?: number | undefined;
  /** Milliseconds without a byte of the response's body. */
  readonly receiveTimeoutMs?: number | undefined;
  /** The connection took bytes of the body: so many in this attempt. */
  readonly onSent?: ((sentBytes: number) => void) | undefined;
  /** What the attempts know of each other. */
  readonly memory: {
    /** The token was refreshed once in this call. */
    refreshed: boolean;
    /** How many stall timeouts the connection may take nothing of a body. */
    patience: number;
    /** What attempts have waited in all for somebody to read their body. */
    silentMs: number;
  };
}

/** What the layers of the client are: an exchange whose requests belong to a call. */
export type Send = (request: CallRequest) => Promise<HttpResponse>;

/** Wraps a {@link Send} with one concern. */
export type Layer = (next: Send) => Send;

/** A call, with no memory of attempts yet. */
export function createCall(facts: Omit<Call, 'memory'>): Call {
  return { ...facts, memory: { refreshed: false, patience: 1, silentMs: 0 } };
}
