import {
  chmod,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CliContext } from '../../src/cli/context.js';
import { serveCommand } from '../../src/cli/serve.js';
import { startGateway } from '../../src/gateway.js';
import { buildXorb } from './support/rig.js';

/** The command and `startGateway`: options, warnings, and places that are none. */

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-serve-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly status: Promise<number>;
  readonly firstLine: Promise<string>;
  readonly stderr: () => string;
  stop(): void;
}

function serve(...args: string[]): Run {
  return serveWith({}, ...args);
}

function serveWith(env: Readonly<Record<string, string>>, ...args: string[]): Run {
  const stopping = new AbortController();
  let errors = '';
  let firstLine = (_line: string): void => undefined;
  const line = new Promise<string>((resolve) => {
    firstLine = resolve;
  });
  const context = {
    cwd: folder,
    env,
    signal: stopping.signal,
    stdout: { write: (text: string) => firstLine(text) },
    stderr: {
      write: (text: string) => {
        errors += text;
      },
    },
  } as unknown as CliContext;
  const status = serveCommand.run(['--port', '0', '--workers', '0', ...args], context);
  status.catch(() => undefined);
  return { status, firstLine: line, stderr: () => errors, stop: () => stopping.abort() };
}

describe('serve', () => {
  it('takes memory, prefix and origins, and serves below the prefix', async () => {
    const run = serve(
      ...['--data', 'store', '--json', '--max-memory', '48MiB'],
      ...['--prefix', '/xet/', '--cors', 'https://app.example', '--cors', 'https://b.example'],
    );
    const { url } = JSON.parse(await run.firstLine) as { url: string };
    expect(url.endsWith('/xet')).toBe(true);
    for (const origin of ['https://app.example', 'https://b.example', 'https://c.example']) {
      const response = await fetch(`${url}/health`, { headers: { origin } });
      expect(response.status).toBe(200);
      const allowed = origin === 'https://c.example' ? null : origin;
      expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
    }
    run.stop();
    expect(await run.status).toBe(0);
    expect(run.stderr()).toMatch(/^\S+Z info {2}serving \S+\/xet until interrupted\n$/);
  });

  it('flushes what it stores, unless it is told not to', async () => {
    const handle = await open(join(folder, 'secret-32'), 'w');
    await handle.write('5a'.repeat(32));
    const sync = vi.spyOn(Object.getPrototypeOf(handle), 'sync');
    await handle.close();
    const env = { ORBWEAVER_SECRET_FILE: 'secret-32', ORBWEAVER_TOKEN: 'token' };
    const xorb = buildXorb([new Uint8Array(9000)]);
    const flushes = async (...args: string[]): Promise<number> => {
      const run = serveWith(env, '--json', ...args);
      const { url } = JSON.parse(await run.firstLine) as { url: string };
      sync.mockClear();
      const stored = await fetch(`${url}/v1/xorbs/default/${xorb.hash}`, {
        method: 'POST',
        headers: { authorization: 'Bearer token' },
        body: xorb.bytes.slice(),
      });
      expect(await stored.json()).toEqual({ was_inserted: true });
      run.stop();
      await run.status;
      return sync.mock.calls.length;
    };
    expect(await flushes('--data', 'flushed')).toBeGreaterThan(0);
    expect(await flushes('--data', 'unflushed', '--no-fsync')).toBe(0);
    sync.mockRestore();
  });

  it.each([
    [['--data', 'x', '--upstream-token-url', 'http://h/'], /--upstream-token-url needs --upstream/],
    [
      ['--data', 'x', '--upstream', 'http://h/', '--upstream-token-url', 'h'],
      /an http or https URL/,
    ],
    [['--data', 'x', '--max-memory', '1MiB'], /"maxMemory" expected at least/],
    [['--data', 'x', '--prefix', 'xet'], /"prefix" expected a path/],
    [['--data', 'x', '--cors', 'app.example'], /"cors.origins" expected/],
  ])('refuses %j', async (args, message) => {
    await expect(serve(...args).status).rejects.toMatchObject({ code: 'USAGE', message });
  });

  it.each(['/proc/foo', '/proc/x/y'])('of %s fails at once', async (data) => {
    if (process.platform !== 'linux') return;
    await expect(serve('--data', data).status).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: expect.stringContaining('/proc'),
    });
  });
});

