import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadKernels } from '../../src/compose/chunk.js';
import {
  collectGarbage,
  createDiskStore,
  createS3Store,
  type ObjectStore,
  tenantStore,
} from '../../src/gateway/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { inProcess } from '../cli/in-process.js';
import { damageDrill } from '../gateway/support/damage-drill.js';
import { download } from '../gateway/support/reader.js';
import {
  buildXorb,
  createRig,
  fileOf,
  hasher,
  keysOf,
  publish,
  type Rig,
  randomChunks,
} from '../gateway/support/rig.js';
import { bareClient, type S3Server, startS3Server } from './support/s3-server.js';

let server: S3Server;
let folder: string;
let place: string;
let store: ObjectStore;
let rig: Rig;
beforeAll(async () => {
  server = await startS3Server();
  Object.assign(process.env, server.env);
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-s3-upkeep-'));
  place = `s3://${server.bucket}/upkeep`;
  store = await createS3Store(place, { endpoint: server.endpoint });
  rig = createRig({ store });
});
afterAll(async () => {
  await store.close?.();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const [A, B, C] = [1, 2, 3].map((seed) => buildXorb(randomChunks(seed, [3000, 2000])));
const run = (...args: string[]) =>
  inProcess(['store', ...args, '--s3-endpoint', server.endpoint, '--json'], { cwd: folder });

async function damage(key: string): Promise<void> {
  const bytes = (await store.read(key)) as Uint8Array;
  bytes[20] = (bytes[20] as number) ^ 1;
  await store.put(key, bytes, { replace: true });
}

describe('orbweaver store, over a bucket', () => {
  // MinIO lists uploads in parts by whole keys only, and drops them by itself after a day.
  const isListed = process.env['ORBWEAVER_S3_KIND'] !== 'minio';
  it.runIf(isListed)('drops what a killed gateway left of uploads in parts', async () => {
    const client = bareClient(server.endpoint);
    const Bucket = server.bucket;
    const keys = [
      'parts/xorbs/a',
      'parts/tenants/north/index/0-b',
      'parts/else/c',
      'parts-2/xorbs/d',
    ];
    for (const Key of keys) {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const Body = new Uint8Array(1000);
      await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body }));
    }
    const left = async (): Promise<(string | undefined)[]> => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
      return Uploads.map(({ Key }) => Key).sort();
    };
    const parted = await createS3Store(`s3://${Bucket}/parts`, { endpoint: server.endpoint });
    const collect = async (unixMs: number, graceMs: number, dryRun = false): Promise<number> => {
      const clock = { ...SYSTEM_CLOCK, unixMs: () => unixMs };
      const options = { hasher, clock, graceMs, dryRun };
      let count = 0;
      for (const part of [parted, tenantStore(parted, 'north')]) {
        count += (await collectGarbage(part, options)).droppedUploads;
      }
      return count;
    };
    const hour = 3_600_000;
    const later = Date.now() + 2 * hour;
    // Young whatever the grace, within the grace, only looked at.
    expect(await collect(later - 1.5 * hour, 0)).toBe(0);
    expect(await collect(later, 3 * hour)).toBe(0);
    expect(await collect(later, hour, true)).toBe(2);
    expect(await left()).toEqual([...keys].sort());
    expect(await collect(later, hour)).toBe(2);
    expect(await left()).toEqual(keys.slice(2).sort());
    await parted.close?.();
    client.destroy();
  });

  it('finds 20 damaged objects and exactly the files that they hit, and is healed', async () => {
    const drilled = await createS3Store(`s3://${server.bucket}/drill`, {
      endpoint: server.endpoint,
    });
    await damageDrill(drilled, await loadKernels());
    await drilled.close?.();
  });

  it('lists, counts, removes and collects', async () => {
    if (A === undefined || B === undefined) throw new Error('no xorbs');
    const [first, second] = [A, B].map((xorb) => fileOf([[xorb, 0, 2]]).hash.toString());
    for (const xorb of [A, B]) await publish(rig, [xorb], [fileOf([[xorb, 0, 2]])]);
    const lines = (await run('ls', place)).stdout.toString().trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).fileHash).sort()).toEqual([first, second].sort());
    expect((await run('stats', place)).json()).toMatchObject({ files: 2, logicalBytes: 10_000 });
    expect((await run('rm', place, second as string)).json()).toMatchObject({ removed: [second] });
    const dry = await run('gc', place, '--grace', '0', '--dry-run');
    expect(dry.json()).toMatchObject({ deletedObjects: 2, keptObjects: 2 });
    expect((await run('gc', place, '--grace', '0')).json()).toMatchObject({ deletedObjects: 2 });
    expect(await keysOf(store, 'xorbs/')).toEqual([`xorbs/${A.hash}`]);
    expect(await download(rig, first as string)).toHaveLength(5000);
  });

  it('scrubs, and names the files that damage hits, until they are uploaded again', async () => {
    if (A === undefined || C === undefined) throw new Error('no xorbs');
    const files = [fileOf([[A, 0, 1]]), fileOf([[C, 0, 2]])];
    const uploadAll = async (): Promise<void> => {
      for (const [index, xorb] of [A, C].entries()) {
        await publish(rig, [xorb], [files[index] as (typeof files)[number]]);
      }
    };
    await uploadAll();
    expect((await run('scrub', place)).json()).toMatchObject({ damaged: [] });
    await damage(`xorbs/${C.hash}`);
    const found = await run('scrub', place);
    expect(found.status).toBe(6);
    expect(found.json()).toMatchObject({
      damaged: [{ key: `xorbs/${C.hash}`, files: [files[1]?.hash.toString()] }],
    });
    rig.clock.advance(6_000);
    await uploadAll();
    expect((await run('scrub', place)).json()).toMatchObject({ damaged: [] });
  });

  it('copies to a disk and back into another bucket place, and moves files as an archive', async () => {
    const listed = (await run('ls', place)).stdout.toString().trim().split('\n');
    const hashes = listed.map((line) => JSON.parse(line).fileHash as string);
    const other = `s3://${server.bucket}/copied`;
    expect((await run('copy', place, 'disk')).json()).toMatchObject({ files: hashes.length });
    expect((await run('copy', 'disk', other)).json()).toMatchObject({ files: hashes.length });
    expect((await run('copy', place, other)).json()).toMatchObject({
      files: 0,
      knownFiles: hashes.length,
    });
    const exported = await run('export', other, ...hashes, '-o', 'set.zip');
    expect(exported.json()).toMatchObject({ files: hashes });
    const third = `s3://${server.bucket}/imported`;
    expect((await run('import', third, 'set.zip')).json()).toMatchObject({ files: hashes });
    const places = [
      await createDiskStore(join(folder, 'disk'), { sync: false }),
      await createS3Store(other, { endpoint: server.endpoint }),
      await createS3Store(third, { endpoint: server.endpoint }),
    ];
    for (const each of places) {
      const reader = createRig({ store: each });
      for (const hash of hashes) {
        expect(await download(reader, hash)).toEqual(await download(rig, hash));
      }
      await each.close?.();
    }
  });
});
