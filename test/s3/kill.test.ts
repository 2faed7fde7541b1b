import { collectGarbage, createS3Store } from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadKernels } from '../../src/compose/chunk.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { keysOf } from '../gateway/support/rig.js';
import { killDrill } from '../support/kill-drill.js';
import { type S3Server, startS3Server } from './support/s3-server.js';

/** ORBWEAVER_KILLS=20 is the whole drill, which takes some minutes. */
const KILLS = Number(process.env['ORBWEAVER_KILLS'] ?? 2);

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
  Object.assign(process.env, server.env);
});
afterAll(() => server.close());

describe('a gateway over a bucket that is killed while it takes uploads', () => {
  it(`loses nothing that it acknowledged, and leaves nothing that gc does not find, ${KILLS} times`, async () => {
    const place = `s3://${server.bucket}/kill`;
    const store = await createS3Store(place, { endpoint: server.endpoint });
    const serve = ['--data', place, '--s3-endpoint', server.endpoint];
    const { env } = server;
    const result = await killDrill({ serve, env, store, kills: KILLS, seed: 11 });
    const { acknowledged, committed, ...faults } = result;
    expect(faults).toEqual({ lost: [], broken: [], left: [], missing: [] });
    expect(acknowledged).toBeGreaterThan(0);
    expect(committed).toBeGreaterThan(0);
    // What was put by grants and never committed goes when it can be committed no more.
    const later = { ...SYSTEM_CLOCK, unixMs: () => SYSTEM_CLOCK.unixMs() + 3 * 60 * 60 * 1000 };
    const { hasher } = await loadKernels();
    await collectGarbage(store, { hasher, graceMs: 0, clock: later });
    expect(await keysOf(store, 'incoming/')).toEqual([]);
    await store.close?.();
  }, 600_000);
});
