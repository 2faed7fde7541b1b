import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../src/gateway/index.js';
import {
  createUsedChunks,
  dropHead,
  dropTail,
  fetchRanges,
} from '../../src/gateway/reconstruct.js';
import { MAX_URL_BYTES } from '../../src/gateway/signed-url.js';
import { createMerkleTree, MerkleHash, xorbHash } from '../../src/hash/index.js';
import {
  DEFAULT_READ_PRICE,
  parseReconstruction,
  type Reconstruction,
} from '../../src/plan/index.js';
import { encodeFooter, type XorbInfo } from '../../src/xorb/index.js';
import { generate } from '../support/generators.js';
import { fileRecord } from './support/file-record.js';
import { download, reconstruction } from './support/reader.js';
import {
  buildXorb,
  createRig,
  fileOf,
  hasher,
  jsonOf,
  keysOf,
  listed,
  publish,
  READ_TOKEN,
  type Rig,
  randomChunks,
  uploadShard,
} from './support/rig.js';

const chunks = randomChunks(30, [4000, 50_000, 700, 9000, 10_000, 1, 30_000]);
const xorb = buildXorb(chunks);
const second = buildXorb(randomChunks(31, [3000, 800, 60_000]));
const whole = fileOf([[xorb, 0, 7]]);
const mixed = fileOf([
  [second, 1, 3],
  [xorb, 2, 4],
  [second, 0, 2],
  [xorb, 6, 7],
]);

async function published(): Promise<Rig> {
  const rig = createRig();
  await publish(rig, [xorb, second], [whole, mixed]);
  return rig;
}

const status = async (rig: Rig, version: 1 | 2, range: string): Promise<number> =>
  (await rig.send('GET', `/v${version}/reconstructions/${whole.hash}`, { headers: { range } }))
    .status;

it('is uploaded and read without a version in the paths, as with it', async () => {
  const rig = createRig();
  const send = (method: string, path: string, body?: Uint8Array) =>
    rig.send(method, path, body === undefined ? {} : { body });
  const stored = await send('POST', `/xorbs/default/${xorb.hash}`, xorb.bytes);
  expect(await stored.json()).toEqual({ was_inserted: true });
  const size = (await send('HEAD', `/xorbs/default/${xorb.hash}`)).headers.get('content-length');
  expect(Number(size)).toBeGreaterThan(xorb.bytes.length - 1);
  const shard = uploadShard({ files: [whole], xorbs: [listed(xorb)] });
  expect(await (await send('POST', '/shards', shard)).json()).toMatchObject({ result: 1 });
  const plain = await (await send('GET', `/reconstructions/${whole.hash}`)).json();
  const versioned = await (await send('GET', `/v1/reconstructions/${whole.hash}`)).json();
  expect(plain).toEqual(versioned);
  expect(plain).toHaveProperty('fetch_info');
});

