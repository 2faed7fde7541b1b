import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type LoadedKernels, loadKernels } from '../../src/compose/chunk.js';
import { createClient } from '../../src/compose/client.js';
import type { OrbweaverClient } from '../../src/compose/client-types.js';
import type { RemoteFile } from '../../src/compose/remote-file.js';
import { createGateway, createMemoryStore, type Gateway } from '../../src/gateway/index.js';
import type { Exchange } from '../../src/http/index.js';
import { MIB, random } from '../client/upload/support.js';
import { WRITE_TOKEN } from '../gateway/support/rig.js';

/** The largest record of a chunk. */
const MAX_RECORD_BYTES = 131_072 + 8;
const CONTENT = random(5, 6 * MIB + 12_345);

const kernels: LoadedKernels = await loadKernels();
let gateway: Gateway;
let client: OrbweaverClient;
let hash: string;
/** Requests since the last test began; those that match `held` wait until it is let go. */
let requests: { method: string; path: string; bytes: number }[] = [];
let hold: { readonly path: string; readonly until: Promise<void> } | null = null;
let headless = false;
let hideHashes = false;
const file = (): Promise<RemoteFile> => client.open(hash);
const count = (part: string): number => requests.filter(({ path }) => path.includes(part)).length;

beforeAll(async () => {
  gateway = createGateway({
    store: createMemoryStore(),
    ...kernels,
    tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
  });
  const exchange: Exchange = async (request) => {
    const { pathname } = request.url;
    const [, from = 0, to = -1] = /bytes=(\d+)-(\d+)/.exec(request.headers['range'] ?? '') ?? [];
    requests.push({ method: request.method, path: pathname, bytes: 1 + Number(to) - Number(from) });
    if (hold !== null && pathname.includes(hold.path)) await hold.until;
    if (headless && request.method === 'HEAD') return { status: 404, headers: {}, body: null };
    if (hideHashes && pathname.includes('file-chunk-hashes')) {
      return { status: 404, headers: {}, body: null };
    }
    return gateway.exchange(request);
  };
  client = await createClient({
    endpoint: 'http://gateway.test',
    token: WRITE_TOKEN,
    workers: 0,
    exchange,
  });
  const { files } = await client.upload({ name: 'file', data: CONTENT });
  hash = files[0]?.fileHash as string;
});
afterAll(async () => {
  await client.close();
  await gateway.close();
});
beforeEach(() => {
  requests = [];
  hold = null;
  headless = false;
  hideHashes = false;
});

const same = (got: Uint8Array, start: number, end: number): void => {
  expect(Buffer.compare(got, CONTENT.subarray(start, end))).toBe(0);
};

