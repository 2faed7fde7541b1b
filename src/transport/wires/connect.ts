import type { LookupFunction, Socket } from 'node:net';
import type { Clock } from '../../flow/index.js';
import type { Exchange } from '../../http/index.js';
import type { NameLookup } from '../ports.js';
import { CONNECT_TIMEOUT_CODE } from '../retry-table.js';
import type { UrlPolicy } from '../url-policy.js';

/** A way for requests to leave: nothing on it tries again, judges, measures time or knows a secret. */
export interface Wire {
  readonly exchange: Exchange;
  /** Breaks what is open; the connections of somebody else stay. */
  close(): Promise<void>;
}

/** What the connections of a client are made with. */
export interface ConnectOptions {
  /** Limit for one connection to stand, all its addresses and TLS included. */
  readonly connectTimeoutMs: number;
  /** Limit for one address of a host, after which the next one is tried. */
  readonly attemptTimeoutMs: number;
  /** Authorities to trust besides the built-in ones, PEM; empty: none. */
  readonly ca: string;
  readonly lookup: NameLookup;
  readonly policy: UrlPolicy;
  readonly clock: Clock;
}

/** Settings of `net.connect` and `tls.connect` that hold for every connection. */
export interface SocketSettings {
  readonly autoSelectFamily: true;
  readonly autoSelectFamilyAttemptTimeout: number;
  readonly noDelay: true;
  readonly keepAlive: true;
  readonly keepAliveInitialDelay: number;
  readonly lookup: LookupFunction;
}

/** Silence after which the system asks whether the other side is still there. */
const TCP_KEEP_ALIVE_MS = 60_000;

export function socketSettings(options: ConnectOptions): SocketSettings {
  return {
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: options.attemptTimeoutMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    lookup: judgedLookup(options),
  };
}

/** Breaks a plain connection that does not stand in time. */
export function limitConnecting(socket: Socket, { clock, connectTimeoutMs }: ConnectOptions): void {
  const cancel = clock.setTimer(connectTimeoutMs, () => {
    socket.destroy(connectTimeout(connectTimeoutMs));
  });
  socket.once('connect', cancel);
  socket.once('close', cancel);
}

export function connectTimeout(connectTimeoutMs: number): Error {
  const error = new Error(`no connection within ${connectTimeoutMs} ms`);
  return Object.assign(error, { code: CONNECT_TIMEOUT_CODE });
}

/** The host of a URL as sockets take it: without the brackets of an IPv6 address. */
export function socketHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/**
 * Resolves a name and, unless the host is a trusted one, refuses it when one of its addresses is one
 * that must not be reached.
 */
function judgedLookup({ lookup, policy }: ConnectOptions): LookupFunction {
  return (hostname, lookupOptions, callback) => {
    if (policy.isTrustedHost(hostname)) {
      lookup(hostname, lookupOptions, callback);
      return;
    }
    lookup(hostname, { ...lookupOptions, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, '', 0);
        return;
      }
      const addresses =
        typeof found === 'string'
          ? [{ address: found, family: found.includes(':') ? 6 : 4 }]
          : found;
      const [first] = addresses;
      policy
        .checkAddresses(
          hostname,
          addresses.map(({ address }) => address),
        )
        .then(
          () => {
            if (lookupOptions.all === true) callback(null, addresses);
            else callback(null, first?.address ?? '', first?.family ?? 0);
          },
          (refusal: Error) => callback(refusal, '', 0),
        );
    });
  };
}
