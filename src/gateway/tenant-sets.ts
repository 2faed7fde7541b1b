import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/**
 * What serves one tenant: services over its part of the store, and the routes over those. Sets are made
 * when a tenant is first served. Their caches share one budget: when all of them together hold more,
 * or there are too many sets, those that were used least recently are dropped, the ones with running
 * requests last of all. A dropped set costs its tenant some reads of the store, and nothing else: what
 * it knew is what another gateway over the same store does not know either.
 */
export interface TenantSet {
  readonly services: GatewayServices;
  /** In the same order for every tenant. */
  readonly routes: readonly Route[];
}

export interface TenantSets {
  /** Runs `work` with the set of a tenant, which is kept meanwhile. */
  use<Result>(
    tenant: string | undefined,
    work: (set: TenantSet) => Promise<Result>,
  ): Promise<Result>;
  /** Drops the dedup responses that all of them keep. */
  forgetDedup(): void;
  /** Bytes in the caches of all sets. */
  readonly usedBytes: number;
  readonly count: number;
}

/** Sets that are kept however little they hold: each is some objects and empty tables. */
const MAX_SETS = 64;

interface Kept extends TenantSet {
  running: number;
}

export function createTenantSets(parts: {
  readonly make: (tenant: string | undefined) => TenantSet;
  /** Of the caches of all sets together. Exceeded by no more than what running requests read. */
  readonly cacheBytes: number;
}): TenantSets {
  const { make, cacheBytes } = parts;
  /** The least recently used one first. */
  const sets = new Map<string | undefined, Kept>();
  const usedBytes = (): number =>
    [...sets.values()].reduce((sum, { services }) => sum + cachedBytes(services), 0);

  function trim(current: Kept): void {
    let used = usedBytes();
    for (const [tenant, set] of sets) {
      if (sets.size <= MAX_SETS && used <= cacheBytes) return;
      if (set === current || set.running > 0) continue;
      sets.delete(tenant);
      used -= cachedBytes(set.services);
      set.services.dedup.forget();
    }
  }

  return {
    async use(tenant, work) {
      const set: Kept = sets.get(tenant) ?? { ...make(tenant), running: 0 };
      sets.delete(tenant);
      sets.set(tenant, set);
      set.running++;
      try {
        return await work(set);
      } finally {
        set.running--;
        if (sets.size > 1) trim(set);
      }
    },
    forgetDedup() {
      for (const { services } of sets.values()) services.dedup.forget();
    },
    get usedBytes() {
      return usedBytes();
    },
    get count() {
      return sets.size;
    },
  };
}

function cachedBytes({ xorbs, index, files, outlines, trees, health }: GatewayServices): number {
  const caches = [xorbs, index, files, outlines, trees, health];
  return caches.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
}
