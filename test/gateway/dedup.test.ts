import { describe, expect, it } from 'vitest';
import { createBodyBuffers } from '../../src/gateway/body-buffers.js';
import { buildDedup } from '../../src/gateway/dedup-build.js';
import { DEDUP_RESPONSE_MAX_BYTES } from '../../src/gateway/dedup-responses.js';
import { NOTHING_COLLECTS } from '../../src/gateway/keeper.js';
import { DEDUP_KEY_PERIOD_MS } from '../../src/gateway/secrets.js';
import { createShardOutlines } from '../../src/gateway/shard-outline.js';
import { createStoreIndex } from '../../src/gateway/store-index.js';
import { createThreadVerifier } from '../../src/gateway/thread-verifier.js';
import { createXorbCatalog } from '../../src/gateway/xorb-catalog.js';
import { createXorbHealth } from '../../src/gateway/xorb-health.js';
import { keyedChunkHash, MerkleHash } from '../../src/hash/index.js';
import { decodeShard, type Shard } from '../../src/shard/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../../src/xorb/index.js';
import {
  buildXorb,
  bytesOf,
  codec,
  createRig,
  fileOf,
  hasher,
  publish,
  READ_TOKEN,
  type Rig,
  randomChunks,
} from './support/rig.js';

const chunks = randomChunks(50, [4000, 50_000, 700, 9000]);
const xorb = buildXorb(chunks);
const file = fileOf([[xorb, 0, 4]]);
const chunkOf = (of: { chunkHashes: Uint8Array }, index: number): MerkleHash =>
  MerkleHash.from(of.chunkHashes, 32 * index);

const query = (rig: Rig, chunk: MerkleHash, prefix = 'default'): Promise<Response> =>
  rig.send('GET', `/v1/chunks/${prefix}/${chunk}`, { token: READ_TOKEN });

async function answer(rig: Rig, chunk: MerkleHash): Promise<Shard> {
  const response = await query(rig, chunk);
  expect(response.status).toBe(200);
  return decodeShard(await bytesOf(response));
}

const names = (shard: Shard): string[] => shard.xorbs.map(({ hash }) => hash.toString()).sort();

