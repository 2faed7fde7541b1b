import { execFileSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as client from 'orbweaver';
import { encodeEntry, MANIFEST_HEADER } from 'orbweaver/formats';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BAD_TARGETS, NEVER, NOT_PORTABLE } from '../folder/hostile.js';
import { generate } from '../support/generators.js';

/** Through the package, a gateway in this process and real files. */

const ENDPOINT = 'http://gateway.test';
const TOKEN = 'secret-of-the-test';

let top: string;
let gate: gateway.Gateway;
let ours: client.OrbweaverClient;
let box: string;
let requests: string[];
let count = 0;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-folder-'));
  const { hasher, codec } = await client.loadKernels();
  gate = gateway.createGateway({
    store: gateway.createMemoryStore(),
    hasher,
    codec,
    tokens: [{ token: TOKEN, scope: 'write' }],
    options: { onAccess: ({ method, path }) => requests?.push(`${method} ${path}`) },
  });
  ours = await client.createClient({
    endpoint: ENDPOINT,
    token: TOKEN,
    exchange: gate.exchange,
    workers: 0,
    maxMemory: 16 << 20,
  });
});

afterAll(async () => {
  await ours?.close();
  await gate?.close();
  await rm(top, { recursive: true, force: true });
});

beforeEach(async () => {
  box = join(top, `box-${count++}`);
  requests = [];
  await mkdir(box);
});

async function put(path: string, data: string | Uint8Array = path): Promise<void> {
  await mkdir(dirname(join(box, path)), { recursive: true });
  await writeFile(join(box, path), data);
}

/** Everything in a folder: type, rights, time and content. */
async function shape(folder: string): Promise<Record<string, unknown>> {
  const out: Record<string, unknown> = {};
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const path = join(folder, name);
    const stats = await lstat(path);
    const rights = (stats.mode & 0o777).toString(8);
    const time = Math.round(stats.mtimeMs);
    if (stats.isSymbolicLink()) out[name] = ['link', await readlink(path)];
    else if (stats.isDirectory()) out[name] = ['folder', rights, time];
    else out[name] = ['file', rights, time, (await readFile(path)).toString('base64')];
  }
  return out;
}

const paths = async (hash: string): Promise<string[]> => {
  const list = [];
  for await (const { path } of ours.listFolder(hash)) list.push(path);
  return list;
};

/** Stores a manifest that a liar made. */
async function storeManifest(entries: readonly object[]): Promise<string> {
  const sizeBytes = entries.reduce<number>(
    (sum, each) => sum + ((each as { sizeBytes?: number }).sizeBytes ?? 0),
    0,
  );
  const end = JSON.stringify({ type: 'end', entryCount: entries.length, sizeBytes });
  const text = `${MANIFEST_HEADER}${entries.map((each) => `${JSON.stringify(each)}\n`).join('')}${end}\n`;
  return store(text);
}

async function store(data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  const { files } = await ours.upload(bytes);
  return files[0]?.fileHash as string;
}

const fileLine = (path: string, fileHash: string, sizeBytes: number): client.FolderEntry => ({
  path,
  type: 'file',
  sizeBytes,
  fileHash,
  mode: 0o644,
  mtimeMs: 0,
});

