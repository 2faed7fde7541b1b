import type { BlockCodec } from '../../compress/ports.js';
import { Budget, type Clock, RateLimit, Scope } from '../../flow/index.js';
import type { Hasher } from '../../hash/ports.js';
import { checkOptions, is, type OptionRules } from '../../options/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../../platform/index.js';
import { shardKey } from '../../shard/index.js';
import { FOOTER_MAX_BYTES, XORB_ACCEPT_MAX_BYTES } from '../../xorb/index.js';
import { DAMAGE_KEY, type DamagedVersion, decodeDamage, MAX_DAMAGED } from '../damage-list.js';
import type { ObjectInfo, ObjectStore } from '../ports.js';
import { mapAhead } from '../turns.js';
import { objectsInOrder } from './in-order.js';
import { CONCURRENT_READS, hashOfKey } from './reach.js';
import { findHitFiles } from './scrub-files.js';
import { createHubScrub, HUB_PREFIXES, type HubScrub, isHubKey } from './scrub-hub.js';
import { readScrubState, type ScrubState, writeScrubState } from './scrub-state.js';
import { findXorbDamage, type XorbDamage } from './scrub-xorb.js';

/** How a scrub works. */
export interface ScrubOptions {
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  /** Bytes per second that are read. @default as fast as it goes */
  readonly rate?: number | undefined;
  /**
   * The share of objects that are read, above 0 and at most 1: others each time, and always those that
   * were damaged the last time. File records are checked in any case. @default 1
   */
  readonly sample?: number | undefined;
  /** Goes on where the last one stopped. @default false: from the start */
  readonly resume?: boolean | undefined;
  /**
   * Keeps the result where `resume` finds it, until {@link forgetScrub}: for a store that is one of several
   * that are scrubbed together. @default false
   */
  readonly keepResult?: boolean | undefined;
  /**
   * Good bytes of a xorb or shard from elsewhere, as a store keeps them; null: there are none. They are
   * verified before they take the place of damaged ones. @default nothing is repaired
   */
  readonly repair?: ((key: string) => Promise<Uint8Array | null>) | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

const RULES: OptionRules<ScrubOptions> = {
  hasher: is.required(is.object),
  codec: is.required(is.object),
  rate: is.number(0),
  sample: is.number(0, 1),
  resume: is.flag,
  keepResult: is.flag,
  repair: is.callback,
  clock: is.object,
  signal: is.signal,
};

/** A damaged object, and what cannot be read because of it. */
export interface DamagedObject {
  readonly key: string;
  /** Hashes of files. */
  readonly files: readonly string[];
  /** `TYPE/NAMESPACE/NAME` of those that need a damaged tree, commit or other object of the Hub. */
  readonly repositories: readonly string[];
}

/** What a scrub found. */
export interface Scrubbed {
  /** Objects and file records, those of the scrub that it went on with included. */
  readonly checkedObjects: number;
  readonly checkedBytes: number;
  readonly damaged: readonly DamagedObject[];
  /** Damaged objects that were repaired. */
  readonly repaired: readonly string[];
}

/** How far it got is noted after so much, and when it is ended. */
const NOTE_MS = 10_000;
const NOTE_BYTES = 1024 * 1024 * 1024;
/** Objects that are read at a time have to fit into it: two of the largest xorbs do. */
const MEMORY_BYTES = 160 * 1024 * 1024;

interface Run extends ScrubOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly scope: Scope;
  readonly limit: RateLimit;
  readonly memory: Budget;
  readonly hub: HubScrub;
}

/** By rising key, so that the last one says which are done. */
const PREFIXES = [...HUB_PREFIXES, 'shards/', 'xorbs/'];

/**
 * Reads everything that a store holds and hashes it again. What is right is sealed, so that gateways
 * need not look; what is damaged is written down for them (`scrub/damaged`), and no gateway refers to it
 * again until it was uploaded anew.
 * @throws RangeError for a `sample` that is no share; OrbweaverError `ABORTED`
 */
