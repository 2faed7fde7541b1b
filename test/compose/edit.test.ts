import fc from 'fast-check';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';
import { hubLike } from './hub-like.js';

/** Through the package: a gateway in the same process, which checks every range hash of every term. */

type Exchange = NonNullable<client.ClientOptions['exchange']>;

let store: gateway.Gateway;
let ours: client.OrbweaverClient;
let hub: client.OrbweaverClient;
let plain: client.OrbweaverClient;
/** Files by hash, for the fake. */
const files = new Map<string, Uint8Array>();

const connect = (exchange: Exchange): Promise<client.OrbweaverClient> =>
  client.createClient({
    endpoint: 'http://gateway.invalid',
    token: 'token',
    workers: 0,
    maxMemory: 16 << 20,
    exchange,
  });

beforeAll(async () => {
  const { hasher, codec } = await client.loadKernels();
  store = gateway.createGateway({
    store: gateway.createMemoryStore(),
    hasher,
    codec,
    tokens: [{ token: 'token', scope: 'write' }],
  });
  ours = await connect(store.exchange);
  hub = await connect(hubLike(store.exchange, files));
  plain = await connect(async (request) =>
    request.url.pathname.includes('file-chunk-hashes')
      ? { status: 404, headers: {}, body: null }
      : store.exchange(request),
  );
});

afterAll(async () => {
  for (const each of [ours, hub, plain]) await each?.close();
  await store?.close();
});

interface Change {
  readonly offset: number | 'end';
  readonly deleteBytes: number;
  readonly insert: Uint8Array;
}

