import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';
import { type Served, serve } from './run-binary.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe('several files, and none at all', () => {
  let folder: string;
  let gateway: Served;
  const hashes: string[] = [];
  const bytes = [1, 2].map((seed) => generate({ kind: 'splitmix64', seed, bytes: 30_000 + seed }));
  const at = (name: string): string => join(folder, name);
  const server = (): string[] => ['--endpoint', gateway.url, '--token', gateway.writeToken];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-several-'));
    gateway = await serve(['--data', join(folder, 'store'), '--port', '0']);
    for (const [i, content] of bytes.entries()) await writeFile(at(`in-${i}`), content);
    await writeFile(at('new'), generate({ kind: 'splitmix64', seed: 3, bytes: 20_000 }));
    const files = [at('in-0'), at('in-1')];
    const run = await inProcess(['upload', ...files, ...server(), '--no-cache', '--json']);
    const result = run.json() as unknown as { files: { fileHash: string }[] };
    hashes.push(...result.files.map(({ fileHash }) => fileHash));
  });
  afterAll(async () => {
    await gateway.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('are downloaded into a folder, by name or hash; one that fails costs only itself', async () => {
    const [first, second] = hashes as [string, string];
    const missing = 'f'.repeat(64);
    const names = [`${first}=a.bin`, missing, second];
    const run = await inProcess(['download', ...names, '-o', at('out'), ...server(), '--json']);
    expect(run.status).toBe(9);
    const lines = run.stdout.toString().trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { type: 'result', path: join(at('out'), 'a.bin'), sizeBytes: 30_001, verified: true },
      { type: 'result', path: join(at('out'), second), sizeBytes: 30_002, verified: true },
    ]);
    expect(run.stderr).toContain(missing);
    expect((await readFile(join(at('out'), 'a.bin'))).equals(bytes[0] as Uint8Array)).toBe(true);
    expect((await readFile(join(at('out'), second))).equals(bytes[1] as Uint8Array)).toBe(true);
  });

  it('are refused where they would meet, or have no folder', async () => {
    const [first, second] = hashes as [string, string];
    for (const args of [
      [`${first}=x`, `${second}=x`, '-o', at('out')],
      [`${first}=../x`, second, '-o', at('out')],
      [first, second, '-o', '-'],
      [first, second, '-o', at('in-0')],
      [first, second, '-o', at('out'), '--offset', '5'],
    ]) {
      const run = await inProcess(['download', ...args, ...server()]);
      expect(run.status, args.join(' ')).toBe(2);
    }
  });

  it('of a dry run nothing is sent, with a server or without one', async () => {
    const args = ['upload', at('new'), '--dry-run', '--no-cache'];
    const [alone, asking] = [await inProcess(args), await inProcess([...args, ...server()])];
    expect([alone.status, asking.status]).toEqual([0, 0]);
    expect(alone.stderr).toContain('would send');
    expect(alone.stdout.toString()).toBe(asking.stdout.toString());
    const hash = alone.stdout.toString().slice(0, 64);
    const run = await inProcess(['download', hash, '-o', at('none'), ...server()]);
    expect(run.status).toBe(5);
  });
});
