import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type RunningGateway, startGateway } from '../../src/compose/gateway.js';
import { readBlocks } from '../../src/io/block-log.js';
import { decodeShard } from '../../src/shard/index.js';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';
import { BINARY, orbweaver } from './run-binary.js';

vi.setConfig({ testTimeout: 180_000 });

/** `kill -9` and Ctrl-C of a process that uploads to our gateway, at requests that are counted. */

const TOKEN = 'secret-of-the-killed-one';
/** Small xorbs, so that there are many: about 4 MB each. */
const SIZE = 40_000_000;
const MEMORY = ['--max-memory', '16MiB', '--workers', '1'];

interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

describe('an upload whose process ends', () => {
  let folder: string;
  let file: string;
  let gateway: RunningGateway;
  /** Xorbs by path, and how often each was taken. */
  let taken: Map<string, number>;
  let onTaken: (count: number) => void;
  let number = 0;
  const at = (name: string): string => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-resume-'));
    file = at('file.bin');
    await writeFile(file, generate({ kind: 'splitmix64', seed: 21, bytes: SIZE }));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    number++;
    taken = new Map();
    onTaken = () => {};
    gateway = await startGateway({
      ...{ data: at(`store-${number}`), token: TOKEN, port: 0, sync: false, workers: 0 },
      onAccess: ({ method, path, status }) => {
        if (method !== 'POST' || !path.startsWith('/v1/xorbs/') || status !== 200) return;
        taken.set(path, (taken.get(path) ?? 0) + 1);
        onTaken(taken.size);
      },
    });
  });
  afterEach(() => gateway.close());

  const env = (): Record<string, string> => ({
    ORBWEAVER_TOKEN: TOKEN,
    XDG_STATE_HOME: at(`state-${number}`),
    XDG_CACHE_HOME: at(`cache-${number}`),
  });
  const command = (): string[] => ['upload', file, '--endpoint', gateway.url, '--json', ...MEMORY];

  /** Runs the command; `signal` ends it when the store has taken so many xorbs. */
  async function run(kill?: { signal: NodeJS.Signals; atXorb: number }): Promise<Run> {
    const child: ChildProcess = spawn(process.execPath, [BINARY, ...command()], {
      env: { ...process.env, ...env() },
    });
    onTaken = (count) => {
      if (count === kill?.atXorb) child.kill(kill.signal);
    };
    const texts = { out: '', err: '' };
    child.stdout?.on('data', (piece) => {
      texts.out += piece;
    });
    child.stderr?.on('data', (piece) => {
      texts.err += piece;
    });
    const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
    onTaken = () => {};
    return { status, ...texts };
  }

  /** Paths of the xorbs that the journal lists as acknowledged. */
  const acknowledged = async (): Promise<string[]> => {
    const state = at(`state-${number}/orbweaver/transfers`);
    const names = await readdir(state).catch((): string[] => []);
    const paths: string[] = [];
    for (const name of names.filter((each) => each.endsWith('.blocks'))) {
      for await (const block of readBlocks(join(state, name))) {
        for (const { hash } of decodeShard(block).xorbs) paths.push(`/v1/xorbs/default/${hash}`);
      }
    }
    return paths;
  };

  const unfinished = async (): Promise<Record<string, unknown>[]> => {
    const { stdout } = await inProcess(['transfers', '--json'], { env: env() });
    const lines = stdout.toString().split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line));
  };
  const download = async (fileHash: string): Promise<Buffer> => {
    const to = ['-o', at('copy'), '--endpoint', gateway.url, '--workers', '0'];
    expect((await inProcess(['download', fileHash, ...to], { env: env() })).status).toBe(0);
    return readFile(at('copy'));
  };
  const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

  it.each([1, 3, 6])(
    'by kill -9 after xorb %i sends nothing twice that was acknowledged',
    async (atXorb) => {
      expect((await run({ signal: 'SIGKILL', atXorb })).status).toBeNull();
      const before = await acknowledged();
      const [listed] = await unfinished();
      // What the process had heard of when it was killed; up to four requests were on their way.
      const doneBytes = (listed?.['doneBytes'] as number | undefined) ?? 0;
      const names = await readdir(at(`state-${number}/orbweaver/transfers`)).catch(() => []);
      for (const name of names.filter((each) => each.includes('.'))) {
        const text = await readFile(
          join(at(`state-${number}/orbweaver/transfers`), name),
          'latin1',
        );
        expect(text).not.toContain(TOKEN);
      }
      const { status, out, err } = await run();
      expect(err).toBe('');
      expect(status).toBe(0);
      const [done] = JSON.parse(out).files;
      const sent = doneBytes + JSON.parse(out).xorbBytes;
      // Records of random bytes have eight bytes more for each chunk.
      expect(sent).toBeGreaterThanOrEqual(SIZE);
      expect(sent).toBeLessThan(1.001 * SIZE);
      const repeated = before.filter((path) => taken.get(path) !== 1);
      expect(repeated).toEqual([]);
      expect(done).toMatchObject({ sizeBytes: SIZE });
      expect(digest(await download(done.fileHash))).toBe(digest(await readFile(file)));
      expect(await unfinished()).toEqual([]);
    },
  );

  it('by Ctrl-C says how to go on, and can be resumed by its id', async () => {
    const { status, err } = await run({ signal: 'SIGINT', atXorb: 3 });
    expect(status).toBe(130);
    const [listed] = await unfinished();
    const id = listed?.['id'] as string;
    const before = await acknowledged();
    expect(before.length).toBeGreaterThan(0);
    expect(listed).toMatchObject({
      kind: 'upload',
      path: file,
      endpoint: gateway.url,
      busy: false,
    });
    expect(JSON.parse(err)).toMatchObject({
      code: 'ABORTED',
      hint: `The same command goes on where this one stopped, and so does orbweaver transfers resume ${id}.`,
    });
    const text = (await inProcess(['transfers'], { env: env() })).stdout.toString();
    expect(text).toContain(`${id}  upload  `);
    expect(text).toContain(' sent of 38.1 MiB');
    const resumed = await orbweaver(
      ['transfers', 'resume', id, '--json', '--max-memory', '16MiB'],
      {
        env: { ...env(), ORBWEAVER_ENDPOINT: 'http://127.0.0.1:1' },
      },
    );
    expect(resumed.stderr).toBe('');
    const [done] = resumed.json()['files'] as { fileHash: string; localBytes: number }[];
    expect(done?.localBytes).toBeGreaterThan(0);
    expect(before.filter((path) => taken.get(path) !== 1)).toEqual([]);
    expect(await unfinished()).toEqual([]);
  });

  it('is dropped by its id, and remembered by nobody with --no-resume', async () => {
    expect((await run({ signal: 'SIGKILL', atXorb: 4 })).status).toBeNull();
    const [listed] = await unfinished();
    const drop = await inProcess(['transfers', 'drop', String(listed?.['id'])], { env: env() });
    expect(drop.status).toBe(0);
    expect(await unfinished()).toEqual([]);
    const none = { ...env(), XDG_STATE_HOME: at('none') };
    const small = at('small');
    await writeFile(small, 'small');
    const args = ['upload', small, '--endpoint', gateway.url, '--no-resume', '--workers', '0'];
    expect((await inProcess(args, { env: none })).status).toBe(0);
    expect(await readdir(at('none')).catch(() => 'nothing')).toBe('nothing');
  });

  it('is warned once when it cannot be remembered, and done all the same', async () => {
    await writeFile(at('no-folder'), '');
    const small = at('small');
    await writeFile(small, 'small');
    const args = ['upload', small, '--endpoint', gateway.url, '--workers', '0'];
    const state = ['--state-dir', at('no-folder/x')];
    const { status, stderr } = await inProcess([...args, ...state], { env: env() });
    expect(status).toBe(0);
    expect(stderr).toMatch(/this transfer cannot be resumed: .*no-folder.*--state-dir DIR names/);
    expect(stderr.split('cannot be resumed')).toHaveLength(2);
  });
});