describe('a folder', () => {
  it('comes back as it was: content, rights, times, links, empty folders', async () => {
    await put('a/x.txt');
    await put('a/b/c/deep');
    await put('a-b');
    await put('.hidden/.also');
    await put('empty', '');
    await put('large.bin', generate({ kind: 'splitmix64', seed: 1, bytes: 2_500_000 }));
    await put('grüße 😀');
    await mkdir(join(box, 'nothing/in/here'), { recursive: true });
    await symlink('a/x.txt', join(box, 'link'));
    await symlink('../b', join(box, 'a/b/up'));
    await symlink('not there', join(box, 'dangling'));
    await chmod(join(box, 'a/x.txt'), 0o640);
    await chmod(join(box, 'a-b'), 0o555);
    await utimes(join(box, 'a/x.txt'), 981173106.789, 981173106.789);
    await utimes(join(box, 'empty'), -1000.5, -1000.5);
    await utimes(join(box, 'a/b'), 1e9, 1e9);
    await chmod(join(box, 'a/b'), 0o550);
    await utimes(join(box, 'a'), 1.5e9, 1.5e9);

    const up = await ours.uploadFolder(box);
    expect(up).toMatchObject({
      fileCount: 7,
      folderCount: 7,
      symlinkCount: 3,
      failed: [],
      skipped: [],
    });
    const to = join(top, 'back/of/it');
    const down = await ours.downloadFolder(up.manifestHash, { to });
    expect(down).toMatchObject({
      fileCount: 7,
      folderCount: 7,
      symlinkCount: 3,
      sizeBytes: up.sizeBytes,
      failed: [],
    });
    expect(await shape(to)).toEqual(await shape(box));
    // What was restored is the same folder to the byte.
    const again = await ours.uploadFolder(to);
    expect(again.manifestHash).toBe(up.manifestHash);
    expect(again).toMatchObject({ newBytes: 0, xorbCount: 0 });
    await chmod(join(box, 'a/b'), 0o755);
    await chmod(join(to, 'a/b'), 0o755);
  });

  it('of many small files takes few requests, both ways, and fewer when nothing changed', async () => {
    const files = 1500;
    const bytes = generate({ kind: 'splitmix64', seed: 7, bytes: files * 4096 });
    for (let d = 0; d < 15; d++) await mkdir(join(box, `d${d}`));
    for (let i = 0; i < files; i++) {
      await writeFile(join(box, `d${i % 15}`, `f${i}`), bytes.subarray(4096 * i, 4096 * (i + 1)));
    }
    const { manifestHash } = await ours.uploadFolder(box);
    const uploads = requests.filter((each) => !each.includes('/v1/chunks/'));
    expect(uploads.length).toBeLessThan(10);
    requests = [];
    const to = join(top, 'many');
    const down = await ours.downloadFolder(manifestHash, { to });
    expect(down).toMatchObject({ fileCount: files, failed: [] });
    expect(down.requestCount).toBeLessThan(20);
    expect(requests.filter((each) => each === 'POST /v1/reconstructions').length).toBeLessThan(4);
    expect(await shape(to)).toEqual(await shape(box));
  });

  it('is listed, and its differences are told', async () => {
    await put('b');
    await put('a/x');
    const one = await ours.uploadFolder(box);
    expect(await paths(one.manifestHash)).toEqual(['a', 'a/x', 'b']);
    await unlink(join(box, 'b'));
    await put('a/x', 'changed');
    await put('c');
    const two = await ours.uploadFolder(box);
    const changes = [];
    for await (const { path, change } of ours.diffFolders(one.manifestHash, two.manifestHash)) {
      changes.push([path, change]);
    }
    expect(changes).toEqual([
      ['a/x', 'modified'],
      ['b', 'removed'],
      ['c', 'added'],
    ]);
    expect(await ours.isFolder(one.manifestHash)).toBe(true);
    expect(await ours.isFolder(await store('no manifest'))).toBe(false);
    expect(await ours.isFolder('0'.repeat(64))).toBe(false);
    const other = ours.downloadFolder(await store('no manifest'), { to: join(box, 'out') });
    await expect(other).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
    const listed = (async () => paths(await store('no manifest')))();
    await expect(listed).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
  });

  it('lists what is asked for: patterns, lists, hidden names, globs, several folders', async () => {
    for (const path of ['a/x.txt', 'a/x.tmp', 'b/a/y.txt', '.git/config', 'b/.env', 'c.txt']) {
      await put(path);
    }
    const of = async (
      inputs: string | string[],
      options?: client.FolderUploadOptions,
    ): Promise<string[]> => {
      const { manifestHash, failed } = await ours.uploadFolder(inputs, options);
      expect(failed).toEqual([]);
      return paths(manifestHash);
    };
    const all = await of(box);
    expect(all).toEqual([
      '.git',
      '.git/config',
      'a',
      'a/x.tmp',
      'a/x.txt',
      'b',
      'b/.env',
      'b/a',
      'b/a/y.txt',
      'c.txt',
    ]);
    expect(await of(box, { exclude: ['.git', '*.tmp'] })).toEqual(
      all.filter((path) => !/^\.git|\.tmp$/.test(path)),
    );
    // With a slash it is a path from the top; with one at its end, folders only.
    expect(await of(box, { exclude: ['/a', 'x.txt/'], hidden: false })).toEqual([
      'b',
      'b/a',
      'b/a/y.txt',
      'c.txt',
    ]);
    expect(await of(box, { exclude: ['b/*'], hidden: false })).toEqual([
      'a',
      'a/x.tmp',
      'a/x.txt',
      'b',
      'c.txt',
    ]);
    expect(await of(box, { files: ['./b/a/y.txt', 'a'] })).toEqual([
      'a',
      'a/x.tmp',
      'a/x.txt',
      'b',
      'b/a',
      'b/a/y.txt',
    ]);
    expect(await of(join(box, '**/*.txt'))).toEqual([
      'a',
      'a/x.txt',
      'b',
      'b/a',
      'b/a/y.txt',
      'c.txt',
    ]);
    expect(await of(join(box, '*.txt'))).toEqual(['c.txt']);
    expect(await of(join(box, '[ab]'))).toEqual([
      'a',
      'a/x.tmp',
      'a/x.txt',
      'b',
      'b/.env',
      'b/a',
      'b/a/y.txt',
    ]);
    expect(await of([join(box, 'b/a'), join(box, 'c.txt')])).toEqual(['a', 'a/y.txt', 'c.txt']);
    const twice = ours.uploadFolder([join(box, 'a'), join(box, 'b/a')]);
    await expect(twice).rejects.toMatchObject({ code: 'USAGE' });
    for (const file of ['../x', '/etc/passwd', 'a/../../x']) {
      const outside = ours.uploadFolder(box, { files: [file] });
      await expect(outside).rejects.toMatchObject({ code: 'USAGE' });
    }
    await expect(ours.uploadFolder(join(box, 'none'))).rejects.toMatchObject({
      code: 'INPUT_NOT_FOUND',
    });
    await expect(ours.uploadFolder(box, { exclude: '*.x' } as never)).rejects.toThrow(TypeError);
  });

  it('keeps, follows or leaves out links, and does not follow one for ever', async () => {
    await put('a/x');
    await symlink('a', join(box, 'to-a'));
    await symlink('..', join(box, 'a/loop'));
    const follow = await ours.uploadFolder(box, { symlinks: 'follow' });
    expect(follow.failed.map(({ path }) => path)).toEqual(['a/loop', 'to-a/loop']);
    expect(await paths(follow.manifestHash)).toEqual([
      'a',
      'a/loop',
      'a/x',
      'to-a',
      'to-a/loop',
      'to-a/x',
    ]);
    const skip = await ours.uploadFolder(box, { symlinks: 'skip' });
    expect(skip.skipped.map(({ path }) => path)).toEqual(['a/loop', 'to-a']);
    expect(await paths(skip.manifestHash)).toEqual(['a', 'a/x']);
  });

  it('loses one bad file, and nothing else', async () => {
    await put('a/good');
    await put('b/good');
    await symlink('/etc/passwd', join(box, 'out'));
    await put('nul.txt');
    await put('README');
    await put('readme');
    await put('10:30');
    const list = ['a', 'b', 'gone', 'out', 'nul.txt', 'README', 'readme', '10:30'];
    const up = await ours.uploadFolder(box, { files: list });
    expect(up.failed.map(({ path, code }) => [path, code])).toEqual([
      ['10:30', 'UNSAFE_PATH'],
      ['gone', 'INPUT_NOT_FOUND'],
      ['nul.txt', 'UNSAFE_PATH'],
      ['out', 'UNSAFE_PATH'],
      ['readme', 'UNSAFE_PATH'],
    ]);
    expect(await paths(up.manifestHash)).toEqual(['README', 'a', 'a/good', 'b', 'b/good']);

    const native = await ours.uploadFolder(box, { names: 'native' });
    expect(native.failed.map(({ path }) => path)).toEqual(['out']);
    const to = join(box, 'back');
    const refused = ours.downloadFolder(native.manifestHash, { to });
    await expect(refused).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
    await expect(stat(to)).rejects.toThrow();
    const down = await ours.downloadFolder(native.manifestHash, { to, names: 'native' });
    expect(down).toMatchObject({ fileCount: 6, failed: [] });
    expect(await readFile(join(to, 'readme'), 'utf8')).toBe('readme');
  });

  it.runIf(process.platform === 'linux')(
    'has names that are not UTF-8, and sockets left out',
    async () => {
      const raw = Buffer.concat([Buffer.from(`${box}/caf`), Buffer.of(0xe9), Buffer.from('.txt')]);
      await writeFile(raw, 'latin');
      execFileSync('mkfifo', [join(box, 'pipe')]);
      const portable = await ours.uploadFolder(box);
      expect(portable.failed.map(({ path, code }) => [path, code])).toEqual([
        ['caf\udce9.txt', 'UNSAFE_PATH'],
      ]);
      expect(portable.skipped.map(({ path }) => path)).toEqual(['pipe']);
      const { manifestHash, failed } = await ours.uploadFolder(box, { names: 'native' });
      expect(failed).toEqual([]);
      const to = join(box, 'back');
      await ours.downloadFolder(manifestHash, { to, names: 'native' });
      const names = await readdir(to, { encoding: 'buffer' });
      expect(names).toEqual([raw.subarray(box.length + 1)]);
      expect(
        await readFile(Buffer.concat([Buffer.from(`${to}/`), names[0] as Buffer]), 'utf8'),
      ).toBe('latin');
    },
  );
});

