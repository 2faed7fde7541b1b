import { expect } from 'vitest';
import type { BlockCodec } from '../../../src/compress/ports.js';
import { type ObjectStore, scrubStore } from '../../../src/gateway/index.js';
import type { Hasher } from '../../../src/hash/ports.js';
import type { ShardFile } from '../../../src/shard/index.js';
import type { BuiltXorb } from '../../../src/xorb/index.js';
import { Scheduler } from '../../flow/scheduler.js';
import { buildXorb, createRig, fileOf, keysOf, publish, randomChunks } from './rig.js';

const CHUNKS = [900, 300, 700, 500];
const HIT_OBJECTS = 20;

/** Damages 20 objects: a scrub names exactly the files that are hit, and uploading them again heals. */
export async function damageDrill(
  store: ObjectStore,
  { hasher, codec }: { readonly hasher: Hasher; readonly codec: BlockCodec },
): Promise<void> {
  const world = new Scheduler(20);
  const rig = createRig({ store, hasher });
  const xorbs = Array.from({ length: 24 }, (_, i) => buildXorb(randomChunks(i + 1, CHUNKS)));
  // Each file uses some chunks of three xorbs, so that damage hits none, one or several.
  const files = xorbs.map((xorb): { used: BuiltXorb[]; file: ShardFile } => {
    const pick = (): BuiltXorb => xorbs[world.int(xorbs.length)] as BuiltXorb;
    const used = [xorb, pick(), pick()];
    const pieces = used.map((each) => {
      const start = world.int(CHUNKS.length);
      return [each, start, start + 1 + world.int(CHUNKS.length - start)] as const;
    });
    return { used, file: fileOf(pieces) };
  });
  const uploadAll = async (): Promise<void> => {
    for (const { used, file } of files) await publish(rig, used, [file]);
  };
  await uploadAll();

  const expected = new Map<string, string[]>();
  const objects = [...(await keysOf(store, 'xorbs/')), ...(await keysOf(store, 'shards/'))];
  while (expected.size < HIT_OBJECTS) {
    const key = objects[world.int(objects.length)] as string;
    if (expected.has(key)) continue;
    const bytes = (await store.read(key)) as Uint8Array;
    const xorb = xorbs.find(({ hash }) => key === `xorbs/${hash}`);
    const at = world.int(xorb?.bytes.length ?? bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << world.int(8));
    await store.put(key, bytes, { replace: true });
    const chunk = xorb?.recordEnds.findIndex((end) => at < end) ?? -1;
    const hit = files.filter(({ file }) =>
      file.terms.some(
        (term) =>
          xorb?.hash.equals(term.xorb) === true &&
          term.chunkStart <= chunk &&
          chunk < term.chunkEnd,
      ),
    );
    expected.set(key, hit.map(({ file }) => file.hash.toString()).sort());
  }

  const { damaged } = await scrubStore(store, { hasher, codec });
  expect(new Map(damaged.map(({ key, files: hit }) => [key, hit]))).toEqual(expected);
  // Gateways look at what a scrub found every five seconds.
  rig.clock.advance(6_000);
  await uploadAll();
  expect((await scrubStore(store, { hasher, codec })).damaged).toEqual([]);
}
