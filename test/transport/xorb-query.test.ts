import { afterEach, describe, expect, it } from 'vitest';
import { failureOf, pattern, type Rig, someHash, startRig, until } from './support.js';

let rig: Rig;
afterEach(() => rig.close());

const xorb = someHash(4);

const has = (signal?: AbortSignal): Promise<boolean> => {
  const { hasXorb } = rig.cas;
  if (hasXorb === undefined) throw new Error('expected a client that can ask');
  return hasXorb(xorb, signal);
};

describe('asking whether a xorb is stored', () => {
  it('is true for a 200 to one HEAD with the token', async () => {
    rig = await startRig((_request, response) => response.writeHead(200).end() as never);
    expect(await has()).toBe(true);
    expect(rig.server.seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `HEAD /v1/xorbs/default/${xorb}`,
    ]);
    expect(rig.server.seen[0]?.headers['authorization']).toBe('Bearer token-1');
  });

  it.each([204, 400, 403, 404, 405, 429, 500, 503])(
    'is false for a %i, asked once',
    async (status) => {
      rig = await startRig((_request, response) => response.writeHead(status).end() as never);
      expect(await has()).toBe(false);
      expect(rig.server.seen).toHaveLength(1);
      expect(rig.retries).toEqual([]);
    },
  );

  it('is false for a refused token and a broken connection', async () => {
    rig = await startRig((request, response, index) => {
      if (index === 0) response.writeHead(401).end();
      else request.socket.destroy();
    });
    expect(await has()).toBe(false);
    expect(await has()).toBe(false);
  });

  it('is false after 15 s without a response', async () => {
    rig = await startRig(() => {});
    const asked = has();
    await until(() => rig.server.seen.length === 1);
    rig.clock.advance(15_000);
    expect(await asked).toBe(false);
    expect(rig.clock.waiting).toBe(0);
  });

  it('throws ABORTED when the caller gives up and CLOSED when the client is closed', async () => {
    rig = await startRig(() => {});
    const controller = new AbortController();
    const aborted = failureOf(has(controller.signal));
    const closed = failureOf(has());
    await until(() => rig.server.seen.length === 2);
    controller.abort();
    expect((await aborted).code).toBe('ABORTED');
    await rig.cas.close();
    expect((await closed).code).toBe('CLOSED');
    expect((await failureOf(has())).code).toBe('CLOSED');
  });
});

describe('admitting the response to a dedup query', () => {
  const shard = pattern(300_000);

  it('asks as the bytes come, with what there will be in all, and gives them all', async () => {
    rig = await startRig((_request, response) => response.end(shard) as never);
    const asked: number[] = [];
    const got = await rig.cas.queryDedup(xorb, undefined, (totalBytes) => {
      asked.push(totalBytes);
      return true;
    });
    expect(Buffer.from(got ?? []).equals(shard)).toBe(true);
    expect(asked.length).toBeGreaterThan(1);
    expect(asked).toEqual([...asked].sort((a, b) => a - b));
    expect(asked[0]).toBeLessThan(100_000);
    expect(asked.at(-1)).toBeGreaterThanOrEqual(shard.length);
  });

  it('gives up a response that has no memory: a miss that holds back no other query', async () => {
    let cutCount = 0;
    rig = await startRig((request, response) => {
      request.socket.once('close', () => cutCount++);
      // It never ends: only giving it up does.
      response.writeHead(200).write(shard);
    });
    const asked: number[] = [];
    const admit = (totalBytes: number): boolean => {
      asked.push(totalBytes);
      return totalBytes < 200_000;
    };
    for (let i = 1; i <= 5; i++) {
      expect(await rig.cas.queryDedup(xorb, undefined, admit)).toBeNull();
      await until(() => cutCount === i);
    }
    expect(rig.server.seen).toHaveLength(5);
    expect(asked.filter((totalBytes) => totalBytes >= 200_000)).toHaveLength(5);
  });

  it('reads nothing when not even the first bytes are admitted', async () => {
    rig = await startRig((_request, response) => response.end(shard) as never);
    expect(await rig.cas.queryDedup(xorb, undefined, () => false)).toBeNull();
  });
});
