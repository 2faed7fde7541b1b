import type { LookupFunction } from 'node:net';

/**
 * What transport needs from outside, so that every retry, stall and address can be tested without
 * waiting and without a network. Time and chance are ports of `flow` and `platform`.
 */

/** Name resolution in the form of `dns.lookup`, always asked with `{ all: true }`. */
export type NameLookup = LookupFunction;

/** Where the CAS token comes from. Calls may come at the same time; `refresh` never does. */
export interface TokenSource {
  /** A token to use now; cheap when it is still good. */
  get(): Promise<string>;
  /** A newer token, after the server refused the last one. Without it a 401 is final. */
  refresh?(): Promise<string>;
}

/**
 * A URL that gives tokens for the store, in the form of the Hub's: JSON of `accessToken`, `exp` and
 * `casUrl`, or headers of the same meaning. It is asked when a token is needed, a minute before the last
 * one ends, and when the store refuses one.
 */
export interface TokenUrl {
  /** `https:` or `http:`, without a user name. Redirects are followed on the same origin only. */
  readonly refreshUrl: string;
  /** Sent to that URL and nowhere else, such as `{ authorization: 'Bearer …' }`. @default {} */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Everything that a token may come from; a function is asked for each request. */
export type TokenOption = string | TokenSource | TokenUrl | (() => string | Promise<string>);

/** One failed attempt that will be repeated, or made good by another request. Contains no secret. */
export interface RetryEvent {
  /** What was being done, for example `POST /v1/xorbs`. */
  readonly operation: string;
  /** Number of the attempt that failed, from 1. */
  readonly attempt: number;
  /** Error code of the failed attempt. */
  readonly code: string;
  /** HTTP status, or null when there was no response. */
  readonly status: number | null;
  /** What failed, in words. */
  readonly message: string;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
  /** Where the operation is given up for another way to the same end: the request made instead. */
  readonly instead?: string;
}

/** The part of an undici `Dispatcher` that is used: any of undici's will do. */
export interface RequestDispatcher {
  request(options: DispatcherRequest): Promise<DispatcherResponse>;
}

/** A request as {@link RequestDispatcher} takes it. */
export interface DispatcherRequest {
  readonly origin: string;
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: undici lists the methods that it knows.
  readonly method: any;
  readonly headers: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: undici's types stop at streams, any iterable is taken.
  readonly body: any;
  readonly signal: AbortSignal;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
}

/** What comes back. */
export interface DispatcherResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: AsyncIterable<Uint8Array> & { on(event: 'error', listener: () => void): unknown };
}
