import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  LIMITS,
  NETWORK,
  parseWith,
  SERVER,
  TOKEN_FILE,
  TOKEN_URL,
  tableOf,
} from '../../src/cli/command.js';
import { serverSettingsOf, settingsOf } from '../../src/cli/settings.js';
import type { TokenSource } from '../../src/index.js';
import { contextOf } from './context.js';
import { inProcess } from './in-process.js';

const OPTIONS = tableOf([
  ...SERVER,
  TOKEN_FILE,
  TOKEN_URL,
  ...NETWORK,
  ...LIMITS,
  { name: 'max-memory', value: 'BYTES', help: '' },
  { name: 'max-xorb-bytes', value: 'BYTES', help: '' },
]);
const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'orbweaver-settings-'));
  await mkdir(join(home, '.config', 'orbweaver'), { recursive: true });
  await writeFile(join(home, 'token'), 'token-of-a-file\n');
  await writeFile(join(home, 'ca.pem'), PEM);
});
afterAll(() => rm(home, { recursive: true, force: true }));

const config = (settings: unknown): Promise<void> =>
  writeFile(join(home, '.config/orbweaver/config.json'), JSON.stringify(settings));

const settings = (args: readonly string[], env: Record<string, string> = {}) =>
  settingsOf(parseWith(args, OPTIONS), {
    ...contextOf(false),
    cwd: home,
    env: { HOME: home, ...env },
  });

