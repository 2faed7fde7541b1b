import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';
import { type BinaryRun, type Served, serve } from './run-binary.js';

// A run of the binary takes 0.2 s, and a hundred times that on a machine with much else to do.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

interface UploadJson {
  readonly type: string;
  readonly files: readonly {
    readonly path: string;
    readonly sizeBytes: number;
    readonly fileHash: string;
    readonly sha256: string | null;
    readonly chunkCount: number;
    readonly newBytes: number;
    readonly dedupedBytes: number;
  }[];
  readonly failed?: readonly { readonly path: string; readonly code: string }[];
  readonly xorbCount: number;
  readonly xorbBytes: number;
  readonly shardBytes: number;
  readonly wallMs: number;
}

const HEX = /^[0-9a-f]{64}$/;

describe('the command line', () => {
  let folder: string;
  let store: string;
  let gateway: Served;
  let file: string;
  let bytes: Uint8Array;

  const at = (name: string): string => join(folder, name);
  const server = (token?: string): string[] => [
    '--endpoint',
    gateway.url,
    '--token',
    token ?? gateway.writeToken,
  ];
  const upload = async (...args: string[]): Promise<UploadJson> => {
    const run = await inProcess(['upload', ...args, ...server(), '--json']);
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);
    return run.json() as unknown as UploadJson;
  };
  const expectError = (run: BinaryRun, code: string, status: number): void => {
    const error = run.errorJson();
    const keys = ['type', 'code', 'message', 'hint', 'status', 'requestId'];
    expect(Object.keys(error)).toEqual(keys);
    expect(error).toMatchObject({ type: 'error', code });
    expect(run.status).toBe(status);
    expect(String(error['message'])).not.toContain('\n');
    expect(run.stderr).not.toContain(gateway.writeToken);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-'));
    store = at('store');
    gateway = await serve(['--data', store, '--port', '0']);
    bytes = generate({ kind: 'splitmix64', seed: 42, bytes: 3_000_000 });
    file = at('input.bin');
    await writeFile(file, bytes);
  });

  afterAll(async () => {
    expect(await gateway?.stop()).toBe(0);
    await rm(folder, { recursive: true, force: true });
  });

  it('uploads a file with its SHA-256 and downloads it whole and in part', async () => {
    const result = await upload(file, '--sha256');
    expect(result.type).toBe('result');
    const [entry] = result.files;
    expect(entry).toMatchObject({
      path: file,
      sizeBytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      newBytes: bytes.length,
      dedupedBytes: 0,
    });
    expect(entry?.fileHash).toMatch(HEX);
    expect(result.xorbCount).toBe(1);
    expect(result.xorbBytes).toBeGreaterThan(bytes.length);
    expect(result.shardBytes).toBeGreaterThan(0);

    const out = at('whole.bin');
    const whole = await inProcess([
      'download',
      entry?.fileHash ?? '',
      ...server(gateway.readToken),
      '-o',
      out,
      '--json',
    ]);
    expect(whole.json()).toMatchObject({
      type: 'result',
      path: out,
      sizeBytes: bytes.length,
      verified: true,
    });
    expect((await readFile(out)).equals(bytes)).toBe(true);

    const part = await inProcess([
      'download',
      entry?.fileHash ?? '',
      ...server(),
      '-o',
      out,
      '--offset',
      '1234567',
      '--length',
      '100001',
      '--json',
    ]);
    expect(part.json()).toMatchObject({ sizeBytes: 100_001, verified: true });
    expect((await readFile(out)).equals(bytes.subarray(1_234_567, 1_334_568))).toBe(true);
  });

  it('says whether a download was held against its hash, to programs and to people', async () => {
    const { files } = await upload(file);
    const hash = files[0]?.fileHash ?? '';
    const args = ['download', hash, '-o', at('checked'), ...server()];
    const fromStart = await inProcess([...args, '--offset', '0', '--json']);
    expect(fromStart.json()).toMatchObject({ sizeBytes: bytes.length, verified: true });
    const range = await inProcess([...args, '--offset', '1', '--json']);
    expect(range.json()).toMatchObject({ sizeBytes: bytes.length - 1, verified: true });
    const unproved = [...args, '--verify-range', 'off'];
    const off = await inProcess([...unproved, '--offset', '1', '--json']);
    expect(off.json()).toMatchObject({ verified: false });
    expect((await inProcess(args)).stderr).not.toContain('file hash');
    expect((await inProcess([...unproved, '--length', '5'])).stderr).toContain(
      'a range, so not held against the file hash',
    );
  });

  it('tells events with --json=stream: the first one the version, the last one the result', async () => {
    const run = await inProcess(['upload', file, at('none'), ...server(), '--json=stream']);
    expect(run.status).toBe(9);
    const events = run.stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toEqual({ type: 'start', version: 1, command: 'upload' });
    expect(events.at(-1)).toMatchObject({ type: 'result', failed: [{ code: 'INPUT_NOT_FOUND' }] });
    const types = new Set(events.map(({ type }) => type));
    expect(types).toEqual(new Set(['start', 'progress', 'file', 'result']));
    const { fileHash } = events.find(({ type }) => type === 'file');
    const out = ['-o', '-', '--json=stream', ...server()];
    const download = await inProcess(['download', fileHash, ...out]);
    expect(download.stdout.equals(bytes)).toBe(true);
    expect(download.errorJson()).toMatchObject({ type: 'result', verified: true });
    expect(JSON.parse(download.stderr.split('\n')[0] ?? '')).toMatchObject({ command: 'download' });
  });

  it('sends no xorb for the same file again, and little for an edited copy', async () => {
    await upload(file);
    const again = await upload(file);
    expect(again.xorbCount).toBe(0);
    expect(again.files[0]).toMatchObject({ sha256: null, newBytes: 0, dedupedBytes: bytes.length });
    const copy = at('edited.bin');
    await writeFile(
      copy,
      Buffer.concat([
        bytes.subarray(0, 1_500_000),
        Buffer.from('inserted'),
        bytes.subarray(1_500_000),
      ]),
    );
    const edited = await upload(copy);
    expect(edited.files[0]?.newBytes).toBeLessThanOrEqual(3 * 131_072);
  });

  it('reads standard input and writes standard output, with the result on standard error', async () => {
    const run = await inProcess(['upload', '-', ...server(), '--json'], { input: bytes });
    const [entry] = (run.json() as unknown as UploadJson).files;
    expect(entry).toMatchObject({ path: '-', sizeBytes: bytes.length });
    const out = await inProcess([
      'download',
      entry?.fileHash ?? '',
      ...server(),
      '-o',
      '-',
      '--json',
    ]);
    expect(out.status).toBe(0);
    expect(out.stdout.equals(bytes)).toBe(true);
    expect(out.errorJson()).toMatchObject({ type: 'result', path: '-', sizeBytes: bytes.length });
  });

  it('takes endpoint and token from the environment', async () => {
    const run = await inProcess(['upload', file, '--json'], {
      env: { ORBWEAVER_ENDPOINT: gateway.url, ORBWEAVER_TOKEN: gateway.writeToken },
    });
    expect(run.status).toBe(0);
  });

  it('uploads an empty file and rebuilds it to zero bytes', async () => {
    const empty = at('empty');
    await writeFile(empty, '');
    const result = await upload(empty, '--sha256');
    expect(result.xorbCount).toBe(0);
    expect(result.files[0]).toMatchObject({
      sizeBytes: 0,
      chunkCount: 0,
      fileHash: '0'.repeat(64),
    });
    const out = at('empty.out');
    expect((await inProcess(['download', '0'.repeat(64), ...server(), '-o', out])).status).toBe(0);
    expect((await stat(out)).size).toBe(0);
  });

  it('lists the chunks of a file, the same on every kernel tier', async () => {
    const listings = await Promise.all(
      ['simd', 'portable', 'readable'].map((tier) =>
        inProcess(['chunk', file, '--json', '--tier', tier]),
      ),
    );
    const [first] = listings.map((run) => run.json());
    for (const run of listings) expect(run.json()).toEqual(first);
    const { chunks, sizeBytes, fileHash } = first as unknown as {
      chunks: { offset: number; length: number; hash: string }[];
      sizeBytes: number;
      fileHash: string;
    };
    expect(sizeBytes).toBe(bytes.length);
    expect(fileHash).toBe((await upload(file)).files[0]?.fileHash);
    let end = 0;
    for (const chunk of chunks) {
      expect(chunk.offset).toBe(end);
      expect(chunk.hash).toMatch(HEX);
      end += chunk.length;
    }
    expect(end).toBe(bytes.length);
  });

  it('explains stored xorbs and shards', async () => {
    await upload(file);
    const found = await storedFiles(store);
    const xorb = await inProcess(['inspect', found.xorbs[0] ?? '', '--json']);
    expect(xorb.json()).toMatchObject({ type: 'xorb' });
    expect(Number(xorb.json()['footerBytes'])).toBeGreaterThan(0);
    const shard = await inProcess(['inspect', found.shards[0] ?? '', '--json']);
    expect(shard.json()).toMatchObject({ type: 'shard' });
    expect((await inProcess(['inspect', found.shards[0] ?? ''])).stdout.toString()).toMatch(
      /^shard of/,
    );
  });

  it('estimates among files alone and against a store, and sends nothing', async () => {
    const fresh = at('fresh.bin');
    await writeFile(fresh, generate({ kind: 'splitmix64', seed: 77, bytes: 1_000_000 }));
    const copy = at('fresh-copy.bin');
    await writeFile(copy, await readFile(fresh));
    const alone = await inProcess(['estimate', fresh, copy, '--json']);
    expect(alone.json()).toMatchObject({
      sizeBytes: 2_000_000,
      newBytes: 1_000_000,
      dedupedBytes: 1_000_000,
    });
    await upload(file);
    const before = (await storedFiles(store)).all.length;
    const against = await inProcess([
      'estimate',
      file,
      fresh,
      ...server(gateway.readToken),
      '--json',
    ]);
    expect(against.json()).toMatchObject({ newBytes: 1_000_000, dedupedBytes: bytes.length });
    expect((await storedFiles(store)).all.length).toBe(before);
  });

  it('uploads the entries of an archive and streams files into one', async () => {
    const zip = at('in.zip');
    await writeFile(
      zip,
      zipSync({ 'a/first.bin': bytes.subarray(0, 500_000), 'second.txt': Buffer.from('hello') }),
    );
    const result = await upload(zip, '--expand');
    expect(result.files.map((entry) => [entry.path, entry.sizeBytes])).toEqual([
      ['a/first.bin', 500_000],
      ['second.txt', 5],
    ]);
    const out = at('out.zip');
    const entries = result.files.map((entry, i) =>
      i === 0 ? `${entry.fileHash}=x/one.bin` : entry.fileHash,
    );
    const run = await inProcess(['download', '--zip', out, ...entries, ...server(), '--json']);
    expect(run.status).toBe(0);
    const unpacked = unzipSync(await readFile(out));
    expect(Buffer.from(unpacked['x/one.bin'] ?? []).equals(bytes.subarray(0, 500_000))).toBe(true);
    expect(Buffer.from(unpacked[result.files[1]?.fileHash ?? ''] ?? []).toString()).toBe('hello');
  });

  it('runs the demo on a file of the user', async () => {
    const run = await inProcess(['demo', file, '--json', '--workers', '1']);
    expect(run.status).toBe(0);
    expect((run.json()['steps'] as unknown[]).length).toBe(5);
  });

  describe('answers bad input with a typed error and an exit code', () => {
    it('a missing file, an unreadable file', async () => {
      expectError(
        await inProcess(['upload', at('nothing'), ...server(), '--json']),
        'INPUT_NOT_FOUND',
        3,
      );
      if (process.getuid?.() !== 0) {
        const secret = at('secret');
        await writeFile(secret, 'x');
        await chmod(secret, 0);
        expectError(
          await inProcess(['upload', secret, ...server(), '--json']),
          'INPUT_UNREADABLE',
          3,
        );
      }
    });

    it('one bad file among good ones: the good ones are done, the bad one is named', async () => {
      const run = await inProcess(['upload', file, at('nothing'), ...server(), '--json']);
      expect(run.status).toBe(9);
      const result = run.json() as unknown as UploadJson;
      expect(result.files.map((entry) => entry.path)).toEqual([file]);
      expect(result.failed).toMatchObject([{ path: at('nothing'), code: 'INPUT_NOT_FOUND' }]);
    });

    it('a wrong token and a token of the wrong scope', async () => {
      expectError(
        await inProcess(['upload', file, ...server('wrong'), '--json']),
        'AUTH_REQUIRED',
        4,
      );
      const fresh = at('scope.bin');
      await writeFile(fresh, generate({ kind: 'splitmix64', seed: 78, bytes: 1000 }));
      expectError(
        await inProcess(['upload', fresh, ...server(gateway.readToken), '--json']),
        'FORBIDDEN',
        4,
      );
    });

    it('a malformed hash, an unknown one, a range past the end', async () => {
      const out = at('never');
      expectError(
        await inProcess(['download', 'abc', ...server(), '-o', out, '--json']),
        'HASH_INVALID',
        2,
      );
      expectError(
        await inProcess(['download', 'f'.repeat(64), ...server(), '-o', out, '--json']),
        'NOT_FOUND',
        5,
      );
      const { fileHash } = (await upload(file)).files[0] ?? { fileHash: '' };
      expectError(
        await inProcess([
          'download',
          fileHash,
          ...server(),
          '-o',
          out,
          '--offset',
          '3000000',
          '--json',
        ]),
        'RANGE_INVALID',
        2,
      );
      expect(await readdir(folder)).not.toContain('never');
    });

    it('a xorb that is damaged on the disk of the store: nothing under the final name', async () => {
      const other = at('other-store');
      const second = await serve(['--data', other, '--port', '0', '--token', 'both']);
      try {
        const target = ['--endpoint', second.url, '--token', 'both'];
        const run = await inProcess(['upload', file, ...target, '--json']);
        const [entry] = (run.json() as unknown as UploadJson).files;
        const [xorb] = (await storedFiles(other)).xorbs;
        const damaged = await readFile(xorb ?? '');
        damaged[1_000_000] = (damaged[1_000_000] ?? 0) ^ 1;
        await chmod(xorb ?? '', 0o644);
        await writeFile(xorb ?? '', damaged);
        const out = at('damaged.out');
        expectError(
          await inProcess(['download', entry?.fileHash ?? '', ...target, '-o', out, '--json']),
          'INTEGRITY',
          6,
        );
        const toStdout = await inProcess([
          'download',
          entry?.fileHash ?? '',
          ...target,
          '-o',
          '-',
          '--json',
        ]);
        expectError(toStdout, 'INTEGRITY', 6);
        expect((await readdir(folder)).filter((name) => name.includes('damaged.out'))).toEqual([]);
      } finally {
        expect(await second.stop()).toBe(0);
      }
    });

    it('an output below a file', async () => {
      const { fileHash } = (await upload(file)).files[0] ?? { fileHash: '' };
      expectError(
        await inProcess(['download', fileHash, ...server(), '-o', join(file, 'out'), '--json']),
        'OUTPUT_UNWRITABLE',
        8,
      );
    });

    it('nobody at the endpoint, and an endpoint that is no URL', async () => {
      const run = await inProcess([
        'upload',
        file,
        '--endpoint',
        'not a url',
        '--token',
        'x',
        '--json',
      ]);
      expect(run.status).toBe(2);
      expect(run.errorJson()).toMatchObject({ type: 'error', code: 'USAGE' });
    });

    it('unknown commands and options, missing arguments', async () => {
      for (const args of [
        ['fly'],
        ['upload', '--fast'],
        ['upload'],
        ['download', 'x'],
        ['chunk'],
        ['serve'],
      ]) {
        expectError(await inProcess([...args, '--json']), 'USAGE', 2);
      }
    });

    it('a port that is taken', async () => {
      const port = new URL(gateway.url).port;
      expectError(
        await inProcess(['serve', '--data', at('third'), '--port', port, '--json']),
        'PORT_IN_USE',
        8,
      );
      expect(await readdir(folder)).not.toContain('third');
    });
  });

  it('writes no escape sequence into a pipe and shows exit codes in every help', async () => {
    const run = await inProcess(['upload', file, ...server()]);
    expect(`${run.stdout.toString()}${run.stderr}`).not.toContain('\u001b');
    for (const name of ['upload', 'download', 'serve', 'chunk', 'inspect', 'estimate', 'demo']) {
      const help = await inProcess([name, '--help']);
      expect(help.status).toBe(0);
      expect(help.stdout.toString()).toContain('Exit codes:');
      expect(help.stdout.toString()).toContain(`Usage: orbweaver ${name}`);
    }
  });
});

async function storedFiles(
  store: string,
): Promise<{ xorbs: string[]; shards: string[]; all: string[] }> {
  await mkdir(store, { recursive: true });
  const all: string[] = [];
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) all.push(join(entry.parentPath, entry.name));
  }
  return {
    all,
    xorbs: all.filter((path) => path.startsWith(join(store, 'xorbs'))),
    shards: all.filter((path) => path.startsWith(join(store, 'shards'))),
  };
}
