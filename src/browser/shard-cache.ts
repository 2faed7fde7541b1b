import { hexEncode } from '../bytes/index.js';
import type { CachedShard, ShardCache } from '../client/ports.js';
import { CACHE_KEY_BYTES } from '../dedup/index.js';
import type { Clock } from '../flow/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { Database, IdbKey } from './indexed-db.js';

/** Most bytes of shards when nothing else is said: about 5 million chunks. */
export const DEFAULT_CACHE_BYTES: number = 256 * 1024 * 1024;

const ALL = ['shards', 'uses', 'shardBytes'];

interface Use {
  readonly id: number;
  readonly sizeBytes: number;
  readonly expiresAtSeconds: number;
  usedMs: number;
}

/**
 * Shards of earlier uploads in the database of a page. The limit holds for all endpoints together; what
 * was not used for longest goes first. Best effort: what fails is a miss.
 */
export function createPageShardCache(
  database: Database,
  {
    endpoint,
    maxBytes = DEFAULT_CACHE_BYTES,
    clock = SYSTEM_CLOCK,
  }: {
    readonly endpoint: string;
    readonly maxBytes?: number | undefined;
    readonly clock?: Clock | undefined;
  },
): ShardCache {
  const keyTexts = (keys: Uint8Array): string[] => {
    const texts: string[] = [];
    for (let at = 0; at + CACHE_KEY_BYTES <= keys.length; at += CACHE_KEY_BYTES) {
      texts.push(`${endpoint} ${hexEncode(keys.subarray(at, at + CACHE_KEY_BYTES))}`);
    }
    return texts;
  };
  const drop = (id: number): Promise<void> =>
    database
      .write(ALL, async (store) => {
        for (const name of ALL) store(name).delete(id);
      })
      .catch(() => {});

  const cached = (use: Use): CachedShard => ({
    id: String(use.id),
    sizeBytes: use.sizeBytes,
    async read() {
      try {
        const row = await database.write(ALL, async (store) => {
          const found = await store('shardBytes').get(use.id);
          if (found !== undefined) await store('uses').put({ ...use, usedMs: clock.unixMs() });
          return found;
        });
        return (row as { readonly bytes: Uint8Array } | undefined)?.bytes ?? null;
      } catch {
        return null;
      }
    },
    drop: () => drop(use.id),
  });

  return {
    async find(keys) {
      try {
        const uses = await database.read(['shards', 'uses'], async (store) => {
          const found = await Promise.all(keyTexts(keys).map((key) => store('shards').keysBy(key)));
          const ids = [...new Set(found.flat())] as number[];
          return Promise.all(ids.sort((a, b) => a - b).map((id) => store('uses').get(id)));
        });
        const nowSeconds = clock.unixMs() / 1000;
        return (uses as (Use | undefined)[])
          .filter((use) => use !== undefined)
          .filter((use) => use.expiresAtSeconds > nowSeconds)
          .map(cached);
      } catch {
        return [];
      }
    },
    async put(shard, keys, expiresAtSeconds) {
      const nowMs = clock.unixMs();
      if (shard.length > maxBytes || expiresAtSeconds * 1000 <= nowMs) return false;
      try {
        await database.write(ALL, async (store) => {
          await makeRoom(store, maxBytes - shard.length, nowMs);
          const id = (await store('shards').put({ keys: keyTexts(keys) })) as IdbKey;
          const use = { id, sizeBytes: shard.length, expiresAtSeconds, usedMs: nowMs };
          await Promise.all([
            store('uses').put(use),
            store('shardBytes').put({ id, bytes: shard.slice() }),
          ]);
        });
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Forgets what has expired, and then what was not used for longest, until the others fit. */
async function makeRoom(
  store: Parameters<Parameters<Database['write']>[1]>[0],
  roomBytes: number,
  nowMs: number,
): Promise<void> {
  const uses = (await store('uses').getAll()) as Use[];
  uses.sort((a, b) => b.usedMs - a.usedMs || b.id - a.id);
  let keptBytes = 0;
  for (const { id, sizeBytes, expiresAtSeconds } of uses) {
    if (expiresAtSeconds * 1000 > nowMs && keptBytes + sizeBytes <= roomBytes) {
      keptBytes += sizeBytes;
      continue;
    }
    for (const name of ALL) store(name).delete(id);
  }
}
