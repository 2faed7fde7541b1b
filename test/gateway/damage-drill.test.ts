import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from 'vitest';
import { loadKernels } from '../../src/compose/chunk.js';
import { createDiskStore } from '../../src/gateway/index.js';
import { damageDrill } from './support/damage-drill.js';

const folder = await mkdtemp(join(tmpdir(), 'orbweaver-damage-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a store of which 20 objects are damaged', () => {
  it('is scrubbed to exactly the files that are hit, and healed by uploading them again', async () => {
    const store = await createDiskStore(join(folder, 'store'), { sync: false });
    await damageDrill(store, await loadKernels());
    await store.close?.();
  });
});
