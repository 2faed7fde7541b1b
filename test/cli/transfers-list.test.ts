import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as gateway from 'orbweaver/gateway';
import { listTransfers, type StoredTransfer } from 'orbweaver/targets';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';
import type { TestServer } from '../transport/support.js';
import { isXorb, startFront } from './front.js';
import { inProcess } from './in-process.js';

/** `transfers resume` of uploads with `--files-from`, whose list is kept while they are unfinished. */

const TOKEN = 'secret-of-the-list';
const SIZE = 3_000_000;

describe('transfers resume of an upload with --files-from', () => {
  let top: string;
  let state: string;
  let served: gateway.RunningGateway;
  /** Stands before the gateway. */
  let front: TestServer;
  /** Xorbs that the store took, each as often as it did. */
  let taken: string[] = [];
  /** Xorbs that the store is asked to take, before one is refused; null: none is. */
  let refusedAfter: number | null = null;
  const at = (name: string): string => join(top, name);

  beforeAll(async () => {
    top = await mkdtemp(join(tmpdir(), 'orbweaver-list-'));
    state = at('state');
    served = await gateway.startGateway({
      ...{ data: at('store'), token: TOKEN, port: 0, sync: false, workers: 0 },
      onAccess: ({ method, path, status }) => {
        if (isXorb({ method, path }) && status === 200) taken.push(path);
      },
    });
    let xorbs = 0;
    front = await startFront(served.url, async (seen) => {
      if (refusedAfter === null) xorbs = 0;
      else if (isXorb(seen) && ++xorbs > refusedAfter) {
        // What was taken is written down by then.
        while ((await ackedCount()) < refusedAfter) await sleep(2);
        return 400;
      }
      return undefined;
    });
  });
  afterAll(async () => {
    await front?.close();
    await served?.close();
    await rm(top, { recursive: true, force: true });
  });

  async function ackedCount(): Promise<number> {
    const entries = (await readdir(state).catch(() => [])).filter((name) => /ndjson$/.test(name));
    const texts = await Promise.all(entries.map((name) => readFile(join(state, name), 'utf8')));
    return texts.join('').split('"type":"ack"').length - 1;
  }

  const run = (args: readonly string[], options: { cwd?: string; input?: Uint8Array } = {}) =>
    inProcess(
      [
        ...[...args, '--json', '--state-dir', state, '--token', TOKEN],
        ...['--workers', '0', '--max-memory', '8MiB'],
      ],
      { env: { XDG_CACHE_HOME: at('cache') }, ...options },
    );

  it.each([
    ['standard input', 41],
    ['a file that is gone by then', 42],
  ])('uploads what the list said, from %s', async (from, seed) => {
    const folder = at(`folder ${seed}`);
    await mkdir(join(folder, 'sub'), { recursive: true });
    const bytes = generate({ kind: 'splitmix64', seed, bytes: SIZE });
    await writeFile(join(folder, 'sub/ä'), bytes.subarray(0, 2_000_000));
    await writeFile(join(folder, 'b'), bytes.subarray(2_000_000));
    await writeFile(join(folder, 'c'), 'not in the list');
    const text = new TextEncoder().encode('sub/ä\nb\n');
    const isFile = from !== 'standard input';
    if (isFile) await writeFile(at('list'), text);
    const upload = [
      ...['upload', '--files-from', isFile ? at('list') : '-', '--endpoint', front.url],
      ...['--max-xorb-bytes', '1MiB', '--grants', 'never'],
    ];
    taken = [];
    refusedAfter = 1;
    const cut = await run(upload, { cwd: folder, ...(isFile ? {} : { input: text }) });
    refusedAfter = null;
    expect(cut.status).not.toBe(0);
    const sent = new Set(taken);
    expect(sent.size).toBe(1);
    await rm(at('list'), { force: true });

    const [found, ...others] = (await listTransfers(state)) as StoredTransfer[];
    expect(others).toEqual([]);
    const path = join(state, `${found?.id}.list`);
    expect(found).toMatchObject({ kind: 'upload', paths: [folder], list: { count: 2, path } });
    expect(await readFile(path, 'utf8')).toBe('sub/ä\0b\0');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await run(['transfers'])).json()).toEqual(found);

    taken = [];
    const resumed = await run(['transfers', 'resume', found?.id ?? '']);
    expect([resumed.status, resumed.stderr]).toEqual([0, '']);
    expect(resumed.json()).toMatchObject({ type: 'result', fileCount: 2, sizeBytes: SIZE });
    expect(taken.filter((xorb) => sent.has(xorb))).toEqual([]);
    expect((await readdir(state)).filter((name) => name !== 'files')).toEqual([]);
  });

  it('says so when the list is not whole, and drops it with the transfer', async () => {
    await mkdir(at('other'), { recursive: true });
    await writeFile(at('other/a'), generate({ kind: 'splitmix64', seed: 43, bytes: SIZE }));
    refusedAfter = 1;
    const command = ['upload', 'other', '--files-from', '-', '--endpoint', front.url];
    const input = new TextEncoder().encode('a');
    await run([...command, '--max-xorb-bytes', '1MiB', '--grants', 'never'], { cwd: top, input });
    refusedAfter = null;
    const [found] = await listTransfers(state);
    const id = found?.id ?? '';
    await writeFile(join(state, `${id}.list`), '');
    const refused = await run(['transfers', 'resume', id]);
    expect(refused.status).toBe(2);
    expect(refused.errorJson()['message']).toMatch(/a list of 1 path that was not written down/);
    expect((await run(['transfers', 'drop', id])).status).toBe(0);
    expect((await readdir(state)).filter((name) => name !== 'files')).toEqual([]);
  });
});
