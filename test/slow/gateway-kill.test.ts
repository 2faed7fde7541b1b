import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDiskStore } from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killDrill } from '../support/kill-drill.js';

/** ORBWEAVER_KILLS=20 is the whole drill, which takes some minutes. */
const KILLS = Number(process.env['ORBWEAVER_KILLS'] ?? 3);

describe('a gateway that is killed while it takes uploads', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-gateway-kill-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it(`loses nothing that it acknowledged, and leaves nothing that gc does not find, ${KILLS} times`, async () => {
    const data = join(folder, 'store');
    const store = await createDiskStore(data);
    const serve = ['--data', data];
    const result = await killDrill({ serve, env: {}, store, kills: KILLS, seed: 7 });
    const { acknowledged, committed, ...faults } = result;
    expect(faults).toEqual({ lost: [], broken: [], left: [], missing: [] });
    expect(acknowledged).toBeGreaterThan(0);
    expect(committed).toBeGreaterThan(0);
    // Of the processes that died nothing is left half written.
    expect(await readdir(join(data, 'tmp'))).toEqual([]);
    await store.close?.();
  });
});