describe.each([1, 2] as const)('a reconstruction of version %i', (version) => {
  it('of a whole file lists its terms and one range per stretch of a xorb', async () => {
    const rig = await published();
    const answer = await reconstruction(rig, mixed.hash.toString(), { version });
    expect(answer.offsetIntoFirstTerm).toBe(0);
    expect(
      answer.terms.map((term) => [term.xorb.toString(), term.chunkStart, term.chunkEnd]),
    ).toEqual(mixed.terms.map((term) => [term.xorb.toString(), term.chunkStart, term.chunkEnd]));
    // Small gaps are cheaper than a request: each xorb is one range, over gaps and repeats.
    expect(answer.fetches.map(({ entries }) => entries.map(({ ranges }) => ranges.length))).toEqual(
      [[1], [1]],
    );
  });

  it('gives every byte range of the file', async () => {
    const rig = await published();
    const bytes = await download(rig, mixed.hash.toString(), { version });
    const range = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 70_000 }));
    await fc.assert(
      fc.asyncProperty(range, async ([start, length]) => {
        const end = start + length;
        const part = await download(rig, mixed.hash.toString(), { version, start, end });
        expect(Buffer.from(part).equals(Buffer.from(bytes.subarray(start, end)))).toBe(true);
      }),
      { numRuns: 40, seed: 11 },
    );
  });

  it('of a range names only the chunks that hold it', async () => {
    const rig = await published();
    // Bytes 54,000 to 54,699 are exactly chunk 2.
    const exact = await reconstruction(rig, whole.hash.toString(), {
      version,
      range: 'bytes=54000-54699',
    });
    expect(exact.terms).toMatchObject([{ chunkStart: 2, chunkEnd: 3, unpackedBytes: 700 }]);
    expect(exact.offsetIntoFirstTerm).toBe(0);
    const around = await reconstruction(rig, whole.hash.toString(), {
      version,
      range: 'bytes=53999-54700',
    });
    expect(around.terms).toMatchObject([{ chunkStart: 1, chunkEnd: 4 }]);
    expect(around.offsetIntoFirstTerm).toBe(49_999);
    const tail = await reconstruction(rig, whole.hash.toString(), { version, range: 'bytes=-1' });
    expect(tail.terms).toMatchObject([{ chunkStart: 6, chunkEnd: 7 }]);
    expect(tail.offsetIntoFirstTerm).toBe(29_999);
  });

  it('answers 200, and shorter, when the range passes the end; 416 past it', async () => {
    const rig = await published();
    expect(await status(rig, version, 'bytes=0-255999999')).toBe(200);
    expect(await status(rig, version, 'bytes=103700-')).toBe(200);
    expect(await status(rig, version, 'bytes=103701-')).toBe(416);
    expect(await status(rig, version, 'bytes=256000000-767999999')).toBe(416);
    for (const malformed of ['bytes=5-1', 'bytes=x', 'bytes=0-1,4-5', 'lines=1-2', '']) {
      expect(await status(rig, version, malformed), malformed).toBe(416);
    }
  });

  it('is 404 for a file that is not registered', async () => {
    const rig = await published();
    const response = await rig.send('GET', `/v${version}/reconstructions/${xorb.hash}`);
    expect(response.status).toBe(404);
  });

  it('names fetch URLs under the host that was asked, or under the public one', async () => {
    const urls = (answer: Reconstruction): string[] =>
      answer.fetches.flatMap(({ entries }) => entries.map(({ url }) => url));
    const rig = await published();
    const direct = await reconstruction(rig, whole.hash.toString(), { version });
    expect(urls(direct)[0]).toMatch(
      /^http:\/\/gateway\.test\/v1\/fetch\/[0-9a-f]{64}\?X-Xet-Signed-Range=bytes%3D/,
    );
    const behind = createRig({
      store: rig.store,
      options: { publicUrl: 'https://storage.example/base/' },
    });
    const proxied = await reconstruction(behind, whole.hash.toString(), { version });
    expect(urls(proxied)[0]).toMatch(/^https:\/\/storage\.example\/base\/v1\/fetch\//);
  });
});

describe('the JSON of an answer', () => {
  it('has the fields of its version, byte ends inclusive', async () => {
    const rig = await published();
    const get = async (version: number): Promise<unknown> =>
      (await rig.send('GET', `/v${version}/reconstructions/${whole.hash}`)).json();
    const terms = [
      { hash: xorb.hash.toString(), unpacked_length: 103_701, range: { start: 0, end: 7 } },
    ];
    const url = expect.stringContaining('/v1/fetch/');
    const last = xorb.bytes.length - 1;
    expect(await get(2)).toEqual({
      offset_into_first_range: 0,
      terms,
      xorbs: {
        [xorb.hash.toString()]: [
          { url, ranges: [{ chunks: { start: 0, end: 7 }, bytes: { start: 0, end: last } }] },
        ],
      },
    });
    expect(await get(1)).toEqual({
      offset_into_first_range: 0,
      terms,
      fetch_info: {
        [xorb.hash.toString()]: [
          { range: { start: 0, end: 7 }, url, url_range: { start: 0, end: last } },
        ],
      },
    });
  });
});

