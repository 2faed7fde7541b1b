import { afterEach, describe, expect, it } from 'vitest';
import { MerkleHash } from '../../src/hash/index.js';
import { encodeReconstructionV1, encodeReconstructionV2 } from '../../src/plan/index.js';
import { createCasClient } from '../../src/transport/index.js';
import { sampleReconstruction } from '../plan/support.js';
import {
  failureOf,
  type Handler,
  pattern,
  type Rig,
  sendJson,
  someHash,
  startRig,
  startServer,
  until,
} from './support.js';

let rig: Rig;
afterEach(() => rig.close());

const file = someHash(3);
const pathsOf = () => rig.server.seen.map(({ path }) => path.replace(`/${file}`, ''));

/** A server that has these versions of the one file. */
const serving =
  (...versions: readonly (1 | 2)[]): Handler =>
  (request, response) => {
    const [, version, , hash] = request.path.split('/');
    const known = hash === file.toString();
    if (version === 'v2' && versions.includes(2) && known) {
      sendJson(response, 200, encodeReconstructionV2(sampleReconstruction()));
    } else if (version === 'v1' && versions.includes(1) && known) {
      sendJson(response, 200, encodeReconstructionV1(sampleReconstruction()));
    } else response.writeHead(404).end('not found');
  };

describe('asking for a reconstruction', () => {
  it('uses version 2 and stays with it', async () => {
    rig = await startRig(serving(1, 2));
    const answer = await rig.cas.getReconstruction(file);
    expect(answer?.terms.map(({ unpackedBytes }) => unpackedBytes)).toEqual([300, 50, 400, 100]);
    expect((await failureOf(rig.cas.getReconstruction(someHash(9)))).code).toBe('NOT_FOUND');
    expect(rig.server.seen).toHaveLength(2);
    expect(rig.server.seen[0]?.headers['range']).toBeUndefined();
  });

  it('falls back to version 1 where 2 is missing and remembers it', async () => {
    rig = await startRig(serving(1));
    await rig.cas.getReconstruction(file);
    await rig.cas.getReconstruction(file);
    expect(pathsOf()).toEqual([
      '/v2/reconstructions',
      '/v1/reconstructions',
      '/v1/reconstructions',
    ]);
  });

  it('does not conclude from a missing file that version 2 is missing', async () => {
    rig = await startRig(serving(1, 2));
    expect((await failureOf(rig.cas.getReconstruction(someHash(9)))).code).toBe('NOT_FOUND');
    await rig.cas.getReconstruction(file);
    expect(rig.server.seen.map(({ path }) => path.slice(1, 3))).toEqual(['v2', 'v1', 'v2']);
  });

  it('sends the range with an inclusive end, and is null past the end of the file', async () => {
    rig = await startRig((_request, response) => {
      response.writeHead(416).end();
    });
    expect(await rig.cas.getReconstruction(file, { start: 10, end: 20 })).toBeNull();
    expect(rig.server.seen[0]?.headers['range']).toBe('bytes=10-19');
    expect(rig.retries).toEqual([]);
  });

  it.each([
    ['no JSON', '<html>sign in</html>'],
    ['broken JSON', '{"terms":['],
    ['JSON of another kind', '{"files":[]}'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00])],
  ])('refuses %s with PROTOCOL', async (_name, body) => {
    rig = await startRig((_request, response) => {
      response.end(body);
    });
    expect((await failureOf(rig.cas.getReconstruction(file))).code).toBe('PROTOCOL');
    expect(rig.server.seen).toHaveLength(1);
  });

  it('refuses an encoding that was not asked for', async () => {
    rig = await startRig((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('xx');
    });
    expect((await failureOf(rig.cas.getReconstruction(file))).code).toBe('PROTOCOL');
  });

  it('asks again after an answer that was cut, and after 500s', async () => {
    rig = await startRig((request, response, index) => {
      if (index === 0) return void response.writeHead(500).end();
      if (index === 1) {
        response.writeHead(200, { 'content-length': 500 });
        response.write('{"terms"', () => setTimeout(() => request.socket.destroy(), 5));
        return;
      }
      void serving(2)(request, response, index);
    });
    expect(await rig.cas.getReconstruction(file)).not.toBeNull();
    expect(rig.retries.map(({ code }) => code)).toEqual(['SERVER_ERROR', 'NETWORK']);
  });

  it('refuses ranges that make no sense', async () => {
    rig = await startRig(serving(2));
    for (const range of [
      { start: 5, end: 5 },
      { start: -1, end: 5 },
      { start: 0, end: 1.5 },
    ]) {
      await expect(rig.cas.getReconstruction(file, range)).rejects.toThrow(RangeError);
    }
  });

  it('drops the token and its own headers when a redirect leaves the CAS', async () => {
    const other = await startServer(serving(2));
    rig = await startRig(
      (request, response) => {
        const home = request.path.startsWith('/v2/');
        response
          .writeHead(302, {
            location: home ? `/home${request.path}` : `${other.url}/v2/reconstructions/${file}`,
          })
          .end();
      },
      { headers: { 'x-custom': 'mine' }, sessionId: 's-1' },
    );
    expect(await rig.cas.getReconstruction(file)).not.toBeNull();
    expect(rig.server.seen.map(({ headers }) => headers['authorization'])).toEqual([
      'Bearer token-1',
      'Bearer token-1',
    ]);
    for (const name of ['authorization', 'x-custom', 'x-xet-session-id', 'referer', 'cookie']) {
      expect(other.seen[0]?.headers[name]).toBeUndefined();
    }
    await other.close();
  });
});

