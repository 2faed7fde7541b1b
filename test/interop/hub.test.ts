import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** Stock clients of the Hub and of Git LFS, unchanged, against `serve` over a disk store. */

const TOKEN = 'hf_interop';
const python = process.env['ORBWEAVER_INTEROP_HUB_PYTHON'];
const npm = process.env['ORBWEAVER_INTEROP_HUB_NPM'];
const gitLfs = ((): boolean => {
  try {
    execFileSync('git', ['lfs', 'version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

let folder = '';
let gateway: RunningGateway;
const faults: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-hub-'));
  gateway = await startGateway({
    data: join(folder, 'store'),
    port: 0,
    token: TOKEN,
    onFault: (fault) => faults.push(fault),
  });
});
afterAll(async () => {
  await gateway.close();
  await rm(folder, { recursive: true, force: true });
});

function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const home = { HOME: folder, HF_HOME: join(folder, 'hf'), HF_XET_CACHE: join(folder, 'xet') };
  const quiet = { HF_HUB_DISABLE_TELEMETRY: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' };
  const hub = { HF_ENDPOINT: gateway.url, HF_TOKEN: TOKEN };
  const git = { GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
  const env = {
    PATH: process.env['PATH'] ?? '',
    ...home,
    ...quiet,
    ...hub,
    ...git,
    ...options.env,
  };
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { ...options, env, timeout: 150_000 }, (error, out, err) =>
      error === null ? resolve(out) : reject(new Error(`${command}: ${out}\n${err}`)),
    );
  });
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

describe('stock clients of the Hub', () => {
  it.skipIf(python === undefined)('huggingface_hub and hf', async () => {
    const source = join(folder, 'source');
    const work = join(folder, 'work');
    await mkdir(join(source, 'sub'), { recursive: true });
    await mkdir(work);
    const model = generate({ kind: 'floats', seed: 1, bytes: 6_000_000 });
    await writeFile(join(source, 'model.bin'), model);
    await writeFile(join(source, 'README.md'), '# model\n');
    await writeFile(join(source, 'empty'), '');
    await writeFile(join(source, 'sub', 'config.json'), '{"a":1}');
    await writeFile(join(source, 'sub', 'täxt 1%2F.txt'), 'names');
    const out = await run(python as string, [script('hub-client.py'), source, work]);
    expect(out).toContain('done');
    expect(faults).toEqual([]);
  });

  it.skipIf(npm === undefined)('@huggingface/hub, edits included', async () => {
    const args = [script('hub-client.mjs'), npm as string, gateway.url, TOKEN];
    expect(await run(process.execPath, args)).toContain('done');
    expect(faults).toEqual([]);
  });
});

describe('Git LFS', () => {
  it.skipIf(!gitLfs)('is pushed, cloned elsewhere, changed and pushed', async () => {
    const [bare, a, b] = ['bare.git', 'a', 'b'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const git = (cwd: string, ...args: string[]): Promise<string> => run('git', args, { cwd });
    await git(folder, 'init', '-q', '--bare', '-b', 'main', bare);
    await git(folder, 'config', '--global', 'user.email', 'a@example.com');
    await git(folder, 'config', '--global', 'user.name', 'a');
    await git(folder, 'lfs', 'install', '--skip-repo');
    await git(folder, 'clone', '-q', bare, a);
    const url = gateway.url.replace('http://', `http://any:${TOKEN}@`);
    await git(a, 'config', '-f', '.lfsconfig', 'lfs.url', `${url}/git/me/code.git/info/lfs`);
    await git(a, 'lfs', 'track', '*.bin');
    const first = generate({ kind: 'splitmix64', seed: 3, bytes: 3_000_000 });
    await writeFile(join(a, 'big.bin'), first);
    await git(a, 'add', '-A');
    await git(a, 'commit', '-qm', 'one');
    await git(a, 'push', '-q', 'origin', 'HEAD:main');
    await git(folder, 'clone', '-q', '-b', 'main', bare, b);
    expect(Buffer.compare(await readFile(join(b, 'big.bin')), first)).toBe(0);
    const second = Buffer.concat([
      first.subarray(0, 1_000_000),
      Buffer.from('more'),
      first.subarray(1_000_000),
    ]);
    await writeFile(join(b, 'big.bin'), second);
    await git(b, 'commit', '-qam', 'two');
    await git(b, 'push', '-q', 'origin', 'HEAD:main');
    await git(a, 'pull', '-q', 'origin', 'main');
    expect(Buffer.compare(await readFile(join(a, 'big.bin')), second)).toBe(0);
    await git(a, 'lfs', 'lock', 'big.bin');
    expect(await git(b, 'lfs', 'locks')).toContain('big.bin');
    await git(a, 'lfs', 'unlock', 'big.bin');
    expect(faults).toEqual([]);
  });
});
