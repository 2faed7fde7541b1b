import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway } from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  copyStore,
  createDiskStore,
  createMemoryStore,
  type GatewayOptions,
  hubRoots,
  type ObjectStore,
  scrubStore,
  tenantStore,
} from '../../src/gateway/index.js';
import { loadKernels } from '../../src/index.js';
import {
  createEngine,
  createHubRig,
  type HubRig,
  header,
  inline,
  type Json,
} from '../gateway/hub/rig.js';
import { generate } from '../support/generators.js';
import { inProcess } from './in-process.js';

/** What a tenant's repositories are made of, in stores that are looked after from the command line. */

const GUIDE = new URL('../../docs/gateway.md', import.meta.url);

let folder: string;
const engine = createEngine();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-store-hub-'));
  const rig = await rigOver('from');
  await fill(rig);
  await rig.close();
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

const run = (...args: string[]) => inProcess(['store', ...args], { cwd: folder });
const disk = (name: string): Promise<ObjectStore> =>
  createDiskStore(join(folder, name), { sync: false });

/** Everything is asked by the tenant, whose repositories they are. */
async function rigOver(store: string | ObjectStore, options?: GatewayOptions): Promise<HubRig> {
  const place = typeof store === 'string' ? await disk(store) : store;
  const rig = await createHubRig({ store: place, engine, options });
  const send: HubRig['send'] = (method, path, body, headers) =>
    rig.send(method, path, body, { authorization: 'Bearer tenant', ...headers });
  return talking(rig, send);
}

function talking(rig: HubRig, send: HubRig['send']): HubRig {
  const json: HubRig['json'] = async (method, path, body, status = 200) => {
    const response = await send(method, path, body);
    expect(response.status, path).toBe(status);
    return response.json();
  };
  return { ...rig, send, json };
}

/** Bytes of a file, or of the files in a folder by their names. */
async function inFolder(name: string): Promise<unknown> {
  const path = join(folder, name);
  if ((await stat(path)).isFile()) return readFile(path, 'utf8');
  const names = (await readdir(path)).sort();
  return Promise.all(names.map(async (each) => [each, await readFile(join(path, each), 'utf8')]));
}

const bytes = generate({ kind: 'splitmix64', seed: 70, bytes: 200_000 });
const oid = createHash('sha256').update(bytes).digest('hex');
const LFS = '/git/me/code.git/info/lfs';
const batch = (rig: HubRig, operation: string): Promise<Json> =>
  rig.json('POST', `${LFS}/objects/batch`, { operation, objects: [{ oid, size: bytes.length }] });
const commit = (rig: HubRig, path: string, text: string): Promise<Response> =>
  rig.send(
    'POST',
    '/api/models/org/one/commit/main',
    `${JSON.stringify(header('c'))}\n${JSON.stringify(inline(path, text))}`,
  );

/** A repository with two commits and a discussion, and a git repository elsewhere with a file and a lock. */
async function fill(rig: HubRig): Promise<void> {
  await rig.json('POST', '/api/repos/create', { name: 'one', organization: 'org' });
  expect((await commit(rig, 'd/a', 'first')).status).toBe(200);
  expect((await commit(rig, 'd/a', 'second')).status).toBe(200);
  const discussion = { title: 'why', description: 'because' };
  await rig.json('POST', '/api/models/org/one/discussions', discussion);
  const { href } = (await batch(rig, 'upload')).objects[0].actions.upload;
  const sent = await rig.send('PUT', href, bytes, { 'content-length': String(bytes.length) });
  expect(sent.status).toBe(200);
  await rig.json('POST', `${LFS}/locks`, { path: 'a.psd' }, 201);
}

async function expectAll(rig: HubRig): Promise<void> {
  const needed = (store: ObjectStore): Promise<string[]> => rootsOf(tenantStore(store, 'acme'));
  expect(await needed(rig.store)).toEqual(await needed(await disk('from')));
  const file = await rig.send('GET', '/org/one/resolve/main/d/a');
  expect(await file.text()).toBe('second');
  const [, first] = await rig.json('GET', '/api/models/org/one/commits/main');
  expect(await (await rig.send('GET', `/org/one/resolve/${first.id}/d/a`)).text()).toBe('first');
  const { discussions } = await rig.json('GET', '/api/models/org/one/discussions');
  expect(discussions).toMatchObject([{ title: 'why' }]);
  expect((await rig.json('GET', `${LFS}/locks`)).locks).toMatchObject([{ path: 'a.psd' }]);
  // Hashed there, so nobody need send it again here.
  expect((await batch(rig, 'upload')).objects[0].actions).toBeUndefined();
  const { href } = (await batch(rig, 'download')).objects[0].actions.download;
  const got = Buffer.from(await (await rig.send('GET', href)).arrayBuffer());
  expect(got.equals(bytes)).toBe(true);
}

async function rootsOf(store: ObjectStore): Promise<string[]> {
  const files: string[] = [];
  for await (const file of hubRoots(store)) files.push(file.toString());
  return files.sort();
}

