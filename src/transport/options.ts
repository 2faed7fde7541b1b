import { lookup as systemLookup } from 'node:dns';
import type { Clock } from '../flow/index.js';
import type { Exchange } from '../http/index.js';
import { createNoProxy } from './no-proxy.js';
import type { NameLookup, RequestDispatcher } from './ports.js';
import {
  checkNumber,
  checkStoreOptions,
  type StoreOptions,
  type StoreSettings,
} from './settings.js';
import type { WireChoice } from './wires/choose.js';
import type { ConnectOptions } from './wires/connect.js';

/** Options of `createCasClient`. Only `endpoint` and `token` are needed. */
export interface CasClientOptions extends StoreOptions {
  /**
   * Milliseconds for a connection to stand.
   * @default DEFAULT_CONNECT_TIMEOUT_MS
   */
  readonly connectTimeoutMs?: number;
  /**
   * Milliseconds for one address of a host until the next is tried. Node's own 250 ms are too short
   * for hosts far away.
   * @default DEFAULT_ADDRESS_TIMEOUT_MS
   */
  readonly addressTimeoutMs?: number;
  /**
   * Certificates of authorities to trust, PEM, besides those that Node trusts (with NODE_EXTRA_CA_CERTS) and,
   * from Node 22.15 on, those of the system, which are looked at when a certificate would be refused.
   * @default '' (none)
   */
  readonly ca?: string;
  /**
   * URL of an HTTP proxy that all requests go through in tunnels, user name and password included.
   * It resolves the names, so only addresses that stand in URLs are judged here.
   * @default '' (none)
   */
  readonly proxy?: string;
  /**
   * Hosts that are asked without the proxy, as in NO_PROXY: names with all below them, `host:port`,
   * addresses, networks such as `10.0.0.0/8`, `*`.
   * @default []
   */
  readonly noProxy?: readonly string[];
  /**
   * An undici dispatcher that all requests go through instead: for HTTP/2, other sockets, mocks.
   * Connections are its matter then (`ca`, `lookup`, timeouts for them, the judging of addresses), and
   * closing it is its owner's.
   * @default none
   */
  readonly dispatcher?: RequestDispatcher;
  /**
   * Takes all requests instead: the exchange of a gateway in the same process, for example. URLs that
   * it names are requested from it as well, so they are not judged by their addresses.
   * @default none
   */
  readonly exchange?: Exchange;
  /**
   * Sends all requests instead, in browsers and other runtimes.
   * @default none
   */
  readonly fetch?: typeof globalThis.fetch;
  /** @default dns.lookup */
  readonly lookup?: NameLookup;
}

export const DEFAULT_CONNECT_TIMEOUT_MS = 15_000;
export const DEFAULT_ADDRESS_TIMEOUT_MS = 2_500;

/** The options with every default filled in. */
export interface CheckedCasClientOptions extends StoreSettings {
  readonly connectTimeoutMs: number;
  readonly addressTimeoutMs: number;
  readonly ca: string;
  readonly proxy: URL | null;
  readonly isDirect: (url: URL) => boolean;
  readonly dispatcher: RequestDispatcher | null;
  readonly exchange: Exchange | null;
  readonly fetch: typeof globalThis.fetch | null;
  readonly lookup: NameLookup;
}

/** @throws TypeError for a wrong type or text, RangeError for a number out of range */
export function checkCasClientOptions(options: CasClientOptions): CheckedCasClientOptions {
  const time = (name: 'connectTimeoutMs' | 'addressTimeoutMs', otherwise: number, least: number) =>
    checkNumber(name, options[name] ?? otherwise, least);
  return {
    ...checkStoreOptions(options),
    connectTimeoutMs: time('connectTimeoutMs', DEFAULT_CONNECT_TIMEOUT_MS, 1),
    addressTimeoutMs: time('addressTimeoutMs', DEFAULT_ADDRESS_TIMEOUT_MS, 10),
    ca: checkCertificates(options.ca ?? ''),
    proxy: options.proxy === undefined || options.proxy === '' ? null : checkProxy(options.proxy),
    isDirect: createNoProxy(options.noProxy ?? []),
    dispatcher: checkDispatcher(options),
    exchange: checkFunction('exchange', options.exchange),
    fetch: checkFunction('fetch', options.fetch),
    lookup: options.lookup ?? (systemLookup as NameLookup),
  };
}

/** How connections are made for whoever may be reached, hosts not judged. @throws TypeError */
export function createConnection(options: {
  readonly proxy: string;
  readonly noProxy: readonly string[];
  readonly ca: string;
  readonly clock: Clock;
}): { readonly choice: WireChoice; readonly connect: ConnectOptions } {
  const { proxy, noProxy, ca, clock } = options;
  return {
    choice: {
      ...{ exchange: null, fetch: null, dispatcher: null, isDirect: createNoProxy(noProxy) },
      proxy: proxy === '' ? null : checkProxy(proxy),
    },
    connect: {
      ...{ ca: checkCertificates(ca), clock, lookup: systemLookup as NameLookup },
      connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS,
      attemptTimeoutMs: DEFAULT_ADDRESS_TIMEOUT_MS,
      policy: {
        check: async (url) => new URL(url),
        isTrustedHost: () => true,
        checkAddresses: async () => {},
      },
    },
  };
}

/** The URL is not shown: it may hold a password. */
function checkProxy(text: string): URL {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new TypeError('"proxy" expected an http or https URL, got something else');
  }
  return url;
}

function checkDispatcher(options: CasClientOptions): RequestDispatcher | null {
  const { dispatcher, proxy } = options;
  const given = (['dispatcher', 'proxy', 'exchange', 'fetch'] as const).filter(
    (name) => options[name] !== undefined && (name !== 'proxy' || proxy !== ''),
  );
  if (given.length > 1) throw new TypeError(`"${given.join('" and "')}" exclude each other`);
  if (dispatcher === undefined) return null;
  if (typeof dispatcher?.request !== 'function') {
    throw new TypeError('"dispatcher" expected an undici dispatcher, got something else');
  }
  return dispatcher;
}

function checkFunction<T>(field: string, value: T | undefined): T | null {
  if (value === undefined || typeof value === 'function') return value ?? null;
  throw new TypeError(`"${field}" expected a function, got ${typeof value}`);
}

function checkCertificates(ca: string): string {
  if (typeof ca !== 'string' || (ca !== '' && !ca.includes('-----BEGIN CERTIFICATE-----'))) {
    throw new TypeError('"ca" expected certificates in PEM');
  }
  return ca;
}
