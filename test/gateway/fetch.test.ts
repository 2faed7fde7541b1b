import { describe, expect, it } from 'vitest';
import { createMemoryStore, type ObjectReader, type ObjectStore } from '../../src/gateway/index.js';
import type { ByteSpan } from '../../src/gateway/ranges.js';
import { createSecrets } from '../../src/gateway/secrets.js';
import { signUrl } from '../../src/gateway/signed-url.js';
import {
  buildXorb,
  bytesOf,
  createRig,
  hasher,
  ORIGIN,
  putXorb,
  type Rig,
  randomChunks,
} from './support/rig.js';

const SECRET = new Uint8Array(32).fill(7);
const xorb = buildXorb(randomChunks(40, [5000, 6000, 7000, 8000]));
const total = xorb.bytes.length;
const [end0, end1, end2] = xorb.recordEnds as unknown as [number, number, number];
const secrets = createSecrets(SECRET, hasher);

async function rigWithXorb(): Promise<Rig> {
  const rig = createRig({ options: { secret: SECRET } });
  await putXorb(rig, xorb);
  return rig;
}

function urlFor(ranges: ByteSpan[], rig: Rig, lifetimeSeconds = 60): string {
  const expiresSeconds = Math.floor(rig.clock.unix / 1000) + lifetimeSeconds;
  return signUrl(secrets, ORIGIN, xorb.hash, { ranges, expiresSeconds });
}

const get = (rig: Rig, url: string, range?: string, more: Record<string, string> = {}) =>
  rig.send('GET', url, {
    token: null,
    headers: { ...more, ...(range === undefined ? {} : { range }) },
  });

const ALL: ByteSpan[] = [{ start: 0, end: total }];
const TWO: ByteSpan[] = [
  { start: 0, end: end0 },
  { start: end1, end: end2 },
];

describe('a fetch URL', () => {
  it('serves a signed range as 206', async () => {
    const rig = await rigWithXorb();
    const response = await get(rig, urlFor(TWO, rig), `bytes=${end1}-${end2 - 1}`);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${end1}-${end2 - 1}/${total}`);
    expect(response.headers.get('content-length')).toBe(String(end2 - end1));
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('accept-ranges')).toBe('bytes');
    expect(await bytesOf(response)).toEqual(xorb.bytes.slice(end1, end2));
  });

  it('serves any part of one signed range', async () => {
    const rig = await rigWithXorb();
    const response = await get(rig, urlFor(TWO, rig), `bytes=${end1 + 5}-${end1 + 5}`);
    expect(await bytesOf(response)).toEqual(xorb.bytes.slice(end1 + 5, end1 + 6));
  });

  it('serves several ranges as multipart/byteranges, in the order asked', async () => {
    const rig = await rigWithXorb();
    const header = `bytes=${end1}-${end2 - 1},0-9`;
    const response = await get(rig, urlFor(TWO, rig), header);
    expect(response.status).toBe(206);
    const boundary = /^multipart\/byteranges; boundary=([0-9a-f]{32})$/.exec(
      response.headers.get('content-type') ?? '',
    )?.[1];
    const body = Buffer.from(await bytesOf(response));
    expect(response.headers.get('content-length')).toBe(String(body.length));
    const part = (start: number, end: number): Buffer =>
      Buffer.concat([
        Buffer.from(
          `--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
            `Content-Range: bytes ${start}-${end - 1}/${total}\r\n\r\n`,
        ),
        xorb.bytes.subarray(start, end),
        Buffer.from('\r\n'),
      ]);
    const expected = [part(end1, end2), part(0, 10), Buffer.from(`--${boundary}--\r\n`)];
    expect(body.equals(Buffer.concat(expected))).toBe(true);
  });

  it('answers HEAD like GET without the bytes', async () => {
    const rig = await rigWithXorb();
    for (const range of ['bytes=0-9', 'bytes=0-9,20-29']) {
      const init = { token: null, headers: { range } };
      const head = await rig.send('HEAD', urlFor(ALL, rig), init);
      const full = await rig.send('GET', urlFor(ALL, rig), init);
      expect(head.status).toBe(206);
      expect(head.body).toBeNull();
      expect(head.headers.get('content-length')).toBe(full.headers.get('content-length'));
      expect((await bytesOf(full)).length).toBe(Number(full.headers.get('content-length')));
    }
  });

  it('without a range is 200 with all records when all are signed, else 403', async () => {
    const rig = await rigWithXorb();
    const response = await get(rig, urlFor(ALL, rig));
    expect(response.status).toBe(200);
    expect(await bytesOf(response)).toEqual(xorb.bytes);
    expect((await get(rig, urlFor(TWO, rig))).status).toBe(403);
    const halves = [
      { start: 0, end: end0 },
      { start: end0, end: total },
    ];
    expect((await get(rig, urlFor(halves, rig))).status).toBe(403);
  });

  it('works until it expires', async () => {
    const rig = await rigWithXorb();
    const url = urlFor(ALL, rig, 60);
    rig.clock.advance(60_000);
    const last = await get(rig, url, 'bytes=0-0');
    expect(last.status).toBe(206);
    expect(last.headers.get('cache-control')).toBe('private, max-age=0, immutable');
    rig.clock.advance(1);
    const late = await get(rig, url, 'bytes=0-0');
    expect(late.status).toBe(403);
    expect(await late.text()).toMatch(/expired/);
  });

  it('is 404 when the xorb is gone', async () => {
    const rig = createRig({ options: { secret: SECRET } });
    expect((await get(rig, urlFor(ALL, rig), 'bytes=0-0')).status).toBe(404);
  });

  it('knows its tag: 304 for who has it, the whole for who has another', async () => {
    const rig = await rigWithXorb();
    const url = urlFor(ALL, rig);
    const tag = (await get(rig, url, 'bytes=0-0')).headers.get('etag') as string;
    expect((await get(rig, url, 'bytes=0-0', { 'if-none-match': tag })).status).toBe(304);
    expect((await get(rig, url, 'bytes=0-0', { 'if-none-match': '"x"' })).status).toBe(206);
    expect((await get(rig, url, 'bytes=0-0', { 'if-range': tag })).status).toBe(206);
    expect((await get(rig, url, 'bytes=0-0', { 'if-range': '"x"' })).status).toBe(200);
    const partly = urlFor(TWO, rig);
    expect((await get(rig, partly, 'bytes=0-0', { 'if-range': '"x"' })).status).toBe(403);
  });
});