describe('tokens', () => {
  it('refreshes once for all calls that were refused together, and goes on', async () => {
    let refreshes = 0;
    let token = 'old-token';
    const source = {
      get: async () => token,
      refresh: async () => {
        refreshes++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        token = 'new-token';
        return token;
      },
    };
    rig = await startRig(
      (request, response, index) => {
        if (request.headers['authorization'] !== 'Bearer new-token') response.writeHead(401).end();
        else void serving(2)(request, response, index);
      },
      { token: source },
    );
    await Promise.all(Array.from({ length: 8 }, () => rig.cas.getReconstruction(file)));
    expect(refreshes).toBe(1);
    expect(rig.retries).toEqual([]);
  });

  it('gives up with AUTH_REQUIRED when the new token is refused as well', async () => {
    let refreshes = 0;
    rig = await startRig((_request, response) => response.writeHead(401).end('who?') as never, {
      token: { get: async () => 'token-a', refresh: async () => `token-${++refreshes}` },
    });
    expect(await failureOf(rig.cas.getReconstruction(file))).toMatchObject({
      code: 'AUTH_REQUIRED',
      fields: { status: 401 },
    });
    expect(refreshes).toBe(1);
    expect(rig.server.seen).toHaveLength(2);
  });

  it('is final without a way to refresh', async () => {
    rig = await startRig((_request, response) => response.writeHead(401).end() as never);
    expect((await failureOf(rig.cas.getReconstruction(file))).code).toBe('AUTH_REQUIRED');
    expect(rig.server.seen).toHaveLength(1);
  });

  it('takes a token that its source has renewed by itself', async () => {
    const tokens = ['old-token', 'new-token', 'new-token'];
    rig = await startRig(
      (request, response, index) => {
        if (request.headers['authorization'] === 'Bearer old-token') response.writeHead(401).end();
        else void serving(2)(request, response, index);
      },
      { token: { get: async () => tokens.shift() ?? 'new-token' } },
    );
    expect(await rig.cas.getReconstruction(file)).not.toBeNull();
  });

  it('says AUTH_REQUIRED, without the secret, when the source fails or gives rubbish', async () => {
    rig = await startRig(serving(2), {
      token: {
        get: async () => {
          throw new Error('GET https://hub/x?secret=abcdefgh failed');
        },
      },
    });
    const error = await failureOf(rig.cas.getReconstruction(file));
    expect(error.code).toBe('AUTH_REQUIRED');
    expect(error.message).not.toContain('abcdefgh');
    const cas = createCasClient({
      endpoint: rig.server.url,
      token: { get: async () => 'line\r\nx-injected: 1' },
    });
    const rubbish = await failureOf(cas.getReconstruction(file));
    expect(rubbish.code).toBe('AUTH_REQUIRED');
    expect(rubbish.message).not.toContain('injected');
    await cas.close();
    expect(rig.server.seen).toHaveLength(0);
  });
});

