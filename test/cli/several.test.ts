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

  it('come side by side, with one progress for all', async () => {
    const names = [...hashes.map((hash, i) => `${hash}=many-${i}`), `${hashes[0]}=again`];
    const args = ['download', ...names, '-o', at('many'), ...server()];
    const run = await inProcess([...args, '--json=stream']);
    expect(run.status).toBe(0);
    const events = run.stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const progress = events.filter(({ type }) => type === 'progress');
    const sizeBytes = 30_001 + 30_002 + 30_001;
    expect(progress.at(-1)).toMatchObject({
      ...{ phase: 'done', doneBytes: sizeBytes, totalBytes: sizeBytes, secondsLeft: 0 },
      ...{ doneFileCount: 3, fileCount: 3 },
    });
    expect(events.slice(-3).map(({ path }) => path)).toEqual(
      ['many-0', 'many-1', 'again'].map((name) => join(at('many'), name)),
    );
    const dry = await inProcess([...args, '--dry-run']);
    expect(
      dry.stderr.match(/would fetch [\d.]+ KiB in 1 range with 2 requests from 127\.0\.0\.1/g),
    ).toHaveLength(3);
  });

  it('of a dry run are looked at and not fetched, and it says within 1 % what a download fetches', async () => {
    const content = generate({ kind: 'splitmix64', seed: 9, bytes: 6_000_000 });
    await writeFile(at('whole'), content);
    await writeFile(at('seed'), content.subarray(0, 4_500_000));
    const sent = await inProcess(['upload', at('whole'), ...server(), '--no-cache', '--json']);
    const { files } = sent.json() as unknown as { files: { fileHash: string }[] };
    const args = ['download', files[0]?.fileHash ?? '', '-o', at('got'), ...server(), '--json'];
    const plan = (await inProcess([...args, '--seed', at('seed'), '--dry-run'])).json();
    await expect(readFile(at('got'))).rejects.toMatchObject({ code: 'ENOENT' });
    const done = (await inProcess([...args, '--seed', at('seed')])).json();
    expect(Number(plan['seededBytes'])).toBeGreaterThan(4_000_000);
    const same = { sizeBytes: content.length, seededBytes: done['seededBytes'], seedNote: null };
    expect(plan).toMatchObject({ type: 'result', path: at('got'), ...same });
    expect(Math.abs(Number(plan['fetchBytes']) / Number(done['fetchedBytes']) - 1)).toBeLessThan(
      0.01,
    );
    const range = await inProcess([...args, '--offset', '100', '--length', '50', '--dry-run']);
    expect(range.json()).toMatchObject({ sizeBytes: 50, rangeCount: 1 });
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
