import { describe, expect, it } from 'vitest';
import type { NameLookup } from '../../src/transport/index.js';
import { createUrlPolicy } from '../../src/transport/url-policy.js';
import { failureOf } from './support.js';

/** Names of the tests; an array means one answer after another. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'store.example.com': ['93.184.216.34'],
  'cas.example.com': ['93.184.216.35'],
  'cas.internal': ['10.1.2.3'],
  'evil.example.com': ['10.0.0.5'],
  'mixed.example.com': ['93.184.216.34', '127.0.0.1'],
  'six.example.com': ['2606:2800:220:1::1'],
};

const lookup = ((hostname: string, _options: unknown, callback: (...all: unknown[]) => void) => {
  const addresses = NAMES[hostname];
  if (addresses === undefined) callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
  else
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
}) as unknown as NameLookup;

const policyOf = (endpoint: string, allowHosts: readonly string[] = []) =>
  createUrlPolicy({ endpoint: new URL(endpoint), allowHosts, lookup });

/** What becomes of a URL: the check, and for names the check of their addresses. */
async function fateOf(endpoint: string, url: string, allowHosts: readonly string[]) {
  const policy = policyOf(endpoint, allowHosts);
  try {
    const checked = await policy.check(url);
    const addresses = NAMES[checked.hostname];
    if (addresses !== undefined && !policy.isTrustedHost(checked.hostname)) {
      await policy.checkAddresses(checked.hostname, addresses);
    }
    return 'fetched';
  } catch (error) {
    return (error as { code: string }).code === 'UNSAFE_URL' ? 'refused' : `error ${String(error)}`;
  }
}

const PUBLIC = 'https://cas.example.com';
const LOCAL = 'http://127.0.0.1:8080';
const INTERNAL = 'http://cas.internal:8080';

const TABLE: readonly [cas: string, url: string, fate: string, ...allow: string[]][] = [
  // Public CAS over https.
  [PUBLIC, 'https://store.example.com/x?sig=1', 'fetched'],
  [PUBLIC, 'https://six.example.com/x', 'fetched'],
  [PUBLIC, 'https://93.184.216.34/x', 'fetched'],
  [PUBLIC, 'https://[2606:2800:220:1::1]/x', 'fetched'],
  [PUBLIC, 'https://[64:ff9b::5db8:d822]/x', 'fetched'],
  [PUBLIC, 'https://cas.example.com:9000/x', 'fetched'],
  [PUBLIC, 'http://store.example.com/x', 'refused'],
  [PUBLIC, 'http://cas.example.com/x', 'refused'],
  [PUBLIC, 'ftp://store.example.com/x', 'refused'],
  [PUBLIC, 'file:///etc/passwd', 'refused'],
  [PUBLIC, 'data:text/plain,hello', 'refused'],
  [PUBLIC, 'javascript:alert(1)', 'refused'],
  [PUBLIC, 'not a url', 'refused'],
  [PUBLIC, '/relative/path', 'refused'],
  [PUBLIC, 'https://user:pass@store.example.com/x', 'refused'],
  [PUBLIC, 'https://evil.example.com/x', 'refused'],
  [PUBLIC, 'https://mixed.example.com/x', 'refused'],
  [PUBLIC, 'https://localhost/x', 'refused'],
  [PUBLIC, 'https://LOCALHOST./x', 'refused'],
  [PUBLIC, 'https://a.localhost/x', 'refused'],
  [PUBLIC, 'https://127.0.0.1/x', 'refused'],
  [PUBLIC, 'https://127.1/x', 'refused'],
  [PUBLIC, 'https://2130706433/x', 'refused'],
  [PUBLIC, 'https://0x7f.0.0.1/x', 'refused'],
  [PUBLIC, 'https://0177.0.0.1/x', 'refused'],
  [PUBLIC, 'https://0.0.0.0/x', 'refused'],
  [PUBLIC, 'https://10.0.0.1/x', 'refused'],
  [PUBLIC, 'https://172.31.255.255/x', 'refused'],
  [PUBLIC, 'https://172.32.0.1/x', 'fetched'],
  [PUBLIC, 'https://192.168.1.1/x', 'refused'],
  [PUBLIC, 'https://169.254.169.254/latest/meta-data', 'refused'],
  [PUBLIC, 'https://100.100.100.200/x', 'refused'],
  [PUBLIC, 'https://224.0.0.1/x', 'refused'],
  [PUBLIC, 'https://255.255.255.255/x', 'refused'],
  [PUBLIC, 'https://[::1]/x', 'refused'],
  [PUBLIC, 'https://[::]/x', 'refused'],
  [PUBLIC, 'https://[::ffff:127.0.0.1]/x', 'refused'],
  [PUBLIC, 'https://[::ffff:a00:1]/x', 'refused'],
  [PUBLIC, 'https://[::127.0.0.1]/x', 'refused'],
  [PUBLIC, 'https://[64:ff9b::7f00:1]/x', 'refused'],
  [PUBLIC, 'https://[2002:7f00:1::]/x', 'refused'],
  [PUBLIC, 'https://[fd00::1]/x', 'refused'],
  [PUBLIC, 'https://[fe80::1]/x', 'refused'],
  [PUBLIC, 'https://[ff02::1]/x', 'refused'],
  [PUBLIC, 'https://[2001:db8::1]/x', 'refused'],
  [PUBLIC, 'https://evil.example.com/x', 'fetched', 'evil.example.com'],
  [PUBLIC, 'https://evil.example.com/x', 'fetched', '*.example.com'],
  [PUBLIC, 'https://evil.example.com/x', 'refused', '*.ample.com'],
  [PUBLIC, 'http://evil.example.com/x', 'refused', 'evil.example.com'],
  [PUBLIC, 'https://10.0.0.1/x', 'fetched', '10.0.0.1'],
  // A CAS on this machine may send us to this machine, but not into the network.
  [LOCAL, 'http://127.0.0.1:9000/x', 'fetched'],
  [LOCAL, 'http://127.0.0.2/x', 'fetched'],
  [LOCAL, 'http://[::1]:9000/x', 'fetched'],
  [LOCAL, 'http://localhost:9000/x', 'fetched'],
  [LOCAL, 'http://store.example.com/x', 'fetched'],
  [LOCAL, 'http://10.0.0.1/x', 'refused'],
  [LOCAL, 'http://169.254.169.254/x', 'refused'],
  [LOCAL, 'http://0.0.0.0/x', 'refused'],
  // A CAS in a private network, known by its name.
  [INTERNAL, 'http://10.0.0.9/x', 'fetched'],
  [INTERNAL, 'http://192.168.0.9/x', 'fetched'],
  [INTERNAL, 'http://evil.example.com/x', 'fetched'],
  [INTERNAL, 'http://127.0.0.1/x', 'refused'],
  [INTERNAL, 'http://169.254.169.254/x', 'refused'],
];

