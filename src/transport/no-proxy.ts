import { BlockList, isIP } from 'node:net';

/**
 * Which URLs are asked without the proxy, by rules as NO_PROXY has them:
 *
 *     *                     all
 *     example.com           that host and all below it; also written .example.com and *.example.com
 *     example.com:8443      the same, on that port
 *     10.0.0.0/8, fd00::/8  addresses in that network, where a URL has an address for a host
 *     10.1.2.3, ::1         that address
 */
export function createNoProxy(rules: readonly string[]): (url: URL) => boolean {
  const networks = new BlockList();
  const names: { readonly name: string; readonly port: string | null }[] = [];
  let all = false;
  for (const text of rules) {
    const rule = text.trim().toLowerCase();
    const [, network = '', bits = ''] = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/.exec(rule) ?? [];
    const version = isIP(network);
    if (rule === '*') all = true;
    else if (version !== 0 && Number(bits) <= (version === 4 ? 32 : 128)) {
      networks.addSubnet(network, Number(bits), version === 4 ? 'ipv4' : 'ipv6');
    } else if (rule !== '') names.push(nameOf(rule));
  }
  return (url) => {
    if (all) return true;
    const host = url.hostname
      .toLowerCase()
      .replace(/^\[|\]$/g, '')
      .replace(/\.$/, '');
    const version = isIP(host);
    if (version !== 0 && networks.check(host, version === 4 ? 'ipv4' : 'ipv6')) return true;
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    return names.some(
      (rule) =>
        (rule.port === null || rule.port === port) &&
        (host === rule.name || (version === 0 && host.endsWith(`.${rule.name}`))),
    );
  };
}

function nameOf(rule: string): { readonly name: string; readonly port: string | null } {
  const [, bracketed, port] = /^\[([0-9a-f:]+)\](?::(\d+))?$/.exec(rule) ?? [];
  if (bracketed !== undefined) return { name: bracketed, port: port ?? null };
  // More than one colon: an address of version 6.
  const parts = rule.split(':');
  const [name = '', ownPort] = parts.length === 2 ? parts : [rule];
  return { name: name.replace(/^\*?\./, '').replace(/\.$/, ''), port: ownPort ?? null };
}
