import { ipAddress } from './ip-parse.js';

/**
 * What kind of place an IP address is. Origin: the IANA special-purpose address registries for
 * IPv4 and IPv6; what is not listed as global there is not public here.
 */
export type AddressKind = 'public' | 'loopback' | 'private' | 'link-local' | 'reserved';

type Block = readonly [network: string, bits: number, kind: AddressKind];

const IPV4_BLOCKS: readonly Block[] = [
  ['0.0.0.0', 8, 'reserved'],
  ['10.0.0.0', 8, 'private'],
  // Shared address space of carriers; also used inside clouds (metadata at 100.100.100.200).
  ['100.64.0.0', 10, 'private'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'reserved'],
  ['192.0.2.0', 24, 'reserved'],
  ['192.88.99.0', 24, 'reserved'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'reserved'],
  ['198.51.100.0', 24, 'reserved'],
  ['203.0.113.0', 24, 'reserved'],
  ['224.0.0.0', 4, 'reserved'],
  ['240.0.0.0', 4, 'reserved'],
];

const IPV6_BLOCKS: readonly Block[] = [
  ['::1', 128, 'loopback'],
  ['64:ff9b:1::', 48, 'private'],
  ['2001::', 23, 'reserved'],
  ['2001:db8::', 32, 'reserved'],
  ['3fff::', 20, 'reserved'],
  ['fc00::', 7, 'private'],
  ['fec0::', 10, 'private'],
  ['fe80::', 10, 'link-local'],
];

/** What of IPv6 is given out at all, and two forms that are as public as the IPv4 they carry. */
const IPV6_PUBLIC: readonly (readonly [network: string, bits: number])[] = [
  ['2000::', 3],
  ['64:ff9b::', 96],
  ['::ffff:0:0', 96],
];

/** The kind of an address in text form (a zone such as `%eth0` is ignored), or null. */
export type AddressKinds = (address: string) => AddressKind | null;

interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

export function createAddressKinds(): AddressKinds {
  // Made when the first address is judged: most transfers stay at the host of the endpoint.
  let tables: Tables | null = null;
  return (text) => {
    const address = ipAddress(text.split('%')[0] as string);
    if (address === null) return null;
    tables ??= makeTables();
    for (const range of tables.special) if (isIn(range, address)) return range.kind;
    return tables.open.some((range) => isIn(range, address)) ? 'public' : 'reserved';
  };
}

interface Tables {
  readonly special: readonly (Range & { readonly kind: AddressKind })[];
  readonly open: readonly Range[];
}

function makeTables(): Tables {
  const special: (Range & { readonly kind: AddressKind })[] = [];
  const add = (network: string, bits: number, kind: AddressKind): void => {
    special.push({ ...rangeOf(network, bits), kind });
  };
  for (const [network, bits, kind] of IPV4_BLOCKS) {
    add(`::ffff:${network}`, 96 + bits, kind);
    add(`64:ff9b::${network}`, 96 + bits, kind);
    add(sixToFour(network), 16 + bits, kind);
  }
  for (const [network, bits, kind] of IPV6_BLOCKS) add(network, bits, kind);
  return { special, open: IPV6_PUBLIC.map(([network, bits]) => rangeOf(network, bits)) };
}

function isIn({ first, last }: Range, address: bigint): boolean {
  return first <= address && address <= last;
}

/** @param bits of the 128 that the addresses of the network have in common */
function rangeOf(network: string, bits: number): Range {
  const first = ipAddress(network) as bigint;
  return { first, last: first | ((1n << BigInt(128 - bits)) - 1n) };
}

/** `2002:<the IPv4 address>::`, the network that 6to4 gives to it. */
function sixToFour(network: string): string {
  const [a, b, c, d] = network.split('.').map(Number) as [number, number, number, number];
  return `2002:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}::`;
}