describe('a batch', () => {
  const ask = (rig: Rig, body: unknown): Promise<Response> =>
    rig.send('POST', '/v1/reconstructions', {
      token: READ_TOKEN,
      body: new TextEncoder().encode(JSON.stringify(body)),
    });
  const prefix = 'default';

  it('answers terms by file and fetch info for all of them, by POST and by GET', async () => {
    const rig = await published();
    const posted = await ask(rig, [
      { prefix, hash: whole.hash },
      { prefix, hash: mixed.hash },
    ]);
    expect(posted.status).toBe(200);
    const answer = (await posted.json()) as {
      files: Record<string, unknown[]>;
      fetch_info: Record<string, unknown[]>;
    };
    expect(answer.files[whole.hash.toString()]).toHaveLength(1);
    expect(answer.files[mixed.hash.toString()]).toHaveLength(4);
    for (const hash of [whole.hash.toString(), mixed.hash.toString()]) {
      // Each file can be carried out with the shared fetch info.
      const { fetch_info } = answer;
      parseReconstruction({ offset_into_first_range: 0, terms: answer.files[hash], fetch_info });
    }
    const query = [whole.hash, 'nonsense', mixed.hash].map((id) => `file_id=${id}`).join('&');
    const got = (await (
      await rig.send('GET', `/v1/reconstructions?${query}`)
    ).json()) as typeof answer;
    expect(Object.keys(got.files).sort()).toEqual(Object.keys(answer.files).sort());
  });

  it('is 404 when one file is missing and 400 when it is no list of hashes', async () => {
    const rig = await published();
    expect(
      (
        await ask(rig, [
          { prefix, hash: whole.hash },
          { prefix, hash: xorb.hash },
        ])
      ).status,
    ).toBe(404);
    for (const body of [{}, [1], [null], [{ hash: 5 }], [{ hash: 'xyz' }], 'text', [[]]]) {
      expect((await ask(rig, body)).status, JSON.stringify(body)).toBe(400);
    }
    const many = Array.from({ length: 1001 }, () => ({ prefix, hash: whole.hash }));
    expect((await ask(rig, many)).status).toBe(400);
    for (const bytes of ['', '{', '[', '\xff']) {
      const response = await rig.send('POST', '/v1/reconstructions', {
        body: Buffer.from(bytes, 'latin1'),
      });
      expect(response.status, bytes).toBe(400);
    }
    expect((await rig.send('GET', '/v1/reconstructions')).status).toBe(400);
    expect((await rig.send('GET', '/v1/reconstructions?file_id=xyz')).status).toBe(400);
    const body = new Uint8Array(1024 * 1024 + 1);
    expect((await rig.send('POST', '/v1/reconstructions', { body })).status).toBe(413);
  });
});

/** A xorb that exists as a footer only: enough for planning, and as large as it likes. */
function footerOnly(seed: number, recordBytes: number, count: number): XorbInfo {
  const chunkHashes = generate({ kind: 'splitmix64', seed, bytes: 32 * count });
  const lengths = new Uint32Array(count).fill(1000);
  return {
    hash: xorbHash(hasher, chunkHashes, lengths),
    chunkHashes,
    recordEnds: Uint32Array.from({ length: count }, (_, index) => (index + 1) * recordBytes),
    rawEnds: Uint32Array.from({ length: count }, (_, index) => (index + 1) * 1000),
  };
}

