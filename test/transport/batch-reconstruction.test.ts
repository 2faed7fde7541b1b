import { afterEach, describe, expect, it } from 'vitest';
import { encodeReconstructionV1 } from '../../src/plan/index.js';
import { sampleReconstruction } from '../plan/support.js';
import { failureOf, type Handler, type Rig, sendJson, someHash, startRig } from './support.js';

let rig: Rig;
afterEach(() => rig.close());

const [one, two, gone] = [someHash(3), someHash(4), someHash(9)];
const KNOWN = [one.toString(), two.toString()];
const sample = encodeReconstructionV1(sampleReconstruction());
const seen = (): string[] =>
  rig.server.seen.map(({ method, path }) => `${method} ${path.replace(/[?/][^?/]{64,}$/, '')}`);

/** A server that has two files, and these forms of the batch request. */
const serving =
  (...forms: readonly ('GET' | 'POST')[]): Handler =>
  async (request, response) => {
    const url = new URL(request.path, 'http://x');
    const isBatch = url.pathname === '/v1/reconstructions';
    if (!isBatch) {
      const isKnown = KNOWN.includes(url.pathname.split('/').at(-1) ?? '');
      if (isKnown && url.pathname.startsWith('/v1')) sendJson(response, 200, sample);
      else response.writeHead(404).end();
      return;
    }
    const ids =
      request.method === 'POST'
        ? (JSON.parse((await request.body).toString()) as { hash: string }[]).map(
            ({ hash }) => hash,
          )
        : url.searchParams.getAll('file_id');
    const isOffered = forms.includes(request.method as 'GET');
    if (!isOffered || !ids.every((id) => KNOWN.includes(id))) {
      response.writeHead(404).end();
      return;
    }
    const files = Object.fromEntries(ids.map((id) => [id, sample.terms]));
    sendJson(response, 200, { files, fetch_info: sample.fetch_info });
  };

describe('asking for several reconstructions', () => {
  it('gives the terms of all files in the order asked, and every range once', async () => {
    rig = await startRig(serving('POST'));
    const batch = await rig.cas.getReconstructions([two, one]);
    expect(batch?.termCounts).toEqual([4, 4]);
    expect(batch?.reconstruction.terms).toHaveLength(8);
    expect(batch?.reconstruction.fetches).toEqual(
      sampleReconstruction().fetches.map(({ xorb, entries }) => ({
        xorb,
        entries: entries.flatMap(({ url, ranges }) =>
          ranges.map((range) => ({ url, ranges: [range] })),
        ),
      })),
    );
    expect(seen()).toEqual(['POST /v1/reconstructions']);
  });

  it('uses the form that the server has, and stays with it', async () => {
    rig = await startRig(serving('GET'));
    await rig.cas.getReconstructions([one]);
    await rig.cas.getReconstructions([one, two]);
    expect(seen()).toEqual([
      'POST /v1/reconstructions',
      'GET /v1/reconstructions',
      'GET /v1/reconstructions',
    ]);
  });

  it('says when one file is missing, before and after the form is known', async () => {
    rig = await startRig(serving('POST'));
    expect((await failureOf(rig.cas.getReconstructions([one, gone]))).code).toBe('NOT_FOUND');
    await rig.cas.getReconstructions([one]);
    rig.server.seen.length = 0;
    expect((await failureOf(rig.cas.getReconstructions([gone, one]))).code).toBe('NOT_FOUND');
    expect(seen()).toEqual(['POST /v1/reconstructions']);
  });

  it('finds out that there is none, and does not ask again', async () => {
    rig = await startRig(serving());
    expect(await rig.cas.getReconstructions([one, two])).toBeNull();
    rig.server.seen.length = 0;
    expect(await rig.cas.getReconstructions([one, two])).toBeNull();
    expect(seen()).toEqual([]);
  });

  it('leaves that open when the file that it asks for is missing, too', async () => {
    rig = await startRig(serving());
    expect((await failureOf(rig.cas.getReconstructions([gone]))).code).toBe('NOT_FOUND');
    expect(await rig.cas.getReconstructions([one])).toBeNull();
  });

  it.each([
    ['no object', [], 'PROTOCOL'],
    ['no fetch_info', { files: { [one.toString()]: sample.terms } }, 'PROTOCOL'],
    ['a file left out', { files: {}, fetch_info: {} }, 'NOT_FOUND'],
    [
      'terms without ranges',
      { files: { [one.toString()]: sample.terms }, fetch_info: {} },
      'PROTOCOL',
    ],
    ['terms that are none', { files: { [one.toString()]: [1] }, fetch_info: {} }, 'PROTOCOL'],
  ] as const)('refuses a response with %s', async (_, body, code) => {
    rig = await startRig((_request, response) => sendJson(response, 200, body));
    expect((await failureOf(rig.cas.getReconstructions([one]))).code).toBe(code);
  });

  it('repeats what a server could not do then', async () => {
    let failures = 1;
    const handler = serving('POST');
    rig = await startRig((request, response) => {
      if (failures-- > 0) response.writeHead(503).end();
      else return handler(request, response, 0);
      return undefined;
    });
    expect((await rig.cas.getReconstructions([one]))?.termCounts).toEqual([4]);
  });
});