/** The file as it should become. */
function changed(bytes: Uint8Array, changes: readonly Change[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  let position = 0;
  const at = ({ offset }: Change): number => (offset === 'end' ? bytes.length : offset);
  for (const change of [...changes].sort((a, b) => at(a) - at(b))) {
    pieces.push(bytes.subarray(position, at(change)), change.insert);
    position = at(change) + change.deleteBytes;
  }
  return new Uint8Array(Buffer.concat([...pieces, bytes.subarray(position)]));
}

async function upload(bytes: Uint8Array): Promise<string> {
  const { files: done } = await ours.upload(bytes);
  const hash = done[0]?.fileHash as string;
  files.set(hash, bytes);
  return hash;
}

async function contentOf(hash: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of ours.stream(hash)) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** Edits with `by`, and compares hash and bytes with those of the edited file uploaded whole. */
async function check(
  by: client.OrbweaverClient,
  bytes: Uint8Array,
  changes: readonly Change[],
): Promise<client.EditResult> {
  const hash = await upload(bytes);
  const expected = changed(bytes, changes);
  const result = await by.edit(hash, changes);
  expect(result.sizeBytes).toBe(expected.length);
  expect(result.fileHash).toBe((await client.chunkInput(expected)).fileHash);
  expect((await contentOf(result.fileHash)).equals(expected)).toBe(true);
  files.set(result.fileHash, expected);
  return result;
}

const random = (seed: number, bytes: number): Uint8Array =>
  generate({ kind: 'splitmix64', seed, bytes });
const nothing = new Uint8Array(0);
const base = random(7, 3_000_000);

describe.each([
  ['our gateway', () => ours],
  ['a fake of the answers of the Hub', () => hub],
  ['a server without chunk hashes', () => plain],
] as const)('an edit through %s', (name, by) => {
  const isPlain = name === 'a server without chunk hashes';

  it('has the hash of the edited file uploaded whole, whatever is edited', async () => {
    const size = fc.oneof(
      fc.constantFrom(1, 8191, 8192, 8193, 131_071, 131_072, 131_073),
      fc.nat(900_000),
    );
    const change = fc.record({
      skip: fc.oneof(fc.constant(0), fc.nat(400_000)),
      deleted: fc.oneof(fc.constant(0), fc.nat(3000), fc.nat(500_000)),
      inserted: fc.oneof(fc.constant(0), fc.nat(300), fc.nat(200_000)),
    });
    let seed = 1000;
    await fc.assert(
      fc.asyncProperty(
        size,
        fc.array(change, { maxLength: 4 }),
        fc.boolean(),
        async (bytes, draws, isConstant) => {
          const old = isConstant
            ? new Uint8Array(bytes).fill(5)
            : new Uint8Array(random(++seed, bytes));
          let position = 0;
          const changes = draws.map(({ skip, deleted, inserted }): Change => {
            const offset = Math.min(old.length, position + skip);
            const deleteBytes = Math.min(deleted, old.length - offset);
            position = offset + deleteBytes;
            return { offset, deleteBytes, insert: random(++seed, inserted) };
          });
          await check(by(), old, changes);
        },
      ),
      { numRuns: 25, seed: 5 },
    );
  });

  it.each<[string, readonly Change[]]>([
    ['at the start', [{ offset: 0, deleteBytes: 0, insert: random(1, 1000) }]],
    ['at the end', [{ offset: 'end', deleteBytes: 0, insert: random(2, 100_000) }]],
    ['of nothing', [{ offset: 5, deleteBytes: 0, insert: nothing }]],
    ['that deletes everything', [{ offset: 0, deleteBytes: base.length, insert: nothing }]],
    ['that replaces everything', [{ offset: 0, deleteBytes: base.length, insert: random(3, 9) }]],
    ['that deletes the first half', [{ offset: 0, deleteBytes: 1_500_000, insert: nothing }]],
    [
      'at several places',
      [
        { offset: 2_900_000, deleteBytes: 10, insert: nothing },
        { offset: 10, deleteBytes: 10, insert: random(4, 10) },
        { offset: 1_000_000, deleteBytes: 700_000, insert: random(5, 70_000) },
        { offset: 1_700_000, deleteBytes: 0, insert: random(6, 7) },
      ],
    ],
  ])('%s', async (_name, changes) => {
    const result = await check(by(), base, changes);
    expect(result.wasReadBack).toBe(isPlain && result.fileHash !== (await upload(base)));
  });

  it('of an empty file', async () => {
    const result = await check(by(), nothing, [
      { offset: 0, deleteBytes: 0, insert: random(1, 70_000) },
      { offset: 'end', deleteBytes: 0, insert: random(2, 70_000) },
    ]);
    expect(result).toMatchObject({ readBytes: 0, wasReadBack: false });
  });

  it('costs what changes', async () => {
    const old = random(70, 24_000_000);
    const insert = random(71 + name.length, 1_000_000);
    const { readBytes, sentBytes } = await check(by(), old, [
      { offset: 12_345_678, deleteBytes: 0, insert },
    ]);
    if (isPlain) expect(readBytes).toBeGreaterThan(old.length);
    else expect(readBytes).toBeLessThan(1_500_000);
    expect(sentBytes).toBeGreaterThan(1_000_000);
    expect(sentBytes).toBeLessThan(2_000_000);
    // What is there is not sent again.
    const again = await check(by(), old, [{ offset: 12_345_678, deleteBytes: 0, insert }]);
    expect(again.sentBytes).toBeLessThan(name === 'our gateway' ? 100_000 : 2_000_000);
  });

  it('of what was edited before, again and again', async () => {
    let bytes: Uint8Array = random(80, 6_000_000);
    for (let round = 0; round < 5; round++) {
      const changes = [
        {
          offset: 900_000 * (round + 1),
          deleteBytes: 20_000 * round,
          insert: random(90 + round, 5000),
        },
      ];
      await check(by(), bytes, changes);
      bytes = changed(bytes, changes);
    }
  });
});

describe('an edit', () => {
  it('reads again when the store refuses what it claimed to have', async () => {
    // Dedup responses that name a xorb which is not there are tested with uploads; here nothing is.
    const hash = await upload(base);
    let refusals = 0;
    const lying = await connect(async (request) => {
      if (request.url.pathname.endsWith('/shards') && refusals++ === 0) {
        request.body?.cancel();
        return { status: 400, headers: {}, body: null };
      }
      return store.exchange(request);
    });
    const result = await lying.edit(hash, [{ offset: 9, insert: random(1, 10) }]);
    const expected = changed(base, [{ offset: 9, deleteBytes: 0, insert: random(1, 10) }]);
    expect(result.fileHash).toBe((await client.chunkInput(expected)).fileHash);
    expect(refusals).toBe(2);
    await lying.close();
  });

  it('goes on in the smallest memory, whatever is inserted between old bytes', async () => {
    const hash = await upload(base);
    const small = await client.createClient({
      endpoint: 'http://gateway.invalid',
      token: 'token',
      workers: 1,
      maxMemory: 4 << 20,
      exchange: store.exchange,
    });
    const insert = random(300, 9_000_000);
    const progress: client.UploadProgress[] = [];
    const splices = [700_000, 1_500_000, 2_900_000].map((offset) => ({ offset, insert }));
    const { fileHash } = await small.edit(hash, splices, {
      onProgress: (each) => void progress.push(each),
    });
    const expected = changed(
      base,
      splices.map((splice) => ({ ...splice, deleteBytes: 0 })),
    );
    expect(fileHash).toBe((await client.chunkInput(expected)).fileHash);
    const last = progress.at(-1);
    expect(last?.readBytes).toBe(last?.totalBytes);
    expect(last?.readBytes).toBeGreaterThan(27_000_000);
    await small.close();
  });

  it('can be cancelled', async () => {
    const hash = await upload(base);
    const cancelling = new AbortController();
    const endless = async function* () {
      for (;;) {
        yield random(1, 50_000);
        cancelling.abort();
      }
    };
    const edited = ours.edit(hash, [{ offset: 1_000_000, insert: endless() }], {
      signal: cancelling.signal,
    });
    await expect(edited).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it.each([
    ['behind the end', [{ offset: base.length + 1 }], 'RANGE_INVALID'],
    ['that overlap', [{ offset: 5, deleteBytes: 9 }, { offset: 6 }], 'RANGE_INVALID'],
    ['with a file that is missing', [{ offset: 5, insert: '/does/not/exist' }], 'INPUT_NOT_FOUND'],
  ])('refuses splices %s', async (_name, splices, code) => {
    const hash = await upload(base);
    await expect(ours.edit(hash, splices)).rejects.toMatchObject({ code });
  });

  it('of a file that is not there is NOT_FOUND', async () => {
    await expect(ours.edit('ab'.repeat(32), [{ offset: 0 }])).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('takes a stream of unknown length, and appends', async () => {
    const hash = await upload(base);
    const pieces = async function* () {
      for (let i = 0; i < 20; i++) yield random(200 + i, 50_000);
    };
    const { fileHash } = await ours.append(hash, pieces());
    const expected = Buffer.concat([
      base,
      ...Array.from({ length: 20 }, (_, i) => random(200 + i, 50_000)),
    ]);
    expect(fileHash).toBe((await client.chunkInput(new Uint8Array(expected))).fileHash);
  });
});
