import { OrbweaverError } from '../errors.js';
import { type AddressKind, addressKind } from './ip-address.js';
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
    casKinds ??= resolveKinds(casHost, options.lookup).catch((error: unknown) => {
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
      const url = URL.canParse(text, from?.href) ? new URL(text, from) : null;
      if (url === null) throw refused('a URL', 'something else', null);
      const host = bareHost(url.hostname);
      if (url.protocol !== 'https:' && !(url.protocol === 'http:' && casIsHttp)) {
        throw refused(casIsHttp ? 'https or http' : 'https', url.protocol, host, url);
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

async function resolveKinds(host: string, lookup: NameLookup): Promise<ReadonlySet<AddressKind>> {
  const literal = addressKind(host);
  if (literal !== null) return new Set([literal]);
  const addresses = await resolveAll(host, lookup);
  return new Set(addresses.map((address) => addressKind(address) ?? 'reserved'));
}

/** All addresses of a name, as the port gives them. */
export function resolveAll(host: string, lookup: NameLookup): Promise<string[]> {
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
