import type { LookupFunction } from 'node:net';
import type { buildConnector as Connector, Dispatcher } from 'undici';
import type { NameLookup } from './ports.js';
import { Agent, buildConnector } from './undici.js';
import type { UrlPolicy } from './url-policy.js';

/** Settings of {@link createDispatcher}. */
export interface ConnectOptions {
  /** Limit for one connection to stand, all its addresses and TLS included. */
  readonly connectTimeoutMs: number;
  /** Limit for one address of a host, after which the next one is tried. */
  readonly attemptTimeoutMs: number;
  readonly lookup: NameLookup;
  readonly policy: UrlPolicy;
}

/** Idle connections are kept this long unless the server announces less. */
const KEEP_ALIVE_MS = 10_000;

/**
 * The connections of one client, on HTTP/1.1: one transfer per connection, each with the whole
 * window of TCP for itself. The timeouts of undici on headers and bodies are off, because they
 * count time and not progress; the watchdog replaces them.
 */
export function createDispatcher(options: ConnectOptions): Dispatcher {
  const trusted = buildConnector(connectorSettings(options, true));
  const judged = buildConnector(connectorSettings(options, false));
  return new Agent({
    headersTimeout: 0,
    bodyTimeout: 0,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: 60_000,
    allowH2: false,
    connect: (target, callback) =>
      (options.policy.isTrustedHost(target.hostname) ? trusted : judged)(target, callback),
  });
}

/** What every connection of a client is made with; `trusted` hosts may be at any address. */
export function connectorSettings(
  options: ConnectOptions,
  trusted: boolean,
): Connector.BuildOptions & { readonly lookup: LookupFunction } {
  return {
    allowH2: false,
    timeout: options.connectTimeoutMs,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: options.attemptTimeoutMs,
    lookup: trusted ? options.lookup : judgedLookup(options),
  };
}

/** Resolves a name and refuses it when one of its addresses is one that must not be reached. */
function judgedLookup({ lookup, policy }: ConnectOptions): LookupFunction {
  return (hostname, lookupOptions, callback) => {
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
