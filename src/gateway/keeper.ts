import type { Clock } from '../flow/index.js';
import {
  type Condemned,
  condemnedKey,
  decodeCondemned,
  decodeState,
  digitsOf,
  encodeCondemned,
  GC_STATE_KEY,
  type GcState,
  NO_STATE,
} from './condemned.js';
import { failure } from './failures.js';
import type { ValueStore } from './ports.js';

/**
 * The gateway's side of the collector: what clients are told of stays, and what is registered stays.
 * Objects are named by their keys, `xorbs/<hash>` and `shards/<hash>`. Where nothing is condemned this
 * costs one read of a small value now and then, and two for each shard.
 */
export interface Keeper {
  /**
   * Before somebody is told that these are stored: takes them out of the lists of condemned objects,
   * so that they stay for another grace.
   * @throws OrbweaverError 503 for one that is being deleted at this moment
   */
  keep(keys: readonly string[]): Promise<void>;
  /** Whether it is condemned: it is then better not spoken of. May be some seconds behind. */
  isCondemned(key: string): Promise<boolean>;
  /** Before it is looked whether what a shard names is stored. */
  begin(): Promise<KeeperMark>;
  /**
   * After its files were registered: keeps these objects. False: some may have been deleted since `mark`;
   * whoever is to be told of the files has to look whether all of these are still there.
   * @throws OrbweaverError 503 for one that is being deleted at this moment
   */
  confirm(mark: KeeperMark, keys: readonly string[]): Promise<boolean>;
}

/** What was deleting at a time. */
export interface KeeperMark {
  readonly generation: number;
  readonly isQuiet: boolean;
}

/** How old what is known of the collector may be where something is only told. */
export const STATE_AGE_MS = 5_000;
/** A run that has not been heard of for so long after its time is dead. */
const SWEEP_GRACE_MS = 60 * 60 * 1000;
/** Lists that are kept in memory, of at most 1 MiB each and usually of far less. */
const MAX_LISTS = 16;

/** For a store without values, over which nothing can collect. */
export const NOTHING_COLLECTS: Keeper = {
  keep: async () => undefined,
  isCondemned: async () => false,
  begin: async () => ({ generation: 0, isQuiet: true }),
  confirm: async () => true,
};

/** @param values without them nothing can collect over the store */
export function createKeeper(parts: {
  readonly values: ValueStore | undefined;
  readonly clock: Clock;
}): Keeper {
  const { values, clock } = parts;
  if (values === undefined) return NOTHING_COLLECTS;
  let state: GcState = NO_STATE;
  let readMs = Number.NEGATIVE_INFINITY;
  const lists = new Map<string, { readonly generation: number; readonly list: Condemned }>();

  async function stateNow(): Promise<GcState> {
    const askedMs = clock.now();
    const found = decodeState((await values?.read(GC_STATE_KEY))?.bytes);
    // Of two that read at the same time the later answer counts.
    if (askedMs >= readMs && found.generation >= state.generation) {
      state = found;
      readMs = askedMs;
    }
    return found;
  }

  const stateOfLate = async (): Promise<GcState> =>
    clock.now() - readMs < STATE_AGE_MS ? state : stateNow();

  const isQuiet = ({ sweeps }: GcState): boolean =>
    sweeps.every(({ untilMs }) => untilMs + SWEEP_GRACE_MS < clock.unixMs());

  /** Lists only grow when they are published, so one of this generation may be too long, never too short. */
  async function listOf(digits: string, { generation, lists: there }: GcState): Promise<Condemned> {
    const known = lists.get(digits);
    if (known?.generation === generation) return known.list;
    const bytes = there.includes(digits) ? (await read(digits))?.bytes : undefined;
    const list = decodeCondemned(bytes);
    lists.delete(digits);
    lists.set(digits, { generation, list });
    const [oldest] = lists.keys();
    if (lists.size > MAX_LISTS && oldest !== undefined) lists.delete(oldest);
    return list;
  }

  const read = (digits: string): ReturnType<ValueStore['read']> =>
    (values as ValueStore).read(condemnedKey(digits));

  const names = ({ since, deleting }: Condemned, key: string): boolean =>
    since.has(key) || deleting.has(key);

  /** Takes the keys, all of one list, out of it. */
  async function rescue(digits: string, keys: readonly string[]): Promise<void> {
    for (;;) {
      const found = await read(digits);
      if (found === null) return;
      const list = decodeCondemned(found.bytes);
      if (list.deletingUntilMs > clock.unixMs() && keys.some((key) => list.deleting.has(key))) {
        throw failure(503, 'RATE_LIMITED', 'what the request needs is being deleted: try again');
      }
      if (!keys.some((key) => list.since.has(key))) return;
      const since = new Map(list.since);
      for (const key of keys) since.delete(key);
      const bytes = encodeCondemned({ ...list, since });
      if ((await values?.write(condemnedKey(digits), bytes, found.version)) !== null) return;
    }
  }

  async function keepIn(known: GcState, keys: readonly string[]): Promise<void> {
    if (known.lists.length === 0) return;
    const byList = new Map<string, string[]>();
    for (const key of keys) {
      const digits = digitsOf(key);
      byList.set(digits, [...(byList.get(digits) ?? []), key]);
    }
    for (const [digits, all] of byList) {
      const list = await listOf(digits, known);
      const condemned = all.filter((key) => names(list, key));
      if (condemned.length === 0) continue;
      await rescue(digits, condemned);
      lists.delete(digits);
    }
  }

  return {
    keep: async (keys) => keepIn(await stateOfLate(), keys),
    async isCondemned(key) {
      const known = await stateOfLate();
      return known.lists.length > 0 && names(await listOf(digitsOf(key), known), key);
    },
    async begin() {
      const now = await stateNow();
      return { generation: now.generation, isQuiet: isQuiet(now) };
    },
    async confirm(mark, keys) {
      const now = await stateNow();
      await keepIn(now, keys);
      return mark.isQuiet && isQuiet(now) && mark.generation === now.generation;
    },
  };
}
