import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import {
  commit,
  createHub,
  createRepo,
  deleteRepo,
  downloadFile,
  type Hub,
  uploadFile,
  uploadFiles,
} from 'orbweaver/hub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** Our client against our server, both as an application has them. */

/** Buckets have no commits. */
const NO_COMMIT = { oid: null, url: null, pullRequestUrl: null };

let top: string;
let gateway: RunningGateway;
let hub: Hub;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-own-hub-'));
  gateway = await startGateway({ data: join(top, 'store'), port: 0, workers: 0 });
  hub = createHub({ hubUrl: gateway.url, accessToken: gateway.writeToken, workers: 0 });
});
afterAll(async () => {
  await hub?.close();
  await gateway?.close();
  await rm(top, { recursive: true, force: true });
});

describe('a repository of our own server', () => {
  const repo = 'datasets/team/data';

  it('takes files, a new version at the cost of what is new, and gives both back', async () => {
    await hub.createRepo({ repo });
    await expect(hub.createRepo({ repo })).rejects.toMatchObject({ code: 'CONFLICT' });
    await hub.createRepo({ repo, existOk: true });
    const old = generate({ kind: 'splitmix64', seed: 21, bytes: 2_000_000 });
    const readme = new TextEncoder().encode('# data\n');
    const first = await hub.uploadFiles(
      [
        { path: 'weights/a.bin', content: old },
        { path: 'README.md', content: readme },
      ],
      { repo },
    );
    expect(first.failed).toEqual([]);
    expect(first.files.find(({ path }) => path === 'weights/a.bin')).toMatchObject({
      how: 'stored',
      sha256: createHash('sha256').update(old).digest('hex'),
    });
    const next = Uint8Array.from(old);
    next.fill(7, 0, 100);
    const second = await hub.uploadFiles([{ path: 'weights/a.bin', content: next }], { repo });
    expect(second.sentBytes).toBeLessThan(300_000);
    const out = join(top, 'out');
    const { failed } = await hub.downloadFolder({ repo, to: out });
    expect(failed).toEqual([]);
    expect((await readFile(join(out, 'weights/a.bin'))).equals(next)).toBe(true);
    expect((await readFile(join(out, 'README.md'))).equals(readme)).toBe(true);
    const revision = first.commits[0]?.oid ?? '';
    const before = { repo, revision, path: 'weights/a.bin', to: join(top, 'old.bin') };
    expect(await hub.downloadFile(before)).toMatchObject({ verified: true });
    expect((await readFile(join(top, 'old.bin'))).equals(old)).toBe(true);
  });

  it('keeps the files of a bucket, of which a new version costs what is new', async () => {
    const bucket = 'buckets/team/runs';
    await hub.createRepo({ repo: bucket });
    await expect(hub.createRepo({ repo: bucket })).rejects.toMatchObject({ code: 'CONFLICT' });
    const old = generate({ kind: 'splitmix64', seed: 22, bytes: 2_000_000 });
    const source = join(top, 'bucket');
    await mkdir(join(source, 'logs'), { recursive: true });
    await writeFile(join(source, 'weights.bin'), old);
    await writeFile(join(source, 'logs', 'one.txt'), 'one');
    const changed = new Date('2020-02-03T04:05:06.789Z');
    await utimes(join(source, 'logs', 'one.txt'), changed, changed);
    const first = await hub.uploadFolder({ repo: bucket, folder: source, path: 'run' });
    expect([first.failed, first.commits]).toEqual([[], [{ ...NO_COMMIT }]]);
    // A bucket knows files by their chunks: no SHA-256 of them is computed.
    expect(first.files.map(({ sha256 }) => sha256)).toEqual([null, null]);
    const one = await hub.listFiles({ repo: bucket, path: 'run/logs/one.txt' }).next();
    expect(one.value).toMatchObject({ mtime: changed.toISOString(), xetHash: expect.any(String) });
    // A copy costs no bytes, wherever the file is.
    await commit({
      ...{ hubUrl: gateway.url, accessToken: gateway.writeToken, repo: bucket, title: 'Copy' },
      operations: [
        {
          ...{ operation: 'copy', path: 'copied/one.txt', sourceRepo: bucket },
          sourceXetHash: one.value?.xetHash ?? '',
        },
      ],
    });
    const copied = { repo: bucket, path: 'copied/one.txt', to: join(top, 'one.txt') };
    await hub.downloadFile(copied);
    expect(await readFile(copied.to, 'utf8')).toBe('one');
    await hub.deleteFiles(['copied/'], { repo: bucket });
    const copies = [{ path: 'x', fileHash: one.value?.xetHash ?? '', from: bucket }];
    await expect(hub.uploadFiles([], { repo, copies })).rejects.toMatchObject({ code: 'USAGE' });
    old.fill(7, 0, 100);
    await writeFile(join(source, 'weights.bin'), old);
    await rm(join(source, 'logs'), { recursive: true });
    const again = { repo: bucket, folder: source, path: 'run', deleteRemoved: true };
    const second = await hub.uploadFolder(again);
    expect(second.sentBytes).toBeLessThan(300_000);
    expect(second.deletedPaths).toEqual(['run/logs/one.txt']);
    expect((await hub.uploadFolder(again)).files[0]?.how).toBe('unchanged');
    const listed: string[] = [];
    for await (const { path, size } of hub.listFiles({ repo: bucket, recursive: true })) {
      listed.push(`${path} ${size}`);
    }
    expect(listed).toEqual(['run/weights.bin 2000000']);
    const out = join(top, 'bucket-out');
    const { failed, fetchedBytes } = await hub.downloadFolder({ repo: bucket, to: out });
    expect([failed, fetchedBytes > 1_900_000]).toEqual([[], true]);
    expect((await readFile(join(out, 'run/weights.bin'))).equals(old)).toBe(true);
    await hub.deleteFiles(['run/'], { repo: bucket });
    await expect(hub.deleteFiles(['run/'], { repo: bucket })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await hub.deleteRepo({ repo: bucket });
    const gone = hub.downloadFolder({ repo: bucket, to: out });
    await expect(gone).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('proposes a change of several commits as one pull request', async () => {
    const text = (fill: string) => new TextEncoder().encode(fill.repeat(900_000));
    // More than one commit carries: each file is sent inline.
    const files = Array.from({ length: 40 }, (_, i) => ({
      path: `pr/${i}`,
      content: text('ab'.charAt(i % 2)),
    }));
    const { commits } = await hub.uploadFiles(files, { repo, createPr: true });
    expect(commits.length).toBeGreaterThan(1);
    expect(commits[0]?.pullRequestUrl).toBe(`${gateway.url}/datasets/team/data/discussions/1`);
    const count = async (revision: string): Promise<number> => {
      let found = 0;
      const listing = hub.listFiles({ repo, revision, path: 'pr', recursive: true });
      for await (const { type } of listing) found += type === 'file' ? 1 : 0;
      return found;
    };
    expect(await count('refs/pr/1')).toBe(40);
    await expect(count('main')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('takes large files whole, and knows the next time that it has them', async () => {
    const whole = createHub({
      ...{ hubUrl: gateway.url, accessToken: gateway.writeToken, workers: 0 },
      transport: 'http',
    });
    const content = generate({ kind: 'splitmix64', seed: 23, bytes: 3_000_000 });
    const sha256 = createHash('sha256').update(content).digest('hex');
    const file = join(top, 'whole.bin');
    await writeFile(file, content);
    const sent = await whole.uploadFiles([{ path: 'whole.bin', content: file }], { repo });
    expect(sent).toMatchObject({ failed: [], sentBytes: content.length });
    expect(sent.files).toMatchObject([{ how: 'stored', sha256 }]);
    const copy = { path: 'copy.bin', content: file, sha256 };
    expect(await hub.uploadFiles([copy], { repo })).toMatchObject({
      files: [{ how: 'stored', newBytes: 0, fileHash: null }],
      sentBytes: 0,
    });
    const to = join(top, 'copy.bin');
    expect(await hub.downloadFile({ repo, path: 'copy.bin', to })).toMatchObject({
      verified: true,
      transport: 'xet',
    });
    expect((await readFile(to)).equals(content)).toBe(true);
    const bucket = { repo: 'buckets/team/whole' };
    await hub.createRepo(bucket);
    await expect(whole.uploadFiles([copy], bucket)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await hub.deleteRepo(bucket);
    await whole.close();
  });

  it('moves hundreds of files with a few requests, both ways', async () => {
    let requests: string[] = [];
    const counted = createHub({
      ...{ hubUrl: gateway.url, accessToken: gateway.writeToken, workers: 0 },
      fetch: (input, init) => {
        requests.push(`${init?.method} ${new URL(String(input)).pathname}`);
        return fetch(input, init);
      },
    });
    const some = { repo: 'models/team/some' };
    await counted.createRepo(some);
    const names = Array.from({ length: 200 }, (_, i) => `${i % 3}/${i}.bin`);
    // Their first byte makes them files of large-file storage; every tenth is like the one before.
    const contentOf = (i: number) =>
      Uint8Array.of(
        0,
        ...generate({ kind: 'splitmix64', seed: i - (i % 10 === 1 ? 1 : 0), bytes: 99 }),
      );
    const files = names.map((path, i) => ({ path, content: contentOf(i) }));
    files.push({ path: 'empty.bin', content: new Uint8Array(0) });
    // Such come with the commit, and are files of the Hub itself.
    const words = (i: number) => new TextEncoder().encode(`words of ${i}`);
    for (let i = 0; i < 100; i++) files.push({ path: `words/${i}.txt`, content: words(i) });
    requests = [];
    const { commits } = await counted.uploadFiles(files, some);
    expect(commits).toHaveLength(1);
    expect(requests.length, requests.join(' ')).toBeLessThan(25);
    const to = join(top, 'some');
    for (const cache of [false, true]) {
      requests = [];
      const result = await counted.downloadFolder({ ...some, to, cache });
      expect(result.failed).toEqual([]);
      expect(requests.length, requests.join(' ')).toBeLessThan(25);
      expect(result.requestCount).toBeLessThan(requests.length);
      for (const [i, path] of names.entries()) {
        expect((await readFile(join(result.folder, path))).equals(contentOf(i)), path).toBe(true);
      }
      const { verified, transport } = result.files.find(({ path }) => path === '0/0.bin') ?? {};
      expect([verified, transport]).toEqual([true, 'xet']);
      for (let i = 0; i < 100; i++) {
        expect((await readFile(join(result.folder, `words/${i}.txt`))).equals(words(i))).toBe(true);
      }
      const fetched = result.files.reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0);
      expect([fetched, result.sizeBytes]).toEqual([result.fetchedBytes, expect.any(Number)]);
      expect(fetched).toBeGreaterThan(18_000);
    }
    // What is there is looked at and not fetched, whatever its time; what differs is.
    await writeFile(join(to, 'words/7.txt'), 'sdrow of 7');
    const leftover = join(to, 'words/.7.txt.elsewhere-1-00000000.orbweaver-part');
    await writeFile(leftover, 'of a run that was killed on another machine');
    await utimes(leftover, new Date('2020-01-01'), new Date('2020-01-01'));
    await writeFile(join(to, '1/1.bin'), 'short');
    requests = [];
    const again = await counted.downloadFolder({ ...some, to });
    expect([again.failed, requests.length < 10]).toEqual([[], true]);
    const fetchedPaths = again.files.filter(({ transport }) => transport !== 'none');
    expect(fetchedPaths.map(({ path }) => path).sort()).toEqual(['1/1.bin', 'words/7.txt']);
    expect(await readFile(join(to, 'words/7.txt'), 'utf8')).toBe('words of 7');
    await expect(readFile(leftover)).rejects.toThrow('ENOENT');
    const anew = await counted.downloadFolder({ ...some, to, resume: false });
    expect(anew.files.every(({ transport }) => transport !== 'none')).toBe(true);
    await counted.close();
  });

  it('is reached through the proxy that is given', async () => {
    const asked: (string | undefined)[] = [];
    const proxy = createServer().on('connect', (request, socket) => {
      asked.push(request.url);
      const { hostname, port } = new URL(`http://${request.url}`);
      const there = connect(Number(port), hostname, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        there.pipe(socket).pipe(there);
      });
      for (const end of [there, socket]) end.on('error', () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const behind = createHub({
      ...{ hubUrl: gateway.url, accessToken: gateway.writeToken, workers: 0 },
      proxy: `http://127.0.0.1:${port}`,
    });
    const entry = await behind.listFiles({ repo }).next();
    expect([entry.done, asked]).toEqual([false, [new URL(gateway.url).host]]);
    await behind.close();
    proxy.closeAllConnections();
    proxy.close();
  });

  it.each([
    ['models/team/edited', 'x/model.bin', 24, 3_000_000],
    ['buckets/team/edited', 'x/model.bin', 25, 1_200_000],
  ])('takes edits of its files at the cost of the change: %s', async (edited, path, seed, most) => {
    let sentBytes = 0;
    let readBytes = 0;
    const counting: typeof fetch = async (input, init) => {
      sentBytes += (init?.body as Uint8Array | undefined)?.byteLength ?? 0;
      const response = await fetch(input, init);
      const length = Number(response.headers.get('content-length') ?? 0);
      if (init?.method !== 'HEAD') readBytes += length;
      return response;
    };
    const at = { hubUrl: gateway.url, accessToken: gateway.writeToken, repo: edited };
    const common = { ...at, fetch: counting, hub: { workers: 0 } };
    const old = generate({ kind: 'splitmix64', seed, bytes: 2_000_000 });
    await createRepo(common);
    await uploadFiles({ ...common, files: [{ path, content: new Blob([Uint8Array.from(old)]) }] });
    const edits = [
      { start: 1_500_000, end: 1_500_000, content: new Blob(['inserted']) },
      { start: 10, end: 20, content: new Blob(['replaced']) },
    ];
    const changed = Buffer.concat([
      ...[old.subarray(0, 10), Buffer.from('replaced'), old.subarray(20, 1_500_000)],
      ...[Buffer.from('inserted'), old.subarray(1_500_000)],
    ]);
    const now = async (): Promise<Buffer> =>
      Buffer.from(await ((await downloadFile({ ...common, path }))?.bytes() ?? []));
    const stored = await downloadFile({ ...common, path });
    if (stored === null) throw new Error('expected the file');
    sentBytes = 0;
    readBytes = 0;
    const edit = { operation: 'edit', path, edits } as const;
    await commit({ ...common, title: 'e', operations: [{ ...edit, originalContent: stored }] });
    expect([sentBytes < 1_000_000, readBytes < most], `${sentBytes} ${readBytes}`).toEqual([
      true,
      true,
    ]);
    expect((await now()).equals(changed)).toBe(true);
    // The same of a copy that the caller has.
    const local = { path, edits, originalContent: new Blob([Uint8Array.from(old)]) };
    await uploadFile({ ...common, file: local });
    expect((await now()).equals(changed)).toBe(true);
    const wrong = [{ start: 5, end: 1, content: new Blob([]) }];
    await expect(uploadFile({ ...common, file: { ...local, edits: wrong } })).rejects.toThrow(
      RangeError,
    );
    await deleteRepo(common);
  });

  it('makes one of two changes that both know the same commit', async () => {
    const [{ oid = null } = {}] = (
      await hub.uploadFiles([{ path: 'both', content: new Uint8Array(1) }], { repo })
    ).commits;
    const parentCommit = oid ?? '';
    const results = await Promise.allSettled(
      [2, 3].map((length) =>
        hub.uploadFiles([{ path: 'both', content: new Uint8Array(length) }], {
          repo,
          parentCommit,
        }),
      ),
    );
    const refused = results.filter(({ status }) => status === 'rejected');
    expect(refused).toMatchObject([{ reason: { code: 'CONFLICT' } }]);
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    const sizes: number[] = [];
    for await (const { path, size } of hub.listFiles({ repo }))
      if (path === 'both') sizes.push(size);
    expect(sizes).toEqual([won + 2]);
  });

  it('has every change of eight who commit at the same time', async () => {
    await writeFile(join(top, 'x'), 'x');
    const commits = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        hub.uploadFiles([{ path: `many/${i}`, content: join(top, 'x') }], { repo }),
      ),
    );
    expect(commits.map(({ commits: made }) => made.length)).toEqual(Array(8).fill(1));
    const found: string[] = [];
    for await (const { path, type } of hub.listFiles({ repo, path: 'many', recursive: true })) {
      if (type === 'file') found.push(path);
    }
    expect(found.sort()).toEqual(Array.from({ length: 8 }, (_, i) => `many/${i}`));
  });
});
