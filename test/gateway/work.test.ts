import { describe, expect, it } from 'vitest';
import { Budget, Scope } from '../../src/flow/index.js';
import { createBodyBuffers } from '../../src/gateway/body-buffers.js';
import { MAX_SHARDS } from '../../src/gateway/dedup-index.js';
import { createDedupResponses } from '../../src/gateway/dedup-responses.js';
import { createGateway, createMemoryStore, type ObjectStore } from '../../src/gateway/index.js';
import { NOTHING_COLLECTS } from '../../src/gateway/keeper.js';
import { createSecrets } from '../../src/gateway/secrets.js';
import { MAX_CHUNKS_PER_SHARD } from '../../src/gateway/shard-check.js';
import { createShardOutlines } from '../../src/gateway/shard-outline.js';
import { createStoreIndex } from '../../src/gateway/store-index.js';
import { createThreadVerifier } from '../../src/gateway/thread-verifier.js';
import { createXorbCatalog } from '../../src/gateway/xorb-catalog.js';
import { createXorbHealth } from '../../src/gateway/xorb-health.js';
import {
  createMerkleTree,
  fileHash,
  MerkleHash,
  rangeHash,
  VERIFICATION_KEY,
} from '../../src/hash/index.js';
import type { Hasher } from '../../src/hash/ports.js';
import { parseReconstruction } from '../../src/plan/index.js';
import { decodeShard, type ShardFile } from '../../src/shard/index.js';
import { type BuiltXorb, XORB_ACCEPT_MAX_BYTES } from '../../src/xorb/index.js';
import {
  buildXorb,
  bytesOf,
  codec,
  createFakeClock,
  createRig,
  fileOf,
  hasher,
  jsonOf,
  keysOf,
  listed,
  makeRequest,
  publish,
  putShard,
  putXorb,
  READ_TOKEN,
  type Rig,
  randomChunks,
  term,
  uploadShard,
  WRITE_TOKEN,
} from './support/rig.js';

/** Requests that could make the gateway work for long: the work is counted, not the time. */

const MIB = 1024 * 1024;

/** A file of one range of a xorb, `count` times. */
function repeated(xorb: BuiltXorb, count: number, changes: Partial<ShardFile> = {}): ShardFile {
  const chunks = xorb.rawEnds.length;
  const tree = createMerkleTree(hasher);
  for (let i = 0; i < count; i++) {
    for (let chunk = 0; chunk < chunks; chunk++) {
      const start = chunk === 0 ? 0 : (xorb.rawEnds[chunk - 1] as number);
      tree.push(xorb.chunkHashes, 32 * chunk, (xorb.rawEnds[chunk] as number) - start);
    }
  }
  const range = rangeHash(hasher, xorb.chunkHashes, 0, chunks);
  return {
    hash: tree.fileHash(),
    terms: Array.from({ length: count }, () => term(xorb, 0, chunks)),
    verification: Array.from({ length: count }, () => range),
    sha256: null,
    ...changes,
  };
}

/** Counts hashes by what they are for. */
function countingHasher(): Hasher & { readonly ranges: number; readonly all: number } {
  const counts = { ranges: 0, all: 0 };
  return {
    get ranges() {
      return counts.ranges;
    },
    get all() {
      return counts.all;
    },
    keyed(key, data, out, offset) {
      counts.all++;
      if (Buffer.from(key).equals(VERIFICATION_KEY)) counts.ranges++;
      hasher.keyed(key, data, out, offset);
    },
    keyedMany(key, data, start, ends, count, out, offset) {
      counts.all += count;
      hasher.keyedMany(key, data, start, ends, count, out, offset);
    },
  };
}

