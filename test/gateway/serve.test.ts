import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CliContext } from '../../src/cli/context.js';
import { serveCommand } from '../../src/cli/serve.js';
import { startGateway } from '../../src/gateway.js';

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
  const stopping = new AbortController();
  let errors = '';
  let firstLine = (_line: string): void => undefined;
  const line = new Promise<string>((resolve) => {
    firstLine = resolve;
  });
  const context = {
    cwd: folder,
    env: {},
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
      ...['--prefix', '/xet/', '--cors', 'https://app.example'],
    );
    const { url } = JSON.parse(await run.firstLine) as { url: string };
    expect(url.endsWith('/xet')).toBe(true);
    const response = await fetch(`${url}/health`, { headers: { origin: 'https://app.example' } });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe('https://app.example');
    run.stop();
    expect(await run.status).toBe(0);
    expect(run.stderr()).toBe('');
  });

  it.each([
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
