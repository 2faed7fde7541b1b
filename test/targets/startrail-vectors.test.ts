import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bytesBody, type Exchange, type HttpRequest, readAll } from '../../src/http/index.js';
import {
  createStartrailApi,
  hashOf,
  type StartrailApi,
} from '../../src/transport/targets/startrail/api.js';
import { cidProfileOf } from '../../src/transport/targets/startrail/cid.js';
import { storedName } from '../../src/transport/targets/startrail/names.js';
import { startrailSettings } from '../../src/transport/targets/startrail/options.js';
import { classOf, STARTRAIL_CATEGORIES } from '../../src/transport/targets.js';
import { patternBytes, targetVectors } from '../digests/vectors.js';
import { failureOf } from './cascade-kit.js';
import { startrailKit } from './startrail-kit.js';
import { impatientClock } from './support.js';

/** Known answers of fixtures/targets/vectors.json that concern file metadata: every entry has a test. */

// biome-ignore lint/suspicious/noExplicitAny: each entry has a shape of its own
const vectors: any = JSON.parse(
  readFileSync(new URL('../../fixtures/targets/vectors.json', import.meta.url), 'utf8'),
).startrail;

const { signal } = new AbortController();

function apiWith(
  respond: (call: number) => { status: number; body: unknown },
  category: 'non_attachment_file' | 'artwork' = 'non_attachment_file',
): { api: StartrailApi; seen: { request: HttpRequest; body: unknown }[] } {
  const seen: { request: HttpRequest; body: unknown }[] = [];
  const exchange: Exchange = async (request) => {
    const text = new TextDecoder().decode(await readAll(request.body, 10_000));
    seen.push({ request, body: JSON.parse(text) });
    const { status, body } = respond(seen.length);
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    return { status, headers: {}, body: bytesBody(bytes) };
  };
  const settings = startrailSettings({
    url: 'https://api.example',
    apiKey: 'key-of-the-issuer',
    issuer: '0x0000000000000000000000000000000000000000',
    category,
    exchange,
    clock: impatientClock(),
    random: () => 0.5,
  });
  return { api: createStartrailApi(settings), seen };
}

describe('file metadata of the vectors', () => {
  it('has its limits, categories and names', () => {
    const { limits, categories, filename } = vectors;
    expect(STARTRAIL_CATEGORIES).toEqual(categories);
    const settings = startrailSettings({
      url: 'https://api.example',
      apiKey: 'k',
      issuer: `0x${'0'.repeat(40)}`,
      exchange: async () => ({ status: 200, headers: {}, body: null }),
      clock: impatientClock(),
      random: () => 0,
    });
    expect(settings.maxBytes).toBe(limits.size_exclusive_max - 1);
    for (const name of filename.ok) {
      expect(storedName(name, { safe: false, sha256: null })).toBe(name);
    }
    for (const name of filename.bad) {
      expect(() => storedName(name, { safe: false, sha256: null })).toThrow(/no spaces/);
    }
  });

  it('asks for a signed URL as in the vectors, with the headers of the API', async () => {
    const { status, body } = vectors.signed_urls_response;
    const [result] = body.results;
    const url = 'https://bucket.example/o?X-Goog-Signature=secret';
    const results = [{ ...result, url, finalUrl: 'https://bucket.example/o?X-Goog-Signature=s' }];
    const { api, seen } = apiWith(() => ({ status, body: { results } }));
    const signed = await api.signedUrl('thumbnail.jpg', signal);
    expect(seen[0]?.body).toEqual(vectors.signed_urls_request);
    expect(seen[0]?.request.url.href).toBe('https://api.example/port/api/v1/commerce/signedUrls');
    expect(seen[0]?.request.headers).toMatchObject({
      'commerce-api-key': 'key-of-the-issuer',
      'issuer-address': '0x0000000000000000000000000000000000000000',
      'content-type': 'application/json',
      accept: 'application/json',
    });
    expect(signed).toMatchObject({
      contentType: 'image/jpeg',
      finalUrl: 'https://bucket.example/o',
    });
  });

  it('reads entries that are ready and entries that are not from one response', async () => {
    const { status, body } = vectors.metadata_ok;
    const names = vectors.metadata_request.payload.map(
      (each: { filename: string }) => each.filename,
    );
    const { api, seen } = apiWith(() => ({ status, body }));
    expect(await api.files(names, signal)).toEqual([
      {
        state: 'ready',
        hash: vectors.sample_pair.sha256,
        cid: vectors.sample_pair.cid_in_document,
        size: 712,
      },
      { state: 'calculating', hash: null, size: null },
    ]);
    expect(seen[0]?.body).toMatchObject({
      payload: names.map((filename: string) => ({ filename })),
    });
  });

  it('takes the missing ones out and asks again for the rest', async () => {
    const { api, seen } = apiWith((call) =>
      call === 1
        ? vectors.metadata_404
        : { status: 200, body: { results: [vectors.metadata_ok.body.results[0]] } },
    );
    const states = await api.files(['not-found.png', 'test.jpg'], signal);
    expect(states.map(({ state }) => state)).toEqual(['missing', 'ready']);
    expect(seen[1]?.body).toMatchObject({ payload: [{ filename: 'test.jpg' }] });
  });

  it('has three kinds of messages, and a class for each', async () => {
    const bad = apiWith(() => vectors.metadata_400);
    const error = await failureOf(bad.api.files(['a.jpg'], signal));
    expect(classOf(error)).toBe('permanent');
    expect(error.message).toContain('payload.0.category must be one of');
    const gateway = apiWith(() => vectors.metadata_502);
    const later = await failureOf(gateway.api.files(['a.jpg'], signal));
    expect(classOf(later)).toBe('transient');
    expect(later.message).toContain('Bad Gateway');
    expect(gateway.seen.length).toBeGreaterThan(1);
  });

  it('has a sample whose hash and CID do not belong together, which no test may believe', () => {
    const { sha256, cid_in_document, cid_from_sha256, match } = vectors.sample_pair;
    expect(match).toBe(false);
    expect(cidProfileOf(cid_in_document, { cidRaw: cid_from_sha256 })).toBe('unknown');
    expect(cidProfileOf(cid_from_sha256, { cidRaw: cid_from_sha256 })).toBe('raw');
    expect(hashOf(`sha256-${sha256.toUpperCase()}`)).toBe(sha256);
    // Base64, as in web integrity strings, is not it.
    const base64 = Buffer.from(sha256, 'hex').toString('base64');
    expect(() => hashOf(`sha256-${base64}`)).toThrow(/hex/);
  });
});

describe('CIDs of the vectors', () => {
  for (const file of targetVectors().cid.files.filter(({ size }) => size <= 1_048_577)) {
    it(`are told apart for ${file.size} bytes, and made by the server`, async () => {
      const digests = {
        cidRaw: file.rawCid,
        cid256KiB174: file.cid256KiB174,
        cid1MiB1024: file.cid1MiB1024,
      };
      expect(cidProfileOf(file.rawCid, digests)).toBe('raw');
      const small = file.cid256KiB174 === file.rawCid ? 'raw' : 'raw-256KiB-174';
      expect(cidProfileOf(file.cid256KiB174, digests)).toBe(small);
      const kit = await startrailKit({ cidProfile: 'raw-256KiB-174' });
      try {
        const bytes = patternBytes(file.size);
        const result = await kit.upload({ bytes });
        expect(result.ids['cid']).toBe(file.cid256KiB174);
        expect(result.details['cidProfile']).toBe(small);
        expect(createHash('sha256').update(bytes).digest('hex')).toBe(file.sha256);
      } finally {
        await kit.close();
      }
    });
  }
});
