import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDiskStore, type ObjectStore, type XorbVerifier } from '../../src/gateway/index.js';
import { createThreadVerifier } from '../../src/gateway/thread-verifier.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  buildXorb,
  codec,
  createRig,
  fileOf,
  hasher,
  jsonOf,
  listed,
  publish,
  putShard,
  putXorb,
  type Rig,
  randomChunks,
  uploadShard,
} from './support/rig.js';

/** What is read to find out whether a xorb is sound, and what is answered when it is not. */

const xorb = buildXorb(randomChunks(90, [40_000, 50_000, 60_000]));
const file = fileOf([[xorb, 0, 3]]);
const first = MerkleHash.from(xorb.chunkHashes, 0);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-health-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Counted {
  readonly rig: Rig;
  verified: number;
}

function counted(store: ObjectStore): Counted {
  const inner = createThreadVerifier({ codec, hasher });
  const result = {
    verified: 0,
    rig: createRig({
      store,
      verifier: {
        verify: (bytes, expected) => {
          result.verified++;
          return inner.verify(bytes, expected);
        },
      } satisfies XorbVerifier,
    }),
  };
  return result;
}

const fresh = async (): Promise<{ path: string; store: ObjectStore }> => {
  const path = await mkdtemp(join(folder, 'store-'));
  return { path, store: await createDiskStore(path, { sync: false }) };
};
const ask = (rig: Rig): Promise<Response> => rig.send('GET', `/v1/chunks/default/${first}`);
const pathOf = (path: string): string => {
  const name = xorb.hash.toString();
  return join(path, 'xorbs', name.slice(0, 2), name);
};

describe('a xorb that the gateway stored', () => {
  it('is verified once: not again for shards, questions, uploads and restarts', async () => {
    const { store } = await fresh();
    const one = counted(store);
    await publish(one.rig, [xorb], [file]);
    expect((await ask(one.rig)).status).toBe(200);
    expect(
      await jsonOf(one.rig.send('POST', `/v1/xorbs/default/${xorb.hash}`, { body: xorb.bytes })),
    ).toEqual({
      was_inserted: false,
    });
    expect(one.verified).toBe(1);
    const other = counted(store);
    expect((await ask(other.rig)).status).toBe(200);
    expect((await putShard(other.rig, uploadShard({ files: [file], xorbs: [] }))).status).toBe(200);
    expect(other.verified).toBe(0);
  });

  it('is read once when something has written to it, and never again after that', async () => {
    const { path, store } = await fresh();
    await publish(counted(store).rig, [xorb], [file]);
    const bytes = await readFile(pathOf(path));
    await writeFile(pathOf(path), bytes);
    const one = counted(store);
    expect((await store.head(`xorbs/${xorb.hash}`))?.intact).toBe(false);
    expect((await ask(one.rig)).status).toBe(200);
    expect(one.verified).toBe(1);
    expect((await store.head(`xorbs/${xorb.hash}`))?.intact).toBe(true);
    const later = counted(store);
    expect((await ask(later.rig)).status).toBe(200);
    expect(later.verified).toBe(0);
  });
});

describe('a xorb with a byte flipped inside', () => {
  const spoiled = async (): Promise<{ path: string; one: Counted }> => {
    const { path, store } = await fresh();
    await publish(counted(store).rig, [xorb], [file]);
    const bytes = await readFile(pathOf(path));
    bytes[70_000] = (bytes[70_000] as number) ^ 1;
    await writeFile(pathOf(path), bytes);
    return { path, one: counted(store) };
  };

  it('is in no dedup response, is read once to know that, and somebody is told', async () => {
    const { one } = await spoiled();
    for (let i = 0; i < 3; i++) expect((await ask(one.rig)).status).toBe(404);
    expect(one.verified).toBe(1);
    expect(one.rig.faults[0]).toMatchObject({ status: 410, error: { code: 'INTEGRITY' } });
  });

  it('makes a shard that refers to it refused, in a way that has the client upload it', async () => {
    const { one } = await spoiled();
    const refused = await putShard(one.rig, uploadShard({ files: [file], xorbs: [] }));
    expect(refused.status).toBe(400);
    expect(await jsonOf(refused)).toMatchObject({ code: 'REJECTED', error: /upload it again/ });
  });

  it('is not said to be there, and is replaced by the next upload of it', async () => {
    const { path, one } = await spoiled();
    const post = () =>
      jsonOf(one.rig.send('POST', `/v1/xorbs/default/${xorb.hash}`, { body: xorb.bytes }));
    expect((await ask(one.rig)).status).toBe(404);
    expect((await one.rig.send('HEAD', `/v1/xorbs/default/${xorb.hash}`)).status).toBe(404);
    expect(await post()).toEqual({ was_inserted: true });
    expect((await readFile(pathOf(path))).subarray(0, xorb.bytes.length).equals(xorb.bytes)).toBe(
      true,
    );
    expect(await post()).toEqual({ was_inserted: false });
    expect((await one.rig.send('HEAD', `/v1/xorbs/default/${xorb.hash}`)).status).toBe(200);
    expect((await ask(one.rig)).status).toBe(200);
  });

  it('is not replaced by an upload that is not what its name says', async () => {
    const { path, one } = await spoiled();
    const before = await readFile(pathOf(path));
    const bad = xorb.bytes.slice();
    bad[5] = (bad[5] as number) ^ 1;
    const response = await one.rig.send('POST', `/v1/xorbs/default/${xorb.hash}`, { body: bad });
    expect(response.status).toBe(400);
    expect((await readFile(pathOf(path))).equals(before)).toBe(true);
  });
});

describe('a file record', () => {
  it('whose xorb is gone is replaced by another way to build the file', async () => {
    const { store } = await fresh();
    const { rig } = counted(store);
    await publish(rig, [xorb], [file]);
    await store.delete(`xorbs/${xorb.hash}`);
    const chunks = randomChunks(90, [40_000, 50_000, 60_000]);
    const twin = buildXorb([...chunks, new Uint8Array(100)]);
    const again = fileOf([[twin, 0, 3]]);
    expect(again.hash.equals(file.hash)).toBe(true);
    await putXorb(rig, twin);
    const body = uploadShard({ files: [again], xorbs: [listed(twin)] });
    expect(await jsonOf(putShard(rig, body))).toMatchObject({ result: 1 });
    expect((await rig.send('GET', `/v2/reconstructions/${file.hash}`)).status).toBe(200);
  });
});

describe('/health', () => {
  const states = [
    ['ok', 200],
    ['read-only', 200],
    ['full', 507],
    ['failing', 503],
  ] as const;

  it.each(states)('of a store that is %s is %i', async (state, status) => {
    const { store } = await fresh();
    let checks = 0;
    const rig = createRig({
      store: {
        ...store,
        check: async () => {
          checks++;
          return { state, detail: '/srv/secret', freeBytes: 5 };
        },
      },
    });
    const response = await rig.send('GET', '/health', { token: null });
    expect(response.status).toBe(status);
    const text = await response.text();
    expect(JSON.parse(text)).toEqual({ status: state, freeBytes: 5 });
    expect((await rig.send('HEAD', '/health', { token: null })).status).toBe(status);
    expect(checks).toBe(1);
    rig.clock.advance(5000);
    await rig.send('GET', '/health', { token: null });
    expect(checks).toBe(2);
  });

  it('of a store that cannot tell is ok', async () => {
    const response = await createRig().send('GET', '/health', { token: null });
    expect(await response.json()).toEqual({ status: 'ok' });
  });
});
