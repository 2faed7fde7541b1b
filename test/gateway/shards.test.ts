import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import { createMemoryStore, type ObjectStore } from '../../src/gateway/index.js';
import { createStoreIndex } from '../../src/gateway/store-index.js';
import { MerkleHash, rangeHash } from '../../src/hash/index.js';
import { decodeShard, encodeShard, type ShardFile, type ShardXorb } from '../../src/shard/index.js';
import { generate } from '../support/generators.js';
import { download } from './support/reader.js';
import {
  buildXorb,
  bytesOf,
  createRig,
  fileOf,
  hasher,
  jsonOf,
  keysOf,
  listed,
  publish,
  putShard,
  putXorb,
  type Rig,
  randomChunks,
  streamBody,
  uploadShard,
} from './support/rig.js';

const chunks = randomChunks(10, [4000, 50_000, 700, 9000, 10_000]);
const xorb = buildXorb(chunks);
const other = buildXorb(randomChunks(11, [3000, 800, 60_000]));
const whole = fileOf([[xorb, 0, 5]]);
const mixed = fileOf([
  [other, 1, 3],
  [xorb, 2, 4],
  [other, 0, 1],
]);
const empty: ShardFile = { hash: MerkleHash.ZERO, terms: [], verification: [], sha256: null };

async function withXorbs(): Promise<Rig> {
  const rig = createRig();
  await putXorb(rig, xorb);
  await putXorb(rig, other);
  return rig;
}

const shardOf = (files: ShardFile[], xorbs: ShardXorb[] = []): Uint8Array =>
  uploadShard({ files, xorbs });

