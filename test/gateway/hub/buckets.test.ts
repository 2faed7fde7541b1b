import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hubRoots, openRepositories } from '../../../src/gateway/index.js';
import { chunkInput, createClient, loadKernels } from '../../../src/index.js';
import { generate } from '../../support/generators.js';
import { createHubRig, type HubRig, type Json, ORIGIN, pruneNow } from './rig.js';

let rig: HubRig;
const files = [31, 32].map((seed) => generate({ kind: 'splitmix64', seed, bytes: 150_000 }));
const hashes: string[] = [];

beforeAll(async () => {
  rig = await createHubRig();
  const client = await createClient({
    ...{ endpoint: ORIGIN, token: 'writer', exchange: rig.gateway.exchange, workers: 0 },
  });
  await client.upload(files.map((data) => ({ data })));
  await client.close();
  for (const file of files) hashes.push((await chunkInput(file)).fileHash);
});
afterAll(() => rig.close());

const BUCKET = '/api/buckets/org/logs';

const batch = (lines: readonly object[], status = 200, headers = {}): Promise<Json> =>
  rig
    .send('POST', `${BUCKET}/batch`, lines.map((line) => JSON.stringify(line)).join('\n'), {
      'content-type': 'application/x-ndjson',
      ...headers,
    })
    .then(async (response) => {
      expect(response.status).toBe(status);
      return response.json();
    });

const add = (path: string, at = 0, more: object = {}): object => ({
  ...{ type: 'addFile', path, xetHash: hashes[at], mtime: 1_700_000_000_000 },
  ...more,
});

