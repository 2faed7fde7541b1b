import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../../src/errors.js';
import {
  createMemoryStore,
  hubRoots,
  type ObjectStore,
  sweepHub,
} from '../../../src/gateway/index.js';
import { chunkInput, createClient, loadKernels } from '../../../src/index.js';
import { generate } from '../../support/generators.js';
import {
  createHubRig,
  deleted,
  type HubRig,
  header,
  inline,
  type Json,
  lfsFile,
  ORIGIN,
  pruneNow,
} from './rig.js';

let rig: HubRig;
beforeAll(async () => {
  rig = await createHubRig();
  await rig.json('POST', '/api/repos/create', { name: 'lfs', organization: 'org' });
});
afterAll(() => rig.close());

const bytes = generate({ kind: 'splitmix64', seed: 7, bytes: 300_000 });
const oid = createHash('sha256').update(bytes).digest('hex');
const other = generate({ kind: 'splitmix64', seed: 8, bytes: 300_000 });
const otherOid = createHash('sha256').update(other).digest('hex');
const LFS = '/org/lfs.git/info/lfs';

const batch = (
  operation: string,
  oids: readonly string[],
  base = LFS,
  transfers?: string[],
): Promise<Json> =>
  rig.json('POST', `${base}/objects/batch`, {
    operation,
    ...(transfers === undefined ? {} : { transfers }),
    objects: oids.map((each) => ({ oid: each, size: bytes.length })),
  });

const put = (url: string, body: Uint8Array): Promise<Response> =>
  rig.send('PUT', url, body, { authorization: '', 'content-length': String(body.length) });

