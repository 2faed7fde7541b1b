import type { BlockCodec } from '../../compress/ports.js';
import { OrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { encodeShard, type ShardFile, shardKey } from '../../shard/index.js';
import { createKeeper, type Keeper } from '../keeper.js';
import { shardObjectKey, xorbKey } from '../keys.js';
import { GATEWAY_DEFAULTS } from '../options.js';
import type { ObjectStore } from '../ports.js';
import { allIndexedChunks, createShardOutlines } from '../shard-outline.js';
import { createStoreIndex, type StoreIndex } from '../store-index.js';
import { mapLimited } from '../turns.js';
import { createXorbCatalog } from '../xorb-catalog.js';
import { recordDamage } from './scrub-files.js';
import { findXorbDamage } from './scrub-xorb.js';

/**
 * Brings files into a store in the order in which a gateway does: xorbs, the shard, the index. Whatever
 * ends it in between leaves no file without its data, and only what a collector deletes.
 */
export interface Carrier {
  readonly index: StoreIndex;
  /** Whether the store has it. What is there stays. */
  hasXorb(hash: MerkleHash): Promise<boolean>;
  /** Verifies and stores it. False: these are not the bytes of its name, and nothing was stored. */
  putXorb(hash: MerkleHash, bytes: Uint8Array): Promise<boolean>;
  /**
   * Registers files whose xorbs are there. `shard` are the bytes of a shard that names them; without one
   * it is made. Files that those xorbs do not build are left out, and returned.
   */
  register(files: readonly ShardFile[], shard?: Uint8Array): Promise<readonly ShardFile[]>;
}

const CONCURRENT_LOOKS = 16;
const CACHE_BYTES = 16 * 1024 * 1024;

export function createCarrier(parts: {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  readonly clock: Clock;
}): Carrier {
  const { store, hasher, codec, clock } = parts;
  const index = createStoreIndex({ store, hasher, clock });
  const xorbs = createXorbCatalog({ store, hasher, cacheBytes: CACHE_BYTES });
  const oneIn = GATEWAY_DEFAULTS.dedupOneIn;
  const outlines = createShardOutlines({ store, hasher, xorbs, cacheBytes: CACHE_BYTES, oneIn });
  const keeper: Keeper = createKeeper({ values: store.values, clock });
  const isWhole = async (record: ShardFile): Promise<boolean> =>
    (await recordDamage(record, { damage: new Map(), xorbs, hasher })).size === 0;

  return {
    index,
    async hasXorb(hash) {
      const key = xorbKey(hash);
      await keeper.keep([key]);
      return (await store.head(key)) !== null;
    },
    async putXorb(hash, bytes) {
      if (findXorbDamage(hash, bytes, { hasher, codec }) !== 'none') return false;
      await store.put(xorbKey(hash), bytes);
      return true;
    },
    async register(files, shard) {
      const left: ShardFile[] = [];
      const good: ShardFile[] = [];
      for (const file of files) ((await isWhole(file)) ? good : left).push(file);
      if (good.length === 0) return left;
      const bytes =
        shard ?? encodeShard({ files: good, xorbs: [], footer: null }, { variant: 'stored' });
      const hash = shardKey(hasher, bytes);
      const mark = await keeper.begin();
      await store.put(shardObjectKey(hash), bytes);
      const outline = await outlines.get(hash);
      const chunks = outline === null ? [] : await allIndexedChunks(outline);
      await index.register({ shard: hash, chunks, files: good, isGood: isWhole });
      const keys = new Set(good.flatMap(({ terms }) => terms.map(({ xorb }) => xorbKey(xorb))));
      if (await keeper.confirm(mark, [...keys, shardObjectKey(hash)])) return left;
      const infos = await mapLimited([...keys], CONCURRENT_LOOKS, (key) => store.head(key));
      if (!infos.includes(null)) return left;
      const message = 'a collector deleted what was being brought into the store';
      throw new OrbweaverError('CONFLICT', message);
    },
  };
}