describe('startGateway', () => {
  it.skipIf(process.platform !== 'linux')(
    'warns of a store that cannot be written, and reads from it all the same (Linux)',
    async () => {
      const data = join(folder, 'broken');
      const first = await startGateway({ data, port: 0, workers: 0 });
      await first.close();
      // A folder in which nobody, not even root, can make a file.
      await rm(join(data, 'tmp'), { recursive: true });
      await symlink('/proc/self/attr', join(data, 'tmp'));
      const warnings: string[] = [];
      const onWarning = (text: string): number => warnings.push(text);
      const gateway = await startGateway({ data, port: 0, workers: 0, onWarning });
      expect(warnings).toEqual([
        expect.stringMatching(/^the store is (read-only|failing): .*broken/),
      ]);
      const headers = { authorization: `Bearer ${gateway.readToken}` };
      const asked = await fetch(`${gateway.url}/v1/files/${'ab'.repeat(32)}`, {
        method: 'HEAD',
        headers,
      });
      expect(asked.status).toBe(404);
      expect((await (await fetch(`${gateway.url}/health`)).json()) as object).toMatchObject({
        status: expect.stringMatching(/read-only|failing/),
      });
      await gateway.close();
    },
  );
});

/** Starts, asks for the head of a file with each token, stops; what was printed and the statuses. */
async function startOnce(
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<{ url: string; readToken: string; writeToken: string; errors: string }> {
  const run = serveWith(env, '--json', ...args);
  const said = JSON.parse(await Promise.race([run.firstLine, run.status.then(String)])) as {
    url: string;
    readToken: string;
    writeToken: string;
  };
  for (const token of [said.readToken, said.writeToken].filter((each) => each !== '')) {
    expect(await statusWith(said.url, token)).toBe(404);
  }
  expect(await statusWith(said.url, 'something else')).toBe(401);
  run.stop();
  expect(await run.status).toBe(0);
  return { ...said, errors: run.stderr() };
}

async function statusWith(url: string, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  const path = `/v1/files/${'ab'.repeat(32)}`;
  return (await fetch(url + path, { method: 'HEAD', headers })).status;
}

describe('tokens and the URL secret', () => {
  it('are the same after a restart, in a file of their owner', async () => {
    const first = await startOnce({}, '--data', 'kept');
    const second = await startOnce({}, '--data', 'kept');
    expect([second.readToken, second.writeToken]).toEqual([first.readToken, first.writeToken]);
    expect(first.readToken).not.toBe(first.writeToken);
    const path = join(folder, 'kept', 'secrets.json');
    if (process.platform !== 'win32') expect((await stat(path)).mode & 0o777).toBe(0o600);
    const kept = JSON.parse(await readFile(path, 'utf8')) as { secret: string };
    expect(kept.secret).toMatch(/^[0-9a-f]{64}$/);
    // Nothing of the making is left.
    expect((await readdir(join(folder, 'kept'))).filter((name) => /secrets/.test(name))).toEqual([
      'secrets.json',
    ]);
    await chmod(path, 0o644);
    if (process.platform === 'win32') return;
    expect((await startOnce({}, '--data', 'kept')).errors).toMatch(/warn .*chmod 600/);
  });

  it('are shared by gateways that start over one folder at the same time', async () => {
    const data = join(folder, 'shared');
    const gateways = await Promise.all(
      Array.from({ length: 4 }, () => startGateway({ data, port: 0, workers: 0 })),
    );
    const tokens = new Set(gateways.flatMap((each) => [each.readToken, each.writeToken]));
    expect(tokens.size).toBe(2);
    for (const { url } of gateways) {
      for (const token of tokens) expect(await statusWith(url, token)).toBe(404);
    }
    for (const gateway of gateways) await gateway.close();
  });

  it('come from files and the environment, and then none is kept', async () => {
    await writeFile(join(folder, 'one'), 'token-of-a-file\n');
    await writeFile(join(folder, 'two'), 'read reading-token\nwrite writing-token\n');
    await writeFile(join(folder, 'secret'), `${'5a'.repeat(32)}\n`);
    const secret = { ORBWEAVER_SECRET_FILE: 'secret' };
    const cases: [Record<string, string>, string[], string, string][] = [
      [{}, ['--token-file', 'one'], 'token-of-a-file', 'token-of-a-file'],
      [{}, ['--token-file', 'two'], 'reading-token', 'writing-token'],
      [{ ORBWEAVER_TOKEN: 'both' }, [], 'both', 'both'],
      [{ ORBWEAVER_READ_TOKEN: 'r', ORBWEAVER_WRITE_TOKEN: 'w' }, [], 'r', 'w'],
      [{ ORBWEAVER_READ_TOKEN: 'r' }, [], 'r', ''],
      [{ ORBWEAVER_TOKEN: 'both' }, ['--token', 'line'], 'line', 'line'],
    ];
    for (const [env, args, readToken, writeToken] of cases) {
      const said = await startOnce({ ...env, ...secret }, '--data', 'given', ...args);
      expect(said).toMatchObject({ readToken, writeToken });
    }
    expect(await readdir(join(folder, 'given'))).not.toContain('secrets.json');
  });

  it('of a file may be those of tenants, under names that the log shows', async () => {
    const lines = ['read token-n north', 'write token-s south anna', 'admin token-0 - root'];
    await writeFile(join(folder, 'tenants'), `${lines.join('\n')}\n`);
    const args = [
      '--data',
      'of-tenants',
      '--json',
      '--token-file',
      'tenants',
      '--quota',
      'south=0',
    ];
    const run = serve(...args);
    const { url } = JSON.parse(await run.firstLine) as { url: string };
    const xorb = buildXorb([new Uint8Array(9000)]);
    const statuses: number[] = [];
    for (const token of ['token-n', 'token-s', 'token-0']) {
      const { status } = await fetch(`${url}/v1/xorbs/default/${xorb.hash}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: xorb.bytes.slice(),
      });
      statuses.push(status);
    }
    run.stop();
    await run.status;
    // It may only read, it has used up its quota, it is nobody's.
    expect(statuses).toEqual([403, 413, 200]);
    // In the root of the store.
    const paths = await readdir(join(folder, 'of-tenants', 'xorbs'), { recursive: true });
    const names = paths.map((path) => basename(path));
    expect(names).toContain(xorb.hash.toString());
    const logged = run.stderr().match(/(?<= ms ).*(?= 127\.0\.0\.1)/g);
    expect(logged).toEqual(['read token', 'anna', 'root']);
    await writeFile(join(folder, 'tenants'), 'read token-n North\n');
    await expect(serve(...args).status).rejects.toMatchObject({ code: 'USAGE' });
  });

  it.each([
    [{}, ['--token', 'a', '--token-file', 'b'], /--token or --token-file/],
    [{}, ['--token-file', 'absent'], /--token-file expected a file .*ENOENT/],
    [{ ORBWEAVER_SECRET_FILE: 'absent' }, [], /SECRET_FILE expected a file .*ENOENT/],
    [{ ORBWEAVER_TOKEN: 'a b' }, [], /ORBWEAVER_TOKEN expected visible ASCII/],
  ])('%j %j is refused', async (env, args, message) => {
    const { status } = serveWith(env, '--data', 'refused', ...args);
    await expect(status).rejects.toMatchObject({ code: 'USAGE', message });
  });

  it('that were damaged stop the start, by a sentence that shows none of them', async () => {
    const data = join(folder, 'garbled');
    await (await startGateway({ data, port: 0, workers: 0 })).close();
    const path = join(data, 'secrets.json');
    const kept = await readFile(path, 'utf8');
    await writeFile(path, kept.slice(0, -20));
    const { writeToken } = JSON.parse(kept) as { writeToken: string };
    const failed = await startGateway({ data, port: 0, workers: 0 }).catch((error) => error);
    expect(failed).toMatchObject({ code: 'STORAGE_FAILED', message: /secrets\.json expected/ });
    expect(String(failed)).not.toContain(writeToken.slice(4, 20));
  });
});

describe('the log', () => {
  it.each(['text', 'json'])('(%s) has a line per request and no secret', async (format) => {
    const run = serve('--data', `log-${format}`, '--json', '--log-format', format);
    const said = JSON.parse(await run.firstLine) as { url: string; readToken: string };
    const seeded = ['seeded-token', 'seeded-signature', 'seeded-user'];
    await statusWith(said.url, said.readToken);
    await statusWith(said.url, 'seeded-token');
    const query = 'X-Signature=seeded-signature&token=seeded-token';
    await (await fetch(`${said.url}/v1/fetch/${'cd'.repeat(32)}?${query}`)).text();
    await (await fetch(`${said.url}/nowhere?user=seeded-user`)).text();
    await (await fetch(`${said.url}/${said.readToken}`)).text();
    await (await fetch(`${said.url}/health`)).text();
    run.stop();
    await run.status;
    const text = run.stderr();
    for (const secret of [...seeded, said.readToken]) expect(text).not.toContain(secret);
    const lines = text.trimEnd().split('\n').slice(1);
    expect(lines).toHaveLength(5);
    expect(text).not.toMatch(/error|\/health/);
    if (format === 'json') {
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        {
          level: 'info',
          event: 'request',
          method: 'HEAD',
          path: `/v1/files/${'ab'.repeat(32)}`,
          status: 404,
          sentBytes: 0,
          requestId: expect.stringMatching(/^[0-9a-f]{16}$/),
          principal: 'read token',
        },
        { status: 401, principal: null },
        { path: `/v1/fetch/${'cd'.repeat(32)}` },
        { path: '/nowhere', status: 404, sentBytes: expect.any(Number) },
        { status: 404 },
      ]);
    } else {
      expect(lines[0]).toMatch(
        /Z info {2}[0-9a-f]{16} HEAD \/v1\/files\/\w+ 404 0 B \S+ ms read token 127\.0\.0\.1$/,
      );
    }
  });

  it('goes to a file of at most so many bytes, and the one before it is kept', async () => {
    const path = join(folder, 'requests.log');
    await writeFile(path, 'as it was left\n');
    const to = ['--log-file', 'requests.log', '--log-file-size', '2kB'];
    const run = serve('--data', 'logged', '--json', '--log-level', 'debug', ...to);
    const { url } = JSON.parse(await run.firstLine) as { url: string };
    for (let round = 0; round < 3; round++) {
      // As another program does that rotates logs.
      if (round === 1) await rename(path, `${path}.moved`);
      const asked = Array.from({ length: 15 }, (_, at) => fetch(`${url}/nowhere/${round}-${at}`));
      for (const response of await Promise.all(asked)) await response.text();
      // What comes within 100 ms is written together.
      const last = new RegExp(`/nowhere/${round}-14 `);
      const logged = async (): Promise<string> => {
        const files = [path, `${path}.1`, `${path}.moved`];
        return (
          await Promise.all(files.map((each) => readFile(each, 'utf8').catch(() => '')))
        ).join();
      };
      await vi.waitFor(async () => expect(await logged()).toMatch(last), 5000);
    }
    run.stop();
    await run.status;
    expect(run.stderr()).toBe('');
    const [now, before] = [await readFile(path, 'utf8'), await readFile(`${path}.1`, 'utf8')];
    expect([now, before].map((text) => text.endsWith('\n'))).toEqual([true, true]);
    for (let at = 0; at < 15; at++) {
      expect(before + now).toContain(` /nowhere/2-${at} `);
      expect(before + now).not.toContain(` /nowhere/0-${at} `);
    }
    if (process.platform !== 'win32') expect((await stat(path)).mode & 0o027).toBe(0);
    await expect(serve('--data', 'x', '--log-file', 'no/such').status).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/--log-file expected a file .*ENOENT/),
    });
    await expect(serve('--data', 'x', '--log-file-size', '2kB').status).rejects.toMatchObject({
      code: 'USAGE',
    });
  });

  it('says less when it is asked to', async () => {
    const run = serve('--data', 'quiet', '--json', '--log-level', 'error');
    const { url } = JSON.parse(await run.firstLine) as { url: string };
    await (await fetch(`${url}/nowhere`)).text();
    run.stop();
    await run.status;
    expect(run.stderr()).toBe('');
    await expect(
      (async () => serve('--data', 'x', '--log-level', 'loud').status)(),
    ).rejects.toMatchObject({
      code: 'USAGE',
      message: '--log-level expected one of error, warn, info, debug, got "loud"',
    });
  });
});
