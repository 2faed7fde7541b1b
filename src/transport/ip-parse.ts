/**
 * The 128 bits of an IP address in text form, those of IPv4 as `::ffff:a.b.c.d`; null for anything else.
 * Only what `inet_pton` takes is an address: four decimal numbers without leading zeros, and no zone.
 */
export function ipAddress(text: string): bigint | null {
  return text.includes(':') ? ipv6(text) : ipv4(text, 0xffffn << 32n);
}

function ipv4(text: string, above: bigint): bigint | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  let value = 0n;
  for (const part of match.slice(1)) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return null;
    value = (value << 8n) | BigInt(part);
  }
  return above | value;
}

function ipv6(text: string): bigint | null {
  // An IPv4 address at the end stands for two groups.
  const tail = /^(.*:)([^:]*\.[^:]*)$/.exec(text);
  if (tail !== null) {
    const value = ipv4(tail[2] as string, 0n);
    if (value === null) return null;
    return ipv6(`${tail[1]}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], rest = []] = groups;
  const count = head.length + rest.length;
  // "::" stands for one group of zeros at least.
  if (halves.length === 1 ? count !== 8 : count > 7) return null;
  const zeros = Array<string>(8 - count).fill('0');
  let value = 0n;
  for (const group of [...head, ...zeros, ...rest]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return null;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}
