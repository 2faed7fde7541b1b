import type { Clock } from '../../flow/index.js';
import { throwIfAborted } from '../../flow/index.js';
import type { MerkleHash } from '../../hash/index.js';
import { MAX_DELETING, type Since } from '../condemned.js';
import type { ObjectStore } from '../ports.js';
import type { StoreIndex } from '../store-index.js';
import { mapLimited } from '../turns.js';
import type { CollectorLists } from './collector-lists.js';
import { CONCURRENT_READS, hashOfKey } from './reach.js';

/** What was deleted. */
export interface Deleted {
  readonly objects: number;
  readonly bytes: number;
}

export interface SweepParts {
  readonly store: ObjectStore;
  readonly index: StoreIndex;
  readonly lists: CollectorLists;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Condemned objects whose time has come, as they stood in each list. */
export type Due = ReadonlyMap<string, readonly DueEntry[]>;
type DueEntry = readonly [key: string, since: Since];

/** Gateways let nobody have what is being deleted for so long. */
const DELETING_MS = 30_000;
/**
 * No deletion is begun later than this: what is left of the time is for one that is under way, and for
 * clocks that differ.
 */
const BEGIN_WITHIN_MS = 15_000;
const CONCURRENT_DELETES = 16;
/** Keys that one run deletes at most; the next run deletes the others. */
const MAX_DUE = 500_000;

/** What was condemned at `dueMs` or before. */
export async function findDue(lists: CollectorLists, dueMs: number): Promise<Due> {
  const due = new Map<string, DueEntry[]>();
  let count = 0;
  for (const digits of await lists.digits()) {
    const { since } = await lists.read(digits);
    const entries = [...since].filter(([, { ms }]) => ms <= dueMs);
    if (entries.length === 0) continue;
    due.set(digits, entries.slice(0, MAX_DUE - count));
    count += entries.length;
    if (count >= MAX_DUE) break;
  }
  return due;
}

/**
 * Deletes those of `due` that are not needed, and takes the needed ones out of the lists.
 * Objects move from "condemned" to "being deleted" in one write, which fails when a gateway took one of
 * them out meanwhile; from then on no gateway gives them to anybody, until they are gone or the time is
 * over.
 */
export async function sweep(
  due: Due,
  isNeeded: (key: string) => Promise<boolean>,
  parts: SweepParts,
): Promise<Deleted> {
  const unneeded = new Map<string, DueEntry[]>();
  for (const [digits, entries] of due) {
    const needed = new Set<string>();
    await mapLimited(entries, CONCURRENT_READS, async ([key]) => {
      throwIfAborted(parts.signal, 'the collection');
      if (await isNeeded(key)) needed.add(key);
    });
    if (needed.size > 0) await parts.lists.update(digits, (list) => without(list, needed));
    unneeded.set(
      digits,
      entries.filter(([key]) => !needed.has(key)),
    );
  }
  // Before the shards: were they gone first, nobody would find what points to them.
  const keys = [...unneeded.values()].flat().map(([key]) => key);
  const shards = keys.filter((key) => key.startsWith('shards/')).map(hashOfKey) as MerkleHash[];
  if (shards.length > 0) await parts.index.forgetShards(shards);

  const total = { objects: 0, bytes: 0 };
  for (const [digits, entries] of unneeded) {
    for (let at = 0; at < entries.length; at += MAX_DELETING) {
      throwIfAborted(parts.signal, 'the collection');
      const sizes = await deleteBatch(digits, entries.slice(at, at + MAX_DELETING), parts);
      total.objects += sizes.length;
      total.bytes += sizes.reduce((sum, size) => sum + size, 0);
    }
  }
  return total;
}

type List = Awaited<ReturnType<CollectorLists['read']>>;

function without(list: List, keys: ReadonlySet<string>): List | null {
  const since = new Map([...list.since].filter(([key]) => !keys.has(key)));
  return since.size === list.since.size ? null : { ...list, since };
}

/** Sizes of the objects that were deleted. */
async function deleteBatch(
  digits: string,
  wanted: readonly DueEntry[],
  { store, lists, clock }: SweepParts,
): Promise<number[]> {
  const begunMs = clock.now();
  const batch = await takeBatch(digits, wanted, { lists, clock });
  const sizes = await mapLimited(batch, CONCURRENT_DELETES, async (key) => {
    const info = await store.head(key);
    if (info === null || clock.now() - begunMs > BEGIN_WITHIN_MS) return null;
    return (await store.delete(key)) ? info.sizeBytes : null;
  });
  if (batch.length > 0) {
    await lists.update(digits, (list) =>
      batch.some((key) => list.deleting.has(key)) ? notDeleting(list) : null,
    );
  }
  return sizes.filter((size): size is number => size !== null);
}

/**
 * Those that are still condemned are being deleted from now on. One that a gateway took out and another
 * run condemned again since is not: what was seen to be needed by nobody is too old for it.
 */
async function takeBatch(
  digits: string,
  wanted: readonly DueEntry[],
  { lists, clock }: Pick<SweepParts, 'lists' | 'clock'>,
): Promise<readonly string[]> {
  let batch: readonly string[] = [];
  await lists.update(digits, (list) => {
    const nowMs = clock.unixMs();
    batch = [];
    // Another run is at it: what is left here is for the next one.
    if (list.deletingUntilMs > nowMs) return null;
    batch = wanted.filter(([key, since]) => isSame(list.since.get(key), since)).map(([key]) => key);
    if (batch.length === 0) return null;
    const since = new Map(list.since);
    for (const key of batch) since.delete(key);
    return { since, deleting: new Set(batch), deletingUntilMs: nowMs + DELETING_MS };
  });
  return batch;
}

const isSame = (a: Since | undefined, b: Since): boolean => a?.ms === b.ms && a.run === b.run;

const notDeleting = ({ since }: List): List => ({ since, deleting: new Set(), deletingUntilMs: 0 });

/** Clears what a run that died was deleting: the next mark finds what of it is still there. */
export async function clearDead(lists: CollectorLists, clock: Clock): Promise<void> {
  for (const digits of await lists.digits()) {
    await lists.update(digits, (list) =>
      list.deleting.size > 0 && list.deletingUntilMs <= clock.unixMs() ? notDeleting(list) : null,
    );
  }
}