describe('restoring a folder', () => {
  it('refuses a manifest with one bad name before it writes anything', async () => {
    const fileHash = await store('x');
    const to = join(box, 'out');
    const outside = await readdir(dirname(box));
    for (const path of ['../planted', ...NEVER, ...NOT_PORTABLE].filter((_, i) => i % 6 === 0)) {
      const hash = await storeManifest([fileLine(path, fileHash, 1)]);
      const restored = ours.downloadFolder(hash, { to });
      await expect(restored, JSON.stringify(path.slice(0, 60))).rejects.toMatchObject({
        code: expect.stringMatching(/^(UNSAFE_PATH|LIMIT_EXCEEDED)$/),
      });
    }
    for (const target of BAD_TARGETS.slice(0, 6)) {
      const hash = await storeManifest([
        { path: 'd', type: 'folder', mode: 0o755, mtimeMs: 0 },
        { path: 'd/l', type: 'symlink', target, mtimeMs: 0 },
      ]);
      for (const names of ['portable', 'native'] as const) {
        const restored = ours.downloadFolder(hash, { to, names });
        await expect(restored, target).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
      }
    }
    const below = await storeManifest([
      { path: 'l', type: 'symlink', target: '.', mtimeMs: 0 },
      fileLine('l/x', fileHash, 1),
    ]);
    await expect(ours.downloadFolder(below, { to })).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
    });
    await expect(stat(to)).rejects.toThrow();
    expect(await readdir(dirname(box))).toEqual(outside);
  });

  it('loses what is missing, has another size or another content, and nothing else', async () => {
    const [one, two] = [await store('one'), await store('four')];
    const large = generate({ kind: 'splitmix64', seed: 3, bytes: 1_500_000 });
    const hash = await storeManifest([
      fileLine('a', one, 3),
      fileLine('b', '12'.repeat(32), 3),
      fileLine('c', two, 3),
      fileLine('d', two, 4),
      fileLine('e', await store(large), 1_499_999),
      fileLine('f', one, 3),
      fileLine('g', one, 2),
      { ...fileLine('h', '0'.repeat(64), 0) },
    ]);
    const to = join(box, 'out');
    const down = await ours.downloadFolder(hash, { to });
    expect(Object.fromEntries(down.failed.map(({ path, code }) => [path, code]))).toEqual({
      b: 'NOT_FOUND',
      c: 'SIZE_MISMATCH',
      e: 'SIZE_MISMATCH',
      g: 'SIZE_MISMATCH',
    });
    expect((await readdir(to)).sort()).toEqual(['a', 'd', 'f', 'h']);
    expect(await readFile(join(to, 'd'), 'utf8')).toBe('four');
    expect(down.fileCount).toBe(4);
  });

  it('does not write through links that are there, whole or in a part of a path', async () => {
    await put('src/d/x', 'new');
    await put('src/y', 'new');
    await put('src/z', 'new');
    await put('outside/x', 'old');
    await put('outside/y', 'old');
    const { manifestHash } = await ours.uploadFolder(join(box, 'src'));
    const to = join(box, 'to');
    await mkdir(to);
    await symlink(join(box, 'outside'), join(to, 'd'));
    await symlink(join(box, 'outside/y'), join(to, 'y'));
    await mkdir(join(to, 'z'));
    const down = await ours.downloadFolder(manifestHash, { to });
    expect(down.failed.map(({ path, code }) => [path, code])).toEqual([
      ['d', 'OUTPUT_UNWRITABLE'],
      ['z', 'OUTPUT_UNWRITABLE'],
    ]);
    expect(await readFile(join(box, 'outside/x'), 'utf8')).toBe('old');
    expect(await readFile(join(box, 'outside/y'), 'utf8')).toBe('old');
    expect((await lstat(join(to, 'y'))).isFile()).toBe(true);
    expect((await readdir(join(box, 'outside'))).sort()).toEqual(['x', 'y']);
    expect((await readdir(to)).sort()).toEqual(['d', 'y', 'z']);
  });

  it.runIf(process.platform === 'linux')(
    'is not led elsewhere by a link that is planted meanwhile',
    async () => {
      // The first file is large enough to be told of while those behind it are still to be written.
      await put('src/d/a', generate({ kind: 'splitmix64', seed: 5, bytes: 1_200_000 }));
      for (let i = 0; i < 40; i++) {
        await put(`src/d/b${i}`, generate({ kind: 'splitmix64', seed: 100 + i, bytes: 1_100_000 }));
      }
      await mkdir(join(box, 'outside'));
      const { manifestHash } = await ours.uploadFolder(join(box, 'src'));
      const to = join(box, 'to');
      let planted: Promise<void> | null = null;
      await ours.downloadFolder(manifestHash, {
        to,
        onProgress: ({ phase }) => {
          if (phase === 'planning') return;
          planted ??= rename(join(to, 'd'), join(to, 'moved')).then(() =>
            symlink(join(box, 'outside'), join(to, 'd')),
          );
        },
      });
      await planted;
      expect((await lstat(join(to, 'd'))).isSymbolicLink()).toBe(true);
      expect(await readdir(join(box, 'outside'))).toEqual([]);
    },
  );

  it('tells the progress within files, to all of it, whatever is there already', async () => {
    const large = generate({ kind: 'splitmix64', seed: 8, bytes: 9_000_000 });
    await put('src/large.bin', large);
    await put('src/small.txt', 'small');
    const { manifestHash, sizeBytes } = await ours.uploadFolder(join(box, 'src'));
    const restore = async (
      to: string,
      options: Partial<client.FolderDownloadOptions> = {},
    ): Promise<client.FolderDownloadProgress[]> => {
      const told: client.FolderDownloadProgress[] = [];
      const onProgress = (each: client.FolderDownloadProgress): unknown => told.push(each);
      await ours.downloadFolder(manifestHash, { to: join(box, to), onProgress, ...options });
      for (const [i, { phase, writtenBytes, totalBytes, fetchedBytes }] of told.entries()) {
        expect(writtenBytes).toBeGreaterThanOrEqual(told[i - 1]?.writtenBytes ?? 0);
        expect(fetchedBytes).toBeGreaterThanOrEqual(told[i - 1]?.fetchedBytes ?? 0);
        expect(totalBytes).toBe(phase === 'planning' ? undefined : sizeBytes);
      }
      const whole = { writtenBytes: sizeBytes, doneFileCount: 2, fileCount: 2, secondsLeft: 0 };
      expect(told.at(-1)).toMatchObject({ phase: 'done', ...whole });
      return told;
    };
    const within = (told: client.FolderDownloadProgress[]) =>
      told.filter(({ file }) => file !== null && file.readBytes < large.length);
    const fresh = within(await restore('to'));
    expect(fresh.length).toBeGreaterThan(1);
    expect(fresh.at(-1)?.writtenBytes).toBeGreaterThan(0);
    expect(fresh.at(-1)?.file).toMatchObject({ name: 'large.bin', sizeBytes: large.length });
    const again = await restore('to');
    expect(within(again).length).toBeGreaterThan(1);
    expect(again.at(-1)).toMatchObject({ resumedBytes: sizeBytes });
    await restore('to', { existing: 'keep' });
  });

  it('of a dry run sends nothing, and says within 1 % what an upload sends', async () => {
    const words = generate({ kind: 'words', seed: 5, bytes: 900_000 });
    await put('twice/a.bin', generate({ kind: 'splitmix64', seed: 6, bytes: 1_500_000 }));
    await put('twice/b.bin', generate({ kind: 'splitmix64', seed: 6, bytes: 1_500_000 }));
    await put('words.txt', words);
    await ours.upload(words.subarray(0, 500_000));
    requests = [];
    const dry = await ours.uploadFolder(box, { dryRun: true });
    expect(requests.filter((each) => /POST .*(xorb|shard)/.test(each))).toEqual([]);
    const real = await ours.uploadFolder(box);
    expect(real.newBytes).toBeGreaterThan(1_500_000);
    expect(Math.abs(dry.xorbBytes / real.xorbBytes - 1)).toBeLessThan(0.01);
    expect(Math.abs(dry.newBytes / real.newBytes - 1)).toBeLessThan(0.01);
    expect(dry.manifestHash).toBe(real.manifestHash);
    const alone = await client.createClient({ endpoint: null, workers: 0 });
    const unasked = await alone.uploadFolder(box, { dryRun: true });
    expect(unasked.manifestHash).toBe(real.manifestHash);
    await expect(alone.uploadFolder(box)).rejects.toMatchObject({ code: 'USAGE' });
    await alone.close();
  });

  it('replaces what is there, or leaves it, and what is left out of the manifest stays', async () => {
    await put('src/a', 'new');
    await put('src/b', 'new');
    await put('to/a', 'old');
    await put('to/own', 'mine');
    const { manifestHash } = await ours.uploadFolder(join(box, 'src'));
    const to = join(box, 'to');
    const kept = await ours.downloadFolder(manifestHash, { to, existing: 'keep' });
    expect(kept).toMatchObject({ fileCount: 1, keptCount: 1 });
    expect(await readFile(join(to, 'a'), 'utf8')).toBe('old');
    await ours.downloadFolder(manifestHash, { to });
    expect(await readFile(join(to, 'a'), 'utf8')).toBe('new');
    expect((await readdir(to)).sort()).toEqual(['a', 'b', 'own']);
  });

  it('ends when it is cancelled, and leaves no unfinished file', async () => {
    for (let i = 0; i < 12; i++) {
      await put(`src/f${i}`, generate({ kind: 'splitmix64', seed: 200 + i, bytes: 1_100_000 }));
    }
    const { manifestHash } = await ours.uploadFolder(join(box, 'src'));
    const to = join(box, 'to');
    const cancel = new AbortController();
    const restored = ours.downloadFolder(manifestHash, {
      to,
      signal: cancel.signal,
      onProgress: ({ phase }) => {
        if (phase !== 'planning') cancel.abort();
      },
    });
    await expect(restored).rejects.toMatchObject({ code: 'ABORTED' });
    const names = await readdir(to);
    expect(names.length).toBeLessThan(12);
    expect(names.filter((name) => !/^f\d+$/.test(name))).toEqual([]);
    const uploaded = ours.uploadFolder(box, { signal: AbortSignal.abort() });
    await expect(uploaded).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('works where the store has no batches, and where it has the other kind', async () => {
    for (let i = 0; i < 150; i++) await put(`f${i}`, `content ${i}`);
    const { manifestHash } = await ours.uploadFolder(box);
    for (const hidden of [['POST'], ['POST', 'GET']]) {
      const seen: string[] = [];
      const theirs = await client.createClient({
        endpoint: ENDPOINT,
        token: TOKEN,
        workers: 0,
        fetch: async (input, init) => {
          const url = new URL(String(input instanceof Request ? input.url : input));
          const method = init?.method ?? 'GET';
          seen.push(`${method} ${url.pathname}`);
          if (url.pathname === '/v1/reconstructions' && hidden.includes(method)) {
            return new Response('no such endpoint', { status: 404 });
          }
          return gate.handle(new Request(input, init));
        },
      });
      try {
        const to = join(top, `batch-${hidden.length}`);
        const down = await theirs.downloadFolder(manifestHash, { to });
        expect(down).toMatchObject({ fileCount: 150, failed: [] });
        expect(await shape(to)).toEqual(await shape(box));
        const batches = seen.filter((each) => each.endsWith('/v1/reconstructions')).length;
        expect(batches).toBe(hidden.length === 1 ? 3 : 4);
      } finally {
        await theirs.close();
      }
    }
  });

  it('reads a manifest line by line as it is written', () => {
    expect(encodeEntry(fileLine('a', 'ab'.repeat(32), 1))).toBe(
      `{"path":"a","type":"file","sizeBytes":1,"fileHash":"${'ab'.repeat(32)}","mode":420,"mtimeMs":0}\n`,
    );
  });
});