describe('a bucket', () => {
  it('is made, told of, found and made private', async () => {
    const { url } = await rig.json('POST', BUCKET, {});
    expect(url).toBe(`${ORIGIN}/buckets/org/logs`);
    expect((await rig.json('POST', BUCKET, {}, 409)).url).toBe(url);
    expect(await rig.json('POST', '/api/buckets/me/mine', { visibility: 'private' })).toMatchObject(
      { id: 'writer/mine' },
    );
    expect(await rig.json('GET', BUCKET)).toMatchObject({
      ...{ id: 'org/logs', private: false, size: 0, totalFiles: 0 },
    });
    await rig.json('PUT', `${BUCKET}/settings`, { private: true });
    const [found, ...others] = await rig.json('GET', '/api/buckets/org?search=LOG');
    expect([found.id, found.private, others]).toEqual(['org/logs', true, []]);
    expect((await rig.json('GET', '/api/buckets/me'))[0].id).toBe('writer/mine');
    expect(await rig.json('GET', '/api/buckets/nobody')).toEqual([]);
    const reader = await rig.send(
      'POST',
      '/api/buckets/org/no',
      {},
      { authorization: 'Bearer reader' },
    );
    expect(reader.status).toBe(403);
    expect((await rig.send('GET', '/api/buckets/org/none')).headers.get('x-error-code')).toBe(
      'RepoNotFound',
    );
  });

  it('takes files by hash, and says which lines it could not do', async () => {
    expect(await batch([add('a/one.bin'), add('a/b/two.bin', 1), add('top')])).toEqual({
      ...{ success: true, processed: 3, succeeded: 3, failed: [] },
    });
    const some = await batch([
      add('again', 0, { xetHash: 'f'.repeat(64) }),
      { type: 'copyFile', path: 'copy', xetHash: hashes[1], sourceRepoType: 'bucket' },
      add('../out'),
      { type: 'deleteFile', path: 'not/there' },
      { type: 'deleteFile', path: 'top' },
      add('empty', 0, { xetHash: '0'.repeat(64) }),
    ]);
    expect(some).toMatchObject({ success: false, processed: 6, succeeded: 4 });
    expect(some.failed.map(({ path }: Json) => path)).toEqual(['again', '../out']);
    expect((await batch([add('x', 0, { xetHash: 'no' })], 422)).succeeded).toBe(0);
    await batch([add('x')], 403, { authorization: 'Bearer reader' });
    expect(await rig.json('GET', BUCKET)).toMatchObject({ size: 450_000, totalFiles: 4 });
  });

  it('lists folders, or all files in pages, and files by their paths', async () => {
    const paths = (entries: Json): string[] => entries.map(({ path }: Json) => path);
    const top = await rig.json('GET', `${BUCKET}/tree`);
    expect(paths(top)).toEqual(['a', 'copy', 'empty']);
    expect(top[0]).toEqual({ type: 'directory', path: 'a' });
    const [one] = await rig.json('GET', `${BUCKET}/tree/a%2Fone.bin`);
    expect(one).toMatchObject({
      ...{ type: 'file', path: 'a/one.bin', size: 150_000, xetHash: hashes[0] },
      mtime: '2023-11-14T22:13:20.000Z',
    });
    expect(paths(await rig.json('GET', `${BUCKET}/tree/a/?recursive=true`))).toEqual([
      'a/b/two.bin',
      'a/one.bin',
    ]);
    expect(await rig.json('GET', `${BUCKET}/tree/nothing?recursive=True`)).toEqual([]);
    const all: string[] = [];
    let next: string | undefined = `${BUCKET}/tree?recursive=true&limit=3`;
    while (next !== undefined) {
      const response = await rig.send('GET', next);
      all.push(...paths(await response.json()));
      next = /<(.+)>/.exec(response.headers.get('link') ?? '')?.[1];
    }
    expect(all).toEqual(['a/b/two.bin', 'a/one.bin', 'copy', 'empty']);
    const asked = { paths: ['a', 'a/one.bin', 'none', 'copy'] };
    expect(paths(await rig.json('POST', `${BUCKET}/paths-info`, asked))).toEqual([
      'a/one.bin',
      'copy',
    ]);
  });

  it('gives its files, whole and through chunks', async () => {
    const url = '/buckets/org/logs/resolve/a%2Fone.bin';
    const got = await rig.send('GET', url, undefined, { range: 'bytes=10-19' });
    expect([...new Uint8Array(await got.arrayBuffer())]).toEqual([
      ...(files[0]?.subarray(10, 20) ?? []),
    ]);
    const { headers } = await rig.send('HEAD', url);
    expect(headers.get('x-xet-hash')).toBe(hashes[0]);
    expect(headers.get('x-linked-size')).toBe('150000');
    expect(headers.get('link')).toContain(`<${ORIGIN}${BUCKET}/xet-read-token>; rel="xet-auth"`);
    expect(await rig.json('GET', `${BUCKET}/xet-read-token`)).toMatchObject({ casUrl: ORIGIN });
    expect((await rig.send('GET', '/buckets/org/logs/resolve/none')).status).toBe(404);
  });

  it('keeps what it has from being collected, and lets go of what was replaced', async () => {
    const { hasher } = await loadKernels();
    const roots = async (): Promise<string[]> => {
      const kept: string[] = [];
      for await (const file of hubRoots(rig.store)) kept.push(file.toString());
      return kept.sort();
    };
    expect(await roots()).toEqual([...hashes].sort());
    await batch([
      { type: 'deleteFile', path: 'a/b/two.bin' },
      { type: 'deleteFile', path: 'copy' },
    ]);
    expect(await roots()).toEqual([hashes[0]]);
    const pruned = await pruneNow(rig.store, { hasher });
    expect(pruned).toMatchObject({ files: 1, bytes: 150_000, lost: [] });
    expect((await batch([add('back', 1)], 422)).failed[0].error).toContain('send it first');
    const names: string[] = [];
    for await (const { name } of openRepositories(rig.store).list('bucket')) names.push(name);
    expect(names).toEqual(['bucket/org/logs', 'bucket/writer/mine']);
    await rig.json('DELETE', BUCKET, undefined, 204);
    await rig.json('GET', BUCKET, undefined, 404);
    expect(await roots()).toEqual([]);
  });
});
