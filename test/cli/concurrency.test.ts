import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';
import type { TestServer } from '../transport/support.js';
import { isXorb, startFront } from './front.js';
import { inProcess } from './in-process.js';

const TOKEN = 'token-of-the-fixed';
const SIZE = 6_000_000;

describe('--concurrency', () => {
  let top: string;
  let served: gateway.RunningGateway;
  let front: TestServer;
  const at = (name: string): string => join(top, name);

  /** Xorbs on their way now, the most of them, and how many have to be there before one goes on. */
  let open = 0;
  let most = 0;
  let together = 1;
  let waiting: (() => void)[] = [];

  beforeAll(async () => {
    top = await mkdtemp(join(tmpdir(), 'orbweaver-concurrency-'));
    const common = { token: TOKEN, port: 0, sync: false, workers: 0 };
    served = await gateway.startGateway({ data: at('store'), ...common });
    front = await startFront(
      served.url,
      async (seen) => {
        if (!isXorb(seen)) return undefined;
        most = Math.max(most, ++open);
        if (open < together) await new Promise<void>((resolve) => waiting.push(resolve));
        // Those that come later pass.
        together = 1;
        for (const go of waiting.splice(0)) go();
        return undefined;
      },
      (seen) => {
        if (isXorb(seen)) open--;
      },
    );
  });
  afterAll(async () => {
    await front?.close();
    await served?.close();
    await rm(top, { recursive: true, force: true });
  });

  const run = (...args: string[]) =>
    inProcess(
      [
        ...[...args, '--json', '--no-resume', '--workers', '0', '--max-memory', '32MiB'],
        ...['--endpoint', front.url, '--token', TOKEN],
      ],
      { env: { XDG_CACHE_HOME: at('cache') }, cwd: top },
    );
  const upload = (...args: string[]) =>
    run('upload', ...args, '--max-xorb-bytes', '1MiB', '--grants', 'never');

  it('fixes the number of xorbs that are on their way, of files and of folders', async () => {
    for (const [seed, fixed] of [
      [51, 1],
      [52, 3],
    ] as const) {
      const bytes = generate({ kind: 'splitmix64', seed, bytes: SIZE });
      await mkdir(at(`${fixed}`));
      await writeFile(at(`${fixed}/file`), bytes);
      [open, most, together, waiting] = [0, 0, fixed, []];
      const path = at(fixed === 1 ? `${fixed}/file` : `${fixed}`);
      const { status, stderr } = await upload(path, '--concurrency', `${fixed}`);
      expect([status, stderr]).toEqual([0, '']);
      expect(most).toBe(fixed);
    }
  });

  it('is taken by downloads, edits and appends', async () => {
    const bytes = generate({ kind: 'splitmix64', seed: 53, bytes: 300_000 });
    await writeFile(at('old'), bytes);
    const one = ['--concurrency', '1'];
    const { files } = (await upload(at('old'), ...one)).json() as { files: { fileHash: string }[] };
    const hash = files[0]?.fileHash ?? '';
    const edited = await run('edit', hash, '--splice', '0:1:', ...one);
    expect(edited.json()).toMatchObject({ type: 'result', sizeBytes: 299_999 });
    const longer = await run('append', hash, 'old', ...one);
    expect(longer.json()).toMatchObject({ type: 'result', sizeBytes: 600_000 });
    const got = await run('download', hash, '-o', 'new', ...one);
    expect(got.json()).toMatchObject({ type: 'result', sizeBytes: 300_000 });
    expect((await readFile(at('new'))).equals(bytes)).toBe(true);
  });

  it('is refused where it means nothing, and with a number that no client takes', async () => {
    const zero = ['--concurrency', '0'];
    for (const args of [
      ['upload', 'old', ...zero],
      ['upload', 'old', 'hf://org/name', ...zero],
      ['download', 'f'.repeat(64), '-o', 'x', '--concurrency', '257'],
      ['append', 'f'.repeat(64), 'old', ...zero],
    ]) {
      const refused = await run(...args);
      expect(refused.status, args.join(' ')).toBe(2);
      expect(refused.errorJson()['message']).toMatch(/--concurrency expected 1 to 256, got "\d+"/);
    }
    const to = await run(
      'upload',
      'old',
      '--to',
      'multipart:http://a.example',
      '--concurrency',
      '2',
    );
    expect(to.status).toBe(2);
    expect(to.errorJson()['message']).toMatch(/is for stores.*--set parallelParts=N/);
  });
});