describe('a dedup query', () => {
  it('is answered with a keyed shard, as real servers answer', async () => {
    const rig = createRig();
    await publish(rig, [xorb], [file]);
    const response = await query(rig, chunkOf(xorb, 0));
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    const bytes = await bytesOf(response);
    expect(response.headers.get('content-length')).toBe(String(bytes.length));
    const { files, xorbs, footer } = decodeShard(bytes);
    expect(files).toEqual([]);
    expect(xorbs).toHaveLength(1);
    const now = BigInt(Math.floor(rig.clock.unix / 1000));
    expect(footer).toMatchObject({
      fileSectionOffset: 48,
      xorbSectionOffset: 96,
      createdAt: now,
      expiresAt: now + 604_800n,
      storedBytesOnDisk: 0n,
      storedBytes: 63_700n,
      fileLookupCount: 0,
      xorbLookupCount: 0,
      chunkLookupCount: 0,
    });
    const offset = footer?.footerOffset;
    expect(offset).toBe(bytes.length - 200);
    // A reader of huggingface.js walks the xorb section only up to the file lookup offset.
    expect(footer).toMatchObject({
      fileLookupOffset: offset,
      xorbLookupOffset: offset,
      chunkLookupOffset: offset,
    });

    const key = footer?.hmacKey as Uint8Array;
    const keyed = new Uint8Array(xorb.chunkHashes.length);
    for (let at = 0; at < keyed.length; at += 32) {
      keyedChunkHash(hasher, key, xorb.chunkHashes, at, keyed, at);
    }
    expect(xorbs[0]).toMatchObject({ rawBytes: 63_700, serializedBytes: 0 });
    expect(xorbs[0]?.hash.equals(xorb.hash)).toBe(true);
    expect(xorbs[0]?.chunkHashes).toEqual(keyed);
    expect([...(xorbs[0]?.chunkFlags ?? [])]).toEqual([0, 0, 0, 0]);
    // Who does not have a chunk does not learn its hash.
    expect(Buffer.from(bytes).includes(Buffer.from(chunkOf(xorb, 1).bytes))).toBe(false);
  });

  it('works under both prefixes and is 404 for chunks that are not indexed', async () => {
    const rig = createRig();
    await publish(rig, [xorb], [file]);
    for (const prefix of ['default', 'default-merkledb']) {
      expect((await query(rig, chunkOf(xorb, 0), prefix)).status).toBe(200);
    }
    expect((await query(rig, chunkOf(xorb, 1))).status).toBe(404);
    expect((await query(rig, MerkleHash.parse('12'.repeat(32)))).status).toBe(404);
  });

  it('finds what later versions added: every xorb of every shard that knows the chunk', async () => {
    const rig = createRig();
    const stranger = buildXorb(randomChunks(51, [100]));
    await publish(rig, [stranger], [fileOf([[stranger, 0, 1]])]);
    await publish(rig, [xorb], [file]);
    rig.clock.advance(1000);
    const added = buildXorb(randomChunks(52, [500, 600]));
    // The edited copy starts with the first chunk of the original and lists only its new xorb.
    await publish(
      rig,
      [added],
      [
        fileOf([
          [xorb, 0, 1],
          [added, 0, 2],
          [xorb, 2, 4],
        ]),
      ],
    );
    const both = [xorb.hash.toString(), added.hash.toString()].sort();
    expect(names(await answer(rig, chunkOf(xorb, 0)))).toEqual(both);
    // The new xorb is listed by one shard only, and its first chunk starts no file.
    expect((await query(rig, chunkOf(added, 0))).status).toBe(404);
  });

  it('about one file of an upload shows newer versions of the files beside it', async () => {
    const rig = createRig();
    const small = buildXorb(randomChunks(54, [300]));
    await publish(rig, [xorb, small], [file, fileOf([[small, 0, 1]])]);
    rig.clock.advance(1000);
    const added = buildXorb(randomChunks(55, [500]));
    await publish(
      rig,
      [added],
      [
        fileOf([
          [xorb, 0, 1],
          [added, 0, 1],
        ]),
      ],
    );
    // Whoever got the first chunk of the big file from this answer will not ask for it again.
    const all = [xorb, small, added].map(({ hash }) => hash.toString()).sort();
    expect(names(await answer(rig, chunkOf(small, 0)))).toEqual(all);
  });

  it('has one key for a period and another in the next', async () => {
    const rig = createRig();
    await publish(rig, [xorb], [file]);
    const keyNow = async (): Promise<string> =>
      Buffer.from((await answer(rig, chunkOf(xorb, 0))).footer?.hmacKey ?? []).toString('hex');
    const start = Math.ceil(rig.clock.unix / DEDUP_KEY_PERIOD_MS) * DEDUP_KEY_PERIOD_MS;
    rig.clock.unix = start;
    const first = await keyNow();
    rig.clock.unix = start + DEDUP_KEY_PERIOD_MS - 1;
    expect(await keyNow()).toBe(first);
    rig.clock.unix = start + DEDUP_KEY_PERIOD_MS;
    expect(await keyNow()).not.toBe(first);
    const stranger = createRig({ store: rig.store, clock: rig.clock });
    expect(
      Buffer.from((await answer(stranger, chunkOf(xorb, 0))).footer?.hmacKey ?? []).toString('hex'),
    ).not.toBe(await keyNow());
  });

  it('goes on without what is damaged or gone, and somebody is told', async () => {
    const rig = createRig();
    await publish(rig, [xorb], [file]);
    rig.clock.advance(1000);
    const added = buildXorb(randomChunks(53, [500]));
    const shard = await publish(
      rig,
      [added],
      [
        fileOf([
          [xorb, 0, 1],
          [added, 0, 1],
        ]),
      ],
    );
    const again = createRig({ store: rig.store, clock: rig.clock });
    const bytes = (await rig.store.read(`shards/${shard}`)) as Uint8Array;
    bytes[200] = (bytes[200] as number) ^ 1;
    await rig.store.delete(`shards/${shard}`);
    await rig.store.put(`shards/${shard}`, bytes);
    expect(names(await answer(again, chunkOf(xorb, 0)))).toEqual([xorb.hash.toString()]);
    expect(again.faults).toHaveLength(1);
    await rig.store.delete(`xorbs/${xorb.hash}`);
    const last = createRig({ store: rig.store, clock: rig.clock });
    expect((await query(last, chunkOf(xorb, 0))).status).toBe(404);
  });

  it('never gives more than its limit, and what holds the chunk comes first', async () => {
    expect(DEDUP_RESPONSE_MAX_BYTES).toBe(16 * 1024 * 1024);
    const rig = createRig();
    const lengths = Array.from({ length: 40 }, (_, index) => 10 + index);
    const xorbs = Array.from({ length: 6 }, (_, index) =>
      buildXorb(randomChunks(60 + index, lengths)),
    );
    const files = xorbs.map((each) => fileOf([[each, 0, 40]]));
    await publish(rig, xorbs, files);
    const { store } = rig;
    const catalog = createXorbCatalog({ store, hasher, cacheBytes: 1_000_000 });
    const index = createStoreIndex({ store, hasher });
    const parts = {
      hasher,
      key: new Uint8Array(32).fill(1),
      unixMs: rig.clock.unix,
      outlines: createShardOutlines({
        store,
        hasher,
        xorbs: catalog,
        cacheBytes: 1_000_000,
        oneIn: 64,
      }),
      health: createXorbHealth({
        store,
        xorbs: catalog,
        verifier: createThreadVerifier({ codec, hasher }),
        buffers: createBodyBuffers(rig.clock, XORB_ACCEPT_MAX_BYTES),
        keeper: NOTHING_COLLECTS,
        onDamage: () => undefined,
      }),
      keeper: NOTHING_COLLECTS,
      onFault: (error: unknown): void => {
        throw error;
      },
    };
    // Header, two bookends and footer are 344 bytes, each xorb is 41 records.
    for (const [maxBytes, count] of [
      [344 + 41 * 48 - 1, 0],
      [344 + 41 * 48, 1],
      [344 + 4 * 41 * 48 + 1000, 4],
      [1_000_000, 6],
    ] as const) {
      for (const each of xorbs) {
        const chunk = chunkOf(each, 0);
        const shards = await index.shards(chunk);
        const ask = { chunks: [chunk], shards, xorbs: [], findShards: index.shards };
        const { bytes, isComplete } = await buildDedup(ask, { ...parts, maxBytes });
        expect(isComplete).toBe(count === 6);
        if (count === 0) {
          expect(bytes.length).toBe(0);
          continue;
        }
        expect(bytes.length).toBeLessThanOrEqual(maxBytes);
        const shard = decodeShard(bytes as Uint8Array);
        expect(shard.xorbs).toHaveLength(count);
        expect(names(shard)).toContain(each.hash.toString());
      }
    }
  });
});