describe('ranges that are not signed', () => {
  it.each([
    ['between the signed ones', `bytes=${end0}-${end0}`],
    ['from one signed range into the next', `bytes=0-${end1}`],
    ['one byte more than signed', `bytes=0-${end0}`],
    ['one good, one bad', `bytes=0-9,${end0}-${end0 + 5}`],
    ['to the end', 'bytes=0-'],
    ['the last byte', 'bytes=-1'],
    ['past the end', `bytes=${end1}-${total + 1000}`],
  ])('(%s) are 403', async (_name, range) => {
    const rig = await rigWithXorb();
    expect((await get(rig, urlFor(TWO, rig), range)).status).toBe(403);
  });

  it('never reach the footer, even when someone signed it', async () => {
    const rig = await rigWithXorb();
    const beyond = urlFor([{ start: 0, end: total + 200 }], rig);
    expect((await get(rig, beyond, `bytes=0-${total}`)).status).toBe(403);
    expect((await get(rig, beyond, `bytes=${total}-${total + 10}`)).status).toBe(416);
    expect((await bytesOf(await get(rig, beyond, 'bytes=0-'))).length).toBe(total);
  });

  it.each([
    ['malformed', 'bytes=9-1'],
    ['of another unit', 'lines=1-2'],
    ['thousands of them', `bytes=${Array.from({ length: 3000 }, () => '0-0').join(',')}`],
    [
      'the same whole range many times',
      `bytes=${Array.from({ length: 500 }, () => `0-${total - 1}`).join(',')}`,
    ],
    ['one that starts past the end', `bytes=${total}-`],
  ])('(%s) are 416', async (_name, range) => {
    const rig = await rigWithXorb();
    const response = await get(rig, urlFor(ALL, rig), range);
    expect(response.status).toBe(416);
    expect(response.headers.get('content-range')).toBe(`bytes */${total}`);
  });
});

