import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { listTransfers, type StoredTransfer } from 'orbweaver/targets';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';

vi.setConfig({ testTimeout: 60_000 });

/** `transfers resume` of what consists of more than one upload: folders and edits. */

const TOKEN = 'secret-of-the-interrupted';
const SIZE = 6_000_000;

describe('transfers resume', () => {
  let top: string;
  let state: string;
  let served: gateway.RunningGateway;
  let limits: client.TransferLimits;
  let ours: client.OrbweaverClient;
  /** Xorbs that the store took, each as often as it did. */
  let taken: string[] = [];
  const at = (name: string): string => join(top, name);

  beforeAll(async () => {
    top = await mkdtemp(join(tmpdir(), 'orbweaver-transfers-'));
    state = at('state');
    limits = client.createLimits();
    served = await gateway.startGateway({
      ...{ data: at('store'), token: TOKEN, port: 0, sync: false, workers: 0 },
      onAccess: ({ method, path, status }) => {
        if (method !== 'POST' || !path.startsWith('/v1/xorbs/') || status !== 200) return;
        taken.push(path);
        // What follows has to wait, for all that anybody could wait.
        if (isHeld) limits.upload = 1;
      },
    });
    ours = await client.createClient({
      ...{ endpoint: served.url, token: TOKEN, stateFolder: state, limits },
      ...{ workers: 0, maxMemory: 8 << 20, grants: 'never' as const },
    });
  });
  afterAll(async () => {
    await ours?.close();
    await served?.close();
    await rm(top, { recursive: true, force: true });
  });

  let isHeld = false;

  /** Runs something until the store has acknowledged a part of it, and cancels it. */
  async function interrupted(
    run: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<StoredTransfer> {
    taken = [];
    isHeld = true;
    const stop = new AbortController();
    const running = run(stop.signal).then(
      () => 'done',
      (error: client.OrbweaverError) => error.code,
    );
    while (
      !(await listTransfers(state)).some((each) => 'doneBytes' in each && each.doneBytes > 0)
    ) {
      await sleep(2);
    }
    isHeld = false;
    stop.abort();
    expect(await running).toBe('ABORTED');
    limits.upload = Number.POSITIVE_INFINITY;
    const [found, ...others] = await listTransfers(state);
    expect(others).toEqual([]);
    return found as StoredTransfer;
  }

  async function resume(
    id: string,
    more: readonly string[] = [],
  ): Promise<Record<string, unknown>> {
    const command = ['transfers', 'resume', id, '--json', '--state-dir', state, '--token', TOKEN];
    const run = await inProcess([...command, '--workers', '0', '--max-memory', '32MiB', ...more], {
      env: { XDG_CACHE_HOME: at('cache') },
    });
    expect([run.status, run.stderr]).toEqual([0, '']);
    expect(await listTransfers(state)).toEqual([]);
    return run.json();
  }

  it('of a folder prints the hash of its manifest, and sends nothing twice', async () => {
    const folder = at('folder');
    await mkdir(join(folder, 'sub'), { recursive: true });
    const bytes = generate({ kind: 'splitmix64', seed: 31, bytes: SIZE });
    await writeFile(join(folder, 'sub/a'), bytes.subarray(0, 4_000_000));
    await writeFile(join(folder, 'b'), bytes.subarray(4_000_000));
    await writeFile(join(folder, 'c.tmp'), 'left out');
    const options = { exclude: ['*.tmp'], maxXorbBytes: 1 << 20, base: at('base') };
    await mkdir(at('base'));
    const found = await interrupted((signal) => ours.uploadFolder(folder, { ...options, signal }));
    expect(found).toMatchObject({ kind: 'upload', path: folder, paths: [folder] });
    expect(found).toHaveProperty('options', [
      ...['--exclude=*.tmp', '--max-xorb-bytes=1048576', `--base=${at('base')}`],
      ...['--grants=never', '--no-cache'],
    ]);
    const sent = new Set(taken);
    taken = [];
    const result = await resume(found.id);
    expect(result).toMatchObject({ type: 'result', fileCount: 2, sizeBytes: SIZE });
    // At most a MiB in each xorb, in both runs; nothing went into the cache.
    expect(sent.size + taken.length).toBeGreaterThanOrEqual(6);
    await expect(stat(at('cache'))).rejects.toThrow('ENOENT');
    expect(taken.filter((path) => sent.has(path))).toEqual([]);
    const { manifestHash } = await ours.uploadFolder(folder, options);
    expect(result['manifestHash']).toBe(manifestHash);
  });

  it('takes other options than those that are remembered', async () => {
    await writeFile(at('plain'), generate({ kind: 'splitmix64', seed: 33, bytes: SIZE }));
    const maxXorbBytes = 1 << 20;
    const found = await interrupted((signal) => ours.upload(at('plain'), { maxXorbBytes, signal }));
    taken = [];
    await resume(found.id, ['--max-xorb-bytes', '16MiB', '--cache-dir', at('other-cache')]);
    expect(taken).toHaveLength(1);
    expect((await stat(at('other-cache'))).isDirectory()).toBe(true);
  });

  it('of an append adds the rest', async () => {
    const bytes = generate({ kind: 'splitmix64', seed: 32, bytes: SIZE });
    await writeFile(at('more'), bytes);
    const { files } = await ours.upload(new Uint8Array(300_000).fill(7));
    const old = files[0]?.fileHash as string;
    const edit = { maxXorbBytes: 1 << 20 };
    const found = await interrupted((signal) => ours.append(old, at('more'), { ...edit, signal }));
    expect(found).toMatchObject({
      ...{ kind: 'edit', fileHash: old, path: at('more') },
      splices: [`end:0:${at('more')}`],
      options: ['--max-xorb-bytes=1048576'],
    });
    const sent = new Set(taken);
    taken = [];
    const { fileHash, sizeBytes } = await resume(found.id);
    expect(sent.size + taken.length).toBeGreaterThanOrEqual(6);
    expect(sizeBytes).toBe(300_000 + SIZE);
    expect(taken.filter((path) => sent.has(path))).toEqual([]);
    await ours.download(fileHash as string, { to: at('longer') });
    const longer = await readFile(at('longer'));
    expect(longer.subarray(300_000).equals(bytes)).toBe(true);
  });
});
