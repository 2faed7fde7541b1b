import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** What a restore and a ZIP would cost, beside what they cost then; and what a restore tells while its manifest comes. */

const LARGE_BYTES = 8 << 20;

let top: string;
let gate: gateway.Gateway;
let ours: client.OrbweaverClient;
let source: string;
let manifestHash: string;
let sizeBytes: number;
let count = 0;
let to: string;
let requestCount = 0;
/** Called before each request. */
let onRequest: (method: string, path: string) => Promise<void>;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-folder-plan-'));
  const { hasher, codec } = await client.loadKernels();
  gate = gateway.createGateway({
    ...{ store: gateway.createMemoryStore(), hasher, codec },
    tokens: [{ token: 'secret', scope: 'write' }],
  });
  onRequest = async () => {};
  ours = await client.createClient({
    ...{ endpoint: 'http://gateway.test', token: 'secret', workers: 0, maxMemory: 8 << 20 },
    stateFolder: join(top, 'state'),
    retry: { retries: 0 },
    exchange: async (request) => {
      requestCount++;
      await onRequest(request.method, new URL(request.url).pathname);
      return gate.exchange(request);
    },
  });
  source = join(top, 'source');
  await mkdir(join(source, 'sub/empty'), { recursive: true });
  const bytes = generate({ kind: 'splitmix64', seed: 11, bytes: LARGE_BYTES });
  await writeFile(join(source, 'sub/large'), bytes);
  for (let i = 0; i < 40; i++) {
    const at = 150_000 * i;
    await writeFile(join(source, `f${i}`), bytes.subarray(at, at + 1000 * i));
  }
  ({ manifestHash, sizeBytes } = await ours.uploadFolder(source));
});

afterAll(async () => {
  await ours?.close();
  await gate?.close();
  await rm(top, { recursive: true, force: true });
});

beforeEach(() => {
  onRequest = async () => {};
  requestCount = 0;
  to = join(top, `to-${count++}`);
});

/** Names, sizes, rights and times of all that is there, hidden or not. */
async function treeOf(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true });
  const lines = entries.map(async (name) => {
    const { mode, size, mtimeMs, ctimeMs, ino } = await lstat(join(folder, name));
    return [name, mode, size, mtimeMs, ctimeMs, ino].join(' ');
  });
  return (await Promise.all(lines)).sort();
}

/** What a plan and a result have in common. */
const costs = ({
  fileCount,
  folderCount,
  symlinkCount,
  sizeBytes: bytes,
  keptCount,
  unchangedCount,
  resumedBytes,
  seededBytes,
  failed,
}: client.FolderPlan | client.FolderDownloadResult) => ({
  ...{ fileCount, folderCount, symlinkCount, bytes, keptCount, unchangedCount },
  ...{ resumedBytes, seededBytes, failed },
});

/** Plans, sees that nothing has changed, restores, and sees that it cost what was planned. */
async function planAndRestore(
  options: Omit<client.FolderDownloadOptions, 'to'> = {},
): Promise<client.FolderPlan> {
  const before = existsSync(to) ? await treeOf(to) : null;
  const plan = await ours.planFolder(manifestHash, { ...options, to });
  expect(existsSync(to) ? await treeOf(to) : null).toEqual(before);
  requestCount = 0;
  const result = await ours.downloadFolder(manifestHash, { ...options, to });
  expect(costs(plan)).toEqual(costs(result));
  expect(plan.fetchBytes).toBe(result.fetchedBytes);
  expect(plan.requestCount).toBe(result.requestCount);
  expect(plan.hosts.map(({ host }) => host)).toEqual(plan.rangeCount === 0 ? [] : ['gateway.test']);
  return plan;
}

