import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import {
  failureOf,
  type Handler,
  pattern,
  type Rig,
  sendJson,
  startRig,
  until,
} from './support.js';

let rig: Rig;
afterEach(() => rig.close());

const shard = pattern(20_000, 6);

function stream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-cache' });
}

/** A server that has version 2 and answers each shard with the next of these texts. */
const answering =
  (...texts: readonly (string | 'cut')[]): Handler =>
  async (request, response, index) => {
    const body = await request.body;
    expect(body.equals(shard)).toBe(true);
    expect(request.path).toBe('/v2/shards');
    stream(response);
    const text = texts[Math.min(index, texts.length - 1)] as string;
    if (text.endsWith('CUT')) {
      response.write(text.slice(0, -3), () => setTimeout(() => request.socket.destroy(), 5));
    } else response.end(text);
  };

const validating = '{"type":"validating","verified":3,"total":7}\n';

describe('registering a shard', () => {
  it.each([
    ['one that is new', '{"type":"result","result":1}\n', true],
    ['one that was there', '{"type":"result","result":0}\n', false],
    ['with a result line without a number', '{"type":"result"}\n', true],
    ['with a last line without a newline', `${validating}{"type":"result","result":1}`, true],
    [
      'with empty lines and unknown events',
      `\n\r\n{"type":"later","x":[]}\n{"type":"result"}\n`,
      true,
    ],
  ])('understands the answer to %s', async (_name, text, registered) => {
    rig = await startRig(answering(text));
    expect(await rig.cas.putShard(shard)).toEqual({ registered });
    expect(rig.server.seen[0]?.headers['authorization']).toBe('Bearer token-1');
  });

  it('tells how far the server is', async () => {
    rig = await startRig(
      answering(
        `${validating}{"type":"validating","verified":7,"total":9}\n{"type":"validating","verified":"x"}\n` +
          '{"type":"committing","stage":"uploading"}\n{"type":"committing","stage":"syncing"}\n{"type":"result","result":1}\n',
      ),
    );
    const progress: number[][] = [];
    await rig.cas.putShard(shard, { onProgress: (...counts) => progress.push(counts) });
    expect(progress).toEqual([
      [3, 7],
      [7, 9],
    ]);
  });

  it('waits ten minutes for a server that sends an event every 20 s', async () => {
    rig = await startRig(async (request, response) => {
      await request.body;
      stream(response);
      for (let i = 0; i < 30; i++) {
        response.write(validating);
        await until(() => events > i);
        rig.clock.advance(20_000);
      }
      response.end('{"type":"result","result":1}\n');
    });
    let events = 0;
    await rig.cas.putShard(shard, { onProgress: () => events++ });
    expect(rig.retries).toEqual([]);
  });

  it('gives up a stream without events after 45 s, and posts again', async () => {
    rig = await startRig(async (request, response, index) => {
      await request.body;
      stream(response);
      response.write(validating);
      if (index > 0) response.end('{"type":"result","result":1}\n');
    });
    let events = 0;
    const result = rig.cas.putShard(shard, { onProgress: () => events++ });
    await until(() => events === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    rig.clock.advance(44_999);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(rig.retries).toEqual([]);
    rig.clock.advance(1);
    expect(await result).toEqual({ registered: true });
    expect(rig.retries.map(({ code }) => code)).toEqual(['STALLED']);
  });

  it('posts again after a cut at any event, an end without a result, a retryable error', async () => {
    rig = await startRig(
      answering(
        'CUT',
        `${validating}CUT`,
        `${validating}{"type":"resCUT`,
        validating,
        '',
        '{"type":"error","message":"db is busy","retryable":true}\n',
        '{"type":"result","result":1}\n',
      ),
    );
    expect(await rig.cas.putShard(shard)).toEqual({ registered: true });
    expect(rig.retries.map(({ code }) => code)).toEqual([
      'NETWORK',
      'NETWORK',
      'NETWORK',
      'SERVER_ERROR',
      'SERVER_ERROR',
      'SERVER_ERROR',
    ]);
  });

  it('stops at an error that is not retryable and gives its reason, masked', async () => {
    rig = await startRig(answering('{"type":"error","message":"xorb missing for token-1"}\n'));
    const error = await failureOf(rig.cas.putShard(shard));
    expect(error.code).toBe('REJECTED');
    expect(error.message).toContain('xorb missing for ***');
    expect(rig.server.seen).toHaveLength(1);
  });

  it('ends with SERVER_ERROR when no attempt brings a result', async () => {
    rig = await startRig(answering(validating), { retry: { retries: 1 } });
    expect(await failureOf(rig.cas.putShard(shard))).toMatchObject({
      code: 'SERVER_ERROR',
      fields: { attempts: 2 },
    });
  });

  it.each([
    ['a line that is no JSON', 'hello\n'],
    ['a line without a type', '{"result":1}\n'],
    ['a line that is a number', '5\n'],
    ['a line of more than 1 MiB', `{"type":"${'x'.repeat(1_100_000)}"}\n`],
    ['a line of more than 1 MiB that does not end', 'x'.repeat(1_100_000)],
  ])('refuses %s', async (_name, text) => {
    rig = await startRig(answering(text));
    expect((await failureOf(rig.cas.putShard(shard))).code).toBe('PROTOCOL');
    expect(rig.server.seen).toHaveLength(1);
  });

  it.each([404, 501])('uses version 1 after %i and remembers it', async (status) => {
    rig = await startRig(async (request, response) => {
      await request.body;
      if (request.path === '/v2/shards') response.writeHead(status).end();
      else sendJson(response, 200, { result: 1, shard_hash: 'ignored' });
    });
    expect(await rig.cas.putShard(shard)).toEqual({ registered: true });
    expect(await rig.cas.putShard(shard)).toEqual({ registered: true });
    expect(rig.server.seen.map(({ path }) => path)).toEqual([
      '/v2/shards',
      '/v1/shards',
      '/v1/shards',
    ]);
  });

  it('does not remember version 1 when it fails too', async () => {
    rig = await startRig(async (request, response) => {
      await request.body;
      response.writeHead(404).end();
    });
    expect((await failureOf(rig.cas.putShard(shard))).code).toBe('NOT_FOUND');
    await failureOf(rig.cas.putShard(shard));
    expect(rig.server.seen.map(({ path }) => path.slice(1, 3))).toEqual(['v2', 'v1', 'v2', 'v1']);
  });

  it('takes a 404 as final once version 2 has worked', async () => {
    rig = await startRig(async (request, response, index) => {
      await request.body;
      if (index > 0) return void response.writeHead(404).end();
      stream(response);
      response.end('{"type":"result","result":1}\n');
    });
    await rig.cas.putShard(shard);
    expect((await failureOf(rig.cas.putShard(shard))).code).toBe('NOT_FOUND');
    expect(rig.server.seen).toHaveLength(2);
  });

  it.each([
    ['another number', { result: 2 }],
    ['no result', {}],
    ['an array', []],
  ])('refuses %s as the result of version 1', async (_name, json) => {
    rig = await startRig(async (request, response) => {
      await request.body;
      if (request.path === '/v2/shards') response.writeHead(404).end();
      else sendJson(response, 200, json);
    });
    expect((await failureOf(rig.cas.putShard(shard))).code).toBe('PROTOCOL');
  });
});
