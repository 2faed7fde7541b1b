import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'orbweaver';
import { startGateway } from 'orbweaver/gateway';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followTls } from '../../src/compose/tls-files.js';
import { createNodeServer } from '../../src/gateway/index.js';
import { TEST_CERTIFICATE, TEST_KEY } from '../transport/tls-fixture.js';
import { mounted } from './support/mounted.js';
import { createFakeClock } from './support/rig.js';

/** HTTPS of a gateway, and who may say that a request came by it. */

// Of no certificate that there is.
const OTHER_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string;

let folder: string;
const at = (name: string): string => join(folder, name);
const cleanups: (() => unknown)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-tls-'));
  await writeFile(at('cert.pem'), TEST_CERTIFICATE);
  await writeFile(at('key.pem'), TEST_KEY);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true });
});

const files = () => ({ cert: at('cert.pem'), key: at('key.pem') });

describe('HTTPS', () => {
  it('carries uploads and downloads of our client', async () => {
    const warnings: string[] = [];
    const gateway = await startGateway({
      data: at('store'),
      port: 0,
      workers: 0,
      tls: files(),
      onWarning: (message) => warnings.push(message),
    });
    cleanups.push(() => gateway.close());
    expect(gateway.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const { url: endpoint, writeToken: token } = gateway;
    const client = await createClient({ endpoint, token, ca: TEST_CERTIFICATE, workers: 0 });
    cleanups.push(() => client.close());
    const data = new Uint8Array(300_000).map((_, index) => (index * 7919) >> 5);
    const { files: uploaded } = await client.upload({ name: 'data', data });
    const fileHash = uploaded[0]?.fileHash ?? '';
    const pieces: Uint8Array[] = [];
    for await (const piece of client.stream(fileHash)) pieces.push(Uint8Array.from(piece));
    expect(Buffer.concat(pieces).equals(data)).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('with files that do not fit is refused with what is wrong', async () => {
    const start = () => startGateway({ data: at('store'), port: 0, workers: 0, tls: files() });
    await writeFile(at('key.pem'), OTHER_KEY);
    await expect(start()).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('TLS: the key does not belong to the certificate'),
    });
    await writeFile(at('key.pem'), 'no key');
    await expect(start()).rejects.toThrow('TLS: expected a certificate and its key');
    await rm(at('key.pem'));
    await expect(start()).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
  });

  it('takes another certificate for connections to come', async () => {
    const handle = async () => new Response('here');
    const tls = { cert: TEST_CERTIFICATE, key: TEST_KEY };
    const server = await createNodeServer(mounted(handle), { port: 0, tls });
    cleanups.push(() => server.close());
    const status = () =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { ca: TEST_CERTIFICATE, agent: false };
        const sent = httpsRequest(`${server.url}/x`, options, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.once('error', reject).end();
      });
    expect(await status()).toBe(200);
    server.setTls(tls);
    expect(await status()).toBe(200);
    expect(() => server.setTls({ cert: TEST_CERTIFICATE, key: OTHER_KEY })).toThrow('TLS:');
    expect(await status()).toBe(200);
    const plain = await createNodeServer(mounted(handle), { port: 0 });
    cleanups.push(() => plain.close());
    expect(() => plain.setTls(tls)).toThrow('without');
  });
});

describe('files of a certificate', () => {
  it('are taken when they have changed, and left while they do not fit', async () => {
    const clock = createFakeClock();
    const taken: string[] = [];
    const warnings: string[] = [];
    let broken = false;
    const settled = async (): Promise<void> => {
      // The next look is planned when this one is over.
      while (clock.timerCount === 0) await new Promise((resolve) => setImmediate(resolve));
    };
    const stop = followTls(files(), {
      clock,
      use: ({ cert }) => {
        if (broken) throw new Error('they do not fit');
        taken.push(Buffer.from(cert).toString().slice(0, 5));
      },
      onWarning: (message) => warnings.push(message),
    });
    cleanups.push(stop);
    const look = async (): Promise<void> => {
      clock.advance(10_000);
      await settled();
    };
    await look();
    expect(taken).toEqual([]);
    await writeFile(at('cert.pem'), 'new certificate');
    broken = true;
    await look();
    await look();
    expect(warnings).toEqual([expect.stringContaining('they do not fit')]);
    broken = false;
    await utimes(at('key.pem'), 1, 1);
    await look();
    await look();
    expect(taken).toEqual(['new c']);
    stop();
    expect(clock.timerCount).toBe(0);
  });
});

describe('a proxy in front', () => {
  const seenBy = async (
    trustedProxies: readonly string[] | undefined,
    headers: Record<string, string>,
  ): Promise<string> => {
    const exchange = mounted(async (request) => new Response(request.url));
    const clients: (string | undefined)[] = [];
    const server = await createNodeServer(
      {
        mount: (prefix) => (request) => {
          clients.push(request.client);
          return exchange.mount(prefix)(request);
        },
      },
      { port: 0, trustedProxies },
    );
    cleanups.push(() => server.close());
    const url = await (await fetch(`${server.url}/x`, { headers })).text();
    return `${url.replace(`:${server.port}`, '')} ${clients[0]}`;
  };
  const headers = {
    'x-forwarded-proto': 'http, https',
    'x-forwarded-host': 'evil.example, store.example',
    'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.1.2.3',
  };

  it('says for whom it asks, where it is trusted', async () => {
    const proxies = ['127.0.0.0/8', '10.0.0.0/8', '::1'];
    expect(await seenBy(proxies, headers)).toBe('https://store.example/x 203.0.113.9');
    expect(await seenBy(proxies, {})).toBe('http://127.0.0.1/x 127.0.0.1');
    const odd = {
      'x-forwarded-proto': 'gopher',
      'x-forwarded-for': 'unknown',
    };
    expect(await seenBy(proxies, odd)).toBe('http://127.0.0.1/x 127.0.0.1');
  });

  it('is nobody special otherwise', async () => {
    expect(await seenBy(['10.0.0.0/8'], headers)).toBe('http://127.0.0.1/x 127.0.0.1');
    expect(await seenBy(undefined, headers)).toBe('http://127.0.0.1/x 127.0.0.1');
  });

  it('cannot have a host that is none', async () => {
    await expect(
      seenBy(['127.0.0.1'], { 'x-forwarded-host': 'user@store.example/path' }),
    ).resolves.not.toContain('store.example');
  });

  it('is named by address or network', async () => {
    for (const bad of ['proxy.example', '10.0.0.0/33', '10.0.0', '']) {
      await expect(seenBy([bad], {}), bad).rejects.toThrow('"trustedProxies" expected');
    }
  });

  it('is hinted at when a gateway listens beyond this machine in plain HTTP', async () => {
    const warned = async (options: object): Promise<number> => {
      const warnings: string[] = [];
      const gateway = await startGateway({
        data: at('store'),
        port: 0,
        workers: 0,
        onWarning: (message) => warnings.push(message),
        ...options,
      });
      await gateway.close();
      return warnings.filter((message) => message.includes('--public-url')).length;
    };
    expect(await warned({ host: '0.0.0.0' })).toBe(1);
    expect(await warned({ host: '0.0.0.0', publicUrl: 'https://store.example' })).toBe(0);
    expect(await warned({ host: '0.0.0.0', trustedProxies: ['10.0.0.0/8'] })).toBe(0);
    expect(await warned({ host: '127.0.0.1' })).toBe(0);
  });
});