describe('orbweaver store, with repositories', () => {
  it('copies all of them, and says what is damaged', async () => {
    expect((await run('copy', 'from', 'to', '--json')).json()).toMatchObject({ failed: [] });
    const rig = await rigOver('to');
    await expectAll(rig);
    await rig.close();
    // Again it copies nothing, and no table of what is known is written twice.
    const there = tenantStore(await disk('to'), 'acme');
    const keys = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const prefix of ['hub-claims/', 'hub-trees/', 'index/']) {
        for await (const { key } of there.list(prefix)) found.push(key);
      }
      return found.sort();
    };
    const before = await keys();
    expect((await run('copy', 'from', 'to', '--json')).json()).toMatchObject({ files: 0 });
    expect(await keys()).toEqual(before);

    const source = tenantStore(await disk('to'), 'acme');
    const tree = before.find((key) => key.startsWith('hub-trees/')) as string;
    await source.put(tree, new TextEncoder().encode('{}'), { replace: true });
    const partly = await run('copy', 'to', 'third');
    expect(partly.status).toBe(6);
    expect(partly.stderr).toContain(`${tree} is damaged and was left out`);
  });

  it('counts all objects, and anew what a quota counts', async () => {
    const sums = (await run('stats', 'from', '--json')).json();
    let storedBytes = 0;
    let objects = 0;
    const root = await disk('from');
    const all = ['xorbs', 'shards', 'index', 'hub-trees', 'hub-commits', 'hub-claims', 'hub-lfs'];
    for (const prefix of all) {
      for await (const { sizeBytes } of root.list(`tenants/acme/${prefix}/`)) {
        storedBytes += sizeBytes;
        objects++;
      }
    }
    expect(sums).toMatchObject({ storedBytes, objects });
    expect(sums['files']).toBeGreaterThan(3);

    const { logicalBytes } = sums as { readonly logicalBytes: number };
    const counted = async (place: string): Promise<unknown> => {
      const value = await tenantStore(await disk(place), 'acme').values?.read('usage/bytes');
      return JSON.parse(new TextDecoder().decode(value?.bytes));
    };
    const quota = { quotas: { acme: { logicalBytes: 10 ** 9 } } };
    for (const place of ['counted', 'imported']) {
      // Its first upload begins the count.
      const rig = await rigOver(place, quota);
      await rig.json('POST', '/api/repos/create', { name: 'first', organization: 'org' });
      await rig.close();
    }
    await run('copy', 'from', 'counted');
    // Both have the same .gitattributes.
    expect(await counted('counted')).toMatchObject({ logicalBytes });
    const [needed] = await rootsOf(tenantStore(root, 'acme'));
    const tenant = ['--tenant', 'acme'];
    const files = (await run('ls', 'from')).stdout.toString().match(/^[0-9a-f]{64}/gm) ?? [];
    expect(files).toContain(needed);
    await run('export', 'from', ...files, '-o', 'all.zip', ...tenant);
    await run('import', 'imported', 'all.zip', ...tenant);
    expect(await counted('imported')).toMatchObject({ logicalBytes });

    const repo = ['--data', 'counted', ...tenant];
    const { stdout } = await inProcess(['repo', 'squash', 'model/org/one', ...repo], {
      cwd: folder,
    });
    expect(stdout.toString()).toMatch(/^[0-9a-f]{40}\n$/);
    // The fraction of a second in the time of a file is its seal, so what is of this second may look younger.
    await new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000)));
    await inProcess(['repo', 'prune', '--grace', '0', ...repo], { cwd: folder });
    const left = logicalBytes - 'first'.length;
    expect(await counted('counted')).toMatchObject({ logicalBytes: left });
  });

  it('comes back from a backup that is made as docs/gateway.md says', async () => {
    const issued = await inProcess(
      ['token', '--data', 'from', '--scope', 'write', '--tenant', 'acme'],
      { cwd: folder },
    );
    const token = issued.stdout.toString().trim();
    // Which makes the other secrets.
    await (await startGateway({ data: join(folder, 'from'), port: 0, workers: 0 })).close();
    const [, recipe = ''] =
      /\*\*Backup\.\*\*.*?```sh\n(.*?)```/s.exec(await readFile(GUIDE, 'utf8')) ?? [];
    for (const line of recipe.trimEnd().split('\n')) {
      const command = line.replaceAll('STORE', 'from').replaceAll('COPY', 'backup');
      const args = command.split(' ');
      if (args[0] !== 'orbweaver') execFileSync('sh', ['-c', command], { cwd: folder });
      else expect((await inProcess(args.slice(1), { cwd: folder })).status).toBe(0);
    }
    const gateway = await startGateway({ data: join(folder, 'backup'), port: 0, workers: 0 });
    const send: HubRig['send'] = (method, path, body, headers = {}) =>
      fetch(path.startsWith('http') ? path : gateway.url + path, {
        method,
        headers: { authorization: `Bearer ${token}`, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    await expectAll(talking({ send, store: await disk('backup') } as HubRig, send));
    await gateway.close();
    // By name and keys, so that URLs and tokens that are out there stay good.
    for (const name of ['secrets.json', 'token-keys']) {
      expect(await inFolder(join('backup', name))).toEqual(await inFolder(join('from', name)));
    }
  });

  it('scrubs what repositories are made of, says which are hit, and mends what is known elsewhere', async () => {
    await run('copy', 'from', 'hurt');
    const part = tenantStore(await disk('hurt'), 'acme');
    const keysOf = async (prefix: string): Promise<string[]> => {
      const keys: string[] = [];
      for await (const { key } of part.list(prefix)) keys.push(key);
      return keys.sort();
    };
    const hurt = async (key: string): Promise<void> => {
      const bytes = (await part.read(key)) as Uint8Array;
      // A digit that stays one, where the object is the text of a hash.
      bytes[1] = (bytes[1] as number) ^ 1;
      await part.put(key, bytes, { replace: true });
    };
    const value = (await part.values?.read('hub-repos/model--org--one'))?.bytes;
    const { refs } = JSON.parse(new TextDecoder().decode(value));
    const commitKey = `hub-commits/${refs['refs/heads/main']}`;
    const [link] = (await keysOf('hub-lfs/')) as [string];
    await hurt(link);
    await hurt(commitKey);
    const needed = await rootsOf(tenantStore(await disk('from'), 'acme'));
    const found = await run('scrub', 'hurt', '--json');
    expect(found.status).toBe(6);
    const repositories = ['model/org/one'];
    expect(found.json()).toMatchObject({
      damaged: [{ key: `tenants/acme/${commitKey}`, files: [], repositories }],
      repaired: [`tenants/acme/${link}`],
    });
    // Who has which SHA-256 is known from trees and links as well.
    const tables = await keysOf('hub-claims/');
    for (const key of tables) await hurt(key);
    const text = await run('scrub', 'hurt');
    expect(text.stdout.toString()).toContain('  repository model/org/one\n');
    const repaired = tables.map((key) => `repaired tenants/acme/${key}\n`).join('');
    expect(text.stdout.toString()).toContain(repaired);
    const rig = await rigOver('hurt');
    expect((await batch(rig, 'download')).objects[0].actions).toBeDefined();
    // As the damage says: from a copy.
    expect(text.stderr).toContain('store copy from a backup');
    await run('copy', 'from', 'hurt');
    expect((await run('scrub', 'hurt')).stdout.toString()).toMatch(/: 0 damaged$/m);
    await expectAll(rig);
    expect(await rootsOf(part)).toEqual(needed);
    await rig.close();
  });

  it('goes on with the parts of a scrub that were not done', async () => {
    await run('copy', 'from', 'parts');
    const root = await disk('parts');
    const [key, bytes] = [`xorbs/${'1'.repeat(64)}`, new Uint8Array(100)];
    await root.put(key, bytes);
    const { hasher, codec } = await loadKernels();
    const first = await scrubStore(root, { hasher, codec, keepResult: true });
    expect(first.damaged).toMatchObject([{ key }]);
    await root.delete(key);
    // The root is done; the tenant is not.
    const rest = (await run('scrub', 'parts', '--resume', '--json')).json();
    expect(rest).toMatchObject({ damaged: [{ key }] });
    expect(rest['checkedObjects']).toBeGreaterThan(5);
    expect((await run('scrub', 'parts', '--resume', '--json')).json()).toMatchObject({
      damaged: [],
    });
    for (const wrong of ['0', '101', 'half']) {
      expect((await run('scrub', 'parts', '--sample', wrong)).status).toBe(2);
    }
    const sampled = (await run('scrub', 'parts', '--sample', '0.0001%', '--json')).json();
    expect(sampled['checkedObjects']).toBeLessThan(rest['checkedObjects'] as number);
  });

  it('copies no commit of which it has not all files, whoever commits meanwhile', async () => {
    const from = createMemoryStore();
    const rig = await rigOver(from);
    await rig.json('POST', '/api/repos/create', { name: 'one', organization: 'org' });
    const part = tenantStore(from, 'acme');
    const values = part.values as NonNullable<ObjectStore['values']>;
    // The latest moment at which a commit can be in what is copied.
    const list: typeof values.list = async function* (prefix) {
      if (prefix === 'hub-repos/') await commit(rig, 'late', 'late');
      yield* values.list(prefix);
    };
    const to = createMemoryStore();
    const { hasher, codec } = await loadKernels();
    const watched = { ...part, values: { ...values, list } };
    await copyStore(watched, tenantStore(to, 'acme'), { hasher, codec });
    const copied = await rigOver(to);
    expect(await (await copied.send('GET', '/org/one/resolve/main/late')).text()).toBe('late');
    for (const each of [rig, copied]) await each.close();
  });
});
