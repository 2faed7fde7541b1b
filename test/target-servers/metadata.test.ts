import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MetadataServer, startMetadataServer } from '../../src/target-servers/index.js';
import { patternBytes } from '../digests/vectors.js';
import { createVirtualTime, type VirtualTime } from '../targets/virtual-time.js';

/** The servers themselves, over real connections: what they do not do, no client is tested against. */

const BYTES = patternBytes(712);
const MINUTE_MS = 60_000;
let time: VirtualTime;
let server: MetadataServer;
beforeEach(async () => {
  time = createVirtualTime();
  server = await startMetadataServer({ clock: time.clock });
});
afterEach(() => server.close());

async function call(
  path: string,
  body: object,
  headers: Record<string, string> = {},
  // biome-ignore lint/suspicious/noExplicitAny: each endpoint has a shape of its own
): Promise<{ status: number; body: any }> {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: {
      'commerce-api-key': server.apiKey,
      'issuer-address': server.issuer,
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

const named = (...names: readonly string[]): object[] =>
  names.map((filename) => ({ filename, category: 'artwork' }));

async function signed(name: string, action = 'write'): Promise<{ url: string; type: string }> {
  const { status, body } = await call('/signedUrls', { action, payload: named(name) });
  expect(status).toBe(201);
  return { url: body.results[0].url, type: body.results[0].contentType };
}

const put = (url: string, type: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'PUT',
    headers: { 'content-type': type, ...headers },
    body: BYTES as Uint8Array<ArrayBuffer>,
  });

describe('the metadata server', () => {
  it('takes a PUT by a signed URL, and has hash, CID and size after a tick', async () => {
    const { url, type } = await signed('a.jpg');
    expect(type).toBe('image/jpeg');
    expect((await put(url, type)).status).toBe(200);
    const before = await call('/fileMetadata', { payload: named('a.jpg') });
    expect(before).toMatchObject({
      status: 200,
      body: { results: [{ filename: 'a.jpg', message: 'HASH_STILL_IN_CALCULATION' }] },
    });
    await server.tick();
    const { body } = await call('/fileMetadata', { payload: named('a.jpg') });
    const digest = createHash('sha256').update(BYTES).digest('hex');
    expect(body.results[0]).toEqual({
      filename: 'a.jpg',
      hash: `sha256-${digest}`,
      cid: 'bafkreidnzqlqqsukt7bwebubstakhzylhqwbph2x7kvr2ub6ugzd5cgona',
      size: 712,
    });
    const read = await signed('a.jpg', 'read');
    expect(new Uint8Array(await (await fetch(read.url)).arrayBuffer())).toEqual(BYTES);
  });

  it('refuses a signature for another type, name, method or time', async () => {
    const { url, type } = await signed('a.jpg');
    expect((await put(url, 'image/png')).status).toBe(403);
    expect((await put(url.replace('a.jpg', 'b.jpg'), type)).status).toBe(403);
    expect((await fetch(url)).status).toBe(403);
    const refused = await put(url.replace(/Signature=..../, 'Signature=0000'), type);
    expect(await refused.text()).toContain('<Code>SignatureDoesNotMatch</Code>');
    await time.run(
      new Promise<void>((resolve) => {
        time.clock.setTimer(15 * MINUTE_MS + 1000, resolve);
      }),
    );
    expect((await put(url, type)).status).toBe(403);
    expect(server.counts.stored).toBe(0);
  });

  it('notices headers of the API at the bucket, and wants a length', async () => {
    const { url, type } = await signed('a.jpg');
    expect((await put(url, type, { 'commerce-api-key': server.apiKey })).status).toBe(400);
    expect(server.counts.leakedHeaders).toBe(1);
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(BYTES);
        controller.close();
      },
    });
    const chunked = await fetch(url, {
      method: 'PUT',
      headers: { 'content-type': type },
      body,
      duplex: 'half',
    } as RequestInit);
    expect(chunked.status).toBe(411);
  });

  it('keeps names unique per issuer', async () => {
    const first = await signed('a.jpg');
    await put(first.url, first.type);
    const second = await signed('a.jpg');
    expect((await put(second.url, second.type)).status).toBe(412);
    server.faults.nameTakenAt = 'signedUrls';
    expect(await call('/signedUrls', { action: 'write', payload: named('a.jpg') })).toMatchObject({
      status: 400,
      body: { message: [expect.stringContaining('already exists')] },
    });
  });

  it('lists only what is missing, by its index in the request', async () => {
    for (const name of ['a.jpg', 'c.jpg']) {
      const { url, type } = await signed(name);
      await put(url, type);
    }
    const { status, body } = await call('/fileMetadata', {
      payload: named('a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'),
    });
    expect(status).toBe(404);
    expect(body.message).toEqual([
      { index: 1, filePath: `srr-images/${server.issuer}/b.jpg` },
      { index: 3, filePath: `srr-images/${server.issuer}/d.jpg` },
    ]);
  });

  it('refuses names, categories and keys that are wrong', async () => {
    const payload = [{ filename: 'has space.jpg', category: 'picture' }];
    const { status, body } = await call('/fileMetadata', { payload });
    expect(status).toBe(400);
    expect(body.message).toHaveLength(2);
    expect((await call('/fileMetadata', { payload: [] })).status).toBe(400);
    const wrong = await call(
      '/fileMetadata',
      { payload: named('a.jpg') },
      { 'commerce-api-key': 'x' },
    );
    expect(wrong.status).toBe(401);
  });

  it('stores nothing of a PUT that breaks off', async () => {
    server.faults.cutPutAfterBytes = 100;
    const { url, type } = await signed('a.jpg');
    await expect(put(url, type)).rejects.toThrow();
    expect(await server.read('a.jpg')).toHaveLength(0);
    expect(server.counts).toMatchObject({ puts: 1, stored: 0 });
  });
});