describe('Git LFS', () => {
  it('takes a file whole, checks it, and gives it back in ranges', async () => {
    const { objects, transfer } = await batch('upload', [oid]);
    expect(transfer).toBe('basic');
    const { href } = objects[0].actions.upload;
    const wrong = bytes.slice();
    wrong[5] = 1 ^ (wrong[5] as number);
    expect((await put(href, wrong)).status).toBe(400);
    expect((await put(href, bytes.subarray(1))).status).toBe(400);
    expect(
      (await put(href.replace('does=upload&size=300000', 'does=upload&size=1'), bytes)).status,
    ).toBe(403);
    expect((await put(href, bytes)).status).toBe(200);
    await rig.json('POST', `${LFS}/objects/verify`, { oid, size: bytes.length });
    await rig.json('POST', `${LFS}/objects/verify`, { oid, size: 5 }, 404);
    // Hashed here, so nobody need send it again.
    expect((await batch('upload', [oid])).objects[0].actions).toBeUndefined();
    const download = (await batch('download', [oid, 'a'.repeat(64)])).objects;
    expect(download[1].error.code).toBe(404);
    const got = await rig.send('GET', download[0].actions.download.href, undefined, {
      authorization: '',
      range: 'bytes=1000-200000',
    });
    expect(got.status).toBe(206);
    expect(
      Buffer.compare(Buffer.from(await got.arrayBuffer()), bytes.subarray(1000, 200_001)),
    ).toBe(0);
  });

  it('files are committed by their SHA-256 and fetched through chunks', async () => {
    expect((await rig.commit('org/lfs', [header('no'), lfsFile('x', 'b'.repeat(64))])).status).toBe(
      404,
    );
    expect((await rig.commit('org/lfs', [header('no'), lfsFile('x', oid, 7)])).status).toBe(400);
    const made = await rig.commit('org/lfs', [header('yes'), lfsFile('m.bin', oid, bytes.length)]);
    const { commitOid } = (await made.json()) as Json;
    const [, entry] = await rig.json('GET', '/api/models/org/lfs/tree/main');
    expect(entry).toMatchObject({ lfs: { oid, size: 300_000, pointerSize: 131 }, size: 300_000 });
    const head = await rig.send('HEAD', '/org/lfs/resolve/main/m.bin');
    expect(Object.fromEntries(head.headers)).toMatchObject({
      etag: `"${oid}"`,
      'x-linked-etag': `"${oid}"`,
      'x-linked-size': '300000',
      'x-xet-hash': entry.xetHash,
      'x-repo-commit': commitOid,
      link:
        `<${ORIGIN}/api/models/org/lfs/xet-read-token/${commitOid}>; rel="xet-auth", ` +
        `<${ORIGIN}/v1/reconstructions/${entry.xetHash}>; rel="xet-reconstruction-info"`,
    });
    const info = await rig.send('GET', '/org/lfs/resolve/main/m.bin', undefined, {
      accept: 'application/vnd.xet-fileinfo+json, */*',
      range: 'bytes=0-0',
    });
    expect([info.status, info.headers.get('content-type')]).toEqual([
      200,
      'application/vnd.xet-fileinfo+json',
    ]);
    const terms = await rig.send('GET', `/v2/reconstructions/${entry.xetHash}`);
    expect(terms.status).toBe(200);
    await terms.body?.cancel();
  });

  it('files are in git as their pointers', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 300000\n`;
    const url = '/org/lfs/raw/main/m.bin';
    const raw = await rig.send('GET', url);
    expect([raw.status, await raw.text()]).toEqual([200, pointer]);
    const [, entry] = await rig.json('GET', '/api/models/org/lfs/tree/main');
    expect(Object.fromEntries(raw.headers)).toMatchObject({
      etag: `"${entry.oid}"`,
      'content-length': String(pointer.length),
      'content-type': 'text/plain; charset=utf-8',
    });
    expect([raw.headers.get('x-xet-hash'), raw.headers.get('link')]).toEqual([null, null]);
    const first = { accept: 'application/vnd.xet-fileinfo+json, */*', range: 'bytes=0-6' };
    const part = await rig.send('GET', url, undefined, first);
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
      206,
      `bytes 0-6/${pointer.length}`,
      'version',
    ]);
    const rules = await rig.send('GET', '/org/lfs/raw/main/.gitattributes');
    expect(await rules.text()).toContain('filter=lfs');
  });

  it('files of another repository are committed after they were asked for there', async () => {
    await rig.json('POST', '/api/repos/create', {
      name: 'o',
      organization: 'org',
      type: 'dataset',
    });
    const path = '/api/models/org/lfs/lfs-files/duplicate';
    const target = { type: 'dataset', name: 'org/o' };
    const lost = 'd'.repeat(64);
    const files = [{ sha256: oid, xetHash: lost, filename: 'm.bin' }, { sha256: lost }];
    expect(await rig.json('POST', path, { target, files })).toEqual({
      succeeded: [{ sha256: oid }],
      failed: [{ sha256: lost, error: expect.stringContaining('send it again') }],
    });
    for (const wrong of [{ files }, { target, files: 'x' }, { target, files: [null] }]) {
      expect((await rig.send('POST', path, wrong)).status).toBeGreaterThanOrEqual(400);
    }
    const nowhere = { target: { type: 'model', name: 'org/none' }, files };
    expect((await rig.send('POST', path, nowhere)).headers.get('x-error-code')).toBe(
      'RepoNotFound',
    );
    const named = { name: 'o', organization: 'org', type: 'dataset' };
    await rig.json('DELETE', '/api/repos/delete', named, 204);
  });

  it('clients with chunks are told where to send them, with a token', async () => {
    const { objects, transfer } = await batch('upload', ['c'.repeat(64)], LFS, ['basic', 'xet']);
    expect(transfer).toBe('xet');
    expect(objects[0].actions.upload).toMatchObject({
      href: `${ORIGIN}/api/models/org/lfs/xet-write-token/main`,
      header: { 'X-Xet-Cas-Url': ORIGIN, 'X-Xet-Access-Token': 'writer' },
    });
    // Agents of that name cannot download.
    expect((await batch('download', [oid], LFS, ['basic', 'xet'])).transfer).toBe('basic');
    const response = await rig.send('GET', '/api/models/org/lfs/xet-read-token/main');
    expect(response.headers.get('x-xet-cas-url')).toBe(ORIGIN);
    expect(await response.json()).toMatchObject({ accessToken: 'writer', casUrl: ORIGIN });
    const reader = { authorization: 'Bearer reader' };
    const denied = await rig.send(
      'GET',
      '/api/models/org/lfs/xet-write-token/main',
      undefined,
      reader,
    );
    expect(denied.status).toBe(403);
  });

  it('agents that download by content are told of the file and how to ask for it', async () => {
    const { objects, transfer } = await batch('download', [oid], LFS, ['basic', 'orbweaver']);
    expect(transfer).toBe('orbweaver');
    const { href, header } = objects[0].actions.download;
    expect(header).toMatchObject({ 'X-Xet-Cas-Url': ORIGIN, 'X-Xet-Access-Token': 'writer' });
    const terms = await rig.send('GET', `/v1/reconstructions/${header['X-Xet-Hash']}`);
    expect(terms.status).toBe(200);
    expect((await rig.send('GET', href, undefined, { authorization: '' })).status).toBe(200);
  });

  it('a git repository elsewhere keeps what it has sent as chunks once that is verified', async () => {
    const chunked = generate({ kind: 'splitmix64', seed: 9, bytes: 200_000 });
    const sha256 = createHash('sha256').update(chunked).digest('hex');
    const git = '/git/me/chunked.git/info/lfs';
    const { objects } = await rig.json('POST', `${git}/objects/batch`, {
      ...{ operation: 'upload', transfers: ['orbweaver'] },
      objects: [{ oid: sha256, size: chunked.length }],
    });
    const { upload, verify } = objects[0].actions;
    expect(await rig.json('GET', upload.href)).toMatchObject({ casUrl: ORIGIN });
    const client = await createClient({
      ...{ endpoint: ORIGIN, token: 'writer', exchange: rig.gateway.exchange, workers: 0 },
    });
    await client.upload([{ data: chunked, sha256 }]);
    await client.close();
    const kept = async (): Promise<string[]> => {
      const files: string[] = [];
      for await (const file of hubRoots(rig.store)) files.push(file.toString());
      return files;
    };
    const { fileHash } = await chunkInput(chunked);
    expect(await kept()).not.toContain(fileHash);
    await rig.json('POST', verify.href, { oid: sha256, size: chunked.length });
    expect(await kept()).toContain(fileHash);
    await rig.json(
      'DELETE',
      '/api/repos/delete',
      { name: 'chunked', organization: 'me', type: 'git' },
      204,
    );
  });

  it('takes the token as a password, and asks for one', async () => {
    const basic = Buffer.from('anybody:writer').toString('base64');
    const body = { operation: 'download', objects: [] };
    const url = `${LFS}/objects/batch`;
    const known = await rig.send('POST', url, body, { authorization: `Basic ${basic}` });
    expect(known.status).toBe(200);
    const unknown = await rig.send('POST', url, body, { authorization: '' });
    expect([unknown.status, unknown.headers.get('lfs-authenticate')]).toEqual([
      401,
      'Basic realm="orbweaver"',
    ]);
  });

  it('keeps locks, each for who took it', async () => {
    const other = { authorization: 'Bearer other' };
    const { lock } = await rig.json('POST', `${LFS}/locks`, { path: 'a.psd' }, 201);
    expect(lock).toMatchObject({ path: 'a.psd', owner: { name: 'writer' } });
    expect((await rig.send('POST', `${LFS}/locks`, { path: 'a.psd' }, other)).status).toBe(409);
    expect(await rig.json('GET', `${LFS}/locks?path=a.psd`)).toEqual({ locks: [lock] });
    const seen = await (await rig.send('POST', `${LFS}/locks/verify`, {}, other)).json();
    expect(seen).toEqual({ ours: [], theirs: [lock] });
    const unlock = `${LFS}/locks/${lock.id}/unlock`;
    expect((await rig.send('POST', unlock, {}, other)).status).toBe(403);
    expect((await rig.send('POST', unlock, { force: true }, other)).status).toBe(200);
    expect(await rig.json('GET', `${LFS}/locks`)).toEqual({ locks: [] });
  });
});

describe('what has no room', () => {
  const files = [inline('a', 'x'.repeat(50_000))];
  /** Statuses and codes of a commit with a small file, and of a file that is sent whole. */
  async function refusals(full: HubRig): Promise<unknown[]> {
    const commit = await full.commit('org/full', [header('one'), ...files]);
    const asked = { operation: 'upload', objects: [{ oid, size: bytes.length }] };
    const { objects } = await full.json('POST', '/git/org/full.git/info/lfs/objects/batch', asked);
    const { href } = objects[0].actions.upload;
    const length = { authorization: '', 'content-length': String(bytes.length) };
    const sent = await full.send('PUT', href, bytes, length);
    const told: unknown[] = [];
    for (const each of [commit, sent]) told.push(each.status, await each.json());
    expect(await full.json('GET', '/api/models/org/full/tree/main')).toHaveLength(1);
    return told;
  }

  it('in a quota is 413 with the sentence of the quota, and no fault', async () => {
    const full = await createHubRig({ options: { quotas: { '': { logicalBytes: 40_000 } } } });
    await full.json('POST', '/api/repos/create', { name: 'full', organization: 'org' });
    const told = expect.objectContaining({
      code: 'QUOTA_EXCEEDED',
      error: expect.stringMatching(/^the quota of 40000 bytes of files is used up: \d+ bytes/),
    });
    expect(await refusals(full)).toEqual([413, told, 413, told]);
    // The shards that were refused: nothing on the way out.
    expect(new Set(full.faults.map(({ status }) => status))).toEqual(new Set());
    await full.close();
  });

  it.each([
    ['DISK_FULL', 507],
    ['REJECTED', 500],
  ] as const)(
    'on the disk (%s) is %d and a fault, whatever the shard was answered with',
    async (code, status) => {
      const store = createMemoryStore();
      let isFull = false;
      const put: ObjectStore['put'] = async (key, ...rest) => {
        if (isFull && key.startsWith('index/'))
          throw new OrbweaverError(code, `no room for ${key}`);
        return store.put(key, ...rest);
      };
      const full = await createHubRig({ store: { ...store, put } });
      await full.json('POST', '/api/repos/create', { name: 'full', organization: 'org' });
      isFull = true;
      const told = expect.objectContaining({ code: code === 'REJECTED' ? 'SERVER_ERROR' : code });
      expect(await refusals(full)).toEqual([status, told, status, told]);
      expect(full.faults.filter((fault) => !fault.path.startsWith('/v2'))).toHaveLength(2);
      await full.close();
    },
  );
});

describe('what repositories keep', () => {
  const roots = async (): Promise<number> => {
    let count = 0;
    for await (const _file of hubRoots(rig.store)) count++;
    return count;
  };

  it('is every file of every ref, and of git repositories elsewhere', async () => {
    // The .gitattributes of the repository is one of them.
    expect(await roots()).toBe(2);
    await rig.commit('org/lfs', [header('two'), inline('small', 'some text')]);
    await rig.commit('org/lfs', [header('three'), deleted('small')]);
    // The commit before still has it.
    expect(await roots()).toBe(3);
    const { objects } = await batch('upload', [oid], '/git/me/code.git/info/lfs');
    expect(objects[0].actions).toBeUndefined();
    const listed = await rig.json('GET', '/api/settings/git-repositories');
    expect(listed).toContainEqual({
      ...{ id: 'me/code', files: 1, storage: bytes.length },
      updatedAt: expect.stringMatching(/^20/),
    });
    await rig.json('POST', '/api/models/org/lfs/super-squash/main', {});
    expect(await roots()).toBe(2);
    await rig.json('DELETE', '/api/repos/delete', { name: 'lfs', organization: 'org' }, 204);
    expect(await roots()).toBe(1);
    await rig.json(
      'DELETE',
      '/api/repos/delete',
      { name: 'code', organization: 'me', type: 'git' },
      204,
    );
    expect(await roots()).toBe(0);
  });

  it('leaves trees and commits that can be removed when they are old', async () => {
    await rig.json('POST', '/api/repos/create', { name: 'kept', organization: 'org' });
    await rig.commit('org/kept', [header('one'), inline('d/a', 'x')]);
    const unixMs = Date.now() + 1000;
    expect(await sweepHub(rig.store, { graceMs: 60_000, unixMs })).toBe(0);
    expect(await sweepHub(rig.store, { graceMs: 0, unixMs })).toBeGreaterThan(5);
    expect(await rig.json('GET', '/api/models/org/kept/tree/main?recursive=1')).toHaveLength(3);
  });

  it('lets go of files of history that was forgotten, and of no others', async () => {
    const { hasher } = await loadKernels();
    const prune = (dryRun = false) => pruneNow(rig.store, { hasher, dryRun });
    // Nobody had this one in a repository.
    const alone = (await batch('upload', [otherOid], '/git/me/left.git/info/lfs')).objects[0];
    expect((await put(alone.actions.upload.href, other)).status).toBe(200);
    await rig.json('POST', '/api/repos/create', { name: 'pruned', organization: 'org' });
    const text = 'y'.repeat(50_000);
    await rig.commit('org/pruned', [header('one'), inline('a', text), inline('b', 'kept')]);
    await rig.commit('org/pruned', [header('two'), lfsFile('o', otherOid), deleted('a')]);
    await rig.commit('org/pruned', [header('three'), deleted('o')]);
    // What there was in the tests before.
    await prune();
    expect(await prune()).toMatchObject({ files: 0, objects: 0 });
    await rig.json('POST', '/api/models/org/pruned/super-squash/main', {});
    expect(await prune(true)).toMatchObject({ files: 1, bytes: 50_000 });
    const { files, objects, lost } = await prune();
    expect([files, lost]).toEqual([1, []]);
    expect(objects).toBeGreaterThan(3);
    expect(await (await rig.send('GET', '/org/pruned/resolve/main/b')).text()).toBe('kept');
    // The git repository still needs it; then nobody does, and it has to be sent again.
    expect(
      (await batch('upload', [otherOid], '/org/pruned.git/info/lfs')).objects[0].actions,
    ).toBeUndefined();
    const gone = { name: 'left', organization: 'me', type: 'git' };
    await rig.json('DELETE', '/api/repos/delete', gone, 204);
    expect(await prune()).toMatchObject({ files: 1, bytes: other.length, lost: [] });
    expect(
      (await batch('upload', [otherOid], '/org/pruned.git/info/lfs')).objects[0].actions,
    ).toBeDefined();
  });
});
