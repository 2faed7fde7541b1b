import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultCacheDir } from '../../src/cli/cache.js';
import type { CasClient } from '../../src/client/ports.js';
import { createCasClient } from '../../src/transport/index.js';
import { generate } from '../support/generators.js';
import { type BinaryOptions, type BinaryRun, orbweaver, type Served, serve } from './run-binary.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

interface UploadedFile {
  readonly newBytes: number;
  readonly localBytes: number;
  readonly globalBytes: number;
  readonly fileHash: string;
}

describe('the cache of the command line', () => {
  let folder: string;
  let gateway: Served;
  let number = 0;
  let file: string;
  const at = (name: string): string => join(folder, name);
  const sizeBytes = 600_000;
  const bytes = (): Uint8Array =>
    generate({ kind: 'splitmix64', seed: 77 + number, bytes: sizeBytes });

  const upload = (args: readonly string[], options: BinaryOptions = {}): Promise<BinaryRun> =>
    orbweaver(
      ['upload', ...args, '--endpoint', gateway.url, '--token', gateway.writeToken, '--json'],
      { env: { XDG_CACHE_HOME: at(`home-${number}`) }, ...options },
    );
  const firstFile = (run: BinaryRun): UploadedFile => {
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);
    return (run.json()['files'] as UploadedFile[])[0] as UploadedFile;
  };
  const shards = async (dir: string): Promise<string[]> =>
    (await readdir(dir, { recursive: true }).catch((): string[] => [])).filter((name) =>
      name.endsWith('.shard'),
    );

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-cache-'));
    gateway = await serve(['--data', at('store'), '--port', '0']);
  });
  beforeEach(async () => {
    number++;
    file = at(`file-${number}`);
    await writeFile(file, bytes());
  });
  afterAll(async () => {
    await gateway?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('is in the folder for caches of the user, and private', async () => {
    expect(firstFile(await upload([file]))).toMatchObject({ newBytes: sizeBytes });
    const dir = at(`home-${number}/orbweaver`);
    expect(await shards(dir)).toHaveLength(1);
    expect((await stat(dir)).mode & 0o077).toBe(0);
    expect(firstFile(await upload([file]))).toMatchObject({ localBytes: sizeBytes });
    expect(defaultCacheDir({ HOME: '/home/me' })).toBe('/home/me/.cache/orbweaver');
    expect(defaultCacheDir({ HOME: '/home/me', XDG_CACHE_HOME: 'relative' })).toBe(
      '/home/me/.cache/orbweaver',
    );
    expect(defaultCacheDir({})).toBeUndefined();
  });

  it('is switched off by --no-cache, and elsewhere with --cache-dir or its former name', async () => {
    await upload([file, '--cache-dir', at('elsewhere'), '--cache-size', '10MiB']);
    const without = await upload([file, '--no-cache']);
    expect(firstFile(without)).toMatchObject({ localBytes: 0, globalBytes: sizeBytes });
    const again = await upload([file, '--shard-cache', at('elsewhere')]);
    expect(firstFile(again).localBytes).toBe(sizeBytes);
    expect(await shards(at(`home-${number}`))).toEqual([]);
    await writeFile(file, generate({ kind: 'splitmix64', seed: 99, bytes: 100_000 }));
    const none = await upload([file, '--cache-dir', at('small'), '--cache-size', '10']);
    expect(firstFile(none)).toMatchObject({ newBytes: 100_000 });
    expect(await shards(at('small'))).toEqual([]);
  });

  it('that is stale fails nobody, not even standard input', async () => {
    firstFile(await upload([file]));
    await rm(at('store/xorbs'), { recursive: true });
    await rm(at('store/chunks'), { recursive: true, force: true });
    await gateway.stop();
    gateway = await serve(['--data', at('store'), '--port', new URL(gateway.url).port]);
    const cas: CasClient = createCasClient({ endpoint: gateway.url, token: gateway.writeToken });
    const tells = cas.hasXorb !== undefined;
    await cas.close();
    const first = await upload(['-'], { input: bytes() });
    // A store that cannot be asked has to refuse once; then what vouched for the xorb is forgotten.
    if (tells) firstFile(first);
    else expect(first.errorJson()).toMatchObject({ code: 'REJECTED' });
    const { fileHash } = firstFile(await upload(['-'], { input: bytes() }));
    const server = ['--endpoint', gateway.url, '--token', gateway.readToken];
    const copy = await orbweaver(['download', fileHash, '-o', at('copy'), ...server]);
    expect(copy.status).toBe(0);
    expect((await readFile(at('copy'))).equals(bytes())).toBe(true);
  });

  it('is shared by two processes at once', async () => {
    const files = await Promise.all(
      [0, 1, 2, 3].map(async (i) => {
        const path = at(`many-${number}-${i}`);
        await writeFile(path, generate({ kind: 'splitmix64', seed: 500 + i, bytes: 200_000 }));
        return path;
      }),
    );
    for (const run of await Promise.all(files.map((path) => upload([path])))) firstFile(run);
    expect(await shards(at(`home-${number}`))).toHaveLength(4);
    const all = await upload(files);
    const found = all.json()['files'] as UploadedFile[];
    expect(found.map(({ localBytes }) => localBytes)).toEqual(files.map(() => 200_000));
  });

  it('in a folder that cannot be written is a warning', async () => {
    await writeFile(at('plain'), '');
    const run = await upload([file, '--cache-dir', at('plain/cache')]);
    expect(run.status).toBe(0);
    expect(run.errorJson()).toMatchObject({ type: 'warning' });
    expect(String(run.errorJson()['message'])).toContain(at('plain/cache'));
    const { url, writeToken } = gateway;
    const server = ['--endpoint', url, '--token', writeToken, '--cache-dir', '/proc/x/y'];
    const human = await orbweaver(['upload', file, ...server]);
    expect(human.status).toBe(0);
    expect(human.stderr).toMatch(/the cache is not used: .*\/proc\/x\/y.*--no-cache/);
  });
});