export async function scrubStore(store: ObjectStore, options: ScrubOptions): Promise<Scrubbed> {
  checkOptions('scrubStore', options, RULES);
  const { clock = SYSTEM_CLOCK, rate, sample = 1, resume = false, signal } = options;
  if (!(sample > 0 && sample <= 1)) {
    throw new RangeError(`"sample" expected a share above 0 and at most 1, got ${sample}`);
  }
  let state = await readScrubState(store.values, resume);
  if (state.result !== undefined) return state.result;
  const scope = new Scope({ clock, signal, what: 'the scrub' });
  const limit = new RateLimit(clock, rate);
  const memory = new Budget({ capacityBytes: MEMORY_BYTES });
  const hub = createHubScrub({ store, hasher: options.hasher, clock });
  const run: Run = { ...options, store, clock, scope, limit, memory, hub };
  const damage = new Map<string, XorbDamage>(
    state.damaged.map(({ key, chunks }) => [key, chunks === null ? 'all' : new Set(chunks)]),
  );
  const repaired = [...state.repaired];
  let notedMs = clock.now();
  let notedBytes = state.checkedBytes;
  try {
    const before = new Set(
      decodeDamage((await store.values?.read(DAMAGE_KEY))?.bytes).map(({ key }) => key),
    );
    const isMeant = (key: string): boolean => before.has(key) || systemRandom() < sample;
    const keys = keysAfter(store, state.after, sample === 1 ? () => true : isMeant);
    for await (const checked of mapAhead(keys, CONCURRENT_READS, (key) => checkObject(key, run))) {
      if (checked === null) continue;
      const { key, found, info } = checked;
      if (found === 'none') damage.delete(key);
      else if (await repairObject(key, run)) {
        repaired.push(key);
        damage.delete(key);
      } else damage.set(key, found);
      state = advanced(state, { key, sizeBytes: info.sizeBytes, damage, repaired });
      const isDue = clock.now() - notedMs >= NOTE_MS;
      if (isDue || state.checkedBytes - notedBytes >= NOTE_BYTES) {
        await writeScrubState(store.values, state);
        notedMs = clock.now();
        notedBytes = state.checkedBytes;
      }
    }
    const files = await findHitFiles(damage, run);
    // Those that are gone were in no listing: the files that name them tell.
    const hit = new Map(files.hit);
    for (const key of files.hit.keys()) {
      if (!key.startsWith('xorbs/') || damage.has(key)) continue;
      if ((await store.head(key)) !== null || !(await repairObject(key, run))) continue;
      repaired.push(key);
      hit.delete(key);
    }
    repaired.push(...(await hub.mendClaims()));
    const repositories = await hub.hit(new Set(damage.keys()));
    await writeDamage(store, damage);
    const sorted = (names: ReadonlySet<string> | undefined): string[] => [...(names ?? [])].sort();
    const result: Scrubbed = {
      checkedObjects: state.checkedObjects + files.checkedCount,
      checkedBytes: state.checkedBytes,
      damaged: sorted(new Set([...hit.keys(), ...repositories.keys()])).map((key) => ({
        key,
        files: sorted(hit.get(key)),
        repositories: sorted(repositories.get(key)),
      })),
      repaired,
    };
    const { keepResult = false } = options;
    await writeScrubState(store.values, keepResult ? { ...state, result } : null);
    return result;
  } catch (error) {
    await writeScrubState(store.values, state);
    throw error;
  } finally {
    scope.close();
  }
}

/** Has the next scrub begin at the start, also when it is to go on with one that was kept. */
export function forgetScrub({ values }: Pick<ObjectStore, 'values'>): Promise<void> {
  return writeScrubState(values, null);
}

async function* keysAfter(
  store: ObjectStore,
  last: string,
  isMeant: (key: string) => boolean,
): AsyncGenerator<string, void, undefined> {
  for (const prefix of PREFIXES) {
    if (last > prefix && !last.startsWith(prefix)) continue;
    const after = last.startsWith(prefix) ? last : '';
    for await (const { key } of objectsInOrder(store, prefix, { after })) {
      if (isMeant(key)) yield key;
    }
  }
}

function advanced(
  { checkedObjects, checkedBytes }: ScrubState,
  step: {
    readonly key: string;
    readonly sizeBytes: number;
    readonly damage: ReadonlyMap<string, XorbDamage>;
    readonly repaired: readonly string[];
  },
): ScrubState {
  const damaged = [...step.damage].map(([key, found]) => ({
    key,
    chunks: found === 'all' || found === 'none' ? null : [...found],
  }));
  return {
    after: step.key,
    checkedObjects: checkedObjects + 1,
    checkedBytes: checkedBytes + step.sizeBytes,
    damaged,
    repaired: [...step.repaired],
  };
}