describe('registering a shard', () => {
  it('makes its files readable, also those of chunks from several xorbs', async () => {
    const rig = createRig();
    await publish(rig, [xorb, other], [whole, mixed]);
    expect(await download(rig, whole.hash.toString())).toEqual(
      new Uint8Array(Buffer.concat(chunks)),
    );
    expect((await download(rig, mixed.hash.toString())).length).toBe(800 + 60_000 + 9700 + 3000);
  });

  it('answers 1 and the name of the stored shard, then 0 and the same name', async () => {
    const rig = await withXorbs();
    const body = shardOf([whole, mixed], [listed(xorb), listed(other)]);
    const first = await jsonOf(putShard(rig, body));
    expect(first).toEqual({ result: 1, shard_hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(await keysOf(rig.store, 'shards/')).toEqual([`shards/${first.shard_hash}`]);
    expect(await jsonOf(putShard(rig, body))).toEqual({ ...first, result: 0 });
  });

  it('takes a shard with a footer, lookup tables or anything behind its sections', async () => {
    const content = { files: [whole], xorbs: [listed(xorb)], footer: null };
    const plain = encodeShard(content, { variant: 'upload' });
    const forms = [
      plain,
      encodeShard(content, { variant: 'local' }),
      encodeShard(content, { variant: 'stored' }),
      new Uint8Array([...plain, ...new Uint8Array(200), 1, 2, 3]),
    ];
    const names = new Set<string>();
    for (const body of forms) {
      const rig = await withXorbs();
      const response = await putShard(rig, body);
      expect(response.status).toBe(200);
      names.add((await jsonOf(response)).shard_hash);
    }
    expect(names.size).toBe(1);
  });

  it('reads the body in whatever pieces it comes', async () => {
    const body = shardOf([whole, mixed], [listed(xorb)]);
    for (const pieceBytes of [1, 47, 48, 49, 1000]) {
      const rig = await withXorbs();
      const response = await putShard(rig, streamBody(body, pieceBytes) as unknown as Uint8Array);
      expect(await jsonOf(response)).toMatchObject({ result: 1 });
    }
  });

  it('keeps range hashes and SHA-256, and flags the first chunk of each file', async () => {
    const rig = await withXorbs();
    const sha256 = generate({ kind: 'splitmix64', seed: 3, bytes: 32 });
    const lists = listed(xorb);
    // A client that flags everything would fill the index with chunks nobody asks for.
    lists.chunkFlags.fill(0x80000000);
    const { shard_hash } = await jsonOf(putShard(rig, shardOf([{ ...whole, sha256 }], [lists])));
    const stored = decodeShard((await rig.store.read(`shards/${shard_hash}`)) as Uint8Array);
    expect(stored.files).toEqual([{ ...whole, sha256 }]);
    expect([...(stored.xorbs[0] as ShardXorb).chunkFlags]).toEqual([0x80000000, 0, 0, 0, 0]);
    expect(stored.footer?.createdAt).toBe(0n);
  });

  it('takes an empty file, which has no terms and no bytes', async () => {
    const rig = createRig();
    expect((await putShard(rig, shardOf([empty]))).status).toBe(200);
    expect(await download(rig, MerkleHash.ZERO.toString())).toEqual(new Uint8Array(0));
    const head = await rig.send('HEAD', `/v1/files/${MerkleHash.ZERO}`);
    expect(head.headers.get('content-length')).toBe('0');
  });

  it('keeps the first of two ways to build one file', async () => {
    const rig = await withXorbs();
    // The same chunks lie in a second xorb.
    const twin = buildXorb([...chunks, new Uint8Array(100)]);
    await putXorb(rig, twin);
    const again = fileOf([[twin, 0, 5]]);
    expect(again.hash.equals(whole.hash)).toBe(true);
    expect(await jsonOf(putShard(rig, shardOf([whole])))).toMatchObject({ result: 1 });
    expect(await jsonOf(putShard(rig, shardOf([again])))).toMatchObject({ result: 1 });
    const record = await createStoreIndex({ store: rig.store, hasher }).file(whole.hash);
    expect(record?.terms[0]?.xorb.equals(xorb.hash)).toBe(true);
  });

  it('lists it under its eligible chunks and the first of each file, and nowhere else', async () => {
    const rig = await withXorbs();
    const { shard_hash } = await jsonOf(
      putShard(rig, shardOf([whole, mixed], [listed(xorb), listed(other)])),
    );
    const first = MerkleHash.from(xorb.chunkHashes, 0);
    const second = MerkleHash.from(other.chunkHashes, 32);
    const index = createStoreIndex({ store: rig.store, hasher });
    for (const xorbOf of [xorb, other]) {
      for (let at = 0; at < xorbOf.chunkHashes.length; at += 32) {
        const chunk = MerkleHash.from(xorbOf.chunkHashes, at);
        const isListed = chunk.equals(first) || chunk.equals(second);
        expect((await index.shards(chunk)).join()).toBe(isListed ? shard_hash : '');
      }
    }
  });
});

describe('a shard is refused', () => {
  const bad = (change: (file: ShardFile) => ShardFile, of: ShardFile = whole): Uint8Array =>
    shardOf([change(of)]);
  const wrongHash = MerkleHash.parse('cd'.repeat(32));
  const changeTerm =
    (change: object) =>
    (file: ShardFile): ShardFile => ({
      ...file,
      terms: file.terms.map((term) => ({ ...term, ...change })),
    });
  const changeXorb = (change: Partial<ShardXorb>): Uint8Array =>
    shardOf([whole], [{ ...listed(xorb), ...change }]);
  const strange = buildXorb(randomChunks(12, [100]));

  const cases: [string, RegExp, () => Uint8Array][] = [
    ['nothing', /shard/, () => new Uint8Array(0)],
    ['garbage', /tag/, () => new Uint8Array(500)],
    ['one cut short', /expected/, () => shardOf([whole]).subarray(0, 150)],
    [
      'a xorb that is not stored, in a term',
      /not stored/,
      () => shardOf([fileOf([[strange, 0, 1]])]),
    ],
    [
      'a xorb that is not stored, in the list',
      /not stored/,
      () => shardOf([whole], [listed(strange)]),
    ],
    [
      'a wrong file hash',
      /does not produce this hash/,
      () => bad((f) => ({ ...f, hash: wrongHash })),
    ],
    [
      'the zero hash for a file with bytes',
      /does not produce/,
      () => bad((f) => ({ ...f, hash: MerkleHash.ZERO })),
    ],
    [
      'bytes claimed for an empty file',
      /does not produce/,
      () => bad((f) => ({ ...f, hash: wrongHash }), empty),
    ],
    ['a wrong range hash', /range hash/, () => bad((f) => ({ ...f, verification: [wrongHash] }))],
    [
      'the range hash of other chunks',
      /range hash/,
      () => bad((f) => ({ ...f, verification: [rangeHash(hasher, xorb.chunkHashes, 0, 4)] })),
    ],
    ['a term past the end of its xorb', /which has 5/, () => bad(changeTerm({ chunkEnd: 6 }))],
    ['an absurd term', /which has 5/, () => bad(changeTerm({ chunkEnd: 0xffffffff }))],
    ['wrong unpacked bytes', /unpacked bytes/, () => bad(changeTerm({ unpackedBytes: 1 }))],
    [
      'other chunk hashes',
      /chunk hashes/,
      () =>
        changeXorb({
          chunkHashes: xorb.chunkHashes.map((byte) => byte ^ 1),
        }),
    ],
    [
      'a listed xorb with the chunks of another',
      /other chunks/,
      () => shardOf([whole], [{ ...listed(other), hash: xorb.hash }]),
    ],
  ];

  it.each(cases)('for %s', async (_name, sentence, make) => {
    const rig = await withXorbs();
    const response = await putShard(rig, make());
    const answer = await jsonOf(response);
    expect(response.status).toBe(400);
    expect(answer.code).toBe('REJECTED');
    expect(answer.error).toMatch(sentence);
    expect(await keysOf(rig.store, 'shards/')).toEqual([]);
    expect(await keysOf(rig.store, 'files/')).toEqual([]);
    expect(await keysOf(rig.store, 'index/')).toEqual([]);
    expect(rig.faults).toEqual([]);
  });

  it('for wrong offsets or lengths of a listed xorb, whatever the writer let through', async () => {
    // encodeShard refuses to write these, so the bytes are patched: header, file bookend, xorb header, entries.
    const good = shardOf([], [listed(xorb)]);
    const entry = 48 + 48 + 48;
    for (const [at, name] of [
      [entry + 32, 'start'],
      [entry + 36, 'length'],
      [entry - 48 + 40, 'raw bytes'],
    ] as const) {
      const body = good.slice();
      body[at] = (body[at] as number) ^ 1;
      const response = await putShard(await withXorbs(), body);
      expect(response.status, name).toBe(400);
    }
  });

  it('for a mixture of files with and without range hashes', async () => {
    const rig = await withXorbs();
    const body = shardOf([whole, mixed]);
    // Clears the verification flag of the first file and drops its verification record.
    const view = new DataView(body.buffer, body.byteOffset);
    const terms = view.getUint32(48 + 36, true);
    view.setUint32(48 + 32, view.getUint32(48 + 32, true) & 0x7fffffff, true);
    const cut = 48 + 48 + 48 * terms;
    const mixedBody = new Uint8Array([
      ...body.subarray(0, cut),
      ...body.subarray(cut + 48 * terms),
    ]);
    const response = await putShard(rig, mixedBody);
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toMatch(/range hashes/);
  });

  it('without range hashes, unless the gateway is told to compute them', async () => {
    const unverified = encodeShard(
      { files: [{ ...whole, verification: null }], xorbs: [], footer: null },
      { variant: 'stored' },
    );
    const strict = await withXorbs();
    const response = await putShard(strict, unverified);
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toMatch(/no range hashes/);

    const lenient = createRig({ options: { acceptUnverifiedShards: true } });
    await putXorb(lenient, xorb);
    const { shard_hash } = await jsonOf(putShard(lenient, unverified));
    const stored = decodeShard((await lenient.store.read(`shards/${shard_hash}`)) as Uint8Array);
    expect(stored.files[0]?.verification).toEqual(whole.verification);
  });

  it('when it names chunks that its sender cannot have', async () => {
    const rig = await withXorbs();
    await putShard(rig, shardOf([whole]));
    // The attacker knows the xorb hash and chunk numbers (a dedup answer shows them), not the chunk
    // hashes: any range hash is a guess.
    const guess = MerkleHash.from(generate({ kind: 'splitmix64', seed: 5, bytes: 32 }));
    const stolen: ShardFile = { ...fileOf([[xorb, 1, 3]]), verification: [guess] };
    expect((await putShard(rig, shardOf([stolen]))).status).toBe(400);
    expect((await rig.send('GET', `/v2/reconstructions/${stolen.hash}`)).status).toBe(404);
  });

  it('at every length that it is cut to and with any flipped bit that matters', async () => {
    const rig = await withXorbs();
    const body = shardOf([whole, mixed], [listed(xorb)]);
    const complete = decodeShard(body);
    for (let length = 0; length < body.length; length += 13) {
      expect((await putShard(rig, body.subarray(0, length))).status).toBe(400);
    }
    for (let at = 0; at < body.length; at += 29) {
      const damaged = body.slice();
      damaged[at] = (damaged[at] as number) ^ 0x40;
      const response = await putShard(rig, damaged);
      if (response.status === 400) continue;
      // Bits that no reader looks at (unused fields, SHA-256) may flip: the files stay what they are.
      expect(response.status).toBe(200);
      const accepted = decodeShard(damaged);
      expect(accepted.files.map((file) => file.hash)).toEqual(complete.files.map((f) => f.hash));
    }
    expect(rig.faults).toEqual([]);
  });

  it('with a count that nobody could send, at once', async () => {
    const rig = await withXorbs();
    const body = shardOf([whole]).slice();
    new DataView(body.buffer).setUint32(48 + 36, 0xffffffff, true);
    const response = await putShard(rig, body);
    expect(response.status).toBe(400);
  });

  it('above 64 MiB: 413 by its declared length, and while it streams', async () => {
    const rig = await withXorbs();
    const headers = { 'content-length': String(64 * 1024 * 1024 + 201) };
    for (const path of ['/v1/shards', '/v2/shards']) {
      const response = await rig.send('POST', path, { headers, body: new Uint8Array(10) });
      expect(response.status).toBe(413);
    }
    const start = shardOf([whole]);
    const piece = new Uint8Array(4 * 1024 * 1024);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller): void {
        controller.enqueue(sent === 0 ? start : piece);
        sent += piece.length;
      },
    });
    expect((await rig.send('POST', '/v1/shards', { body: endless })).status).toBe(413);
  });
});

