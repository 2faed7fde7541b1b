import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generate } from '../support/generators.js';
import {
  OTHER_CERTIFICATE,
  OTHER_KEY,
  TEST_CERTIFICATE,
  TEST_KEY,
} from '../transport/tls-fixture.js';
import { contextOf } from './context.js';
import { BINARY, type BinaryRun, orbweaver, type Served, serve } from './run-binary.js';
import { runCli } from './run-cli.js';

/** Runs the binary in a shell line, in which `$0` is node and `$1` the binary. */
function shell(line: string, cwd: string): Promise<{ status: number | null; stderr: string }> {
  const child = spawn('bash', ['-c', line, process.execPath, BINARY], { cwd });
  let stderr = '';
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString();
  });
  child.stdout.resume();
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, stderr })));
}

// A run of the binary takes 0.2 s, and ten times that on a machine with much else to do.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe('the process of the command line', () => {
  let folder: string;
  let gateway: Served;
  let file: string;
  let fileHash: string;
  const at = (name: string): string => join(folder, name);
  const target = (): string => `--endpoint ${gateway.url} --token ${gateway.writeToken}`;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-process-'));
    // Not the cache of whoever runs the tests.
    vi.stubEnv('XDG_CACHE_HOME', at('cache'));
    gateway = await serve(['--data', at('store'), '--port', '0', '--token', 'both']);
    file = at('input.bin');
    await writeFile(file, generate({ kind: 'splitmix64', seed: 3, bytes: 2_000_000 }));
    const run = await orbweaver(['upload', file, ...target().split(' '), '--json']);
    fileHash = (run.json()['files'] as { fileHash: string }[])[0]?.fileHash ?? '';
    execFileSync('mkfifo', [at('pipe')]);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await gateway?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('serves a page and no repositories where flags say so', async () => {
    const args = ['--data', at('other'), '--port', '0', '--token', 'both', '--no-hub', '--ui'];
    const other = await serve(args);
    try {
      const statusOf = async (url: string, path: string): Promise<number> => {
        const headers = { authorization: 'Bearer both' };
        return (await fetch(url + path, { headers })).status;
      };
      const both = (path: string) =>
        Promise.all([gateway, other].map(({ url }) => statusOf(url, path)));
      expect(await both('/api/whoami-v2')).toEqual([200, 404]);
      expect(await both('/ui/')).toEqual([404, 200]);
    } finally {
      await other.stop();
    }
  });

  it('trusts what --ca and NODE_EXTRA_CA_CERTS add, and says so where neither does', async () => {
    await writeFile(at('one.pem'), TEST_CERTIFICATE);
    await writeFile(at('other.pem'), OTHER_CERTIFICATE);
    const servers = [
      createServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }),
      createServer({ key: OTHER_KEY, cert: OTHER_CERTIFICATE }),
    ];
    const env = { NODE_EXTRA_CA_CERTS: at('one.pem') };
    const ask = async (server: Server, args: readonly string[], more: object = {}) => {
      const { port } = server.address() as AddressInfo;
      const endpoint = `https://127.0.0.1:${port}`;
      return orbweaver(['ls', fileHash, '--endpoint', endpoint, '--token', 't', ...args], more);
    };
    try {
      for (const server of servers) {
        server.on('request', (_, response) => void response.writeHead(404).end());
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        // Both are trusted: the server is heard.
        const heard = await ask(server, ['--ca', at('other.pem')], { env });
        expect([heard.status, heard.stderr]).toEqual([5, expect.stringMatching('NOT_FOUND')]);
      }
      const [, other] = servers as [Server, Server];
      const refused = await ask(other, [], { env });
      expect(refused.status).toBe(7);
      expect(refused.stderr).toMatch(/DEPTH_ZERO_SELF_SIGNED_CERT.*\n {2}If .*--ca FILE/);
    } finally {
      for (const server of servers) server.close();
    }
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('ends on %s while it waits for a pipe, with exit code %i', async (signal, status) => {
    const commands = [
      ['chunk', at('pipe')],
      ['upload', at('pipe'), ...target().split(' ')],
      ['download', fileHash, '-o', at('pipe'), ...target().split(' ')],
      // An empty file has no first byte to wait with: it waits with its end.
      ['download', '0'.repeat(64), '-o', at('pipe'), ...target().split(' ')],
    ];
    for (const args of signal === 'SIGTERM' ? commands : commands.slice(0, 1)) {
      const child = spawn(process.execPath, [BINARY, ...args, '--json']);
      child.stdout.resume();
      let stderr = '';
      child.stderr.on('data', (piece: Buffer) => {
        stderr += piece.toString();
      });
      const ended = once(child, 'close') as Promise<[number | null, string | null]>;
      await untilWaiting(child.pid as number);
      child.kill(signal);
      const [code, by] = await ended;
      expect(by === signal ? status : code, args[0]).toBe(status);
      expect(stderr).toContain('"ABORTED"');
    }
  });

  it('ends at once on the second signal, whatever it waits for', async () => {
    // A writer that says nothing: the system does not give the read back.
    const writer = await open(at('pipe'), 'r+');
    try {
      const child = spawn(process.execPath, [BINARY, 'chunk', at('pipe')]);
      const ended = once(child, 'close') as Promise<[number | null, string | null]>;
      await untilWaiting(child.pid as number, /pipe_(wait_)?read/);
      child.kill('SIGINT');
      child.kill('SIGTERM');
      expect((await ended)[1]).toMatch(/SIGINT|SIGTERM/);
    } finally {
      await writer.close();
    }
  });

  it('fails when nobody reads all that it writes', async () => {
    const lines = [
      `"$0" "$1" download ${fileHash} -o - ${target()} | head -c 10 >/dev/null; exit \${PIPESTATUS[0]}`,
      `"$0" "$1" upload ${file} ${target()} --json >/dev/full`,
      `"$0" "$1" chunk ${file} >/dev/full`,
      `"$0" "$1" download ${fileHash} -o ${at('out')} ${target()} --json >/dev/full`,
      `"$0" "$1" inspect --help >/dev/full`,
      `(sleep 0.01; exec "$0" "$1" --help) | true; exit \${PIPESTATUS[0]}`,
    ];
    const runs = await Promise.all(lines.map((line) => shell(line, folder)));
    runs.forEach(({ status, stderr }, i) => {
      expect(status, `${lines[i]}: ${stderr}`).toBe(8);
      expect(stderr).toMatch(/standard output|"stream"|stdout|reader/);
    });
    const partial = `"$0" "$1" upload ${file} ${at('none')} ${target()} --json | true; exit \${PIPESTATUS[0]}`;
    expect((await shell(partial, folder)).status).toBe(9);
  });

  it('does not fail when nobody reads what it says beside the result', async () => {
    const line = `"$0" "$1" chunk ${file} 2>/dev/full`;
    expect((await shell(line, folder)).status).toBe(0);
  });

  it('works in a folder that was deleted', async () => {
    const line = `mkdir gone && cd gone && rmdir ../gone && "$0" "$1" chunk ${file} && "$0" "$1" --version`;
    expect(await shell(line, folder)).toMatchObject({ status: 0 });
    const missing = await shell(
      'mkdir gone && cd gone && rmdir ../gone && "$0" "$1" chunk x',
      folder,
    );
    expect(missing).toMatchObject({ status: 3 });
    expect(missing.stderr).toContain('no such file');
  });

  it('says what is wrong and what to do, in one sentence', async () => {
    const sayings: [readonly string[], number, RegExp][] = [
      [['download', fileHash], 2, /say where the file goes: -o OUT/],
      [['download', '-o', 'x'], 2, /say which file/],
      [['download', fileHash, '-o', `${at('new')}/`, ...target().split(' ')], 2, /is a folder/],
      [['download', fileHash, '-o', folder, ...target().split(' ')], 2, /is a folder.*=NAME/],
      [['download', fileHash, '-o', 'x', '--offset', '9007199254740993'], 2, /at most 90071992547/],
      [['upload', file, '--endpoint', '127.0.0.1:8080'], 2, /did you mean http:\/\/127.0.0.1:8080/],
      [['upload', file, '--placement', 'x', ...target().split(' ')], 2, /one of balanced, store/],
      [['chunk', at('none')], 3, /no such file or folder/],
      [['inspect', at('empty')], 6, /is empty/],
      [['completion', 'csh'], 2, /one of bash, zsh, fish/],
    ];
    await writeFile(at('empty'), '');
    for (const [args, status, text] of sayings) {
      const context = contextOf(false);
      expect(await runCli(args, context), args.join(' ')).toBe(status);
      const said = context.drawn();
      expect(said).toMatch(text);
      expect(said.trimEnd().split('\n')).toHaveLength(2);
    }
    const demo = await orbweaver(['demo', file], { env: { TMPDIR: '/proc' } });
    expect(demo.status).toBe(8);
    expect(demo.stderr).not.toContain('INTERNAL');
  });

  it('reports a folder where a file is expected once', async () => {
    const run = await orbweaver(['chunk', folder]);
    expect(run.status).toBe(3);
    expect(run.stderr.match(/directory/g)).toHaveLength(1);
  });

  it('shows the causes of a failure with --verbose', async () => {
    const run = await orbweaver(['chunk', at('none'), '--verbose']);
    expect(run.stderr).toMatch(/caused by Error: ENOENT/);
  });

  it('makes the folders of an output, and takes a folder with a name', async () => {
    const expected = await readFile(file);
    for (const [args, path] of [
      [[fileHash, '-o', at('a/b/copy')], at('a/b/copy')],
      [[`${fileHash}=named`, '-o', at('a')], at('a/named')],
      [[`${fileHash}=named`, '-o', `${at('fresh')}/`], at('fresh/named')],
    ] as const) {
      const run = await orbweaver(['download', ...args, ...target().split(' ')]);
      expect(run.stderr).toContain(path);
      expect(run.status).toBe(0);
      expect((await readFile(path)).equals(expected)).toBe(true);
    }
    const wrong = ['download', `${fileHash}=../x`, '-o', folder, ...target().split(' ')];
    expect((await orbweaver(wrong)).status).toBe(2);
  });

  it('finds what is damaged in a xorb, says which chunk, and fails', async () => {
    const names = await readdir(at('store/xorbs'), { recursive: true });
    const paths = names.map((name) => at(`store/xorbs/${name}`));
    const kinds = await Promise.all(paths.map(async (path) => (await stat(path)).isFile()));
    const path = paths.find((_, i) => kinds[i]) as string;
    const xorb = await readFile(path);
    const inspect = async (name: string, bytes: Uint8Array): Promise<BinaryRun> => {
      await writeFile(at(name), bytes);
      return orbweaver(['inspect', at(name), '--json']);
    };
    const good = await inspect('good', xorb);
    expect(good.json()).toMatchObject({ type: 'xorb', checkedAgainst: ['footer'] });
    const { chunks, hash, recordsBytes } = good.json() as unknown as {
      chunks: { offset: number; recordBytes: number }[];
      hash: string;
      recordsBytes: number;
    };
    const named = await inspect(`${hash}.xorb`, xorb.subarray(0, recordsBytes));
    expect(named.json()).toMatchObject({ checkedAgainst: ['name'] });

    const third = chunks[2] as { offset: number };
    const flipped = Buffer.from(xorb);
    flipped[third.offset + 100] = (flipped[third.offset + 100] as number) ^ 1;
    const damaged = await inspect('damaged', flipped);
    expect(damaged.status).toBe(6);
    expect(damaged.stdout.length).toBe(0);
    expect(damaged.errorJson()).toMatchObject({ code: 'INTEGRITY' });
    expect(String(damaged.errorJson()['message'])).toContain(`chunk 2 of ${chunks.length}`);
    const renamed = await inspect(`${hash}.flipped`, flipped.subarray(0, recordsBytes));
    expect(renamed.status).toBe(6);
    expect(renamed.errorJson()).toMatchObject({ code: 'INTEGRITY' });
  });

  it('sends a log that grows with --allow-append, and refuses it without', async () => {
    const log = at('log');
    await writeFile(log, generate({ kind: 'words', seed: 5, bytes: 1_000_000 }));
    const keepsGrowing = `(while :; do echo more >> ${log}; done) & p=$!; "$0" "$1" upload ${log} --allow-append ${target()}; s=$?; kill $p; exit $s`;
    expect(await shell(keepsGrowing, folder)).toMatchObject({ status: 0 });
  });

  it('completes commands and options in bash', async () => {
    const script = (await orbweaver(['completion', 'bash'])).stdout.toString();
    const complete = (...words: string[]): string =>
      execFileSync('bash', [
        '-c',
        `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _orbweaver; echo "\${COMPREPLY[@]}"`,
        'bash',
        'orbweaver',
        ...words,
      ])
        .toString()
        .trim();
    expect(complete('up')).toBe('upload');
    expect(complete('upload', '--sh')).toBe('--sha256 --shard-cache');
    expect(complete('upload', '--no')).toBe('--no-hidden --no-cache --no-resume');
    expect(complete('upload', '--placement', 'st')).toBe('store-least');
    expect(complete('serve', '--da')).toBe('--data');
    expect(complete('store', 's')).toBe('stats scrub');
    expect(complete('store', 'ls', 's')).toBe('');
    expect(complete('transfers', '--no-c')).toBe('--no-cache');
    expect(complete('transfers', '')).toBe('list resume drop cancel');
    expect(complete('target-server', 'm')).toBe('multipart metadata');
    expect(complete('completion', 'z')).toBe('zsh');
    for (const shell of ['zsh', 'fish']) {
      const run = await orbweaver(['completion', shell]);
      expect(run.status).toBe(0);
      expect(run.stdout.toString()).toContain('allow-append');
      expect(run.stdout.toString()).toContain('ls stats rm gc scrub copy export import');
    }
  });
});

/** Waits until a thread of the process waits there in the kernel: for the other side of a pipe. */
async function untilWaiting(pid: number, where: RegExp = /^wait_for_partner$/): Promise<void> {
  for (;;) {
    for (const task of await readdir(`/proc/${pid}/task`)) {
      const place = await readFile(`/proc/${pid}/task/${task}/wchan`, 'utf8').catch(() => '');
      if (where.test(place)) return;
    }
  }
}
