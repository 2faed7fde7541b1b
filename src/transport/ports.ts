import type { LookupFunction } from 'node:net';

/**
 * What transport needs from outside, so that every retry, stall and address can be tested without
 * waiting and without a network.
 */

/** Time. Tests drive one by hand. */
export interface TransportClock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/** A number in [0, 1), for jitter. */
export type RandomSource = () => number;

/** Name resolution in the form of `dns.lookup`, always asked with `{ all: true }`. */
export type NameLookup = LookupFunction;

/** Where the CAS token comes from. Calls may come at the same time; `refresh` never does. */
export interface TokenSource {
  /** A token to use now; cheap when it is still good. */
  get(): Promise<string>;
  /** A newer token, after the server refused the last one. Without it a 401 is final. */
  refresh?(): Promise<string>;
}

/** One failed attempt that will be repeated. Contains no secret. */
export interface RetryEvent {
  /** What was being done, for example `POST /v1/xorbs`. */
  readonly operation: string;
  /** Number of the attempt that failed, from 1. */
  readonly attempt: number;
  /** Error code of the failed attempt. */
  readonly code: string;
  /** HTTP status, or null when there was no answer. */
  readonly status: number | null;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
}
