import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDiskStore, type ObjectStore, tenantStore } from '../../src/gateway/index.js';
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