describe('an open file', () => {
  it('reads 4 KiB with one reconstruction and one fetch of at most two chunks', async () => {
    const remote = await file();
    expect(remote).toMatchObject({ fileHash: hash, size: CONTENT.length });
    requests = [];
    same(await remote.read(3_000_000, 4096), 3_000_000, 3_004_096);
    expect(requests.map(({ path }) => path.split('/')[2])).toEqual(['reconstructions', 'fetch']);
    expect(requests[1]?.bytes).toBeLessThanOrEqual(2 * MAX_RECORD_BYTES);
    // What lies in the same chunks is there now.
    same(await remote.read(3_000_100, 2000), 3_000_100, 3_002_100);
    expect(requests).toHaveLength(2);
    await remote.close();
  });

  it('holds what it reads against the file hash when it is told to, and says so', async () => {
    const plain = await file();
    await plain.read(3_000_000, 4096);
    expect(plain.verified).toBe(false);
    await plain.close();
    const proven = await client.open(hash, { verifyRange: 'require' });
    requests = [];
    same(await proven.read(3_000_000, 4096), 3_000_000, 3_004_096);
    same(await proven.read(5, 10), 5, 15);
    expect([proven.verified, count('file-chunk-hashes')]).toEqual([true, 2]);
    same(await proven.read(3_000_000, 4096), 3_000_000, 3_004_096);
    expect(count('file-chunk-hashes')).toBe(2);
    await proven.close();

    hideHashes = true;
    const refused = await client.open(hash, { verifyRange: 'require' });
    await expect(refused.read(3_000_000, 4096)).rejects.toMatchObject({ code: 'UNVERIFIED' });
    const lenient = await client.open(hash, { verifyRange: 'auto' });
    same(await lenient.read(3_000_000, 4096), 3_000_000, 3_004_096);
    expect(lenient.verified).toBe(false);
    await Promise.all([refused.close(), lenient.close()]);
  });

  it('reads one place for a hundred at the cost of one', async () => {
    const remote = await file();
    requests = [];
    const reads = await Promise.all(
      Array.from({ length: 100 }, () => remote.read(1_000_000, 4096)),
    );
    for (const bytes of reads) same(bytes, 1_000_000, 1_004_096);
    // Each has an array of its own.
    reads[0]?.fill(0);
    same(reads[1] as Uint8Array, 1_000_000, 1_004_096);
    expect([count('reconstructions'), count('fetch')]).toEqual([1, 1]);
    await remote.close();
  });

  it('fetches no chunk twice for readers of neighbouring places', async () => {
    const remote = await file();
    requests = [];
    const starts = Array.from({ length: 64 }, (_, i) => 2_000_000 + 4096 * i);
    const reads = await Promise.all(starts.map((start) => remote.read(start, 4096)));
    reads.forEach((bytes, i) => {
      same(bytes, starts[i] as number, (starts[i] as number) + 4096);
    });
    const fetched = requests.filter(({ path }) => path.includes('fetch'));
    const bytes = fetched.reduce((sum, request) => sum + request.bytes, 0);
    expect(bytes).toBeLessThanOrEqual(64 * 4096 + 2 * MAX_RECORD_BYTES);
    await remote.close();
  });

  it('gives the bytes of any range, with any cache', async () => {
    for (const cacheBytes of [0, 100_000, undefined]) {
      const remote = await client.open(hash, { cacheBytes });
      let seed = 7;
      const draw = (limit: number): number => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed % limit;
      };
      for (let i = 0; i < 12; i++) {
        const start = draw(CONTENT.length);
        const length = draw(i % 3 === 0 ? 2 * MIB : 10_000);
        const end = Math.min(CONTENT.length, start + length);
        same(await remote.read(start, length), start, end);
      }
      same(await remote.bytes(), 0, CONTENT.length);
      await remote.close();
    }
  });

  it('is cut at its end, and refuses what lies behind it', async () => {
    const remote = await file();
    const { size } = remote;
    requests = [];
    expect((await remote.read(size - 10, 100)).length).toBe(10);
    expect((await remote.read(size, 0)).length).toBe(0);
    requests = [];
    for (const offset of [size, size + 1]) {
      await expect(remote.read(offset, 1)).rejects.toMatchObject({ code: 'RANGE_INVALID' });
    }
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
    ] as const) {
      await expect(remote.read(offset, length)).rejects.toThrow(RangeError);
    }
    expect(requests).toEqual([]);
    await remote.close();
  });

  it('has slices as a Blob has', async () => {
    const remote = await file();
    const blob = new Blob([CONTENT]);
    for (const [start, end] of [
      [10, 20],
      [-100, -50],
      [CONTENT.length - 5, CONTENT.length + 5],
      [500, 400],
      [undefined, 7],
    ] as const) {
      const [ours, theirs] = [remote.slice(start, end), blob.slice(start, end)];
      expect(ours.size).toBe(theirs.size);
      expect(await ours.arrayBuffer()).toEqual(await theirs.arrayBuffer());
      const [inner, theirInner] = [ours.slice(2, -1), theirs.slice(2, -1)];
      expect(Buffer.from(await inner.bytes())).toEqual(Buffer.from(await theirInner.arrayBuffer()));
      expect(await inner.text()).toBe(await theirInner.text());
    }
    const pieces: Uint8Array[] = [];
    for await (const piece of remote.slice(100, 3_000_000).stream()) pieces.push(piece);
    same(Buffer.concat(pieces), 100, 3_000_000);
    await remote.close();
  });

  it('lets go of a read that is aborted, and cancels its fetch when nobody else waits', async () => {
    const remote = await file();
    let letGo = (): void => {};
    hold = { path: 'reconstructions', until: new Promise((resolve) => (letGo = resolve)) };
    const [one, two] = [new AbortController(), new AbortController()];
    const reads = [one, two].map(({ signal }) => remote.read(4_000_000, 4096, { signal }));
    one.abort();
    await expect(reads[0]).rejects.toMatchObject({ code: 'ABORTED' });
    letGo();
    same((await reads[1]) as Uint8Array, 4_000_000, 4_004_096);
    // Alone: its fetch ends with it, and a new read begins anew.
    hold = { path: 'reconstructions', until: new Promise((resolve) => (letGo = resolve)) };
    requests = [];
    const alone = new AbortController();
    const read = remote.read(5_000_000, 10, { signal: alone.signal });
    alone.abort();
    await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
    hold = null;
    letGo();
    same(await remote.read(5_000_000, 10), 5_000_000, 5_000_010);
    await remote.close();
  });

  it('that is closed, or of a closed client, says so', async () => {
    const remote = await file();
    let letGo = (): void => {};
    hold = { path: 'reconstructions', until: new Promise((resolve) => (letGo = resolve)) };
    const read = remote.read(0, 10);
    await remote.close();
    await expect(read).rejects.toMatchObject({ code: 'CLOSED' });
    letGo();
    await expect(remote.read(0, 10)).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => remote.stream()).toThrow(/after close/);
    await remote.close();
  });

  it('is not there when it is not stored, and needs no HEAD where a server has none', async () => {
    await expect(client.open('ab'.repeat(32))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(client.open('nothing')).rejects.toMatchObject({ code: 'HASH_INVALID' });
    headless = true;
    const remote = await file();
    expect(remote.size).toBe(CONTENT.length);
    same(await remote.read(1000, 10), 1000, 1010);
    await remote.close();
    const empty = await client.open('0'.repeat(64));
    expect([empty.size, (await empty.bytes()).length]).toEqual([0, 0]);
    await empty.close();
  });
});
