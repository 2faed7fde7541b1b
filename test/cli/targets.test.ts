import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestInput } from '../../src/compose/digest.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import {
  createMultipartServer,
  type ListeningServer,
  listen,
  type MultipartServer,
} from '../../src/target-servers/index.js';
import { patternBytes, targetVectors } from '../digests/vectors.js';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';
import { BINARY, orbweaver } from './run-binary.js';

const TOKEN = 'secret-token-of-the-test';
const bytes = generate({ kind: 'splitmix64', seed: 8, bytes: 3_500_001 });

describe('orbweaver digest', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-digest-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('prints the eight fields of its contract and nothing else, from a file and from a pipe', async () => {
    const [vector] = targetVectors().cid.files.filter(({ size }) => size === 1_048_577);
    const path = join(folder, 'pattern');
    await writeFile(path, patternBytes(1_048_577));
    const expected = {
      sizeBytes: 1_048_577,
      fileHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      md5: vector?.md5,
      md5Ends: null,
      sha256: vector?.sha256,
      cidRaw: vector?.rawCid,
      cid256KiB174: vector?.cid256KiB174,
      cid1MiB1024: vector?.cid1MiB1024,
    };
    const fromFile = await orbweaver(['digest', path, '--json']);
    expect(fromFile.status).toBe(0);
    expect(fromFile.json()).toEqual(expected);
    expect(Object.keys(fromFile.json())).toEqual(Object.keys(expected));
    const fromPipe = await orbweaver(['digest', '-', '--json'], { input: patternBytes(1_048_577) });
    expect(fromPipe.json()).toEqual(fromFile.json());
    const chunked = await orbweaver(['chunk', path, '--json']);
    expect(fromFile.json()['fileHash']).toBe(chunked.json()['fileHash']);
  });

  it('computes the same on threads as in place', async () => {
    const path = join(folder, 'large');
    const large = generate({ kind: 'splitmix64', seed: 9, bytes: 6_000_001 });
    await writeFile(path, large);
    const inPlace = await digestInput(large, { threads: 0 });
    for (const threads of ['2', '9']) {
      const run = await orbweaver(['digest', path, '--json', '--threads', threads]);
      expect(run.json(), `${threads} threads`).toEqual(inPlace);
    }
  });

  it('says what is wrong with its arguments and its file', async () => {
    expect((await inProcess(['digest'])).status).toBe(2);
    expect((await inProcess(['digest', join(folder, 'nothing')])).status).toBe(3);
    expect((await inProcess(['digest', folder])).status).toBe(3);
  });
});

