import { describe, expect, it } from 'vitest';
import { createCasClient } from '../../src/transport/index.js';
import { createNoProxy } from '../../src/transport/no-proxy.js';
import { failureOf, sendJson, someHash, startServer } from './support.js';

describe('hosts without the proxy', () => {
  it.each([
    ['example.com', 'https://example.com/x', true],
    ['example.com', 'https://cas.example.com/x', true],
    ['.example.com', 'https://cas.example.com/x', true],
    ['*.example.com', 'https://a.b.example.com/x', true],
    ['example.com', 'https://badexample.com/x', false],
    ['EXAMPLE.com.', 'https://Example.COM./x', true],
    ['example.com:8443', 'https://example.com:8443/x', true],
    ['example.com:8443', 'https://example.com/x', false],
    ['example.com:443', 'https://example.com/x', true],
    ['example.com:80', 'http://example.com/x', true],
    ['*', 'https://anything.example/', true],
    ['10.0.0.0/8', 'http://10.200.3.4:9000/', true],
    ['10.0.0.0/8', 'http://11.0.0.1/', false],
    ['10.0.0.0/8', 'http://host.example/', false],
    ['10.1.2.3', 'http://10.1.2.3/', true],
    ['1.2.3', 'http://10.1.2.3/', false],
    ['fd00::/8', 'http://[fd12::1]/', true],
    ['::1', 'http://[::1]:8080/', true],
    ['[::1]:8080', 'http://[::1]:8080/', true],
    ['[::1]:8081', 'http://[::1]:8080/', false],
    ['', 'http://example.com/', false],
    ['10.0.0.0/99', 'http://10.0.0.1/', false],
  ])('by "%s": %s is %s', (rule, url, isDirect) => {
    expect(createNoProxy(['other.test', rule])(new URL(url))).toBe(isDirect);
  });
});

it('are asked over connections of our own, the others through the proxy', async () => {
  const server = await startServer((_request, response) => {
    sendJson(response, 200, { offset_into_first_range: 0, terms: [], xorbs: {} });
  });
  // Nobody listens there.
  const options = { endpoint: server.url, token: '', proxy: 'http://127.0.0.1:1' };
  const direct = createCasClient({ ...options, noProxy: ['127.0.0.0/8'] });
  const proxied = createCasClient({ ...options, noProxy: ['10.0.0.0/8'], retry: { retries: 0 } });
  expect(await direct.getReconstruction(someHash())).not.toBeNull();
  expect((await failureOf(proxied.getReconstruction(someHash()))).code).toBe('NETWORK');
  expect(server.seen).toHaveLength(1);
  await direct.close();
  await proxied.close();
  await server.close();
});