describe('planFolder', () => {
  it('says of a new folder what its restore fetches, with how many requests, and makes nothing', async () => {
    const plan = await planAndRestore();
    expect(plan).toMatchObject({ fileCount: 41, folderCount: 2, sizeBytes, failed: [] });
    expect(plan.requestCount).toBe(requestCount);
    const unnamed = await ours.planFolder(manifestHash);
    expect(unnamed).toEqual(plan);
  });

  it('says what is there already, kept or unchanged', async () => {
    await ours.downloadFolder(manifestHash, { to });
    await rm(join(to, 'f7'));
    await writeFile(join(to, 'f9'), 'another');
    await rm(join(to, 'sub/empty'), { recursive: true });
    const plan = await planAndRestore({ existing: 'keep' });
    expect(plan).toMatchObject({ fileCount: 1, keptCount: 40 });
    await writeFile(join(to, 'f9'), 'another');
    expect(await planAndRestore()).toMatchObject({ fileCount: 41, unchangedCount: 40 });
  });

  it('says what old files and other folders have of large ones', async () => {
    await ours.downloadFolder(manifestHash, { to });
    const bytes = await readFile(join(to, 'sub/large'));
    bytes.fill(0, 3_000_000, 3_100_000);
    await writeFile(join(to, 'sub/large'), bytes);
    const plan = await planAndRestore();
    expect(plan.seededBytes).toBeGreaterThan(LARGE_BYTES * 0.8);
    to = join(top, `to-${count++}`);
    const seeds = [source];
    expect((await planAndRestore({ seeds })).seededBytes).toBe(LARGE_BYTES);
  });

  it('says what an earlier run left of a large file', async () => {
    const stop = new AbortController();
    await mkdir(join(to, 'sub'), { recursive: true });
    const cut = ours.downloadFolder(manifestHash, {
      to,
      signal: stop.signal,
      onProgress: ({ writtenBytes }) => {
        if (writtenBytes > sizeBytes / 2) stop.abort();
      },
    });
    await expect(cut).rejects.toMatchObject({ code: 'ABORTED' });
    const plan = await planAndRestore();
    expect(plan.resumedBytes).toBeGreaterThan(0);
  });

  it('says what would fail, with the response of the server', async () => {
    await mkdir(to, { recursive: true });
    await writeFile(join(to, 'sub'), 'in the place of a folder');
    const plan = await planAndRestore();
    expect(plan).toMatchObject({
      fileCount: 40,
      failed: [{ path: 'sub', code: 'OUTPUT_UNWRITABLE', status: null, requestId: null }],
    });
    await expect(ours.planFolder(manifestHash, { to: join(to, 'sub') })).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });
});

describe('a file of a folder that fails', () => {
  it('carries the status and the request id of the response, in a plan and in a result', async () => {
    const own = await client.createClient({
      ...{ endpoint: 'http://gateway.test', token: 'secret', workers: 0, maxMemory: 8 << 20 },
      retry: { retries: 0 },
      exchange: async (request) => {
        const { pathname } = new URL(request.url);
        const response = await gate.exchange(request);
        if (!/^\/v[12]\/reconstructions\//.test(pathname)) return response;
        if (pathname.includes(manifestHash)) return response;
        await response.body?.cancel();
        return { status: 500, headers: { 'x-request-id': 'req-7' }, body: null };
      },
    });
    try {
      const plan = await own.planFolder(manifestHash);
      const result = await own.downloadFolder(manifestHash, { to });
      const failure = { path: 'sub/large', code: 'SERVER_ERROR', status: 500, requestId: 'req-7' };
      expect(plan.failed).toEqual([expect.objectContaining(failure)]);
      expect(result.failed).toEqual([expect.objectContaining(failure)]);
    } finally {
      await own.close();
    }
  });
});

describe('planZip', () => {
  it('says what the archive costs', async () => {
    const hashes: string[] = [];
    for await (const entry of ours.listFolder(manifestHash)) {
      if (entry.type === 'file' && entry.sizeBytes > 0) hashes.push(entry.fileHash);
    }
    const entries = hashes.slice(-5).map((hash, i) => ({ hash, name: `e${i}` }));
    const plan = await ours.planZip(entries);
    const result = await ours.downloadZip(entries, { to: join(top, 'all.zip') });
    expect(plan).toMatchObject({
      ...{ fileCount: 5, fetchBytes: result.fetchedBytes, requestCount: result.requestCount },
    });
    expect(plan.sizeBytes).toBeLessThan(result.sizeBytes);
    expect(plan.sizeBytes).toBeGreaterThan(result.sizeBytes - 2000);
  });

  it('refuses names that meet, before anything is asked for', async () => {
    const hash = 'a'.repeat(64);
    const twice = [
      { hash, name: 'a' },
      { hash, name: 'A' },
    ];
    requestCount = 0;
    await expect(ours.planZip(twice)).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
    const zip = ours.downloadZip(twice, { to: join(top, 'never.zip') });
    await expect(zip).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
    expect(requestCount).toBe(0);
  });
});

describe('a restore whose manifest is slow to come', () => {
  it('is told of all the while', async () => {
    const told: client.FolderDownloadProgress[] = [];
    let isHeld = true;
    onRequest = async () => {
      // Nothing moves until the listener was called again and again.
      while (isHeld) {
        if (told.length >= 4) isHeld = false;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await ours.downloadFolder(manifestHash, { to, onProgress: (progress) => told.push(progress) });
    const held = told.slice(0, 4);
    expect(held.map(({ phase }) => phase)).toEqual(Array(4).fill('planning'));
    expect(held[0]).toMatchObject({ totalBytes: undefined, fileCount: undefined, fetchedBytes: 0 });
    const [last] = told.slice(-1);
    expect(last).toMatchObject({ phase: 'done', totalBytes: sizeBytes, doneFileCount: 41 });
  });
});