describe('fetch ranges', () => {
  const gap = DEFAULT_READ_PRICE.requestCostBytes;
  const info = footerOnly(1, 100_000, 600);
  const terms = (...ranges: [number, number][]) =>
    ranges.map(([chunkStart, chunkEnd]) => ({
      xorb: info.hash,
      chunkStart,
      chunkEnd,
      unpackedBytes: (chunkEnd - chunkStart) * 1000,
    }));
  const plan = (...ranges: [number, number][]) => {
    const used = createUsedChunks();
    for (const term of terms(...ranges)) used.add(term);
    return used
      .xorbs()
      .flatMap(({ farthest }) => fetchRanges({ ...info, chunkCount: 600 }, farthest))
      .map(({ chunkStart, chunkEnd }) => [chunkStart, chunkEnd]);
  };

  it('join over gaps that cost less than a request, and not over others', () => {
    const near = Math.floor(gap / 100_000);
    expect(plan([0, 1], [1 + near, 2 + near])).toEqual([[0, 2 + near]]);
    expect(plan([0, 1], [2 + near, 3 + near])).toEqual([
      [0, 1],
      [2 + near, 3 + near],
    ]);
  });

  it('do not depend on the order of the terms and hold every one of them', () => {
    const range = fc.tuple(fc.nat(590), fc.integer({ min: 1, max: 10 }));
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 40 }), (list) => {
        const pairs = list.map(([start, length]): [number, number] => [start, start + length]);
        const made = plan(...pairs);
        expect(plan(...pairs.reverse())).toEqual(made);
        for (const [start, end] of pairs) {
          expect(
            made.some(([from, to]) => (from as number) <= start && (to as number) >= end),
          ).toBe(true);
        }
      }),
      { numRuns: 100, seed: 3 },
    );
  });

  it('refuse terms outside of the xorb as damage', () => {
    expect(() => plan([0, 601])).toThrow(/damaged/);
    expect(() => plan([5, 5])).toThrow(/damaged/);
  });

  it('are cut into several URLs when one would grow past 8 KiB, in version 2', async () => {
    // Records as long as they may be, every other one used: gaps too dear to read over.
    const wide = footerOnly(2, 262_150, 1400);
    const single = Array.from({ length: 700 }, (_, index) => 2 * index);
    const tree = createMerkleTree(hasher);
    for (const chunk of single) tree.push(wide.chunkHashes, 32 * chunk, 1000);
    const file = {
      hash: tree.fileHash(),
      terms: single.map((chunk) => ({
        xorb: wide.hash,
        chunkStart: chunk,
        chunkEnd: chunk + 1,
        unpackedBytes: 1000,
      })),
      verification: null,
      sha256: null,
    };
    const store = createMemoryStore();
    // The catalog reads the footer at the end of as many bytes as the records would take.
    const recordsBytes = wide.recordEnds.at(-1) as number;
    const footer = encodeFooter(wide);
    const rig = createRig({
      store: {
        ...store,
        head: async (key) =>
          key.startsWith('xorbs/')
            ? {
                sizeBytes: recordsBytes + footer.length,
                modifiedMs: 0,
                version: '1',
                intact: false,
              }
            : store.head(key),
        read: async (key, range) =>
          key.startsWith('xorbs/') && range !== undefined
            ? footer.slice(footer.length - (range.end - range.start))
            : store.read(key, range),
      },
    });
    await store.put(`files/${file.hash}`, fileRecord(file));
    const json = (await (await rig.send('GET', `/v2/reconstructions/${file.hash}`)).json()) as {
      xorbs: Record<string, { url: string; ranges: unknown[] }[]>;
    };
    const entries = json.xorbs[wide.hash.toString()] ?? [];
    expect(entries.length).toBeGreaterThan(1);
    for (const { url } of entries) expect(url.length).toBeLessThanOrEqual(MAX_URL_BYTES);
    expect(entries.flatMap(({ ranges }) => ranges)).toHaveLength(700);
    expect(Math.max(...entries.map(({ ranges }) => ranges.length))).toBeGreaterThan(400);
  });
});

describe('trimming a term', () => {
  const rawEnds = Uint32Array.of(10, 20, 35, 40);
  const term = { xorb: MerkleHash.ZERO, chunkStart: 0, chunkEnd: 4, unpackedBytes: 40 };

  it('drops whole chunks only and keeps at least one', () => {
    expect(dropHead(term, rawEnds, 9)).toEqual(term);
    expect(dropHead(term, rawEnds, 10)).toMatchObject({ chunkStart: 1, unpackedBytes: 30 });
    expect(dropHead(term, rawEnds, 34)).toMatchObject({ chunkStart: 2, unpackedBytes: 20 });
    expect(dropHead(term, rawEnds, 1000)).toMatchObject({ chunkStart: 3, unpackedBytes: 5 });
    expect(dropTail(term, rawEnds, 4)).toEqual(term);
    expect(dropTail(term, rawEnds, 5)).toMatchObject({ chunkEnd: 3, unpackedBytes: 35 });
    expect(dropTail(term, rawEnds, 1000)).toMatchObject({ chunkEnd: 1, unpackedBytes: 10 });
  });
});

