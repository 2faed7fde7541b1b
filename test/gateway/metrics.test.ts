import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import {
  createMemoryStore,
  createPrometheusMetrics,
  type GatewayMetrics,
  type RequestMetrics,
  type StoreMetrics,
  startGateway,
} from '../../src/gateway.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  buildXorb,
  createFakeClock,
  createRig,
  fileOf,
  listed,
  publish,
  randomChunks,
  uploadShard,
} from './support/rig.js';

/** What a gateway tells whoever counts, and what a collector of Prometheus reads of it. */

const xorb = buildXorb(randomChunks(7, [40_000, 50_000]));
const file = fileOf([[xorb, 0, 2]]);

function recorder(): GatewayMetrics & { requests: RequestMetrics[]; stored: StoreMetrics[] } {
  const requests: RequestMetrics[] = [];
  const stored: StoreMetrics[] = [];
  return {
    requests,
    stored,
    requestBegan: () => undefined,
    requestEnded: (request) => requests.push(request),
    storeOperation: (operation) => stored.push(operation),
    dedupAsked: () => undefined,
  };
}

/** Values of the text format by name and labels. */
function valuesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))] as const;
    }),
  );
}

describe('metrics of a gateway', () => {
  it('name routes by their pattern, and count the bytes of both directions', async () => {
    const metrics = recorder();
    const rig = createRig({ options: { metrics } });
    const sent = async (method: string, path: string, body?: Uint8Array) =>
      (await rig.send(method, path, body && { body })).text();
    await sent('POST', `/v1/xorbs/default/${xorb.hash}`, xorb.bytes);
    await sent('POST', '/v1/shards', uploadShard({ files: [file], xorbs: [listed(xorb)] }));
    const text = await sent('GET', `/v2/reconstructions/${file.hash}`);
    const routes = metrics.requests.map(({ method, route, status }) => [method, route, status]);
    expect(routes).toEqual([
      ['POST', '/v1/xorbs/:prefix/:xorb', 200],
      ['POST', '/v1/shards', 200],
      ['GET', '/v2/reconstructions/:file', 200],
    ]);
    expect(metrics.requests[0]?.receivedBytes).toBe(xorb.bytes.length);
    expect(metrics.requests[2]).toMatchObject({ receivedBytes: 0, sentBytes: text.length });
  });

  it('have a bounded number of labels, whatever is asked', async () => {
    const metrics = recorder();
    const rig = createRig({ options: { metrics } });
    for (let i = 0; i < 50; i++) {
      await (await rig.send(i % 2 === 0 ? 'GET' : `M${i}`, `/v1/${i}`)).text();
      await (await rig.send('PUT', `/v2/reconstructions/${i}`)).text();
    }
    const labels = new Set(metrics.requests.map(({ method, route }) => `${method} ${route}`));
    expect([...labels].sort()).toEqual(['GET other', 'OTHER other', 'PUT other']);
  });

  it('tell what was stored, and the code of what the store did not do', async () => {
    const metrics = recorder();
    const clock = createFakeClock();
    const inner = createMemoryStore({ clock });
    let broken = false;
    const store = {
      ...inner,
      head: (key: string) => {
        clock.advance(7);
        if (broken) throw new OrbweaverError('STORAGE_FAILED', 'the disk is on fire');
        return inner.head(key);
      },
    };
    const rig = createRig({ store, clock, options: { metrics } });
    await publish(rig, [xorb], [file]);
    await publish(rig, [xorb], [file]);
    const kinds = metrics.stored.flatMap(({ stored }) => (stored === undefined ? [] : [stored]));
    expect(kinds.filter((kind) => kind === 'xorb')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'shard')).toHaveLength(1);
    broken = true;
    const other = MerkleHash.from(new Uint8Array(32).fill(3), 0);
    const response = await rig.send('HEAD', `/v1/xorbs/default/${other}`);
    expect(response.status).toBe(500);
    expect(metrics.stored.at(-1)).toEqual({
      operation: 'head',
      durationMs: 7,
      failed: 'STORAGE_FAILED',
    });
  });

  it('are read at /metrics by admins, and there is no such path without them', async () => {
    const principals = {
      'Bearer chief': { id: 'chief', scope: 'admin' },
      'Bearer writer': { id: 'writer', scope: 'write' },
    } as const;
    const metrics = await createPrometheusMetrics({ process: false });
    const rig = createRig({ principals, options: { metrics } });
    const status = async (token: string | null) =>
      (await rig.send('GET', '/metrics', { token })).status;
    expect(await status('chief')).toBe(200);
    expect(await status('writer')).toBe(403);
    expect(await status(null)).toBe(401);
    expect((await createRig({ principals }).send('GET', '/metrics')).status).toBe(404);
  });
});

describe('Prometheus', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-metrics-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('gets the numbers of the documents on an address of its own', async () => {
    const gateway = await startGateway({
      data: join(folder, 'store'),
      port: 0,
      workers: 0,
      metricsListen: { port: 0 },
    });
    try {
      const url = gateway.metricsUrl as string;
      const headers = { authorization: `Bearer ${gateway.writeToken}` };
      const chunk = MerkleHash.from(xorb.chunkHashes, 0);
      await fetch(`${gateway.url}/v1/chunks/default/${chunk}`, { headers });
      const response = await fetch(url);
      expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
      const text = await response.text();
      const values = valuesOf(text);
      const question = 'method="GET",route="/v1/chunks/:prefix/:chunk"';
      expect(values.get(`orbweaver_requests_total{${question},status="404"}`)).toBe(1);
      expect(values.get('orbweaver_dedup_questions_total')).toBe(1);
      expect(values.get('orbweaver_dedup_hits_total')).toBe(0);
      expect(values.get('orbweaver_memory_limit_bytes')).toBeGreaterThan(1 << 20);
      expect(values.get('orbweaver_open_connections')).toBeGreaterThan(0);
      const names = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name as string);
      const documents = new URL('../../docs/operating.md', import.meta.url);
      const documented = [
        ...(await readFile(documents, 'utf8')).matchAll(/^\| `(orbweaver_[a-z_]+)/gm),
      ].map(([, name]) => name as string);
      expect(documented.sort()).toEqual(names.filter((name) => /^orbweaver/.test(name)).sort());
      expect(names).toContain('nodejs_eventloop_lag_p99_seconds');
      expect(names).toContain('process_open_fds');
      expect((await fetch(url.replace('/metrics', '/'))).status).toBe(404);
      expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    } finally {
      await gateway.close();
    }
    await expect(fetch(gateway.metricsUrl as string)).rejects.toThrow();
  });

  it('counts no request twice when a response is left', async () => {
    const metrics = await createPrometheusMetrics({ process: false });
    const rig = createRig({ options: { metrics } });
    await publish(rig, [xorb], [file]);
    const inFlight = async () =>
      valuesOf((await metrics.read()).text).get('orbweaver_requests_in_flight');
    const before = (await inFlight()) ?? 0;
    const response = await rig.send('GET', `/v2/reconstructions/${file.hash}`);
    expect(await inFlight()).toBe(before + 1);
    await response.body?.cancel();
    const values = valuesOf((await metrics.read()).text);
    const labels = 'method="GET",route="/v2/reconstructions/:file",status="200"';
    expect(values.get(`orbweaver_requests_total{${labels}}`)).toBe(1);
    expect(values.get('orbweaver_requests_in_flight')).toBe(before);
  });
});
