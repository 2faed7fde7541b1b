import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hubRoots, openStore, type RunningGateway, startGateway } from 'orbweaver/gateway';
import { createHub } from 'orbweaver/hub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type S3Server, startS3Server } from '../s3/support/s3-server.js';
import { generate } from '../support/generators.js';
import { countBytes } from './byte-counter.js';

/**
 * Stock clients of the Hub and of Git LFS, unchanged, against `serve` over a disk store, or over a bucket
 * with `ORBWEAVER_INTEROP_HUB_STORE=s3` (and the S3 server that scripts/s3.mjs builds); scripts/interop.mjs runs both.
 */

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

/** A bucket takes several times as long. */
const TIMEOUT_MS = process.env['ORBWEAVER_INTEROP_HUB_STORE'] === 's3' ? 400_000 : 120_000;
/** Of the file that git repositories move around. */
const LFS_BYTES = 6_000_000;
const cli = new URL('../../dist/cli/main.js', import.meta.url);

let folder = '';
let data = '';
let bucket: S3Server | null = null;
let gateway: RunningGateway;
const faults: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-hub-'));
  bucket = process.env['ORBWEAVER_INTEROP_HUB_STORE'] === 's3' ? await startS3Server() : null;
  Object.assign(process.env, bucket?.env);
  data = bucket === null ? join(folder, 'store') : `s3://${bucket.bucket}/store`;
  gateway = await startGateway({
    data,
    ...s3Options(),
    port: 0,
    token: TOKEN,
    onFault: (fault) => faults.push(fault),
  });
});
afterAll(async () => {
  await gateway.close();
  await bucket?.close();
  await rm(folder, { recursive: true, force: true });
});

function s3Options(): { readonly s3?: { readonly endpoint: string } } {
  return bucket === null ? {} : { s3: { endpoint: bucket.endpoint } };
}

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
    execFile(command, [...args], { ...options, env, timeout: TIMEOUT_MS }, (error, out, err) =>
      error === null ? resolve(out) : reject(new Error(`${command}: ${out}\n${err}`)),
    );
  });
}

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

describe('stock clients of the Hub', { timeout: TIMEOUT_MS }, () => {
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
    const counter = await countBytes(gateway.url);
    const env = { COUNTED_ENDPOINT: counter.url };
    const out = await run(python as string, [script('hub-client.py'), source, work], { env });
    expect(out).toContain('done');
    const { sentBytes, receivedBytes } = counter;
    counter.close();
    console.log(`huggingface_hub: an edit sent ${sentBytes} bytes and got ${receivedBytes}`);
    expect(sentBytes).toBeGreaterThan(1000);
    expect(sentBytes).toBeLessThan(model.length / 10);
    expect(faults).toEqual([]);
  });

  it.skipIf(python === undefined)('huggingface_hub offline, after our client', async () => {
    const source = join(folder, 'cached');
    await mkdir(join(source, 'sub'), { recursive: true });
    await writeFile(
      join(source, 'model.bin'),
      generate({ kind: 'floats', seed: 2, bytes: 1_500_000 }),
    );
    await writeFile(join(source, 'README.md'), '# cached\n');
    await writeFile(join(source, 'sub', 'täxt 1%2F.txt'), 'names');
    const hub = createHub({ hubUrl: gateway.url, accessToken: TOKEN, workers: 0 });
    const to = join(folder, 'hf', 'hub');
    for (const [repo, include] of [
      ['org/cached', []],
      ['org/cached-part', ['*.md']],
    ] as const) {
      await hub.createRepo({ repo });
      await hub.uploadFolder({ repo, folder: source });
      const { failed } = await hub.downloadFolder({ repo, to, cache: true, include });
      expect(failed).toEqual([]);
    }
    await hub.close();
    const args = [script('hub-cache.py'), 'org/cached', source];
    const env = { HF_HUB_OFFLINE: '1', HF_ENDPOINT: 'http://127.0.0.1:9' };
    expect(await run(python as string, args, { env })).toContain('done');
    expect(faults).toEqual([]);
  });

  it.skipIf(npm === undefined)('@huggingface/hub, edits included', async () => {
    const args = [script('hub-client.mjs'), npm as string, gateway.url, TOKEN];
    expect(await run(process.execPath, args)).toContain('done');
    expect(faults).toEqual([]);
  });
});

/** What moved, in bytes on the wire. */
interface Moved {
  readonly push: number;
  readonly clone: number;
  readonly pushOfChange: number;
  readonly pull: number;
}