describe('a shard of repeated terms', () => {
  const xorb = buildXorb(
    randomChunks(
      110,
      Array.from({ length: 60 }, (_, i) => 20 + i),
    ),
  );

  it('has each range hashed once', async () => {
    const counting = countingHasher();
    const gateway = createGateway({
      store: createMemoryStore(),
      hasher: counting,
      codec,
      tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
    });
    const send = (path: string, body: Uint8Array): Promise<Response> =>
      gateway.handle(makeRequest('POST', path, { body }));
    await send(`/v1/xorbs/default/${xorb.hash}`, xorb.bytes);
    const file = repeated(xorb, 600);
    const before = counting.ranges;
    expect((await send('/v1/shards', uploadShard({ files: [file], xorbs: [] }))).status).toBe(200);
    expect(counting.ranges - before).toBe(1);
  });

  it('that names more chunks than can be checked is refused before anything is hashed', async () => {
    const counting = countingHasher();
    const gateway = createGateway({
      store: createMemoryStore(),
      hasher: counting,
      codec,
      tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
    });
    const count = Math.ceil(MAX_CHUNKS_PER_SHARD / 8192) + 1;
    const terms = Array.from({ length: count }, () => ({ ...term(xorb, 0, 1), chunkEnd: 8192 }));
    const file = { ...repeated(xorb, 1), terms, verification: terms.map(() => xorb.hash) };
    const body = uploadShard({ files: [file], xorbs: [] });
    const before = counting.all;
    const response = await gateway.handle(makeRequest('POST', '/v1/shards', { body }));
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toMatchObject({ code: 'REJECTED', error: /several shards/ });
    // The token, and nothing else.
    expect(counting.all - before).toBeLessThanOrEqual(1);
  });

  it('lets others have their turn while it is checked', async () => {
    const rig = createRig();
    await putXorb(rig, xorb);
    const body = uploadShard({ files: [repeated(xorb, 600)], xorbs: [] });
    let turns = 0;
    let done = false;
    const watch = (): void => {
      turns++;
      if (!done) setImmediate(watch);
    };
    watch();
    expect((await putShard(rig, body)).status).toBe(200);
    done = true;
    // 36,000 chunks in stretches of 8192.
    expect(turns).toBeGreaterThan(4);
  });
});

describe('a reconstruction of a disk image', () => {
  const xorb = buildXorb(randomChunks(111, [100, 200]));

  it('is written while it is read: what is in memory is a slice of it', async () => {
    const rig = createRig();
    const file = repeated(xorb, 20_000);
    await publish(rig, [xorb], [file]);
    const path = new URL(`http://gateway.test/v2/reconstructions/${file.hash}`);
    const response = await rig.gateway.exchange({
      method: 'GET',
      url: path,
      headers: { authorization: `Bearer ${READ_TOKEN}` },
      body: null,
      signal: new AbortController().signal,
    });
    expect(response.headers['content-length']).toBeUndefined();
    const { body } = response;
    const pieces: Uint8Array[] = [];
    for (;;) {
      const piece = (await body?.take?.()) as Uint8Array;
      if (piece.length === 0) break;
      pieces.push(piece);
    }
    const text = Buffer.concat(pieces).toString();
    expect(text.length).toBeGreaterThan(2 * MIB);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(text.length / 8);
    const answer = parseReconstruction(JSON.parse(text));
    expect(answer.terms).toHaveLength(20_000);
    expect(answer.fetches[0]?.entries[0]?.ranges).toHaveLength(1);
    const short = await rig.send('GET', path.href, { headers: { range: 'bytes=3000100-3000500' } });
    expect(short.headers.get('content-length')).not.toBeNull();
    const part = parseReconstruction(await short.json());
    expect(part.terms.map(({ chunkStart, chunkEnd }) => [chunkStart, chunkEnd])).toEqual([
      [1, 2],
      [0, 2],
    ]);
    expect(part.offsetIntoFirstTerm).toBe(0);
  });

  it('of many readers at once is planned a few at a time, and each is right', async () => {
    const rig = createRig();
    const file = repeated(xorb, 3000);
    await publish(rig, [xorb], [file]);
    const texts = await Promise.all(
      Array.from({ length: 32 }, async () =>
        (await rig.send('GET', `/v1/reconstructions/${file.hash}`)).text(),
      ),
    );
    for (const text of texts)
      expect(parseReconstruction(JSON.parse(text)).terms).toHaveLength(3000);
    expect(rig.gateway.usage().usedBytes).toBeLessThan(MIB);
  });
});

