import { afterEach, describe, expect, it, vi } from 'vitest';
import { collectGarbage, createMemoryStore, type ObjectStore } from '../../src/gateway/index.js';
import { createStoreIndex } from '../../src/gateway/store-index.js';
import { LiveSet } from '../../src/gateway/upkeep/live-set.js';
import { MerkleHash } from '../../src/hash/index.js';
import type { BuiltXorb } from '../../src/xorb/index.js';
import { Scheduler } from '../flow/scheduler.js';
import {
  buildXorb,
  createRig,
  fileOf,
  hasher,
  keysOf,
  publish,
  putXorb,
  randomChunks,
} from './support/rig.js';

const HOUR = 60 * 60 * 1000;
const xorbs = Array.from({ length: 4 }, (_, i) => buildXorb(randomChunks(i + 1, [300, 200, 100])));
const [A, B, C, D] = xorbs as [BuiltXorb, BuiltXorb, BuiltXorb, BuiltXorb];
const whole = (xorb: BuiltXorb) => fileOf([[xorb, 0, 3]]);

const stateOf = async (store: ObjectStore): Promise<readonly string[]> => [
  ...(await keysOf(store, 'xorbs/')),
  ...(await keysOf(store, 'shards/')),
];

describe('the collector', () => {
  it('deletes what no file needs, after the grace, and nothing else', async () => {
    const world = new Scheduler(1);
    const { clock } = world;
    const store = createMemoryStore({ clock });
    const rig = createRig({ store, clock: clock as never });
    await publish(rig, [A], [whole(A)]);
    const needed = await stateOf(store);
    await publish(rig, [B], [whole(B)]);
    await putXorb(rig, C);
    await world.advance(2 * HOUR);
    const graceMs = HOUR;
    const collect = (dryRun = false) => collectGarbage(store, { hasher, clock, graceMs, dryRun });

    expect(await collect()).toMatchObject({ deletedObjects: 0, keptObjects: 5, waitingObjects: 1 });
    const index = createStoreIndex({ store, hasher, clock });
    expect(await index.remove([whole(B).hash])).toBe(1);
    expect(await collect()).toMatchObject({ deletedObjects: 0, keptObjects: 5, waitingObjects: 3 });
    await world.advance(HOUR);
    const before = await stateOf(store);
    const dry = await collect(true);
    expect(dry).toMatchObject({ deletedObjects: 3, keptObjects: 2, waitingObjects: 0 });
    expect(await stateOf(store)).toEqual(before);
    expect(await collect()).toEqual(dry);
    expect(await stateOf(store)).toEqual(needed);
    expect(await index.find(whole(A).hash)).not.toBeNull();
    expect(await collect()).toMatchObject({ deletedObjects: 0, keptObjects: 2 });
    // With no grace one run finds and deletes.
    await putXorb(rig, D);
    const { deletedObjects } = await collectGarbage(store, { hasher, clock, graceMs: 0 });
    expect(deletedObjects).toBe(1);
    expect(await stateOf(store)).toEqual(needed);
  });
});

describe('the set of what is in use', () => {
  afterEach(() => void vi.unstubAllGlobals());

  it('keeps to its memory, of which a hash takes 16 to 24 bytes, and says when that is too little', () => {
    const sizes: number[] = [];
    class Counted extends Uint32Array {
      constructor(length: number) {
        super(length);
        sizes.push(this.byteLength);
      }
    }
    vi.stubGlobal('Uint32Array', Counted);
    const maxBytes = 768 * 1024;
    const set = new LiveSet(maxBytes);
    const hashOf = (number: number): MerkleHash => {
      const bytes = new Uint8Array(32);
      // Neighbours that are nothing alike, as hashes are.
      new DataView(bytes.buffer).setUint32(0, Math.imul(number, 0x9e3779b1), true);
      new DataView(bytes.buffer).setUint32(4, Math.imul(number, 0x85ebca6b), true);
      return MerkleHash.from(bytes);
    };
    let count = 0;
    const fill = (): void => {
      for (;;) set.add(hashOf(++count));
    };
    expect(fill).toThrow(
      expect.objectContaining({ code: 'USAGE', fields: { maxMemory: maxBytes } }),
    );
    expect(count).toBeGreaterThan(maxBytes / 24);
    for (let number = 1; number < count; number++) {
      if (!set.has(hashOf(number))) throw new Error(`${number} was added`);
    }
    expect(set.has(hashOf(count + 1))).toBe(false);
    // Tables come in pairs; while one pair is filled, that before it is there as well.
    const pairs = sizes.map((size) => 2 * size).filter((_, at) => at % 2 === 0);
    const peaks = pairs.map((size, at) => size + (pairs[at - 1] ?? 0));
    expect(Math.max(...peaks)).toBeLessThanOrEqual(maxBytes);
  });
});