interface Checked {
  readonly key: string;
  readonly found: XorbDamage;
  readonly info: ObjectInfo;
}

/** Reads it, and once more where it is damaged: a disk or a cable may say something else next time. */
async function checkObject(key: string, run: Run): Promise<Checked | null> {
  const { store, scope, memory } = run;
  if (scope.ended) throw scope.reason;
  const info = await store.head(key);
  // Deleted meanwhile, or nothing of ours.
  if (info === null || (hashOfKey(key) === null && !isHubKey(key))) return null;
  let found: XorbDamage = 'all';
  const held = await memory.acquire(Math.max(1, Math.min(info.sizeBytes, MAX_OBJECT_BYTES)), scope);
  try {
    for (let attempt = 0; attempt < 2 && found !== 'none'; attempt++) {
      const bytes = await readObject(key, info, run);
      if (bytes === null && (await store.head(key)) === null) return null;
      found = bytes === null ? 'all' : await damageIn(key, bytes, run);
    }
  } finally {
    held.release();
  }
  if (found === 'none' && !info.intact) {
    await store.seal?.(key, info.version).catch(() => undefined);
  }
  return { key, found, info };
}

async function damageIn(key: string, bytes: Uint8Array, run: Run): Promise<XorbDamage> {
  const hash = hashOfKey(key);
  if (hash === null) return (await run.hub.isSound(key, bytes)) ? 'none' : 'all';
  if (key.startsWith('xorbs/')) return findXorbDamage(hash, bytes, run);
  return shardKey(run.hasher, bytes).equals(hash) ? 'none' : 'all';
}

const MAX_OBJECT_BYTES = XORB_ACCEPT_MAX_BYTES + FOOTER_MAX_BYTES;
const PIECE_BYTES = 256 * 1024;

/** Null: it cannot be read, or is larger than anything of ours. */
async function readObject(key: string, info: ObjectInfo, run: Run): Promise<Uint8Array | null> {
  const { store, limit, scope } = run;
  if (info.sizeBytes > MAX_OBJECT_BYTES) return null;
  const reader = await store.open(key);
  if (reader === null) return null;
  try {
    const bytes = new Uint8Array(reader.sizeBytes);
    reader.expect?.(0, bytes.length);
    for (let at = 0; at < bytes.length; ) {
      const wanted = Math.min(PIECE_BYTES, bytes.length - at);
      const count = limit.isLimited ? await limit.take(wanted, scope) : wanted;
      await reader.readAt(bytes.subarray(at, at + count), at);
      at += count;
    }
    return bytes;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code === 'TRUNCATED' || code === 'STORAGE_FAILED') return null;
    throw error;
  } finally {
    await reader.close();
  }
}

/** True when good bytes took the place of what was there. */
async function repairObject(key: string, run: Run): Promise<boolean> {
  if (hashOfKey(key) === null) return run.hub.mend(key);
  const bytes = (await run.repair?.(key)) ?? null;
  if (bytes === null || (await damageIn(key, bytes, run)) !== 'none') return false;
  return run.store.put(key, bytes, { replace: true });
}

/** What gateways must not trust, as it is now: what was healed since has another version. */
async function writeDamage(
  store: ObjectStore,
  damage: ReadonlyMap<string, XorbDamage>,
): Promise<void> {
  const { values } = store;
  if (values === undefined) return;
  const list: DamagedVersion[] = [];
  const keys = [...damage.keys()].filter((key) => hashOfKey(key) !== null);
  for (const key of keys.slice(0, MAX_DAMAGED)) {
    const info = await store.head(key);
    if (info !== null) list.push({ key, version: info.version });
  }
  const bytes = new TextEncoder().encode(JSON.stringify(list));
  for (;;) {
    const found = await values.read(DAMAGE_KEY);
    if (list.length === 0 && found === null) return;
    if ((await values.write(DAMAGE_KEY, bytes, found?.version ?? null)) !== null) return;
  }
}