describe('64 questions at once', () => {
  const xorbs = Array.from({ length: 8 }, (_, index) =>
    buildXorb(
      randomChunks(
        120 + index,
        Array.from({ length: 250 }, (_, i) => 10 + (i % 40)),
      ),
    ),
  );
  const files = xorbs.flatMap((xorb) =>
    Array.from({ length: 250 }, (_, chunk) => fileOf([[xorb, chunk, chunk + 1]])),
  );
  const firstOf = (index: number): MerkleHash => {
    const xorb = xorbs[index % xorbs.length] as BuiltXorb;
    return MerkleHash.from(xorb.chunkHashes, 32 * Math.floor(index / xorbs.length));
  };
  const ask = (rig: Rig, chunk: MerkleHash): Promise<Response> =>
    rig.send('GET', `/v1/chunks/default/${chunk}`, { token: READ_TOKEN });

  /** A store that counts what is read of shards. */
  function counted(inner: ObjectStore): { store: ObjectStore; opened: () => number } {
    let opened = 0;
    return {
      opened: () => opened,
      store: {
        ...inner,
        open: (key) => {
          if (key.startsWith('shards/')) opened++;
          return inner.open(key);
        },
      },
    };
  }

  it('after an upload of many tiny files are one build and one reading of the shard', async () => {
    const { store: memory } = createRig();
    const one = createRig({ store: memory });
    await publish(one, xorbs, files);
    const { store, opened } = counted(memory);
    const rig = createRig({ store, options: { maxMemory: 16 * MIB } });
    const responses = await Promise.all(
      Array.from({ length: 64 }, (_, index) => ask(rig, firstOf(index))),
    );
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 64 }, () => 200));
    const { maxBytes, peakBytes } = rig.gateway.usage();
    // One response in the making, a third of the part for dedup, whatever the number of readers.
    expect(peakBytes).toBeLessThanOrEqual((maxBytes * 3) / 16);
    const bodies = await Promise.all(responses.map(bytesOf));
    for (const body of bodies) {
      expect(Buffer.compare(body, bodies[0] as Uint8Array)).toBe(0);
    }
    expect(decodeShard(bodies[0] as Uint8Array).xorbs).toHaveLength(8);
    expect(opened()).toBe(1);
  });

  it('that do not fit in memory together are answered at once, with nothing', async () => {
    const rig = createRig();
    // Each xorb in a shard of its own: each question is a build of its own, of 12 KiB.
    for (const xorb of xorbs) await publish(rig, [xorb], [fileOf([[xorb, 0, 1]])]);
    const { store, clock } = rig;
    const catalog = createXorbCatalog({ store, hasher, cacheBytes: MIB });
    const buffers = createBodyBuffers(clock, XORB_ACCEPT_MAX_BYTES);
    const verifier = createThreadVerifier({ codec, hasher });
    const onDamage = (): void => undefined;
    const keeper = NOTHING_COLLECTS;
    const memory = new Budget({ capacityBytes: 3 * 13_000 });
    const dedup = createDedupResponses({
      build: {
        hasher,
        outlines: createShardOutlines({
          store,
          hasher,
          xorbs: catalog,
          cacheBytes: MIB,
          oneIn: 64,
        }),
        health: createXorbHealth({ store, xorbs: catalog, verifier, buffers, keeper, onDamage }),
        keeper,
      },
      index: createStoreIndex({ store, hasher }),
      secrets: createSecrets(new Uint8Array(32), hasher),
      clock,
      memory,
    });
    const find = (index: number) =>
      dedup.find({ chunks: [firstOf(index)] }, { scope: new Scope(), onFault: onDamage });
    const loans = [await find(0), await find(1), await find(2)];
    expect(loans.map((loan) => loan?.bytes.length)).toEqual(Array(3).fill(344 + 251 * 48));
    expect(await find(3)).toBeNull();
    expect(memory.peakBytes).toBeLessThanOrEqual(memory.capacityBytes);
    loans[0]?.giveBack();
    loans[0]?.giveBack();
    expect(await find(3)).not.toBeNull();
    // The same question again is the same bytes, counted once.
    const used = memory.usedBytes;
    expect((await find(3))?.bytes).toBe((await find(3))?.bytes);
    expect(memory.usedBytes).toBe(used);
  });

  it('see what is registered between them', async () => {
    const rig = createRig();
    const [first, second] = xorbs as [BuiltXorb, BuiltXorb];
    await publish(rig, [first], [fileOf([[first, 0, 1]])]);
    expect(decodeShard(await bytesOf(await ask(rig, firstOf(0)))).xorbs).toHaveLength(1);
    await publish(
      rig,
      [second],
      [
        fileOf([
          [first, 0, 1],
          [second, 0, 1],
        ]),
      ],
    );
    expect(decodeShard(await bytesOf(await ask(rig, firstOf(0)))).xorbs).toHaveLength(2);
  });

  it('see what another gateway on the store has registered, after a few seconds', async () => {
    const clock = createFakeClock();
    const rig = createRig({ clock });
    const twin = createRig({ clock, store: rig.store });
    const [first, second] = xorbs as [BuiltXorb, BuiltXorb];
    const count = async (): Promise<number> =>
      decodeShard(await bytesOf(await ask(twin, firstOf(0)))).xorbs.length;
    await publish(rig, [first], [fileOf([[first, 0, 1]])]);
    expect(await count()).toBe(1);
    await rig.store.delete(`xorbs/${first.hash}`);
    expect(await count()).toBe(1);
    clock.advance(10_000);
    expect((await ask(twin, firstOf(0))).status).toBe(404);
    await putXorb(rig, first);
    await publish(
      rig,
      [second],
      [
        fileOf([
          [first, 0, 1],
          [second, 0, 1],
        ]),
      ],
    );
    clock.advance(10_000);
    expect(await count()).toBe(2);
  });
});

