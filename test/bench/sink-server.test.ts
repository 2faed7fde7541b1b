import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createHubServer } from '../../src/bench/hub-server.js';
import { createSinkServer, type SinkOptions, type SinkServer } from '../../src/bench/index.js';
import { createWireMeter } from '../../src/bench/wire-meter.js';

const HASH = 'ab'.repeat(32);
const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function open(options?: SinkOptions): Promise<SinkServer> {
  const sink = await createSinkServer(options);
  closers.push(sink.close);
  return sink;
}

const portOf = ({ url }: SinkServer): number => Number(new URL(url).port);
const post = (url: string, body: Uint8Array<ArrayBuffer> | string): Promise<Response> =>
  fetch(url, { method: 'POST', body });

describe('the sink', () => {
  it('takes xorbs and shards of both versions, and counts them', async () => {
    const sink = await open();
    const xorb = await post(`${sink.url}/v1/xorbs/default/${HASH}`, new Uint8Array(3_000_000));
    expect(xorb.status).toBe(200);
    expect(await xorb.json()).toEqual({ was_inserted: true });
    const shard = await post(`${sink.url}/v1/shards`, new Uint8Array(10));
    expect(await shard.json()).toEqual({ result: 1 });
    const streamed = await post(`${sink.url}/v2/shards`, new Uint8Array(20));
    expect(streamed.headers.get('content-type')).toBe('application/x-ndjson');
    expect(JSON.parse(await streamed.text())).toEqual({ type: 'result', result: 1 });
    expect(sink.counts()).toEqual({
      xorbCount: 1,
      xorbBytes: 3_000_000,
      shardCount: 2,
      shardBytes: 30,
    });
    sink.reset();
    expect(sink.counts()).toEqual({ xorbCount: 0, xorbBytes: 0, shardCount: 0, shardBytes: 0 });
  });

  it('answers 404 to grants, dedup queries, reconstructions and names that are no hash', async () => {
    const { url } = await open();
    const answers = await Promise.all([
      post(`${url}/v1/xorb-grants/default/${HASH}`, '{}'),
      fetch(`${url}/v1/chunks/default/${HASH}`),
      fetch(`${url}/v2/reconstructions/${HASH}`),
      fetch(`${url}/v1/xorbs/default/${HASH}`),
      post(`${url}/v1/xorbs/default/nothing`, 'x'),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual([404, 404, 404, 404, 404]);
  });

  it('accepts telemetry and drops it', async () => {
    const { url } = await open();
    expect((await post(`${url}/v1/telemetry`, '{}')).status).toBe(200);
  });

  it('keeps bodies when it is told where', async () => {
    const keepDir = await mkdtemp(join(tmpdir(), 'orbweaver-sink-'));
    closers.push(() => rm(keepDir, { recursive: true }));
    const sink = await open({ keepDir });
    const body = Uint8Array.from({ length: 100_000 }, (_, i) => i);
    await post(`${sink.url}/v1/xorbs/default/${HASH}`, body);
    await post(`${sink.url}/v1/shards`, 'first');
    sink.reset();
    await post(`${sink.url}/v2/shards`, 'second');
    expect((await readdir(keepDir)).sort()).toEqual(['shard-0', 'shard-1', `xorb-${HASH}`]);
    expect(await readFile(join(keepDir, `xorb-${HASH}`))).toEqual(Buffer.from(body));
    expect(await readFile(join(keepDir, 'shard-1'), 'utf8')).toBe('second');
  });
});

describe('the wire meter', () => {
  it('counts requests and bytes of the servers it was told of, headers included', async () => {
    const [one, two, other] = [await open(), await open(), await open()];
    const meter = createWireMeter([portOf(one), portOf(two)]);
    closers.push(meter.stop);
    await post(`${other.url}/v1/shards`, new Uint8Array(3000));
    await post(`${one.url}/v1/shards`, new Uint8Array(1000));
    await post(`${two.url}/v1/shards`, new Uint8Array(2000));
    const counts = meter.counts();
    expect(counts.requests).toBe(2);
    expect(counts.wireUpBytes).toBeGreaterThan(3000);
    expect(counts.wireUpBytes).toBeLessThan(5000);
    expect(counts.wireDownBytes).toBeGreaterThan(20);
  });

  it('starts again at a reset, also for connections that stay open, and keeps closed ones', async () => {
    const sink = await open();
    const meter = createWireMeter([portOf(sink)]);
    closers.push(meter.stop);
    await post(`${sink.url}/v1/shards`, new Uint8Array(100_000));
    meter.reset();
    expect(meter.counts()).toMatchObject({ requests: 0, wireUpBytes: 0, wireDownBytes: 0 });
    const answer = await fetch(`${sink.url}/v1/shards`, {
      method: 'POST',
      body: new Uint8Array(500),
      headers: { connection: 'close' },
    });
    await answer.text();
    await expect.poll(() => meter.counts().wireUpBytes).toBeGreaterThan(500);
    expect(meter.counts().requests).toBe(1);
    expect(meter.counts().wireUpBytes).toBeLessThan(5000);
  });
});

describe('the Hub in front of a store', () => {
  const start = async (): Promise<string> => {
    const hub = await createHubServer({ casUrl: 'http://127.0.0.1:1', token: 'secret' });
    closers.push(hub.close);
    return hub.url;
  };

  it('hands out tokens for reading and writing', async () => {
    const url = await start();
    for (const kind of ['read', 'write']) {
      const answer = await fetch(`${url}/api/models/a/b/xet-${kind}-token/main`);
      const token = (await answer.json()) as { exp: number };
      expect(token).toMatchObject({ accessToken: 'secret', casUrl: 'http://127.0.0.1:1' });
      expect(token.exp).toBeGreaterThan(Date.now() / 1000 + 3600);
    }
  });

  it('calls every file large, sends every object to Xet, and takes the commit', async () => {
    const url = await start();
    const files = { files: [{ path: 'a', size: 1, sample: '' }] };
    const preupload = await post(`${url}/api/models/a/b/preupload/main`, JSON.stringify(files));
    expect(await preupload.json()).toEqual({ files: [{ path: 'a', uploadMode: 'lfs' }] });
    const batch = await post(
      `${url}/a/b.git/info/lfs/objects/batch`,
      JSON.stringify({ objects: [{ oid: HASH, size: 1 }] }),
    );
    expect(await batch.json()).toMatchObject({
      transfer: 'xet',
      objects: [
        {
          oid: HASH,
          actions: {
            upload: {
              header: { 'X-Xet-Cas-Url': 'http://127.0.0.1:1', 'X-Xet-Access-Token': 'secret' },
            },
          },
        },
      ],
    });
    const commit = await post(`${url}/api/models/a/b/commit/main`, '{}');
    expect(await commit.json()).toMatchObject({ success: true });
  });

  it('answers 400 to bodies that it cannot read, 404 to everything else', async () => {
    const url = await start();
    expect((await post(`${url}/api/models/a/b/preupload/main`, '{')).status).toBe(400);
    expect((await fetch(`${url}/api/whoami`)).status).toBe(404);
  });
});
