import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createUploadSession } from '../../src/client/index.js';
import { type RunningGateway, startGateway } from '../../src/gateway.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createCasClient } from '../../src/transport/index.js';
import { createThreadKernels } from '../../src/workers/index.js';
import { MemorySource, MIB, random, withPool } from '../client/upload/support.js';

let folder: string;
let gateway: RunningGateway;
let onRequest: (line: string) => void = () => {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-resumed-'));
  gateway = await startGateway({
    data: folder,
    port: 0,
    workers: 0,
    onAccess: ({ method, path }) => onRequest(`${method} ${path}`),
  });
});
afterAll(async () => {
  await gateway.close();
  await rm(folder, { recursive: true });
});

/** One run of the upload, one xorb after another; gives the requests about xorbs. */
async function run(bytes: Uint8Array, cutAtPost = Number.POSITIVE_INFINITY) {
  const { hasher } = await createThreadKernels();
  const cas = createCasClient({ endpoint: gateway.url, token: gateway.writeToken });
  const cut = new AbortController();
  const requests: string[] = [];
  onRequest = (line) => {
    if (!line.includes('/xorbs/')) return;
    requests.push(line);
    if (posts(requests).length === cutAtPost) cut.abort();
  };
  try {
    return await withPool({}, async (pool) => {
      const session = createUploadSession({
        cas,
        pool,
        hasher,
        clock: SYSTEM_CLOCK,
        options: {
          xorbMaxBytes: 1_500_000,
          sendConcurrency: 1,
          globalDedup: false,
          signal: cut.signal,
        },
      });
      session.enqueue(new MemorySource(bytes));
      const outcome = await session.finish().catch((error: { code: string }) => error.code);
      return { outcome, requests };
    });
  } finally {
    await cas.close();
  }
}

const posts = (requests: readonly string[]): string[] =>
  requests.filter((line) => line.startsWith('POST'));

it('an upload that was interrupted half-way sends only the xorbs that are missing', async () => {
  const bytes = random(5, 12 * MIB);
  const first = await run(bytes, 5);
  expect(first.outcome).toBe('ABORTED');
  expect(posts(first.requests)).toHaveLength(5);

  const second = await run(bytes);
  expect(second.outcome).toMatchObject({ failed: [] });
  const sent = posts(second.requests);
  // All but the one that was cut off, if it was, are there.
  const whole = posts(first.requests).slice(0, 4);
  for (const line of whole) {
    expect(sent).not.toContain(line);
    expect(second.requests).toContain(line.replace('POST', 'HEAD'));
  }
  const xorbs = new Set([...posts(first.requests), ...sent]);
  expect(xorbs.size).toBeGreaterThan(7);
  expect(sent.length).toBeLessThanOrEqual(xorbs.size - whole.length);

  // Nothing is missing now; the last xorb may be too small to ask about.
  const third = await run(bytes);
  expect(posts(third.requests).length).toBeLessThanOrEqual(1);
});
