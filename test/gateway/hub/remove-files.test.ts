import { afterAll, describe, expect, it } from 'vitest';
import { hubRoots, listStoredFiles, removeStoredFiles } from '../../../src/gateway/index.js';
import { loadKernels } from '../../../src/index.js';
import { createHubRig, header, inline } from './rig.js';

const { hasher } = await loadKernels();
const rig = await createHubRig();
afterAll(() => rig.close());

describe('files that repositories need', () => {
  it('are removed by force only', async () => {
    await rig.json('POST', '/api/repos/create', {
      type: 'model',
      name: 'keep',
      organization: 'me',
    });
    const response = await rig.commit('me/keep', [header('one'), inline('a.txt', 'kept text')]);
    expect(response.status).toBe(200);
    const needed = [];
    for await (const file of hubRoots(rig.store)) needed.push(file);
    expect(needed.length).toBeGreaterThan(0);
    await expect(removeStoredFiles(rig.store, needed, { hasher })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(`${needed[0]}`),
    });
    const count = async (): Promise<number> => {
      let files = 0;
      for await (const _ of listStoredFiles(rig.store, { hasher })) files++;
      return files;
    };
    expect(await count()).toBe(needed.length);
    await removeStoredFiles(rig.store, needed, { hasher, force: true });
    expect(await count()).toBe(0);
  });
});
