import { OrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import { throwIfAborted } from '../../flow/index.js';
import type { Hasher } from '../../hash/ports.js';
import { checkOptions, is } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { digitsOf, type Since } from '../condemned.js';
import { FILES_PREFIX, SHARDS_PREFIX, TABLES_PREFIX } from '../keys.js';
import type { ObjectEntry, ObjectStore } from '../ports.js';
import { createStoreIndex, type StoreIndex } from '../store-index.js';
import { mapAhead } from '../turns.js';
import { type CollectorLists, createCollectorLists, withCondemned } from './collector-lists.js';
import { deleteIncoming } from './incoming.js';
import type { LiveSet } from './live-set.js';
import { CONCURRENT_READS, hashOfKey, isShardReachable, reachableXorbs } from './reach.js';
import { clearDead, type Deleted, findDue, sweep } from './sweep.js';

/** How the collector works. */
export interface CollectOptions {
  /** For the index of the store. */
  readonly hasher: Hasher;
  /**
   * How long what no file needs is kept, in milliseconds: from when a run first finds it to when a later
   * run deletes it. What clients were told of stays for as long; the default is the life of the longest
   * lived thing that they are told, a dedup response. With 0 one run finds and deletes.
   * @default 604800000
   */
  readonly graceMs?: number | undefined;
  /** Changes nothing, and says what this run would have deleted. @default false */
  readonly dryRun?: boolean | undefined;
  /** Bytes for what is in use: 16 to 24 for each xorb. @default 268435456 */
  readonly maxMemory?: number | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a run did. Objects are xorbs, shards, and what was put by upload grants. */
export interface Collected {
  readonly deletedObjects: number;
  readonly deletedBytes: number;
  /** What is left, waiting ones included. */
  readonly keptObjects: number;
  readonly keptBytes: number;
  /** What no file needs, and whose time has not come. */
  readonly waitingObjects: number;
  readonly waitingBytes: number;
  /** Uploads in parts that gateways had begun and never ended, dropped with the parts that had come. */
  readonly droppedUploads: number;
}

export const COLLECT_DEFAULTS: { readonly graceMs: number; readonly maxMemory: number } = {
  graceMs: 7 * 24 * 60 * 60 * 1000,
  maxMemory: 256 * 1024 * 1024,
};

/** What is younger is condemned by a later run: an upload that is under way need not take it back. */
const YOUNG_MS = 60 * 60 * 1000;
/** What is large enough to be put in parts. */
const PUT_IN_PARTS = ['xorbs/', SHARDS_PREFIX, TABLES_PREFIX, FILES_PREFIX, 'hub-trees/'];
/** Unneeded objects that are gathered before lists are written. */
const GATHERED_OBJECTS = 100_000;

interface Run {
  readonly store: ObjectStore;
  readonly index: StoreIndex;
  readonly lists: CollectorLists;
  /** Names this run in lists. */
  readonly number: number;
  readonly graceMs: number;
  readonly dryRun: boolean;
  readonly maxMemory: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Deletes what no registered file needs, while gateways go on working on the same store. A run that was
 * killed leaves nothing that the next one does not go on with.
 *
 * @throws OrbweaverError `UNSUPPORTED` for a store without values, `INTEGRITY` when the record of a file is
 * damaged, because nobody knows what that file needs; `USAGE` when `maxMemory` is too small
 */
export async function collectGarbage(
  store: ObjectStore,
  options: CollectOptions,
): Promise<Collected> {
  checkOptions('collectGarbage', options, {
    hasher: is.required(is.object),
    graceMs: is.number(0),
    dryRun: is.flag,
    maxMemory: is.number(0),
    clock: is.object,
    signal: is.signal,
  });
  const { hasher, dryRun = false, clock = SYSTEM_CLOCK } = options;
  const { graceMs = COLLECT_DEFAULTS.graceMs, maxMemory = COLLECT_DEFAULTS.maxMemory } = options;
  if (store.values === undefined) {
    throw new OrbweaverError('UNSUPPORTED', 'this store keeps no values: nothing can be collected');
  }
  const id = globalThis.crypto.randomUUID();
  const run: Run = {
    store,
    index: createStoreIndex({ store, hasher, clock }),
    lists: createCollectorLists(store.values, { clock, id }),
    number: Number.parseInt(id.slice(0, 8), 16),
    graceMs,
    dryRun,
    maxMemory,
    clock,
    signal: options.signal ?? new AbortController().signal,
  };
  if (!dryRun) await clearDead(run.lists, clock);
  const marked = await mark(run);
  const deleted = dryRun || marked.due.objects === 0 ? marked.due : await deleteDue(run);
  const incoming = await deleteIncoming(run);
  const deletedObjects = deleted.objects + incoming.deletedObjects;
  const deletedBytes = deleted.bytes + incoming.deletedBytes;
  return {
    deletedObjects,
    deletedBytes,
    keptObjects: marked.all.objects + incoming.objects - deletedObjects,
    keptBytes: marked.all.bytes + incoming.bytes - deletedBytes,
    waitingObjects: marked.unreachable.objects - deleted.objects,
    waitingBytes: marked.unreachable.bytes - deleted.bytes,
    droppedUploads: await dropUnfinished(run),
  };
}

/** However short the grace is, what is young may be going on. */
async function dropUnfinished({ store, clock, graceMs, dryRun }: Run): Promise<number> {
  const beforeMs = clock.unixMs() - Math.max(graceMs, YOUNG_MS);
  let count = 0;
  for (const prefix of PUT_IN_PARTS) {
    count += (await store.dropUnfinished?.(prefix, { beforeMs, dryRun })) ?? 0;
  }
  return count;
}

interface Sum {
  objects: number;
  bytes: number;
}

interface Marked {
  readonly all: Sum;
  readonly unreachable: Sum;
  /** Of the unreachable ones: condemned for as long as the grace. */
  readonly due: Sum;
}

const add = (sum: Sum, { sizeBytes }: Pick<ObjectEntry, 'sizeBytes'>): void => {
  sum.objects++;
  sum.bytes += sizeBytes;
};

/** Finds what nobody needs and writes it down; says how much there is of everything. */
async function mark(run: Run): Promise<Marked> {
  const { store, index, signal, clock, graceMs, maxMemory, dryRun, lists } = run;
  const nowMs = clock.unixMs();
  const now = { ms: nowMs, run: run.number };
  const youngMs = Math.min(graceMs, YOUNG_MS);
  const live = await reachableXorbs(index, { maxBytes: maxMemory, signal });
  const sum = (): Sum => ({ objects: 0, bytes: 0 });
  const marked: Marked = { all: sum(), unreachable: sum(), due: sum() };
  let gathered: ObjectEntry[] = [];
  const look = async (entry: ObjectEntry): Promise<readonly [ObjectEntry, boolean]> => {
    throwIfAborted(signal, 'the collection');
    return [entry, await isNeeded(entry.key, { store, index, live })];
  };
  for await (const [entry, needed] of mapAhead(objectsOf(store), CONCURRENT_READS, look)) {
    add(marked.all, entry);
    if (needed) continue;
    add(marked.unreachable, entry);
    if (youngMs > 0 && entry.modifiedMs > nowMs - youngMs) continue;
    gathered.push(entry);
    if (gathered.length < GATHERED_OBJECTS) continue;
    await condemn(gathered, run, { now, due: marked.due });
    gathered = [];
  }
  await condemn(gathered, run, { now, due: marked.due });
  if (!dryRun && marked.unreachable.objects > 0) await lists.publish(null);
  return marked;
}

/** Adds them to their lists, and to `due` those that have been there for long enough. */
async function condemn(
  entries: readonly ObjectEntry[],
  { lists, graceMs, dryRun }: Run,
  { now, due }: { readonly now: Since; readonly due: Sum },
): Promise<void> {
  const byList = new Map<string, ObjectEntry[]>();
  for (const entry of entries) {
    const digits = digitsOf(entry.key);
    const others = byList.get(digits);
    if (others === undefined) byList.set(digits, [entry]);
    else others.push(entry);
  }
  for (const [digits, some] of byList) {
    const keys = some.map(({ key }) => key);
    const list = dryRun
      ? withCondemned(await lists.read(digits), keys, now)
      : await lists.update(digits, (before) => withCondemned(before, keys, now));
    for (const entry of some) {
      const { ms } = list.since.get(entry.key) ?? { ms: Number.POSITIVE_INFINITY };
      if (ms + graceMs <= now.ms) add(due, entry);
    }
  }
}

/**
 * Everybody is told first, then it is looked once more what is needed, and only then deleted: a file
 * that was registered before is seen, and who registers one later sees the lists.
 */
async function deleteDue(run: Run): Promise<Deleted> {
  const { store, index, lists, signal, clock, graceMs, maxMemory } = run;
  const due = await findDue(lists, clock.unixMs() - graceMs);
  await lists.publish(clock.unixMs() + SWEEP_MS);
  try {
    const live = await reachableXorbs(index, { maxBytes: maxMemory, signal });
    return await sweep(due, (key) => isNeeded(key, { store, index, live }), run);
  } finally {
    await lists.publish(null);
  }
}

/** Told to gateways as the end of deleting: they count on it for an hour more (`keeper.ts`). */
const SWEEP_MS = 24 * 60 * 60 * 1000;

async function isNeeded(
  key: string,
  parts: { readonly store: ObjectStore; readonly index: StoreIndex; readonly live: LiveSet },
): Promise<boolean> {
  if (key.startsWith(SHARDS)) return isShardReachable(key, parts);
  const hash = hashOfKey(key);
  // Not of ours: it is left alone.
  return hash === null || parts.live.has(hash);
}

const XORBS = 'xorbs/';
const SHARDS = 'shards/';

async function* objectsOf(store: ObjectStore): AsyncGenerator<ObjectEntry> {
  for (const prefix of [XORBS, SHARDS]) {
    for await (const entry of store.list(prefix)) if (hashOfKey(entry.key) !== null) yield entry;
  }
}
