import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { inProcess } from './in-process.js';
import { type BinaryRun, type Served, serve } from './run-binary.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const HEX = /^[0-9a-f]{64}$/;

describe('folders on the command line', () => {
  let top: string;
  let cwd: string;
  let gateway: Served;
  let count = 0;

  const run = (args: string, options: { input?: Uint8Array } = {}): Promise<BinaryRun> =>
    inProcess([...args.split(' '), '--workers', '0'], {
      cwd,
      env: {
        ORBWEAVER_ENDPOINT: gateway.url,
        ORBWEAVER_TOKEN: gateway.writeToken,
        XDG_CACHE_HOME: join(top, 'cache'),
      },
      ...options,
    });
  const ok = async (args: string, options: { input?: Uint8Array } = {}): Promise<BinaryRun> => {
    const done = await run(args, options);
    expect(done.stderr.replace(/^\{"type":"warning".*\n/gm, ''), args).not.toMatch(/orbweaver: /);
    expect(done.status, args).toBe(0);
    return done;
  };
  const lines = (done: BinaryRun): Record<string, unknown>[] =>
    done.stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const listed = async (hash: unknown): Promise<unknown[]> =>
    lines(await ok(`ls ${hash} --json`)).map(({ path }) => path);

  beforeAll(async () => {
    top = await mkdtemp(join(tmpdir(), 'orbweaver-cli-folder-'));
    gateway = await serve(['--data', join(top, 'store'), '--port', '0']);
  });
  afterAll(async () => {
    await gateway?.stop();
    await rm(top, { recursive: true, force: true });
  });
  beforeEach(async () => {
    cwd = join(top, String(count++));
    await mkdir(join(cwd, 'src/sub'), { recursive: true });
    await writeFile(join(cwd, 'src/a.txt'), 'a');
    await writeFile(join(cwd, 'src/sub/b.bin'), 'bb');
    await writeFile(join(cwd, 'src/.hidden'), 'ccc');
    await symlink('a.txt', join(cwd, 'src/link'));
    await chmod(join(cwd, 'src/a.txt'), 0o640);
  });

  it('upload prints one hash, download restores it, ls lists it', async () => {
    const up = (await ok('upload src --json')).json();
    expect(up).toMatchObject({
      type: 'result',
      path: 'src',
      fileCount: 3,
      folderCount: 1,
      symlinkCount: 1,
      sizeBytes: 6,
    });
    const hash = up['manifestHash'] as string;
    expect(hash).toMatch(HEX);
    expect((await ok('upload src -q')).stdout.toString()).toBe(`${hash}  src\n`);

    const down = (await ok(`download ${hash} -o out --json`)).json();
    expect(Object.keys(down)).toEqual(
      expect.arrayContaining([
        'type',
        'path',
        'fileCount',
        'sizeBytes',
        'fetchedBytes',
        'requestCount',
        'wallMs',
      ]),
    );
    expect(down).toMatchObject({ type: 'result', path: 'out', fileCount: 3, sizeBytes: 6 });
    execFileSync('diff', ['-r', '--no-dereference', join(cwd, 'src'), join(cwd, 'out')]);
    // Into a folder that is there, too; and as a file where that is asked for.
    await ok(`download ${hash} -o out --no-clobber`);
    const plain = await ok(`download ${hash} -o - -q`);
    expect(plain.stdout.toString()).toMatch(/^\{"format":"orbweaver-folder","version":1\}\n/);
    await ok(`download ${hash}=manifest -o out`);
    expect(await readFile(join(cwd, 'out/manifest'))).toEqual(plain.stdout);

    const entries = lines(await ok(`ls ${hash} --json`));
    expect(entries.map(({ path, type }) => [path, type])).toEqual([
      ['.hidden', 'file'],
      ['a.txt', 'file'],
      ['link', 'symlink'],
      ['sub', 'folder'],
      ['sub/b.bin', 'file'],
    ]);
    for (const entry of entries) {
      expect(Object.keys(entry).slice(0, 6)).toEqual([
        'path',
        'type',
        'sizeBytes',
        'fileHash',
        'mode',
        'mtimeMs',
      ]);
    }
    expect(entries[1]).toMatchObject({ sizeBytes: 1, mode: 0o640 });
    const text = (await ok(`ls ${hash}`)).stdout.toString().split('\n');
    expect(text[1]).toMatch(/^-rw-r----- {12}1 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}a\.txt$/);
    expect(text[2]).toMatch(/ link -> a\.txt$/);
  });

  it('diff says what changed', async () => {
    const one = (await ok('upload src --json')).json()['manifestHash'];
    await writeFile(join(cwd, 'src/a.txt'), 'changed');
    await rm(join(cwd, 'src/sub/b.bin'));
    await writeFile(join(cwd, 'src/new'), '');
    const two = (await ok('upload src --json')).json()['manifestHash'];
    expect((await ok(`diff ${one} ${two}`)).stdout.toString()).toBe(
      'M  a.txt  (content)\nA  new\nD  sub/b.bin\n',
    );
    expect(lines(await ok(`diff ${two} ${one} --json`))).toMatchObject([
      { path: 'a.txt', change: 'modified', fields: ['fileHash'], after: { sizeBytes: 1 } },
      { path: 'new', change: 'removed', before: { sizeBytes: 0 }, after: null },
      { path: 'sub/b.bin', change: 'added', before: null },
    ]);
    expect((await ok(`diff ${one} ${one} --times --json`)).stdout.toString()).toBe('');
  });

  it('takes patterns, lists and globs', async () => {
    const of = async (args: string, input?: string): Promise<unknown[]> => {
      const options = input === undefined ? {} : { input: new TextEncoder().encode(input) };
      return listed((await ok(`upload ${args} --json`, options)).json()['manifestHash']);
    };
    expect(await of('src --exclude *.bin --exclude /link --no-hidden')).toEqual(['a.txt', 'sub']);
    expect(await of('src/**/*.bin')).toEqual(['sub', 'sub/b.bin']);
    expect(await of('src --files-from -', 'a.txt\nsub\n')).toEqual(['a.txt', 'sub', 'sub/b.bin']);
    expect(await of('--files-from -', 'src/a.txt\0src/sub/b.bin\0')).toEqual([
      'src',
      'src/a.txt',
      'src/sub',
      'src/sub/b.bin',
    ]);
    expect(await of('src/sub src/a.txt --symlinks skip')).toEqual(['a.txt', 'sub', 'sub/b.bin']);
  });

  it('tells what failed and does the rest, with exit code 9', async () => {
    await symlink('/etc', join(cwd, 'src/etc'));
    const up = await run('upload src --json');
    expect(up.status).toBe(9);
    const result = up.json();
    expect(result['failed']).toMatchObject([{ path: 'etc', code: 'UNSAFE_PATH' }]);
    expect(await listed(result['manifestHash'])).not.toContain('etc');

    await mkdir(join(cwd, 'out/a.txt'), { recursive: true });
    const down = await run(`download ${result['manifestHash']} -o out --json`);
    expect(down.status).toBe(9);
    expect(down.json()).toMatchObject({
      fileCount: 2,
      failed: [{ path: 'a.txt', code: 'OUTPUT_UNWRITABLE' }],
    });
    expect((await readdir(join(cwd, 'out'))).sort()).toEqual(['.hidden', 'a.txt', 'link', 'sub']);

    const both = await run('upload src none -q');
    expect(both.status).toBe(9);
    expect(both.stderr).toMatch(/none" expected a readable input/);
  });

  it('refuses what is no folder, and what folders do not have', async () => {
    const hash = (await ok(`upload ${cwd}/src/a.txt -q`)).stdout.toString().slice(0, 64);
    const top = (await ok('upload src -q')).stdout.toString().slice(0, 64);
    for (const [args, status, text] of [
      [`ls ${hash}`, 6, /manifest of a folder.*\(FORMAT_INVALID\)\n {2}Give the hash that/s],
      [`diff ${hash} ${hash}`, 6, /manifest of a folder/],
      [`download ${hash} -o src`, 2, /"src" is a folder: name the file/],
      [`download ${hash} -o copy --no-clobber`, 2, /--no-clobber is for folders/],
      [`download ${hash} -o copy --verify-range off`, 2, /--verify-range is for ranges, not for/],
      [`download ${top} -o copy --seed src/a.txt`, 2, /expected folders with other versions/],
      ['ls', 2, /ls expected one HASH/],
      [`diff ${hash}`, 2, /diff expected two hashes/],
      ['upload src --expand', 2, /--expand is for files, not for folders/],
      ['upload src --create', 2, /--create is for files to hf:.*, not for folders/],
      ['upload src - ', 2, /no part of a folder/],
      ['upload --files-from none', 3, /"none" expected a readable input/],
      ['upload nothing/*.here', 3, /expected a readable input/],
    ] as const) {
      const done = await run(args.trim());
      expect(done.stderr, args).toMatch(text);
      expect(done.status, args).toBe(status);
    }
    expect((await ok(`download ${hash} -o copy -q`)).stdout.toString()).toBe('');
    expect(await readFile(join(cwd, 'copy'), 'utf8')).toBe('a');
  });

  it('are estimated, and uploaded in a dry run, without being sent', async () => {
    await writeFile(join(cwd, 'src/new.txt'), 'not stored');
    const estimated = await ok('estimate src --exclude .hidden --json');
    const counts = { fileCount: 3, sizeBytes: 13, newBytes: 10, dedupedBytes: 3 };
    expect(estimated.json()).toMatchObject({ path: 'src', ...counts });
    expect((await ok('estimate src')).stdout.toString()).toMatch(/src +4 .*\nwould send /);
    const dry = await ok('upload src --dry-run');
    expect(dry.stderr).toContain('would send');
    const [hash = ''] = dry.stdout.toString().split(' ');
    expect(hash).toMatch(HEX);
    expect((await run(`ls ${hash}`)).status).toBe(5);
    expect((await ok('upload src')).stdout.toString()).toContain(hash);
    await ok(`ls ${hash}`);
  });

  it('tell what a restore and a ZIP would cost, and nothing is written', async () => {
    const hash = (await ok('upload src --json')).json()['manifestHash'];
    const dry = (await ok(`download ${hash} -o out --dry-run --json`)).json();
    const zipped = `download --zip all.zip ${hash}=manifest`;
    const zip = (await ok(`${zipped} --dry-run --json`)).json();
    expect(await readdir(cwd)).toEqual(['src']);
    const done = (await ok(`download ${hash} -o out --json`)).json();
    const { fetchedBytes, requestCount } = done;
    expect(dry).toMatchObject({
      ...{ type: 'result', path: 'out', fileCount: 3, folderCount: 1, symlinkCount: 1 },
      ...{ sizeBytes: 6, fetchBytes: fetchedBytes, requestCount },
    });
    const archived = (await ok(`${zipped} --json`)).json();
    expect(zip).toMatchObject({
      ...{ path: 'all.zip', fileCount: 1, fetchBytes: archived['fetchedBytes'] },
      requestCount: archived['requestCount'],
    });
    const again = await ok(`download ${hash} -o out --dry-run`);
    expect(again.stderr).toMatch(/^out: 3 files in 1 folder, 6 B, would fetch .* 6 B were there/m);
  });

  it('tells the progress as events', async () => {
    const events = lines(await ok('upload src --json=stream'));
    expect(events[0]).toMatchObject({ type: 'start', command: 'upload' });
    expect(events.filter(({ type }) => type === 'file')).toHaveLength(3);
    const whole = { phase: 'done', doneBytes: 6, totalBytes: 6, doneFileCount: 3, fileCount: 3 };
    const lastOf = (all: typeof events) => all.filter(({ type }) => type === 'progress').at(-1);
    expect(lastOf(events)).toMatchObject(whole);
    const unchanged = lines(await ok('upload src --json=stream'));
    expect(lastOf(unchanged)).toMatchObject({ ...whole, newBytes: 0, dedupedBytes: 6 });
    const hash = events.at(-1)?.['manifestHash'];
    const down = lines(await ok(`download ${hash} -o out --json=stream`));
    expect(down[0]).toMatchObject({ type: 'start', command: 'download' });
    expect(down.at(-1)).toMatchObject({ type: 'result', fileCount: 3 });
    const again = (await ok(`download ${hash} -o out --json --seed src`)).json();
    expect(again['unchangedCount']).toBe(3);
    const anew = (await ok(`download ${hash} -o out --json --no-resume`)).json();
    expect(anew).toMatchObject({ unchangedCount: 0, resumedBytes: 0, seededBytes: 0 });
  });
});
