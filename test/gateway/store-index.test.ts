import { expect, it } from 'vitest';
import { createStoreIndex } from '../../src/gateway/store-index.js';
import { MerkleHash } from '../../src/hash/index.js';
import { buildXorb, createRig, fileOf, hasher, publish, randomChunks } from './support/rig.js';

const xorb = buildXorb(randomChunks(501, [100, 200, 300]));
const one = fileOf([[xorb, 0, 1]]);
const two = fileOf([[xorb, 0, 3]]);

it('lists, gives and removes registered files, and says which shards know a chunk', async () => {
  const rig = createRig();
  const shard = await publish(rig, [xorb], [one, two]);
  const index = createStoreIndex({ store: rig.store, hasher, clock: rig.clock });
  const listed = [];
  for await (const { hash, sizeBytes, createdMs } of index.files()) {
    expect(createdMs).toBe(rig.clock.unix);
    listed.push(`${hash} ${sizeBytes}`);
  }
  expect(listed.sort()).toEqual([`${one.hash} 100`, `${two.hash} 600`].sort());
  expect((await index.file(two.hash))?.terms).toEqual(two.terms);
  const first = MerkleHash.from(xorb.chunkHashes, 0);
  expect((await index.shards(first)).join()).toBe(shard);

  expect(await index.remove([one.hash, MerkleHash.ZERO])).toBe(1);
  expect(await index.file(one.hash)).toBeNull();
  expect((await rig.send('HEAD', `/v1/files/${one.hash}`)).status).toBe(404);
  expect((await rig.send('HEAD', `/v1/files/${two.hash}`)).status).toBe(200);
  await index.forgetShards([MerkleHash.parse(shard)]);
  expect(await index.shards(first)).toEqual([]);
});
