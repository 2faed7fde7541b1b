import { expect, it } from 'vitest';
import { collectGarbage, type ObjectStore, openRepositories } from '../../../src/gateway/index.js';
import { loadKernels } from '../../../src/index.js';
import { generate } from '../../support/generators.js';
import { createHubRig, deleted, header, inline, pruneNow } from './rig.js';

async function xorbBytes(store: ObjectStore): Promise<number> {
  let bytes = 0;
  for await (const { sizeBytes } of store.list('xorbs/')) bytes += sizeBytes;
  return bytes;
}

it('a squash, then pruning and collecting, frees what only history had, and no more', async () => {
  const rig = await createHubRig();
  const { hasher } = await loadKernels();
  const { store } = rig;
  const files = [41, 42].map((seed) => generate({ kind: 'splitmix64', seed, bytes: 100_000 }));
  const [old, kept] = files as [Uint8Array, Uint8Array];
  await rig.json('POST', '/api/repos/create', { name: 'squashed', organization: 'org' });
  await rig.commit('org/squashed', [header('one'), inline('old', old)]);
  await rig.commit('org/squashed', [header('two'), deleted('old'), inline('kept', kept)]);
  const all = await xorbBytes(store);
  expect(all).toBeGreaterThan(200_000);
  const free = async (): Promise<number> => {
    await pruneNow(store, { hasher });
    return (await collectGarbage(store, { hasher, graceMs: 0 })).deletedBytes;
  };
  // Branches, tags and what was proposed still reach it.
  await free();
  expect(await xorbBytes(store)).toBe(all);
  const api = '/api/models/org/squashed';
  await rig.json('POST', `${api}/discussions`, { title: 'keeps it', pullRequest: true });
  await openRepositories(store).squash('model/org/squashed');
  await free();
  expect(await xorbBytes(store)).toBe(all);
  const { refs } = JSON.parse(
    new TextDecoder().decode((await store.values?.read('hub-repos/model--org--squashed'))?.bytes),
  );
  expect(Object.keys(refs)).toEqual(['refs/heads/main', 'refs/pr/1']);
  await openRepositories(store).squash('model/org/squashed', { branch: 'refs/pr/1' });
  expect(await free()).toBeGreaterThan(100_000);
  const left = await xorbBytes(store);
  expect([left > 100_000, left < 120_000]).toEqual([true, true]);
  const got = await rig.send('GET', '/org/squashed/resolve/main/kept');
  expect(Buffer.compare(Buffer.from(await got.arrayBuffer()), kept)).toBe(0);
  await rig.close();
});
