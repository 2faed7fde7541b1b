import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chunkInput } from 'orbweaver';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';
import type { BinaryRun } from './run-binary.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe('edit and append', () => {
  let folder: string;
  let gateway: RunningGateway;
  let hash: string;
  const bytes = generate({ kind: 'splitmix64', seed: 5, bytes: 700_000 });
  const extra = generate({ kind: 'splitmix64', seed: 6, bytes: 5000 });

  const run = (args: readonly string[], input?: Uint8Array): Promise<BinaryRun> =>
    inProcess(
      [...args, '--endpoint', gateway.url, '--token', gateway.writeToken, '--workers', '0'],
      { cwd: folder, ...(input === undefined ? {} : { input }) },
    );
  const hashOf = async (pieces: readonly Uint8Array[]): Promise<string> =>
    (await chunkInput(new Uint8Array(Buffer.concat(pieces)))).fileHash;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-cli-edit-'));
    gateway = await startGateway({ data: join(folder, 'store'), port: 0, workers: 0 });
    await writeFile(join(folder, 'old'), bytes);
    await writeFile(join(folder, 'a:b'), extra);
    const uploaded = await run(['upload', join(folder, 'old'), '--json', '--no-cache']);
    expect(uploaded.stderr).toBe('');
    hash = (uploaded.json()['files'] as { fileHash: string }[])[0]?.fileHash as string;
  });
  afterAll(async () => {
    await gateway?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('change a stored file, by files and by standard input', async () => {
    const splices = ['--splice', '100:50:a:b', '--splice', '500KiB:1KiB:', '--splice', 'end::-'];
    const edited = await run(['edit', hash, ...splices, '--json'], extra);
    expect(edited.stderr).toBe('');
    const expected = [
      bytes.subarray(0, 100),
      extra,
      bytes.subarray(150, 512_000),
      bytes.subarray(513_024),
      extra,
    ];
    const result = edited.json();
    expect(Object.keys(result)).toEqual([
      'type',
      'fileHash',
      'sizeBytes',
      'readBytes',
      'sentBytes',
    ]);
    expect(result).toMatchObject({ type: 'result', fileHash: await hashOf(expected) });
    const appended = await run(['append', hash, 'a:b']);
    expect(appended.stdout.toString()).toBe(`${await hashOf([bytes, extra])}\n`);
    expect(appended.stderr).toContain('sent');
  });

  it.each([
    [['edit', 'HASH'], 'USAGE', 2],
    [['edit', 'HASH', '--splice', '5'], 'USAGE', 2],
    [['edit', 'HASH', '--splice', 'x:1:a'], 'USAGE', 2],
    [['edit', 'HASH', '--splice', '1:y:a'], 'USAGE', 2],
    [['append', 'HASH'], 'USAGE', 2],
    [['edit', 'HASH', '--splice', '700001:0:a:b'], 'RANGE_INVALID', 2],
    [['append', 'HASH', 'missing'], 'INPUT_NOT_FOUND', 3],
    [['append', 'xyz', 'old'], 'HASH_INVALID', 2],
  ])('refuse %j with %s', async (args, code, status) => {
    const refused = await run([...args.map((arg) => (arg === 'HASH' ? hash : arg)), '--json']);
    expect(refused.errorJson()).toMatchObject({ type: 'error', code });
    expect(refused.status).toBe(status);
  });

  it('that meet are told to stay apart', async () => {
    const two = ['--splice', '5:10:a:b', '--splice', '6:1:a:b'];
    const refused = await run(['edit', hash, ...two, '--json']);
    expect(refused.errorJson()).toMatchObject({
      code: 'RANGE_INVALID',
      hint: expect.stringContaining('apart from each other'),
    });
  });

  it('leave ranges proved: download says so', async () => {
    const range = ['download', hash, '-o', 'part', '--offset', '1000', '--length', '10'];
    const proved = await run([...range, '--verify-range', 'require', '--json']);
    expect(proved.json()).toMatchObject({ sizeBytes: 10, verified: true });
    expect(await readFile(join(folder, 'part'))).toEqual(Buffer.from(bytes.subarray(1000, 1010)));
    const unproved = await run([...range, '--verify-range', 'off', '--json']);
    expect(unproved.json()).toMatchObject({ verified: false });
  });
});