describe('which URLs from a server are fetched', () => {
  it.each(TABLE.map(([cas, url, fate, ...allow]) => [cas, url, fate, allow] as const))(
    'CAS %s, URL %s: %s (allowed: %j)',
    async (cas, url, fate, allow) => {
      expect(await fateOf(cas, url, allow)).toBe(fate);
    },
  );

  it('judges a name by its addresses at the time of connecting, not before', async () => {
    const policy = policyOf(PUBLIC);
    // Nothing is resolved here: the name could be rebound between this check and the connection.
    await policy.check('https://rebind.example.com/x');
    await policy.checkAddresses('rebind.example.com', ['93.184.216.34']);
    await expect(policy.checkAddresses('rebind.example.com', ['127.0.0.1'])).rejects.toMatchObject({
      code: 'UNSAFE_URL',
    });
  });

  it('lets redirects stay on https or go up to it, never down', async () => {
    const policy = policyOf(LOCAL);
    const up = await policy.check('https://store.example.com/y', new URL('http://127.0.0.1/x'));
    expect(up.protocol).toBe('https:');
    const from = new URL('https://store.example.com/x?sig=1');
    expect((await policy.check('/z', from)).href).toBe('https://store.example.com/z');
    await expect(policy.check('http://store.example.com/y', from)).rejects.toMatchObject({
      code: 'UNSAFE_URL',
    });
  });

  it('shows no query in its errors', async () => {
    const error = await failureOf(policyOf(PUBLIC).check('http://store.example.com/x?sig=secret1'));
    expect(JSON.stringify([error.message, error.fields])).not.toContain('secret1');
    expect(error.fields['url']).toBe('http://store.example.com/x');
  });

  it('refuses private addresses when the CAS cannot be resolved', async () => {
    const policy = policyOf('http://cas.unknown.example');
    await expect(policy.check('http://10.0.0.1/x')).rejects.toMatchObject({ code: 'UNSAFE_URL' });
  });
});

it('says what helps when a CAS behind TLS names URLs without it', async () => {
  const check = policyOf('https://cas.example.com').check('http://cas.example.com/v1/fetch/x');
  expect((await failureOf(check)).message).toContain('has to be told its public URL');
});
