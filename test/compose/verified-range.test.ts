import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesBody, type Exchange } from '../../src/http/index.js';
import type { FileChunkHashesJson } from '../../src/plan/index.js';
import { generate } from '../support/generators.js';

/** Through the package and a gateway in the same process. */

const bytes = generate({ kind: 'splitmix64', seed: 3, bytes: 6_000_000 });
let folder: string;
let objects: gateway.ObjectStore;
let store: gateway.Gateway;
let ours: client.OrbweaverClient;
let hash: string;
const open: client.OrbweaverClient[] = [];

async function connect(exchange: Exchange): Promise<client.OrbweaverClient> {
  const made = await client.createClient({
    endpoint: 'http://gateway.invalid',
    token: 'token',
    workers: 0,
    maxMemory: 8 << 20,
    exchange,
  });
  open.push(made);
  return made;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-ranges-'));
  const { hasher, codec } = await client.loadKernels();
  objects = gateway.createMemoryStore();
  store = gateway.createGateway({
    store: objects,
    hasher,
    codec,
    tokens: [{ token: 'token', scope: 'write' }],
  });
  ours = await connect(store.exchange);
  const { files } = await ours.upload(bytes);
  hash = files[0]?.fileHash as string;
});

afterAll(async () => {
  for (const each of open) await each.close();
  await store?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A store whose responses to `file-chunk-hashes` are another's. */
const answering =
  (change: (json: FileChunkHashesJson) => unknown): Exchange =>
  async (request) => {
    const response = await store.exchange(request);
    if (!request.url.pathname.includes('file-chunk-hashes')) return response;
    const into = new Uint8Array(4_000_000);
    let size = 0;
    for (let n = -1; n !== 0; size += n) n = (await response.body?.fill(into.subarray(size))) ?? 0;
    const json = JSON.parse(new TextDecoder().decode(into.subarray(0, size)));
    const headers = { 'content-type': 'application/json' };
    const body = bytesBody(new TextEncoder().encode(JSON.stringify(change(json))));
    return { status: 200, headers, body };
  };

const without: Exchange = async (request) =>
  request.url.pathname.includes('file-chunk-hashes')
    ? { status: 404, headers: {}, body: null }
    : store.exchange(request);

async function part(
  by: client.OrbweaverClient,
  options: client.ClientStreamOptions,
): Promise<{ readonly bytes: Buffer; readonly result: client.DownloadResult | undefined }> {
  const pieces: Buffer[] = [];
  let result: client.DownloadResult | undefined;
  const stream = by.stream(hash, {
    ...options,
    onResult: (each) => {
      result = each;
    },
  });
  for await (const piece of stream) pieces.push(piece as Buffer);
  return { bytes: Buffer.concat(pieces), result };
}

describe('a range of a file', () => {
  it.each([
    [0, 10],
    [0, 6_000_000],
    [1, undefined],
    [3_000_000, 1],
    [5_999_999, 1],
    [5_999_999, 999],
    [1_000_000, 4_000_000],
  ])('from %i on, of %s bytes, is proved, in a file and as a stream', async (offset, length) => {
    const expected = bytes.subarray(offset, length === undefined ? undefined : offset + length);
    const range = length === undefined ? { offset } : { offset, length };
    const to = join(folder, `${offset}-${length}`);
    const progress: client.DownloadProgress[] = [];
    const onProgress = (each: client.DownloadProgress) => void progress.push(each);
    const verifyRange = 'require';
    const result = await ours.download(hash, { to, ...range, verifyRange, onProgress });
    expect(result).toMatchObject({ verified: true, sizeBytes: expected.length });
    expect((await readFile(to)).equals(expected)).toBe(true);
    expect(progress.at(-1)).toMatchObject({
      writtenBytes: expected.length,
      totalBytes: expected.length,
    });
    const streamed = await part(ours, range);
    expect(streamed.bytes.equals(expected)).toBe(true);
    expect(streamed.result).toMatchObject({ verified: true, sizeBytes: expected.length });
    // The window of a range ends two telling chunks behind it.
    expect(result.fetchedBytes).toBeLessThan(expected.length + 1_200_000);
  });

  it('is not proved where the store does not offer that, and says so', async () => {
    const plain = await connect(without);
    const range = { offset: 1000, length: 500_000 };
    const { result } = await part(plain, range);
    expect(result?.verified).toBe(false);
    await expect(part(plain, { ...range, verifyRange: 'require' })).rejects.toMatchObject({
      code: 'UNVERIFIED',
    });
    const to = join(folder, 'refused');
    const refused = plain.download(hash, { to, ...range, verifyRange: 'require' });
    await expect(refused).rejects.toMatchObject({ code: 'UNVERIFIED' });
    expect((await readdir(folder)).filter((name) => name.includes('refused'))).toEqual([]);
  });

  it('is not asked about when nobody wants a proof', async () => {
    let questions = 0;
    const counted = await connect((request) => {
      if (request.url.pathname.includes('file-chunk-hashes')) questions++;
      return store.exchange(request);
    });
    const { result } = await part(counted, { offset: 5, length: 5, verifyRange: 'off' });
    expect([result?.verified, questions]).toEqual([false, 0]);
    await part(counted, {});
    expect(questions).toBe(0);
  });

  it.each(['auto', 'require'] as const)('behind the end is RANGE_INVALID with %s', async (mode) => {
    for (const by of [ours, await connect(without)]) {
      await expect(part(by, { offset: 6_000_000, verifyRange: mode })).rejects.toMatchObject({
        code: 'RANGE_INVALID',
      });
    }
  });

  it.each<[string, (json: FileChunkHashesJson) => unknown]>([
    [
      'another subtree',
      (json) => ({
        ...json,
        hashRanges: json.hashRanges.map((gap) =>
          gap === null ? null : { ...gap, nodes: gap.nodes.map((n) => ({ ...n, hash: hash })) },
        ),
      }),
    ],
    [
      'a subtree that cannot be folded',
      (json) => ({
        ...json,
        hashRanges: json.hashRanges.map((gap) =>
          gap === null ? null : { ...gap, levels: gap.levels.toReversed().map(([l, r]) => [l, r]) },
        ),
      }),
    ],
    [
      'two windows',
      (json) => ({
        ...json,
        windows: [...json.windows, { dirtyByteRange: [5_000_000, 5_000_001] }],
      }),
    ],
    ['no window', (json) => ({ ...json, windows: [] })],
    [
      'a window inside of a chunk',
      (json) => {
        const [start, end] = json.windows[0]?.dirtyByteRange ?? [0, 0];
        const [before, behind] = json.hashRanges;
        const nodes = [...(before?.nodes ?? [])];
        const last = nodes.at(-1) ?? { hash, size: 0 };
        nodes[nodes.length - 1] = { ...last, size: last.size - 1 };
        return {
          ...json,
          windows: [{ dirtyByteRange: [start - 1, end] }],
          hashRanges: [{ ...before, nodes }, behind],
        };
      },
    ],
  ])('with a proof that is wrong (%s) is INTEGRITY, not passed on', async (_name, change) => {
    const lying = await connect(answering(change));
    for (const verifyRange of ['auto', 'require'] as const) {
      const to = join(folder, 'wrong');
      const range = { offset: 3_000_000, length: 100_000, verifyRange };
      await expect(lying.download(hash, { to, ...range })).rejects.toMatchObject({
        code: 'INTEGRITY',
      });
      expect((await readdir(folder)).filter((name) => name.includes('wrong'))).toEqual([]);
    }
  });
});

describe('a byte flipped in the store', () => {
  it('fails the range that holds it and an edit beside it, and no other range', async () => {
    const flipped = generate({ kind: 'splitmix64', seed: 4, bytes: 2_000_000 });
    const { files } = await ours.upload(flipped);
    const own = files[0]?.fileHash as string;
    // Random bytes are stored as they are: the chunk still decodes.
    const needle = Buffer.from(flipped.subarray(1_000_000, 1_000_016));
    for await (const { key } of objects.list('xorbs/')) {
      const object = await objects.read(key);
      const at = object === null ? -1 : Buffer.from(object).indexOf(needle);
      if (object === null || at < 0) continue;
      object[at] = (object[at] as number) ^ 1;
      await objects.put(key, object, { replace: true });
    }
    const to = join(folder, 'flipped');
    const damaged = ours.download(own, { to, offset: 999_990, length: 100 });
    await expect(damaged).rejects.toMatchObject({ code: 'INTEGRITY' });
    const edited = ours.edit(own, [{ offset: 1_000_001, insert: new Uint8Array(3) }]);
    await expect(edited).rejects.toMatchObject({ code: 'INTEGRITY' });
    const sound = await ours.download(own, {
      to,
      offset: 100,
      length: 100,
      verifyRange: 'require',
    });
    expect(sound.verified).toBe(true);
  });
});