describe('orbweaver upload --to multipart:URL', () => {
  let folder: string;
  let server: MultipartServer;
  let listening: ListeningServer;
  let file: string;
  let base: string[];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-target-'));
    file = join(folder, 'model.bin');
    await writeFile(file, bytes);
    server = createMultipartServer({
      generation: 'g1',
      clock: SYSTEM_CLOCK,
      tokens: { [TOKEN]: 'user' },
      defaultChunkBytes: 1 << 20,
    });
    listening = await listen(server.exchange);
    base = ['--to', `multipart:${listening.url}`, '--state-dir', join(folder, 'state')];
  });
  afterAll(async () => {
    await listening.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('takes the token from the environment, and tells of each file where it is', async () => {
    const run = await orbweaver(['upload', file, ...base, '--json'], {
      env: { ORBWEAVER_MULTIPART_TOKEN: TOKEN },
    });
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);
    const [done] = run.json()['files'] as { target: { ids: { file_id: string } } }[];
    expect(done).toMatchObject({
      path: file,
      sizeBytes: bytes.length,
      digests: { sha256: createHash('sha256').update(bytes).digest('hex') },
      target: { kind: 'multipart', state: 'done', verified: true, deduplicated: false },
    });
    const stored = await server.read(done?.target.ids.file_id ?? '');
    expect(Buffer.compare(stored, bytes)).toBe(0);
    expect(await readdir(join(folder, 'state'))).toEqual([]);
  });

  it('takes the token from a file, and settings', async () => {
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, `${TOKEN}\n`);
    await chmod(tokenFile, 0o600);
    const args = ['upload', file, ...base, '--token-file', tokenFile, '--set', 'dedup=false'];
    const run = await inProcess([...args, '--set', `chunkBytes=${1 << 20}`]);
    expect(run.status).toBe(0);
    expect(run.stdout.toString()).toMatch(/^file_id=\S+ {2}.*model\.bin\n$/);
    expect(run.stderr).toContain('checked');
    expect(server.requests.chunk).toBe(8);
  });

  it('refuses with the exit code of the failure, and never shows the token', async () => {
    const wrong = await inProcess(['upload', file, ...base, '--json'], {
      env: { ORBWEAVER_MULTIPART_TOKEN: 'wrong-secret-token' },
    });
    expect(wrong.status).toBe(4);
    expect(wrong.errorJson()).toMatchObject({ type: 'error', code: 'AUTH_REQUIRED' });
    expect(wrong.stderr + wrong.stdout).not.toContain('wrong-secret-token');
    // The token of the store is not another system's.
    const none = await inProcess(['upload', file, ...base], { env: { ORBWEAVER_TOKEN: TOKEN } });
    expect(none.status).toBe(4);
  });

  it('says once that the token is refused, by whom and where a valid one goes, and remembers nothing', async () => {
    const run = await inProcess(['upload', file, ...base], {
      env: { ORBWEAVER_MULTIPART_TOKEN: 'wrong-secret-token' },
    });
    expect(run.stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(
        /^orbweaver: \S+model\.bin: .* the multipart server responded with 401/,
      ),
      expect.stringMatching(/^ {2}Pass a valid token for multipart in ORBWEAVER_MULTIPART_TOKEN/),
    ]);
    const listed = await inProcess(['transfers', '--json', '--state-dir', join(folder, 'state')]);
    expect(listed.stdout.toString()).toBe('');
  });

  it('does the others when one fails', async () => {
    const run = await inProcess(['upload', join(folder, 'none'), file, ...base, '--json'], {
      env: { ORBWEAVER_MULTIPART_TOKEN: TOKEN },
    });
    expect(run.status).toBe(9);
    expect(run.json()).toMatchObject({
      files: [{ path: file, target: { deduplicated: true, verified: false } }],
      failed: [{ path: join(folder, 'none'), code: 'INPUT_NOT_FOUND' }],
    });
  });

  for (const [what, args] of [
    ['no such kind', ['--to', 'carrier-pigeon:http://x']],
    ['no URL', ['--to', 'multipart:somewhere']],
    ['a password in the URL', ['--to', 'multipart:http://user:pass@x/']],
    ['a query, which may be a secret', ['--to', 'multipart:http://x/?key=1']],
    ['a setting that does not exist', ['--to', 'multipart:http://127.0.0.1:9', '--set', 'x=1']],
    [
      'a chunk size out of range',
      ['--to', 'multipart:http://127.0.0.1:9', '--set', 'chunkBytes=9'],
    ],
    ['a setting without a value', ['--to', 'multipart:http://127.0.0.1:9', '--set', 'dedup']],
  ] as const) {
    it(`says what is wrong before anything is read: ${what}`, async () => {
      const run = await inProcess(['upload', file, ...args, '--json', '--no-resume']);
      expect(run.status).toBe(2);
      expect(run.errorJson()).toMatchObject({ code: 'USAGE' });
    });
  }

  it('lists what is unfinished, finishes it, gives it up or forgets it', async () => {
    const env = { ORBWEAVER_MULTIPART_TOKEN: TOKEN };
    const state = ['--state-dir', join(folder, 'unfinished'), '--json'];
    const begin = async (name: string): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, generate({ kind: 'splitmix64', seed: name.length, bytes: 2_500_000 }));
      server.plan({ on: 'chunk', nth: 2, do: { kind: 'respond', status: 401 } });
      const to = ['--to', `multipart:${listening.url}`];
      expect((await inProcess(['upload', path, ...to, ...state], { env })).status).toBe(4);
      const lines = (await inProcess(['transfers', ...state])).stdout.toString().trimEnd();
      const transfers = lines.split('\n').map((line) => JSON.parse(line));
      const found = transfers.find((transfer) => transfer.path === path);
      expect(found).toMatchObject({
        ...{ kind: 'upload-to', to: `multipart:${listening.url}` },
        ...{ stage: 'sending', busy: false, sizeBytes: 2_500_000 },
      });
      for (const journal of await readdir(join(folder, 'unfinished'))) {
        const text = await readFile(join(folder, 'unfinished', journal), 'utf8');
        expect(text).not.toContain(TOKEN);
      }
      return found?.id ?? '';
    };
    const finished = await begin('one');
    const run = await inProcess(['transfers', 'resume', finished, ...state], { env });
    expect(run.json()).toMatchObject({ files: [{ target: { state: 'done', verified: true } }] });
    const cancelled = await begin('three');
    const cancel = await inProcess(['transfers', 'cancel', cancelled, ...state], { env });
    expect(cancel.json()).toEqual({ id: cancelled, outcome: 'cancelled' });
    const forgotten = await begin('fifteen');
    expect((await inProcess(['transfers', 'forget', forgotten, ...state])).status).toBe(0);
    const dropped = await begin('seventeen, dropped');
    expect((await inProcess(['transfers', 'drop', dropped, ...state])).json()).toEqual({
      id: dropped,
    });
    expect((await inProcess(['transfers', ...state])).stdout.toString()).toBe('');
    expect((await inProcess(['transfers', ...state.slice(0, 2)])).stderr).toContain('nothing');
    expect((await inProcess(['transfers', 'finish', forgotten, ...state])).status).toBe(2);
    expect((await inProcess(['transfers', 'burn'])).status).toBe(2);
  });

  it('takes a pipe whose size is told, and holds it to that', async () => {
    const env = { ORBWEAVER_MULTIPART_TOKEN: TOKEN };
    const size = (sizeBytes: number) => [
      'upload',
      '-',
      ...base,
      '--size',
      `${sizeBytes}`,
      '--json',
    ];
    const run = await inProcess(size(bytes.length), { input: bytes, env });
    expect(run.json()).toMatchObject({ files: [{ path: '-', target: { verified: true } }] });
    for (const sizeBytes of [bytes.length - 1, bytes.length + 1]) {
      const wrong = await inProcess(size(sizeBytes), { input: bytes, env });
      expect(wrong.errorJson()).toMatchObject({ code: 'INPUT_CHANGED' });
    }
  });

  it('refuses a pipe of unknown size, which no such system can do without', async () => {
    const run = await inProcess(['upload', '-', ...base, '--json'], {
      input: bytes.subarray(0, 1000),
      env: { ORBWEAVER_MULTIPART_TOKEN: TOKEN },
    });
    expect(run.errorJson()).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('--size BYTES'),
    });
  });
});

