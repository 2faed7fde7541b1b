import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  collectGarbage,
  copyStore,
  createMemoryStore,
  exportToArchive,
  type ObjectStore,
  scrubStore,
  storeStats,
} from '../../src/gateway.js';
import {
  buildXorb,
  codec,
  createRig,
  fileOf,
  hasher,
  publish,
  randomChunks,
} from './support/rig.js';

let folder = '';
let store: ObjectStore;
let fileHash = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-abort-'));
  const rig = createRig();
  const chunks = randomChunks(1, [500, 300]);
  const xorb = buildXorb(chunks);
  const file = fileOf([[xorb, 0, 2]]);
  await publish(rig, [xorb], [file]);
  store = rig.store;
  fileHash = file.hash.toString();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const CALLS: Readonly<Record<string, (signal: AbortSignal) => Promise<unknown>>> = {
  collectGarbage: (signal) => collectGarbage(store, { hasher, graceMs: 0, signal }),
  copyStore: (signal) => copyStore(store, createMemoryStore(), { hasher, codec, signal }),
  scrubStore: (signal) => scrubStore(store, { hasher, codec, signal }),
  storeStats: (signal) => storeStats(store, { hasher, signal }),
  exportToArchive: (signal) =>
    exportToArchive(store, [fileHash], { hasher, codec, signal, path: join(folder, 'a.zip') }),
};

describe('the upkeep of a store', () => {
  it.each(Object.entries(CALLS))(
    'says ABORTED with the reason when it is cancelled: %s',
    async (_, call) => {
      const reason = new Error('enough');
      await expect(call(AbortSignal.abort(reason))).rejects.toMatchObject({
        code: 'ABORTED',
        cause: reason,
      });
      await expect(call(new AbortController().signal)).resolves.toBeDefined();
    },
  );
});