describe('a URL that was tampered with', () => {
  const other = 'ef'.repeat(32);
  const change = (url: string, name: string, value: string | null): string => {
    const changed = new URL(url);
    if (value === null) changed.searchParams.delete(name);
    else changed.searchParams.set(name, value);
    return changed.href;
  };
  const cases: [string, (url: string, rig: Rig) => string][] = [
    ['another xorb', (url) => url.replace(xorb.hash.toString(), other)],
    ['wider ranges', (url) => change(url, 'X-Xet-Signed-Range', `bytes=0-${total - 1}`)],
    ['ranges with a space', (url) => change(url, 'X-Xet-Signed-Range', ` bytes=0-${end0 - 1}`)],
    ['no ranges', (url) => change(url, 'X-Xet-Signed-Range', null)],
    ['empty ranges', (url) => change(url, 'X-Xet-Signed-Range', '')],
    ['a later expiry', (url) => change(url, 'X-Xet-Expires', '99999999999')],
    [
      'the same expiry with a zero in front',
      (url) => change(url, 'X-Xet-Expires', `0${new URL(url).searchParams.get('X-Xet-Expires')}x`),
    ],
    ['no expiry', (url) => change(url, 'X-Xet-Expires', null)],
    ['a negative expiry', (url) => change(url, 'X-Xet-Expires', '-1')],
    ['no signature', (url) => change(url, 'X-Xet-Signature', null)],
    ['an empty signature', (url) => change(url, 'X-Xet-Signature', '')],
    ['a short signature', (url) => url.slice(0, -1)],
    ['a signature of zeros', (url) => change(url, 'X-Xet-Signature', '0'.repeat(64))],
    [
      'a signature with one digit changed',
      (url) => url.slice(0, -1) + (url.endsWith('0') ? '1' : '0'),
    ],
    ['no query at all', (url) => new URL(url).pathname],
    [
      'the signature of another secret',
      (_url, rig) =>
        signUrl(createSecrets(new Uint8Array(32), hasher), ORIGIN, xorb.hash, {
          ranges: ALL,
          expiresSeconds: Math.floor(rig.clock.unix / 1000) + 60,
        }),
    ],
    ['ranges that are none, rightly signed', (_url, rig) => urlFor([{ start: 5, end: 5 }], rig)],
  ];

  it.each(cases)('(%s) is 403', async (_name, tamper) => {
    const rig = await rigWithXorb();
    const url = urlFor(TWO, rig);
    expect((await get(rig, url, 'bytes=0-0')).status).toBe(206);
    const response = await get(rig, tamper(url, rig), 'bytes=0-0');
    expect(response.status).toBe(403);
    expect(await response.text()).not.toContain('X-Xet-Signature');
  });

  it('is the same with a write token: tokens do not open fetch URLs', async () => {
    const rig = await rigWithXorb();
    const { pathname } = new URL(urlFor(ALL, rig));
    expect((await rig.send('GET', pathname)).status).toBe(403);
  });

  it('by another gateway with the same secret is good, without it is not', async () => {
    const rig = await rigWithXorb();
    const url = urlFor(ALL, rig);
    const twin = createRig({ store: rig.store, options: { secret: SECRET } });
    expect((await get(twin, url, 'bytes=0-0')).status).toBe(206);
    const stranger = createRig({ store: rig.store });
    expect((await get(stranger, url, 'bytes=0-0')).status).toBe(403);
  });
});

describe('a store that fails while it is read', () => {
  const watched = (change: (reader: ObjectReader) => Partial<ObjectReader>) => {
    const memory = createMemoryStore();
    const counts = { opened: 0, closed: 0 };
    const store: ObjectStore = {
      ...memory,
      async open(key) {
        const reader = await memory.open(key);
        if (reader === null) return null;
        counts.opened++;
        const close = async (): Promise<void> => {
          counts.closed++;
        };
        return { ...reader, ...change(reader), close };
      },
    };
    return { store, counts };
  };

  it('breaks the response off, and somebody is told', async () => {
    const { store, counts } = watched(() => ({
      readAt: async () => {
        throw new Error('disk on fire');
      },
    }));
    const rig = createRig({ store, options: { secret: SECRET } });
    await putXorb(rig, xorb);
    const response = await get(rig, urlFor(ALL, rig), 'bytes=0-99');
    expect(response.status).toBe(206);
    await expect(bytesOf(response)).rejects.toThrow();
    expect(rig.faults).toMatchObject([{ path: `/v1/fetch/${xorb.hash}` }]);
    expect(counts.closed).toBe(counts.opened);
  });

  it('is closed again for a response that nobody reads, and for one without a body', async () => {
    const { store, counts } = watched(() => ({}));
    const rig = createRig({ store, options: { secret: SECRET } });
    await putXorb(rig, xorb);
    const response = await get(rig, urlFor(ALL, rig), 'bytes=0-99');
    await response.body?.cancel();
    await rig.send('HEAD', urlFor(ALL, rig), { token: null });
    expect((await get(rig, urlFor(ALL, rig), `bytes=${total}-`)).status).toBe(416);
    expect(counts.opened).toBe(3);
    expect(counts.closed).toBe(3);
  });

  it('says so before anything else when the xorb is gone or cut, not in the middle', async () => {
    const rig = await rigWithXorb();
    const url = urlFor(ALL, rig);
    expect((await get(rig, url, 'bytes=0-9')).status).toBe(206);
    const stored = (await rig.store.read(`xorbs/${xorb.hash}`)) as Uint8Array;
    await rig.store.put(`xorbs/${xorb.hash}`, stored.slice(0, 9000), { replace: true });
    const cut = await get(rig, url, 'bytes=0-9');
    expect(cut.status).toBe(410);
    expect(await cut.json()).toMatchObject({ code: 'INTEGRITY', error: /uploading .* repairs/ });
    await rig.store.delete(`xorbs/${xorb.hash}`);
    const gone = await get(rig, url, 'bytes=0-9');
    expect(gone.status).toBe(404);
    expect(await gone.json()).toMatchObject({ code: 'NOT_FOUND', error: /is not stored/ });
  });
});
