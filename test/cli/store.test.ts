import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDiskStore, type ObjectStore, tenantStore } from '../../src/gateway/index.js';
import { download } from '../gateway/support/reader.js';
import { buildXorb, createRig, fileOf, publish, randomChunks } from '../gateway/support/rig.js';
import { inProcess } from './in-process.js';

let folder: string;
let store: ObjectStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-store-'));
  store = await createDiskStore(join(folder, 'data'), { sync: false });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const [A, B] = [1, 2].map((seed) => buildXorb(randomChunks(seed, [300, 200])));
const run = (...args: string[]) => inProcess(['store', ...args], { cwd: folder });

describe('orbweaver store', () => {
  it('lists, counts, removes, collects and scrubs', async () => {
    if (A === undefined || B === undefined) throw new Error('no xorbs');
    const files = [A, B].map((xorb) => fileOf([[xorb, 0, 2]]));
    const [first, second] = files.map(({ hash }) => hash.toString()) as [string, string];
    const rig = createRig({ store });
    await publish(rig, [A], [fileOf([[A, 0, 2]])]);
    await publish(rig, [B], [fileOf([[B, 0, 2]])]);

    const listed = (await run('ls', 'data', '--json')).stdout.toString().trim().split('\n');
    const lines = listed.map((line) => JSON.parse(line));
    expect(lines.map((line) => line.fileHash).sort()).toEqual([first, second].sort());
    expect(lines[0]).toMatchObject({ sizeBytes: 500 });
    expect(lines[0].createdAt).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    const before = (await run('stats', 'data', '--json')).json();
    expect(before).toMatchObject({ files: 2, logicalBytes: 1000, uniqueBytes: 1000 });
    expect(Object.keys(before).sort()).toEqual(
      ['files', 'logicalBytes', 'objects', 'storedBytes', 'uniqueBytes'].sort(),
    );

    const removed = await run('rm', 'data', second, 'f'.repeat(64), '--json');
    expect(removed.status).toBe(9);
    expect(removed.json()).toEqual({
      type: 'result',
      removed: [second],
      missing: ['f'.repeat(64)],
    });
    expect((await run('rm', 'data', second)).status).toBe(5);

    const dry = await run('gc', 'data', '--grace', '0', '--dry-run', '--json');
    expect(dry.json()).toMatchObject({ type: 'result', deletedObjects: 2, keptObjects: 2 });
    const week = await run('gc', 'data', '--json');
    expect(week.json()).toMatchObject({ deletedObjects: 0, keptObjects: 4, waitingObjects: 2 });
    const done = await run('gc', 'data', '--grace', '0', '--json');
    expect({ ...done.json(), deletedBytes: 0 }).toEqual({ ...dry.json(), deletedBytes: 0 });
    expect((await run('stats', 'data', '--json')).json()).toMatchObject({
      files: 1,
      uniqueBytes: 500,
    });

    expect((await run('scrub', 'data', '--json')).json()).toMatchObject({ damaged: [] });
    const key = `xorbs/${A.hash}`;
    const bytes = (await store.read(key)) as Uint8Array;
    bytes[20] = (bytes[20] as number) ^ 1;
    await store.put(key, bytes, { replace: true });
    const scrubbed = await run('scrub', 'data', '--json', '--rate', '100MB');
    expect(scrubbed.status).toBe(6);
    expect(scrubbed.json()).toMatchObject({
      type: 'result',
      checkedObjects: 3,
      damaged: [{ key, files: [first] }],
    });
    expect((await run('scrub', 'data')).stdout.toString()).toContain(`file ${first}`);
  });

  it('handles tenants, all of them or one', async () => {
    const place = await createDiskStore(join(folder, 'tenants'), { sync: false });
    const north = { id: 'n', scope: 'write' as const, tenant: 'north' };
    const rig = createRig({ store: place, principals: { 'Bearer token-that-writes': north } });
    const xorb = A as NonNullable<typeof A>;
    await publish(rig, [xorb], [fileOf([[xorb, 0, 2]])]);
    expect((await run('ls', 'tenants', '--json')).json()).toMatchObject({ tenant: 'north' });
    expect((await run('stats', 'tenants', '--json')).json()).toMatchObject({
      files: 1,
      tenants: [{ tenant: 'north', files: 1 }],
    });
    const { hash } = fileOf([[xorb, 0, 2]]);
    expect((await run('rm', 'tenants', hash.toString())).status).toBe(5);
    expect((await run('rm', 'tenants', hash.toString(), '--tenant', 'north')).status).toBe(0);
    expect((await run('gc', 'tenants', '--grace', '0', '--json')).json()).toMatchObject({
      deletedObjects: 2,
      keptObjects: 0,
    });
    for await (const { key } of tenantStore(place, 'north').list('xorbs/')) {
      throw new Error(`${key} is still there`);
    }
  });

  it('copies a store, and again what came since; takes files out and in as an archive', async () => {
    const [C, D] = [11, 12].map((seed) => buildXorb(randomChunks(seed, [300, 200, 100])));
    if (C === undefined || D === undefined) throw new Error('no xorbs');
    const from = await createDiskStore(join(folder, 'from'), { sync: false });
    const rig = createRig({ store: from });
    const both = fileOf([
      [C, 0, 2],
      [D, 1, 3],
    ]);
    await publish(rig, [C], [fileOf([[C, 0, 3]])]);
    const first = (await run('copy', 'from', 'to', '--json')).json();
    expect(first).toMatchObject({ type: 'result', files: 1, xorbs: 1, failed: [] });
    await publish(rig, [D], [both]);
    const second = (await run('copy', 'from', 'to', '--json')).json();
    expect(second).toMatchObject({ files: 1, knownFiles: 1, xorbs: 1, failed: [] });
    const to = createRig({ store: await createDiskStore(join(folder, 'to'), { sync: false }) });
    const hash = both.hash.toString();
    expect(await download(to, hash)).toEqual(await download(rig, hash));
    expect((await run('scrub', 'to', '--json')).json()).toMatchObject({ damaged: [] });

    const done = (await run('export', 'to', hash, '-o', 'set.zip', '--json')).json();
    expect(done).toMatchObject({ type: 'result', files: [hash], xorbs: 2 });
    expect((await run('export', 'to', 'e'.repeat(64), '-o', 'no.zip')).status).toBe(5);
    const back = (await run('import', 'third', 'set.zip', '--json')).json();
    expect(back).toMatchObject({ files: [hash], xorbs: 2 });
    expect((await run('import', 'third', 'set.zip', '--json')).json()).toMatchObject({ xorbs: 0 });
    const third = createRig({ store: await createDiskStore(join(folder, 'third')) });
    expect(await download(third, hash)).toEqual(await download(rig, hash));

    // What is damaged is neither copied nor exported, nor taken in.
    const key = `xorbs/${D.hash}`;
    const bytes = (await from.read(key)) as Uint8Array;
    bytes[20] = (bytes[20] as number) ^ 1;
    await from.put(key, bytes, { replace: true });
    const partly = await run('copy', 'from', 'fourth', '--json');
    expect(partly.status).toBe(6);
    expect(partly.json()).toMatchObject({ files: 1, failed: [hash] });
    expect((await run('export', 'from', hash, '-o', 'bad.zip')).status).toBe(6);
    const archive = await readFile(join(folder, 'set.zip'));
    const at = archive.indexOf('xorbs/') + 64 + 6 + 20;
    archive[at] = (archive[at] as number) ^ 1;
    await writeFile(join(folder, 'turned.zip'), archive);
    const turned = await run('import', 'fifth', 'turned.zip');
    expect([3, 6]).toContain(turned.status);
    expect((await run('ls', 'fifth')).stdout.toString()).toBe('');
  });

  it('says what is wrong with a command line', async () => {
    const wrong: readonly (readonly [string[], string])[] = [
      [[], 'got none'],
      [['scrup', 'data'], 'did you mean scrub?'],
      [['gc'], 'expected store gc PLACE'],
      [['gc', 'data', 'more'], 'takes no "more"'],
      [['ls', 'data', '--grace', '1'], 'store ls takes no --grace'],
      [['rm', 'data'], 'at least one HASH'],
      [['rm', 'data', 'xyz'], 'hash'],
    ];
    for (const [args, text] of wrong) {
      const { status, stderr } = await run(...args);
      expect(status, args.join(' ')).toBe(2);
      expect(stderr).toContain(text);
    }
    expect((await run('gc', 'nowhere')).status).toBe(3);
  });
});
