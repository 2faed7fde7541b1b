import { OrbweaverError } from '../errors.js';
import { drain, type HttpHeaders, type HttpResponse } from '../http/index.js';
import type { Call, Layer } from './call.js';
import { failure } from './failures.js';
import { type AddressKind, type AddressKinds, createAddressKinds } from './ip-address.js';
import { maskUrl } from './mask.js';
import type { NameLookup } from './ports.js';

/**
 * Which URLs from a server are fetched. A reconstruction names URLs; without rules a hostile or
 * broken CAS could make this machine ask its own network (metadata services, routers, databases).
 *
 * - https only, unless the CAS itself is asked over http;
 * - no user name or password in the URL;
 * - loopback, private and link-local addresses are refused, unless the CAS itself is at an address
 *   of that kind; reserved ones always. Names are judged by every address they resolve to, at the
 *   moment of connecting, so that a name cannot change its mind after the check;
 * - the host of the CAS and the hosts in `allowHosts` may be anywhere.
 */
export interface UrlPolicy {
  /**
   * The parsed URL. Names are not resolved here: the connection does that.
   * @throws OrbweaverError `UNSAFE_URL`
   */
  check(url: string, from?: URL): Promise<URL>;
  /** True for the CAS host and allowed hosts: their addresses are not judged. */
  isTrustedHost(hostname: string): boolean;
  /** @throws OrbweaverError `UNSAFE_URL` when one of the addresses of `hostname` is refused */
  checkAddresses(hostname: string, addresses: readonly string[]): Promise<void>;
}

export interface UrlPolicyOptions {
  /** The CAS. */
  readonly endpoint: URL;
  /** Host names, `*.example.com` for all below a name. */
  readonly allowHosts: readonly string[];
  readonly lookup: NameLookup;
}

export function createUrlPolicy(options: UrlPolicyOptions): UrlPolicy {
  const addressKind = createAddressKinds();
  const casHost = bareHost(options.endpoint.hostname);
  const casIsHttp = options.endpoint.protocol === 'http:';
  const allowed = options.allowHosts.map((host) => bareHost(host));
  let casKinds: Promise<ReadonlySet<AddressKind>> | null = null;

  const isTrustedHost = (hostname: string): boolean => {
    const host = bareHost(hostname);
    return (
      host === casHost ||
      allowed.some((rule) => (rule.startsWith('*.') ? host.endsWith(rule.slice(1)) : rule === host))
    );
  };
  const kindsOfCas = (): Promise<ReadonlySet<AddressKind>> => {
    casKinds ??= resolveKinds(casHost, options.lookup, addressKind).catch((error: unknown) => {
      casKinds = null;
      throw error;
    });
    return casKinds;
  };
  const checkAddresses = async (hostname: string, addresses: readonly string[]): Promise<void> => {
    for (const address of addresses) {
      const kind = addressKind(address) ?? 'reserved';
      if (kind === 'public') continue;
      const atCas = kind !== 'reserved' && (await kindsOfCas().catch(() => NO_KINDS)).has(kind);
      if (!atCas) throw refused(`a public address for ${hostname}`, `a ${kind} one`, hostname);
    }
  };

  return {
    isTrustedHost,
    checkAddresses,
    async check(text, from) {
      const url = parsedUrl(text, from);
      const host = bareHost(url.hostname);
      if (url.protocol !== 'https:' && !(url.protocol === 'http:' && casIsHttp)) {
        // A gateway that does not know of the TLS in front of it names URLs that it thinks it has.
        const hint = host === casHost ? ' (a server behind TLS has to be told its public URL)' : '';
        throw refused(casIsHttp ? 'https or http' : 'https', `${url.protocol}${hint}`, host, url);
      }
      if (from?.protocol === 'https:' && url.protocol !== 'https:') {
        throw refused('a redirect that stays on https', url.protocol, host, url);
      }
      if (url.username !== '' || url.password !== '') {
        throw refused('a URL without a user name', 'one with it', host, url);
      }
      if (host === '') throw refused('a URL with a host', 'none', null, url);
      if (!isTrustedHost(host)) {
        const literal = addressKind(host) === null ? localNameAddress(host) : host;
        if (literal !== null) await checkAddresses(host, [literal]);
      }
      return url;
    },
  };
}

/** @throws OrbweaverError `UNSAFE_URL` for a text that is no URL */
export function parsedUrl(text: string, from?: URL): URL {
  if (!URL.canParse(text, from?.href)) throw refused('a URL', 'something else', null);
  return new URL(text, from);
}

const NO_KINDS: ReadonlySet<AddressKind> = new Set();

/** Names that mean this machine by definition, whatever a resolver says (RFC 6761). */
function localNameAddress(host: string): string | null {
  return host === 'localhost' || host.endsWith('.localhost') ? '127.0.0.1' : null;
}

/** Lower case, without brackets and the trailing dot. */
function bareHost(hostname: string): string {
  const host = hostname.toLowerCase().replace(/\.$/, '');
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

async function resolveKinds(
  host: string,
  lookup: NameLookup,
  addressKind: AddressKinds,
): Promise<ReadonlySet<AddressKind>> {
  const literal = addressKind(host);
  if (literal !== null) return new Set([literal]);
  const addresses = await resolveAll(host, lookup);
  return new Set(addresses.map((address) => addressKind(address) ?? 'reserved'));
}

/** All addresses of a name, as the port gives them. */
function resolveAll(host: string, lookup: NameLookup): Promise<string[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, addresses) => {
      if (error !== null) reject(error);
      else if (typeof addresses === 'string') resolve([addresses]);
      else resolve(addresses.map(({ address }) => address));
    });
  });
}

function refused(expected: string, got: string, host: string | null, url?: URL): OrbweaverError {
  return new OrbweaverError('UNSAFE_URL', `"url" expected ${expected}, got ${got}`, {
    host,
    url: url === undefined ? null : maskUrl(url),
  });
}

const MAX_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** All that goes on to another origin: no token, no header of the caller's, no Referer. */
const CARRIED: ReadonlySet<string> = new Set(['accept', 'user-agent', 'range']);

/**
 * Judges each URL that is not the CAS itself, and follows redirects of requests without a body from
 * one URL that may be asked to the next. Encodings that nobody asked for are refused: ranges and
 * lengths would mean something else.
 */
export function withUrlPolicy(policy: UrlPolicy): Layer {
  return (next) => async (request) => {
    const { call } = request;
    const first = call.toCas ? request.url : await policy.check(request.url.href);
    let current = { ...request, url: first };
    for (let redirects = 0; ; redirects++) {
      const response = await next(current);
      const { location } = response.headers;
      const follows =
        request.body === null && REDIRECTS.has(response.status) && location !== undefined;
      if (!follows || redirects === MAX_REDIRECTS) return plain(call, response);
      await drain(response.body);
      const url = await policy.check(location, current.url);
      const stays = url.origin === current.url.origin;
      current = { ...current, url, headers: stays ? current.headers : carried(current.headers) };
    }
  };
}

function carried(headers: HttpHeaders): HttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => CARRIED.has(name)));
}

async function plain(call: Call, response: HttpResponse): Promise<HttpResponse> {
  const encoding = response.headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding === 'identity' || encoding === '' || response.status >= 300) return response;
  response.body?.cancel();
  const message = `"content-encoding" of ${call.name} expected none, got one that was not asked for`;
  throw failure(call, 'PROTOCOL', message, { retry: false });
}