describe('damage in the store', () => {
  const spoil = async (rig: Rig, key: string, change: (bytes: Uint8Array) => Uint8Array) => {
    const bytes = (await rig.store.read(key)) as Uint8Array;
    await rig.store.delete(key);
    await rig.store.put(key, change(bytes));
  };
  const ask = (rig: Rig): Promise<Response> =>
    rig.send('GET', `/v2/reconstructions/${whole.hash}?`, { headers: { range: 'bytes=1-2' } });

  it('of any byte of a footer that matters is 410 and INTEGRITY, never a wrong answer', async () => {
    const reference = await reconstruction(await published(), whole.hash.toString());
    const base = await published();
    const stored = (await base.store.read(`xorbs/${xorb.hash}`)) as Uint8Array;
    const file = fileRecord(whole);
    for (let at = xorb.bytes.length; at < stored.length; at += 3) {
      const rig = createRig();
      const bad = stored.slice();
      bad[at] = (bad[at] as number) ^ 4;
      await rig.store.put(`xorbs/${xorb.hash}`, bad);
      await rig.store.put(`files/${whole.hash}`, file);
      const response = await ask(rig);
      if (response.status === 200) {
        // Record ends inside the xorb and the nonce are outside of every hash.
        const answer = await reconstruction(rig, whole.hash.toString());
        expect(answer.terms).toEqual(reference.terms);
        continue;
      }
      expect(response.status).toBe(410);
      expect(await jsonOf(response)).toMatchObject({ code: 'INTEGRITY', error: /damaged/ });
      expect(rig.faults).toHaveLength(1);
    }
  });

  it.each([
    ['a xorb cut short', `xorbs/${xorb.hash}`, (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['a xorb without bytes', `xorbs/${xorb.hash}`, () => new Uint8Array(0)],
    [
      'a xorb under the name of another',
      `xorbs/${xorb.hash}`,
      () => new Uint8Array([...second.bytes, ...encodeFooter(second)]),
    ],
    ['a file record without bytes', `files/${whole.hash}`, () => new Uint8Array(0)],
    ['a file record of another file', `files/${whole.hash}`, () => fileRecord(mixed)],
    ['a table of the index without bytes', 'index', () => new Uint8Array(0)],
    ['a table of the index cut short', 'index', (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['a table of the index of zeros', 'index', (bytes: Uint8Array) => bytes.fill(0)],
    [
      'a table of the index with another first byte',
      'index',
      (bytes: Uint8Array) => bytes.fill(~(bytes[0] as number), 0, 1),
    ],
  ])('(%s) is 410 and INTEGRITY', async (_name, name, change) => {
    const source = await published();
    const rig = createRig({ store: source.store });
    const [table] = (await keysOf(rig.store, 'index/')) as [string];
    if (name.startsWith('files/')) {
      // As older versions wrote it.
      await rig.store.delete(table);
      await rig.store.put(name, fileRecord(whole));
    }
    await spoil(rig, name === 'index' ? table : name, change);
    const response = await ask(rig);
    expect(response.status).toBe(410);
    expect((await jsonOf(response)).code).toBe('INTEGRITY');
    expect(rig.faults).toMatchObject([{ status: 410, path: `/v2/reconstructions/${whole.hash}` }]);
  });

  it('(a xorb that is gone) is 410 for the file and 404 for the xorb', async () => {
    const source = await published();
    const rig = createRig({ store: source.store });
    await rig.store.delete(`xorbs/${xorb.hash}`);
    expect((await ask(rig)).status).toBe(410);
    expect((await rig.send('HEAD', `/v1/xorbs/default/${xorb.hash}`)).status).toBe(404);
  });
});