describe('a chunk that everybody has', () => {
  const xorb = buildXorb(randomChunks(130, [50]));
  const chunk = MerkleHash.from(xorb.chunkHashes, 0);

  it('finds the newest shard, however many there are, and drops entries that nobody uses', async () => {
    const rig = createRig();
    const count = 6000;
    for (let i = 0; i < count; i++) {
      const name = MerkleHash.from(
        Uint8Array.from({ length: 32 }, (_, at) => (i >> (8 * (at % 3))) & 255),
      );
      await rig.store.put(`chunks/${chunk}/${name}`, new Uint8Array(0));
    }
    rig.clock.advance(1000);
    // Listed last, behind more than were ever looked at.
    await publish(rig, [xorb], [fileOf([[xorb, 0, 1]])]);
    const response = await rig.send('GET', `/v1/chunks/default/${chunk}`);
    expect(response.status).toBe(200);
    const shard = decodeShard(await bytesOf(response));
    expect(shard.xorbs.map(({ hash }) => hash.toString())).toEqual([xorb.hash.toString()]);
    await rig.gateway.close();
    expect(await keysOf(rig.store, `chunks/${chunk}/`)).toHaveLength(MAX_SHARDS);
  });
});

it('file hashes of the helpers above are what the protocol says', () => {
  const xorb = buildXorb(randomChunks(131, [30, 40]));
  const twice = Buffer.concat([xorb.chunkHashes, xorb.chunkHashes]);
  expect(repeated(xorb, 2).hash.equals(fileHash(hasher, twice, [30, 40, 30, 40]))).toBe(true);
  expect(listed(xorb).rawBytes).toBe(70);
});