describe('settings', () => {
  it('come from the option, else the environment, else the config file', async () => {
    await config({
      endpoint: 'https://config.example',
      token: 'token-of-config',
      'limit-upload': '3MiB',
      'limit-download': 3000,
      'max-xorb-bytes': '8MiB',
      proxy: 'http://config-proxy:1',
    });
    const all = await settings([]);
    expect(all.endpoint).toBe('https://config.example');
    expect(all.connection).toMatchObject({
      token: 'token-of-config',
      limitUpload: 3 * 1024 * 1024,
      limitDownload: 3000,
      proxy: 'http://config-proxy:1',
    });
    expect(all.args.bytes('max-xorb-bytes')).toBe(8 * 1024 * 1024);
    const env = {
      ORBWEAVER_ENDPOINT: 'https://env.example',
      ORBWEAVER_TOKEN: 'token-of-env',
      ORBWEAVER_LIMIT_UPLOAD: '2MiB',
      ORBWEAVER_PROXY: 'http://env-proxy:1',
    };
    const some = await settings([], env);
    expect(some.endpoint).toBe('https://env.example');
    expect(some.connection).toMatchObject({
      token: 'token-of-env',
      limitUpload: 2 * 1024 * 1024,
      limitDownload: 3000,
      proxy: 'http://env-proxy:1',
    });
    const given = ['--endpoint', 'https://option.example', '--limit-upload', '1MiB'];
    const own = await settings([...given, '--token', 't', '--proxy', 'none'], env);
    expect(own.endpoint).toBe('https://option.example');
    expect(own.connection).toMatchObject({ token: 't', limitUpload: 1024 * 1024 });
    expect(own.connection.proxy).toBeUndefined();
    await config({});
  });

  it('have a token of a file, which is read again when it is refused', async () => {
    const { connection, tokenText } = await settings(['--token-file', 'token'], {
      ORBWEAVER_TOKEN: 'token-of-env',
    });
    const source = connection.token as TokenSource;
    expect([await source.get(), tokenText]).toEqual(['token-of-a-file', 'token-of-a-file']);
    await writeFile(join(home, 'token'), 'a-newer-one');
    expect(await source.get()).toBe('token-of-a-file');
    expect(await source.refresh?.()).toBe('a-newer-one');
    expect(await source.get()).toBe('a-newer-one');
    const both = settings(['--token-file', 'token', '--token', 't']);
    await expect(both).rejects.toThrow('got both');
    await expect(settings(['--token-file', 'none'])).rejects.toThrow('"none": ENOENT');
  });

  it('have a URL of tokens, which the token is for', async () => {
    const { connection, tokenText } = await settings(['--token-url', 'https://hub.example/x'], {
      ORBWEAVER_TOKEN: 'token-of-env',
    });
    const headers = { authorization: 'Bearer token-of-env' };
    expect(connection.token).toEqual({ refreshUrl: 'https://hub.example/x', headers });
    expect(tokenText).toBe('token-of-env');
    const bare = await settings([], { ORBWEAVER_TOKEN_URL: 'https://hub.example/y' });
    expect(bare.connection.token).toEqual({ refreshUrl: 'https://hub.example/y', headers: {} });
    await expect(settings(['--token-url', 'hub.example'])).rejects.toThrow('--token-url expected');
  });

  it('trust the certificates of a file', async () => {
    expect((await settings(['--ca', 'ca.pem'])).connection.ca).toBe(PEM);
    expect((await settings([], { SSL_CERT_FILE: 'ca.pem' })).connection.ca).toBe(PEM);
    await expect(settings(['--ca', 'none'])).rejects.toThrow('--ca expected a file');
  });

  it.each([
    ['https://cas.example', { HTTPS_PROXY: 'http://a:1', HTTP_PROXY: 'http://b:1' }, 'http://a:1'],
    ['http://cas.example', { HTTPS_PROXY: 'http://a:1', HTTP_PROXY: 'http://b:1' }, 'http://b:1'],
    ['https://cas.example', { HTTPS_PROXY: 'http://a:1', https_proxy: 'http://c:1' }, 'http://c:1'],
    ['https://cas.example', { ALL_PROXY: 'd:3128' }, 'http://d:3128'],
    ['https://cas.example', { HTTP_PROXY: 'http://b:1' }, undefined],
    ['https://cas.example', { HTTPS_PROXY: 'http://a:1', ORBWEAVER_PROXY: 'none' }, undefined],
  ])('for %s with %j go through %s', async (endpoint, env, proxy) => {
    const { connection } = await settings(['--endpoint', endpoint], env);
    expect(connection.proxy).toBe(proxy);
  });

  it('leave out the hosts of NO_PROXY, and refuse a proxy that is none without showing it', async () => {
    const args = ['--endpoint', 'https://x.example', '--proxy', 'http://p:1'];
    const { connection } = await settings(args, { NO_PROXY: 'a.example, 10.0.0.0/8 b' });
    expect(connection.noProxy).toEqual(['a.example', '10.0.0.0/8', 'b']);
    const wrong = settings([], { HTTP_PROXY: 'socks5://user:s3cr3t@p:1' });
    await expect(wrong).rejects.toThrow('$HTTP_PROXY expected an http or https URL');
    await expect(wrong).rejects.not.toThrow('s3cr3t');
  });

  it.each([
    ['a name that is none', { endpont: 'x' }, 'has no setting "endpont"; did you mean "endpoint"?'],
    ['a value that is none', { workers: [] }, '"workers" in the config file'],
    ['a list', [], 'expected an object of settings'],
  ])('say what is wrong in the config file: %s', async (_, json, message) => {
    await config(json);
    await expect(settings([])).rejects.toThrow(message);
    await config({});
  });

  it('of a config file that was named and is not there are an error', async () => {
    await expect(settings([], { ORBWEAVER_CONFIG: 'none.json' })).rejects.toThrow('"none.json"');
    const missing = serverSettingsOf(parseWith([], OPTIONS), { ...contextOf(false), env: {} });
    await expect(missing).rejects.toThrow('no endpoint');
  });
});

describe('what commands say of settings', () => {
  it.each([
    [
      ['upload', 'x', '--endpoint', 'http://h', '--limit-upload', '0'],
      '--limit-upload expected more',
    ],
    [
      ['download', 'x', '-o', 'y', '--endpoint', 'http://h', '--limit-download', 'fast'],
      'expected bytes',
    ],
    [['upload', 'x', '--endpoint', 'http://h', '--max-xorb-bytes', '5'], 'at least 1MiB'],
  ])('%j is a usage error', async (args, message) => {
    const run = await inProcess(args);
    expect([run.status, run.stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});
