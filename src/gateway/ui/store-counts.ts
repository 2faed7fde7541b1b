import { Scope } from '../../flow/index.js';
import type { GatewayServices } from '../services.js';
import type { Turns } from '../turns.js';
import { type StoreStats, storeStats } from '../upkeep/stats.js';

/** What is known of a store's size: the last count, and whether another one runs. */
export interface StoreCounts {
  /** Null: the first count is not over. */
  readonly stats: StoreStats | null;
  /** When it was over, milliseconds since 1970. */
  readonly countedMs: number | null;
  readonly tookMs: number | null;
  readonly isCounting: boolean;
  /** The last count broke off. */
  readonly hasFailed: boolean;
}

/**
 * A count reads the footer of every xorb, so it is made in the background, when somebody looks, and not again
 * before fifteen seconds and twenty times what it took have passed: a twentieth of the time at most.
 */
const LEAST_PAUSE_MS = 15_000;
const PAUSE_PER_COUNT = 20;

/** Counts for one tenant. `turns` lets one count at a time run in a gateway. */
export function createStoreCounts(
  {
    store,
    hasher,
    clock,
    closing,
    background,
  }: Pick<GatewayServices, 'store' | 'hasher' | 'clock' | 'closing' | 'background'>,
  turns: Turns,
): { look(): StoreCounts } {
  let stats: StoreStats | null = null;
  let countedMs: number | null = null;
  let tookMs: number | null = null;
  let notBeforeMs = 0;
  let isCounting = false;
  let hasFailed = false;

  async function count(): Promise<void> {
    const scope = new Scope({ signal: closing, what: 'the count' });
    let sinceMs = clock.now();
    try {
      stats = await turns.take(scope, () => {
        sinceMs = clock.now();
        return storeStats(store, { hasher, signal: closing });
      });
      countedMs = clock.unixMs();
      hasFailed = false;
    } catch {
      hasFailed = true;
    } finally {
      scope.close();
      tookMs = clock.now() - sinceMs;
      notBeforeMs = clock.now() + Math.max(LEAST_PAUSE_MS, tookMs * PAUSE_PER_COUNT);
      isCounting = false;
    }
  }

  return {
    look() {
      if (!isCounting && clock.now() >= notBeforeMs && !closing.aborted) {
        isCounting = true;
        background(count());
      }
      return { stats, countedMs, tookMs, isCounting, hasFailed };
    },
  };
}
