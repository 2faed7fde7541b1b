import {
  chmod,
  cp,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { listTransfers } from 'orbweaver/targets';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** Restores that go on where an earlier one stopped, and uploads of folders that do. */

const ENDPOINT = 'http://gateway.test';
const TOKEN = 'secret-of-the-test';
const LARGE_BYTES = 8 << 20;

let top: string;
let state: string;
let gate: gateway.Gateway;
let ours: client.OrbweaverClient;
let source: string;
let manifestHash: string;
let sizeBytes: number;
let count = 0;
let to: string;
/** Called before each request. */
let onRequest: (method: string, path: string) => Promise<void>;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-folder-resume-'));
  state = join(top, 'state');
  const { hasher, codec } = await client.loadKernels();
  gate = gateway.createGateway({
    store: gateway.createMemoryStore(),
    hasher,
    codec,
    tokens: [{ token: TOKEN, scope: 'write' }],
  });
  ours = await client.createClient({
    endpoint: ENDPOINT,
    token: TOKEN,
    stateFolder: state,
    exchange: async (request) => {
      await onRequest(request.method, new URL(request.url).pathname);
      return gate.exchange(request);
    },
    workers: 0,
    maxMemory: 8 << 20,
  });
  onRequest = async () => {};
  source = join(top, 'source');
  await mkdir(join(source, 'sub'), { recursive: true });
  const bytes = generate({ kind: 'splitmix64', seed: 3, bytes: LARGE_BYTES });
  await writeFile(join(source, 'sub/large'), bytes);
  await writeFile(join(source, 'a'), bytes.subarray(1_000_000, 1_200_000));
  await writeFile(join(source, 'b'), 'b');
  await writeFile(join(source, 'empty'), '');
  await writeFile(join(source, 'sub/middle'), bytes.subarray(5_000_001, 7_000_000));
  for (const path of ['a', 'sub/large']) await utimes(join(source, path), 1e9, 1e9);
  ({ manifestHash, sizeBytes } = await ours.uploadFolder(source));
});

afterAll(async () => {
  await ours?.close();
  await gate?.close();
  await rm(top, { recursive: true, force: true });
});

beforeEach(() => {
  onRequest = async () => {};
  to = join(top, `to-${count++}`);
});

const same = async (path: string): Promise<void> => {
  expect((await readFile(join(to, path))).equals(await readFile(join(source, path))), path).toBe(
    true,
  );
};
const all = ['a', 'b', 'empty', 'sub/large', 'sub/middle'];
/** What is hidden in a folder: unfinished files and their lists. */
const leftIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.includes('orbweaver'));

