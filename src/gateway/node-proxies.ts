import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * Proxies in front that may say for whom they ask. What they add is believed for connections from their
 * addresses and from nowhere else: anybody can send these headers.
 */

/** Who asks, and what for, beyond a proxy. */
export interface Forwarded {
  /** Null: the proxy does not say. */
  readonly scheme: 'http' | 'https' | null;
  readonly host: string | null;
  /** Address of the client. */
  readonly client: string;
}

/** Null: it came from no trusted proxy. */
export type TrustedProxies = (request: IncomingMessage) => Forwarded | null;

/**
 * @param networks addresses or networks in CIDR form: `10.0.0.0/8`, `::1`
 * @throws TypeError for anything else
 */
export function createTrustedProxies(networks: readonly string[]): TrustedProxies {
  const list = new BlockList();
  for (const network of networks) addNetwork(list, network);
  const isTrusted = (address: string): boolean => {
    const plain = plainAddress(address);
    const kind = isIP(plain);
    return kind !== 0 && list.check(plain, kind === 6 ? 'ipv6' : 'ipv4');
  };
  return ({ headers, socket }) => {
    const peer = socket.remoteAddress;
    if (networks.length === 0 || peer === undefined || !isTrusted(peer)) return null;
    const scheme = lastOf(headers['x-forwarded-proto'])?.toLowerCase();
    // The nearest address that is no proxy of ours: what is left of it, anybody may have made up.
    const chain = listOf(headers['x-forwarded-for']).reverse();
    const client = chain.find((address) => !isTrusted(address));
    return {
      scheme: scheme === 'http' || scheme === 'https' ? scheme : null,
      host: lastOf(headers['x-forwarded-host']) ?? null,
      client: client !== undefined && isIP(plainAddress(client)) !== 0 ? client : peer,
    };
  };
}

function addNetwork(list: BlockList, network: string): void {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  const kind = isIP(address);
  const most = kind === 6 ? 128 : 32;
  if (kind === 0 || Number(bits ?? most) > most) {
    throw new TypeError(
      `"trustedProxies" expected addresses or networks such as 10.0.0.0/8, got "${network}"`,
    );
  }
  list.addSubnet(address, Number(bits ?? most), kind === 6 ? 'ipv6' : 'ipv4');
}

/** An IPv4 address that came in over IPv6, as itself. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

function listOf(header: string | readonly string[] | undefined): string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** What the last proxy, the one that is trusted, has added. */
function lastOf(header: string | readonly string[] | undefined): string | undefined {
  return listOf(header).at(-1);
}