describe('a crash while a shard is registered', () => {
  it('leaves nothing that can be read, and the same upload completes it', async () => {
    const memory = createMemoryStore();
    let putsLeft = Number.POSITIVE_INFINITY;
    const order: string[] = [];
    const store: ObjectStore = {
      ...memory,
      async put(key, body): Promise<boolean> {
        if (putsLeft-- <= 0) throw new OrbweaverError('STORAGE_FAILED', 'power cut');
        order.push(key.split('/')[0] as string);
        return memory.put(key, body);
      },
    };
    const rig = createRig({ store });
    await putXorb(rig, xorb);
    await putXorb(rig, other);
    const body = shardOf([whole, mixed], [listed(xorb), listed(other)]);
    for (let allowed = 0; allowed < 2; allowed++) {
      putsLeft = allowed;
      expect((await putShard(rig, body)).status).toBe(500);
      expect((await rig.send('HEAD', `/v1/files/${whole.hash}`)).status).toBe(404);
    }
    putsLeft = Number.POSITIVE_INFINITY;
    order.length = 0;
    expect(await jsonOf(putShard(rig, body))).toMatchObject({ result: 1 });
    expect(order).toEqual(['shards', 'index']);
    expect((await download(rig, mixed.hash.toString())).length).toBeGreaterThan(0);
  });
});

describe('HEAD of a file', () => {
  it('says its size or 404', async () => {
    const rig = createRig();
    expect((await rig.send('HEAD', `/v1/files/${whole.hash}`)).status).toBe(404);
    await publish(rig, [xorb], [whole]);
    const response = await rig.send('HEAD', `/v1/files/${whole.hash}`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe('73700');
    expect(await bytesOf(response)).toEqual(new Uint8Array(0));
  });
});

describe('telemetry', () => {
  it('is accepted whatever it is, and dropped', async () => {
    const rig = createRig();
    for (const body of ['{"event":"x"}', 'not json', '']) {
      const response = await rig.send('POST', '/v1/telemetry', {
        body: new TextEncoder().encode(body),
      });
      expect(response.status).toBe(200);
    }
    const body = new Uint8Array(1024 * 1024 + 1);
    expect((await rig.send('POST', '/v1/telemetry', { body })).status).toBe(413);
    for (const prefix of ['xorbs/', 'shards/', 'files/', 'index/']) {
      expect(await keysOf(rig.store, prefix)).toEqual([]);
    }
  });
});