describe('a restore', () => {
  it('fetches nothing that is there, whatever its rights and time are', async () => {
    await ours.downloadFolder(manifestHash, { to });
    await chmod(join(to, 'a'), 0o600);
    await utimes(join(to, 'sub/large'), 5, 5);
    const again = await ours.downloadFolder(manifestHash, { to });
    expect(again).toMatchObject({
      fileCount: 5,
      unchangedCount: 5,
      resumedBytes: sizeBytes,
      sizeBytes,
    });
    // The manifest.
    expect(again.fetchedBytes).toBeLessThan(2000);
    for (const path of all) {
      const [was, is] = [await stat(join(source, path)), await stat(join(to, path))];
      expect([is.mode, Math.round(is.mtimeMs)]).toEqual([was.mode, Math.round(was.mtimeMs)]);
    }
  });

  it("fetches what has the same size and time and another content, and what is somebody else's", async () => {
    await ours.downloadFolder(manifestHash, { to });
    const bytes = await readFile(join(to, 'sub/middle'));
    bytes[1_000_000] = (bytes[1_000_000] as number) ^ 1;
    await writeFile(join(to, 'sub/middle'), bytes);
    await writeFile(join(to, 'b'), 'B');
    await link(join(to, 'a'), join(to, 'other-name'));
    const again = await ours.downloadFolder(manifestHash, { to });
    expect(again).toMatchObject({ fileCount: 5, unchangedCount: 2, failed: [] });
    for (const path of all) await same(path);
    expect((await stat(join(to, 'other-name'))).nlink).toBe(1);
  });

  it('goes on with the file that was cut off, and is listed until it is done', async () => {
    // Where the end of the large file lies: of all files only that one reads there.
    const paths: string[] = [];
    onRequest = async (_, path) => void paths.push(path);
    for await (const entry of ours.listFolder(manifestHash)) {
      if (entry.path !== 'sub/large' || entry.type !== 'file') continue;
      paths.length = 0;
      await ours.stream(entry.fileHash, { offset: LARGE_BYTES - 10 }).toArray();
      break;
    }
    const last = paths.filter((path) => path.startsWith('/v1/fetch/'));
    expect(last).toHaveLength(1);

    const stop = new AbortController();
    onRequest = async (_, path) => {
      if (path !== last[0]) return;
      // What precedes it is written down by now, or soon.
      for (;;) {
        const lists = await readdir(join(to, 'sub')).catch(() => []);
        const sizes = lists
          .filter((name) => name.endsWith('-ledger'))
          .map(async (name) => (await stat(join(to, 'sub', name))).size);
        if (Math.max(0, ...(await Promise.all(sizes))) > 0) break;
        await sleep(2);
      }
      stop.abort();
    };
    const cut = ours.downloadFolder(manifestHash, { to, signal: stop.signal });
    await expect(cut).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await leftIn(join(to, 'sub'))).toHaveLength(2);

    onRequest = async () => {};
    const rest = await ours.downloadFolder(manifestHash, { to });
    expect(rest).toMatchObject({ fileCount: 5, failed: [] });
    expect(rest.resumedBytes).toBeGreaterThan(0);
    for (const path of all) await same(path);
    expect(await leftIn(join(to, 'sub'))).toEqual([]);
    expect(await leftIn(to)).toEqual([]);
    expect(await listTransfers(state)).toEqual([]);
  });

  it('takes what a changed file has of the old one, in its place or in a folder of seeds', async () => {
    const changed = join(top, 'changed');
    await cp(source, changed, { recursive: true });
    const bytes = await readFile(join(source, 'sub/large'));
    const inserted = generate({ kind: 'splitmix64', seed: 5, bytes: 100_001 });
    await writeFile(
      join(changed, 'sub/large'),
      Buffer.concat([bytes.subarray(0, 3_000_000), inserted, bytes.subarray(3_000_000)]),
    );
    const next = await ours.uploadFolder(changed);
    const get = async (options: Omit<client.FolderDownloadOptions, 'to'>) => {
      const result = await ours.downloadFolder(next.manifestHash, { to, ...options });
      expect(result.failed).toEqual([]);
      const [is, was] = await Promise.all(
        [to, changed].map((each) => readFile(join(each, 'sub/large'))),
      );
      expect(is?.equals(was as Buffer)).toBe(true);
      return result;
    };

    await ours.downloadFolder(manifestHash, { to });
    const inPlace = await get({});
    expect(inPlace.fetchedBytes).toBeLessThan(600_000);
    expect(inPlace.seededBytes).toBeGreaterThan(LARGE_BYTES - 500_000);
    expect(inPlace.unchangedCount).toBe(4);

    const anew = await get({ resume: false });
    expect(anew).toMatchObject({ seededBytes: 0, resumedBytes: 0, unchangedCount: 0 });
    expect(anew.fetchedBytes).toBeGreaterThan(LARGE_BYTES);

    to = join(top, `to-${count++}`);
    const elsewhere = await get({ seeds: [join(top, 'not-in-there'), source] }).catch((e) => e);
    expect(elsewhere).toMatchObject({ code: 'INPUT_NOT_FOUND' });
    const seeded = await get({ seeds: [source] });
    expect(seeded.seededBytes).toBe(inPlace.seededBytes);

    const file = get({ seeds: [join(source, 'sub/large')] });
    await expect(file).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('removes what killed runs left in folders that were there', async () => {
    await mkdir(join(to, 'sub'), { recursive: true });
    const dead = `.restored.${'0'.repeat(16)}-00000000.orbweaver-part`;
    await writeFile(join(to, dead), 'x');
    await writeFile(join(to, 'sub', dead), 'x');
    await ours.downloadFolder(manifestHash, { to });
    expect(await leftIn(to)).toEqual([]);
    expect(await leftIn(join(to, 'sub'))).toEqual([]);
  });
});