describe('orbweaver target-server multipart', () => {
  it('runs by hand in the generation that is asked for, with faults, until it is told to end', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-server-'));
    const file = join(folder, 'f');
    await writeFile(file, bytes.subarray(0, 300_000));
    try {
      for (const generation of ['g0', 'g2']) {
        const fault = JSON.stringify({ on: 'chunk', do: { kind: 'lose-response' } });
        const args = ['target-server', 'multipart', '--port', '0', '--generation', generation];
        const child = spawn(process.execPath, [BINARY, ...args, '--fault', fault, '--json']);
        const line = await new Promise<string>((resolve) => {
          child.stdout.once('data', (data) => resolve(String(data)));
        });
        const { url, to, token } = JSON.parse(line);
        expect(to).toBe(`multipart:${url}/api`);
        const run = await inProcess([
          'upload',
          file,
          '--to',
          to,
          '--token',
          token,
          '--json',
          '--no-resume',
        ]);
        expect(run.status, generation).toBe(0);
        const ended = new Promise((resolve) => child.once('close', resolve));
        child.kill('SIGTERM');
        expect(await ended).toBe(0);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('says which there are', async () => {
    expect((await inProcess(['target-server'])).status).toBe(2);
    expect((await inProcess(['target-server', 'nothing'])).stderr).toContain('multipart');
    expect((await inProcess(['target-server', 'multipart', '--generation', 'g9'])).status).toBe(2);
    expect((await inProcess(['target-server', 'multipart', '--fault', '{'])).status).toBe(2);
  });
});

describe('orbweaver volumes', () => {
  it('cuts a file and lists what it has made', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-volumes-'));
    try {
      const file = join(folder, 'f.bin');
      await writeFile(file, bytes.subarray(0, 250_000));
      const args = ['volumes', file, '--size', '100kB', '-o', join(folder, 'new', 'out')];
      const run = await inProcess([...args, '--json']);
      expect(run.status).toBe(0);
      expect(run.json()).toMatchObject({
        format: 'slices',
        sizeBytes: 250_000,
        volumeBytes: 100_000,
      });
      const names = (await readdir(join(folder, 'new', 'out'))).sort();
      expect(names).toEqual(['f.bin.001', 'f.bin.002', 'f.bin.003', 'f.bin.volumes.json']);
      const archive = await inProcess([...args, '--format', '7z']);
      expect(archive.stdout.toString().trimEnd().split('\n')).toHaveLength(3);
      expect((await inProcess([...args, '--format', 'rar'])).status).toBe(2);
      expect((await inProcess(['volumes', file, '-o', folder])).status).toBe(2);
      expect((await inProcess(['volumes', file, '--size', '3', '-o', folder])).status).toBe(2);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
