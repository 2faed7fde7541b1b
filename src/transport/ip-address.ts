import { isIPv4, isIPv6 } from 'node:net';

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
  ['2000::', 3, 'public'],
];

/** IPv6 forms that carry an IPv4 address: the kind is that of the address they carry. */
const EMBEDDED_IPV4: readonly (readonly [network: string, bits: number, atBit: number])[] = [
  ['::ffff:0:0', 96, 96],
  ['64:ff9b::', 96, 96],
  ['2002::', 16, 16],
];

/** The kind of an address in text form (a zone such as `%eth0` is ignored), or null. */
export function addressKind(address: string): AddressKind | null {
  const bare = address.split('%')[0] as string;
  if (isIPv4(bare)) return kindInBlocks(parseIPv4(bare), 32, V4_TABLE);
  if (!isIPv6(bare)) return null;
  const value = parseIPv6(bare);
  for (const [network, bits, atBit] of EMBEDDED_TABLE) {
    if (value >> BigInt(128 - bits) !== network) continue;
    const inner = (value >> BigInt(128 - atBit - 32)) & 0xffff_ffffn;
    return kindInBlocks(inner, 32, V4_TABLE);
  }
  // What is outside of 2000::/3 and in no other block is not given out at all.
  const kind = kindInBlocks(value, 128, V6_TABLE, 'reserved');
  return kind;
}

/** A block whose network is shifted down to its prefix. */
type PreparedBlock = readonly [prefix: bigint, bits: number, kind: AddressKind];

const V4_TABLE: readonly PreparedBlock[] = IPV4_BLOCKS.map(([network, bits, kind]) => [
  parseIPv4(network) >> BigInt(32 - bits),
  bits,
  kind,
]);
const V6_TABLE: readonly PreparedBlock[] = IPV6_BLOCKS.map(([network, bits, kind]) => [
  parseIPv6(network) >> BigInt(128 - bits),
  bits,
  kind,
]);
const EMBEDDED_TABLE: readonly (readonly [bigint, number, number])[] = EMBEDDED_IPV4.map(
  ([network, bits, atBit]) => [parseIPv6(network) >> BigInt(128 - bits), bits, atBit],
);

function kindInBlocks(
  value: bigint,
  width: number,
  table: readonly PreparedBlock[],
  otherwise: AddressKind = 'public',
): AddressKind {
  for (const [prefix, bits, kind] of table) {
    if (value >> BigInt(width - bits) === prefix) return kind;
  }
  return otherwise;
}

function parseIPv4(text: string): bigint {
  let value = 0n;
  for (const part of text.split('.')) value = (value << 8n) | BigInt(part);
  return value;
}

/** `text` was checked by `isIPv6` or is one of ours. */
function parseIPv6(text: string): bigint {
  let plain = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const inner = parseIPv4(dotted[2] as string);
    plain = `${dotted[1]}${(inner >> 16n).toString(16)}:${(inner & 0xffffn).toString(16)}`;
  }
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  let value = 0n;
  for (const group of [...left, ...zeros, ...right]) value = (value << 16n) | BigInt(`0x${group}`);
  return value;
}