describe('dedup queries', () => {
  const chunk = someHash(4);

  it('brings the bytes of the answer, or null for an unknown chunk', async () => {
    const shard = pattern(100_000, 2);
    rig = await startRig((_request, response, index) => {
      if (index === 0) response.end(shard);
      else response.writeHead(404).end();
    });
    expect(Buffer.from((await rig.cas.queryDedup(chunk)) ?? []).equals(shard)).toBe(true);
    expect(await rig.cas.queryDedup(chunk)).toBeNull();
    expect(rig.server.seen[0]?.path).toBe(`/v1/chunks/default-merkledb/${chunk}`);
  });

  it('go under the prefix that brings something, once that is known', async () => {
    let served = 'default';
    rig = await startRig(({ path }, response) => {
      if (path.startsWith(`/v1/chunks/${served}/`)) response.end('shard');
      else response.writeHead(404).end();
    });
    const prefixes = (): unknown[] => rig.server.seen.map(({ path }) => path.split('/')[3]);
    for (let i = 0; i < 3; i++) expect(await rig.cas.queryDedup(chunk)).not.toBeNull();
    expect(prefixes()).toEqual(['default-merkledb', 'default', 'default', 'default']);
    // It stays, and a store that has nothing is not asked twice about everything.
    served = 'none';
    expect(await rig.cas.queryDedup(chunk)).toBeNull();
    expect(prefixes()).toHaveLength(5);
    const other = createCasClient({ endpoint: rig.server.url, token: '' });
    for (let i = 0; i < 20; i++) expect(await other.queryDedup(chunk)).toBeNull();
    expect(prefixes()).toHaveLength(5 + 20 + 8);
    await other.close();
  });

  it('are not held back by a server that refuses the other prefix', async () => {
    rig = await startRig(({ path }, response) => {
      response.writeHead(path.startsWith('/v1/chunks/default-merkledb/') ? 404 : 400).end();
    });
    for (let i = 0; i < 20; i++) expect(await rig.cas.queryDedup(chunk)).toBeNull();
    expect(rig.server.seen).toHaveLength(20 + 1);
  });

  it.each([
    ['500', (_: unknown, response) => response.writeHead(500).end()],
    ['429', (_: unknown, response) => response.writeHead(429, { 'retry-after': '900' }).end()],
    ['403', (_: unknown, response) => response.writeHead(403).end()],
    [
      'a redirect in circles',
      (_: unknown, response) => response.writeHead(302, { location: '/' }).end(),
    ],
    ['a cut connection', (request) => request.socket.destroy()],
    [
      'an answer that is announced as too large',
      (_: unknown, response) => response.writeHead(200, { 'content-length': 40 << 20 }).write('x'),
    ],
  ] satisfies [string, Handler][])('is a miss for %s, without a retry', async (_name, handler) => {
    rig = await startRig(handler);
    expect(await rig.cas.queryDedup(chunk)).toBeNull();
    expect(rig.retries).toEqual([]);
  });

  it('is a miss for an answer that turns out too large', async () => {
    rig = await startRig((request, response) => {
      const piece = Buffer.alloc(1 << 20);
      const more = (): void => {
        while (!request.socket.destroyed && response.write(piece));
        if (!request.socket.destroyed) response.once('drain', more);
      };
      more();
    });
    expect(await rig.cas.queryDedup(chunk)).toBeNull();
    await until(() => rig.server.seen[0]?.socket.destroyed === true);
  });

  it('is a miss when the server is silent for 5 s', async () => {
    rig = await startRig(() => {});
    const result = rig.cas.queryDedup(chunk);
    await until(() => rig.server.seen.length === 1);
    rig.clock.advance(5000);
    expect(await result).toBeNull();
  });

  it('stops asking for a while after three failures, longer each time, and starts again', async () => {
    let broken = true;
    rig = await startRig((_request, response) => {
      response.writeHead(broken ? 500 : 404).end();
    });
    const askTimes = async (count: number): Promise<number> => {
      const before = rig.server.seen.length;
      for (let i = 0; i < count; i++) expect(await rig.cas.queryDedup(chunk)).toBeNull();
      return rig.server.seen.length - before;
    };
    expect(await askTimes(10)).toBe(3);
    rig.clock.advance(30_000);
    expect(await askTimes(10)).toBe(1);
    rig.clock.advance(30_000);
    expect(await askTimes(10)).toBe(0);
    rig.clock.advance(30_000);
    broken = false;
    // Each a miss, of which the first few look at the other prefix, too.
    expect(await askTimes(10)).toBe(10 + 8);
  });

  it('throws ABORTED when the caller gives up, and is a miss when the client is closed', async () => {
    rig = await startRig(() => {});
    const controller = new AbortController();
    const aborted = failureOf(rig.cas.queryDedup(chunk, controller.signal));
    const closed = rig.cas.queryDedup(chunk);
    await until(() => rig.server.seen.length === 2);
    controller.abort();
    expect((await aborted).code).toBe('ABORTED');
    await rig.cas.close();
    expect(await closed).toBeNull();
    expect(await rig.cas.queryDedup(chunk)).toBeNull();
  });

  it('refreshes a token that ran out instead of missing for ever', async () => {
    let token = 'old-token';
    rig = await startRig(
      (request, response) => {
        response.writeHead(request.headers['authorization'] === 'Bearer fresh-token' ? 200 : 401);
        response.end('shard');
      },
      {
        token: {
          get: async () => token,
          refresh: async () => {
            token = 'fresh-token';
            return token;
          },
        },
      },
    );
    expect(await rig.cas.queryDedup(chunk)).toHaveLength(5);
  });
});