const AGENT = ['xet', 'orbweaver'].flatMap((name) => [
  [`lfs.customtransfer.${name}.path`, process.execPath],
  [`lfs.customtransfer.${name}.args`, `${fileURLToPath(cli)} lfs-agent --no-cache`],
  [`lfs.customtransfer.${name}.concurrent`, 'false'],
]) as readonly (readonly [string, string])[];

/** Files that repositories keep from being collected. */
async function keptFiles(): Promise<number> {
  const store = await openStore(data, s3Options());
  let count = 0;
  for await (const _file of hubRoots(store)) count++;
  await store.close?.();
  return count;
}

describe('Git LFS', { timeout: TIMEOUT_MS }, () => {
  /** A large file pushed, cloned elsewhere, changed, pushed and pulled. */
  async function moveAround(
    name: string,
    config: readonly (readonly [string, string])[],
  ): Promise<Moved> {
    const counter = await countBytes(gateway.url);
    const [bare, a, b] = [`${name}.git`, `${name}-a`, `${name}-b`].map((each) =>
      join(folder, each),
    ) as [string, string, string];
    const git = (cwd: string, ...args: string[]): Promise<string> => run('git', args, { cwd });
    const moved = async (work: () => Promise<unknown>): Promise<number> => {
      const before = counter.sentBytes + counter.receivedBytes;
      await work();
      return counter.sentBytes + counter.receivedBytes - before;
    };
    const set = (each: readonly [string, string]): Promise<string> =>
      git(folder, 'config', '--global', ...each);
    try {
      await git(folder, 'init', '-q', '--bare', '-b', 'main', bare);
      await set(['user.email', 'a@example.com']);
      await set(['user.name', 'a']);
      for (const each of config) await set(each);
      await git(folder, 'lfs', 'install', '--skip-repo');
      await git(folder, 'clone', '-q', bare, a);
      const url = counter.url.replace('http://', `http://any:${TOKEN}@`);
      await git(a, 'config', '-f', '.lfsconfig', 'lfs.url', `${url}/git/me/${name}.git/info/lfs`);
      await git(a, 'lfs', 'track', '*.bin');
      const first = generate({ kind: 'splitmix64', seed: name.length, bytes: LFS_BYTES });
      await writeFile(join(a, 'big.bin'), first);
      await git(a, 'add', '-A');
      await git(a, 'commit', '-qm', 'one');
      const push = await moved(() => git(a, 'push', '-q', 'origin', 'HEAD:main'));
      const clone = await moved(() => git(folder, 'clone', '-q', '-b', 'main', bare, b));
      expect(Buffer.compare(await readFile(join(b, 'big.bin')), first)).toBe(0);
      const middle = LFS_BYTES / 2;
      const second = Buffer.concat([
        first.subarray(0, middle),
        Buffer.from('more'),
        first.subarray(middle),
      ]);
      await writeFile(join(b, 'big.bin'), second);
      await git(b, 'commit', '-qam', 'two');
      const pushOfChange = await moved(() => git(b, 'push', '-q', 'origin', 'HEAD:main'));
      const pull = await moved(() => git(a, 'pull', '-q', 'origin', 'main'));
      expect(Buffer.compare(await readFile(join(a, 'big.bin')), second)).toBe(0);
      await git(a, 'lfs', 'lock', 'big.bin');
      expect(await git(b, 'lfs', 'locks')).toContain('big.bin');
      await git(a, 'lfs', 'unlock', 'big.bin');
      return { push, clone, pushOfChange, pull };
    } finally {
      for (const [key] of config) await git(folder, 'config', '--global', '--unset', key);
      counter.close();
    }
  }

  it.skipIf(!gitLfs)('is pushed, cloned elsewhere, changed, pushed and pulled', async () => {
    const before = await keptFiles();
    const whole = await moveAround('whole', []);
    const chunks = await moveAround('by-chunks', AGENT);
    console.log(`git-lfs: ${JSON.stringify(whole)}, with the agent: ${JSON.stringify(chunks)}`);
    for (const bytes of Object.values(whole)) expect(bytes).toBeGreaterThan(LFS_BYTES);
    expect(chunks.pushOfChange).toBeLessThan(LFS_BYTES / 10);
    expect(chunks.pull).toBeLessThan(LFS_BYTES / 10);
    expect(await keptFiles()).toBe(before + 4);
    expect(faults).toEqual([]);
  });
});