describe('the limiter over real calls', () => {
  it('holds back all calls of a client after one 429', async () => {
    let limited = true;
    rig = await startRig((request, response, index) => {
      if (limited) response.writeHead(429, { 'retry-after': '5' }).end();
      else void serving(2)(request, response, index);
    });
    const first = rig.cas.getReconstruction(file);
    await until(() => rig.retries.length === 1);
    limited = false;
    const others = [rig.cas.getReconstruction(file), rig.cas.getReconstruction(file)];
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(rig.server.seen).toHaveLength(1);
    for (let i = 0; i < 40; i++) {
      rig.clock.advance(500);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all([first, ...others]);
    expect(rig.server.seen).toHaveLength(4);
  });
});

describe('asking for chunk hashes', () => {
  const hash = someHash(4).toString();
  const node = (size: number) => ({
    nodes: [{ hash, size }],
    levels: [[1, 0]],
    at_start: false,
    at_end: false,
  });
  const sample = {
    totalChunks: 3,
    fileSize: 300,
    windows: [{ dirtyByteRange: [100, 180] }],
    hashRanges: [node(100), node(120)],
    gapVerification: [hash],
    later: 'unknown',
  };

  it('sends the ranges with inclusive ends', async () => {
    rig = await startRig((_request, response) => sendJson(response, 200, sample));
    const found = await rig.cas.getChunkHashes(file, [
      { start: 150, end: 160 },
      { start: 3, end: 4 },
    ]);
    expect(rig.server.seen[0]?.headers['x-range-dirty']).toBe('bytes=150-159,3-3');
    expect(rig.server.seen[0]?.path).toBe(`/v2/file-chunk-hashes/${file}`);
    expect(found?.windows).toEqual([{ start: 100, end: 180 }]);
    expect(found?.gaps.map((gap) => [gap?.atStart, gap?.atEnd])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(found?.gapVerification).toEqual([MerkleHash.parse(hash)]);
  });

  it('does not ask again for a while where only the file is there', async () => {
    rig = await startRig((request, response) => {
      response.writeHead(request.method === 'HEAD' ? 200 : 404).end();
    });
    const dirty = [{ start: 0, end: 1 }];
    expect(await rig.cas.getChunkHashes(file, dirty)).toBeNull();
    expect(await rig.cas.getChunkHashes(file, dirty)).toBeNull();
    expect(rig.server.seen.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
    rig.clock.advance(11 * 60_000);
    expect(await rig.cas.getChunkHashes(file, dirty)).toBeNull();
    expect(rig.server.seen).toHaveLength(4);
  });

  it('asks again when it was the file that was missing', async () => {
    rig = await startRig((request, response) => {
      if (request.path.includes(someHash(9).toString())) return response.writeHead(404).end();
      return sendJson(response, 200, sample);
    });
    const dirty = [{ start: 0, end: 1 }];
    expect(await rig.cas.getChunkHashes(someHash(9), dirty)).toBeNull();
    expect((await rig.cas.getChunkHashes(file, dirty))?.fileSizeBytes).toBe(300);
  });

  it.each([
    ['windows that do not ascend', { windows: [{ dirtyByteRange: [180, 100] }] }],
    ['a window behind the end', { windows: [{ dirtyByteRange: [100, 301] }] }],
    ['too few gaps', { hashRanges: [node(100)] }],
    ['a gap of other bytes', { hashRanges: [node(99), node(120)] }],
    ['a missing gap', { hashRanges: [null, node(120)] }],
    ['a gap that is no subtree', { hashRanges: [{ nodes: 1 }, node(120)] }],
    ['a hash that is none', { gapVerification: ['12'] }],
    ['more chunks than bytes', { totalChunks: 301 }],
  ])('refuses %s with PROTOCOL', async (_name, change) => {
    rig = await startRig((_request, response) => sendJson(response, 200, { ...sample, ...change }));
    const asking = rig.cas.getChunkHashes(file, [{ start: 0, end: 1 }]);
    expect((await failureOf(asking)).code).toBe('PROTOCOL');
  });

  it('is REJECTED with ranges behind the end, and throws for none', async () => {
    rig = await startRig((_request, response) => response.writeHead(400).end('none'));
    const asking = rig.cas.getChunkHashes(file, [{ start: 400, end: 401 }]);
    expect((await failureOf(asking)).code).toBe('REJECTED');
    await expect(rig.cas.getChunkHashes(file, [])).rejects.toThrow(RangeError);
  });
});
