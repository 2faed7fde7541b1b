import type { BlockCodec } from '../../compress/ports.js';
import { type Clock, RateLimit, Scope } from '../../flow/index.js';
import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { shardKey } from '../../shard/index.js';
import { FOOTER_MAX_BYTES, XORB_ACCEPT_MAX_BYTES } from '../../xorb/index.js';
import { DAMAGE_KEY, type DamagedVersion, MAX_DAMAGED } from '../damage-list.js';
import type { ObjectInfo, ObjectStore } from '../ports.js';
import { objectsInOrder } from './in-order.js';
import { hashOfKey } from './reach.js';
import { findHitFiles } from './scrub-files.js';
import { readScrubState, type ScrubState, writeScrubState } from './scrub-state.js';
import { findXorbDamage, type XorbDamage } from './scrub-xorb.js';

/** How a scrub works. */
export interface ScrubOptions {
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  /** Bytes per second that are read. @default as fast as it goes */
  readonly rate?: number | undefined;
  /** Goes on where the last one stopped. @default false: from the start */
  readonly resume?: boolean | undefined;
  /**
   * Good bytes of a xorb or shard from elsewhere, as a store keeps them; null: there are none. They are
   * verified before they take the place of damaged ones. @default nothing is repaired
   */
  readonly repair?: ((key: string) => Promise<Uint8Array | null>) | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A damaged object, and the files that cannot be read because of it. */
export interface DamagedObject {
  readonly key: string;
  readonly files: readonly string[];
}

/** What a scrub found. */
export interface Scrubbed {
  /** Xorbs, shards and file records, those of the scrub that it went on with included. */
  readonly checkedObjects: number;
  readonly checkedBytes: number;
  readonly damaged: readonly DamagedObject[];
  /** Damaged objects that were repaired. */
  readonly repaired: readonly string[];
}

/** Objects between two notes of how far it got. */
const NOTE_EVERY = 256;

interface Run extends ScrubOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly scope: Scope;
  readonly limit: RateLimit;
}

/**
 * Reads everything that a store holds and hashes it again. What is right is sealed, so that gateways
 * need not look; what is damaged is written down for them (`scrub/damaged`), and no gateway refers to it
 * again until it was uploaded anew.
 */
export async function scrubStore(store: ObjectStore, options: ScrubOptions): Promise<Scrubbed> {
  const { clock = SYSTEM_CLOCK, rate, resume = false, signal } = options;
  const scope = new Scope({ clock, signal, what: 'the scrub' });
  const limit = new RateLimit(clock, rate);
  const run: Run = { ...options, store, clock, scope, limit };
  let state = await readScrubState(store.values, resume);
  const damage = new Map<string, XorbDamage>(
    state.damaged.map(({ key, chunks }) => [key, chunks === null ? 'all' : new Set(chunks)]),
  );
  const versions = new Map<string, DamagedVersion>();
  const repaired: string[] = [];
  try {
    // By rising key, so that the last one says which are done.
    for (const prefix of ['shards/', 'xorbs/']) {
      if (state.after > prefix && !state.after.startsWith(prefix)) continue;
      const after = state.after.startsWith(prefix) ? state.after : '';
      for await (const { key } of objectsInOrder(store, prefix, { after })) {
        if (scope.ended) throw scope.reason;
        const checked = await checkObject(key, run);
        if (checked === null) continue;
        const { found, info } = checked;
        let isDamaged = found !== 'none';
        if (isDamaged && (await repairObject(key, run))) {
          repaired.push(key);
          isDamaged = false;
        }
        if (isDamaged) {
          damage.set(key, found);
          versions.set(key, { key, version: info.version });
        } else damage.delete(key);
        state = advanced(state, { key, sizeBytes: info.sizeBytes, damage });
        if (isDamaged || state.checkedObjects % NOTE_EVERY === 0) {
          await writeScrubState(store.values, state);
        }
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
    await writeDamage(store, damage);
    await writeScrubState(store.values, null);
    return {
      checkedObjects: state.checkedObjects + files.checkedCount,
      checkedBytes: state.checkedBytes,
      damaged: [...hit].map(([key, names]) => ({ key, files: [...names].sort() })),
      repaired,
    };
  } finally {
    scope.close();
  }
}

function advanced(
  state: ScrubState,
  step: {
    readonly key: string;
    readonly sizeBytes: number;
    readonly damage: ReadonlyMap<string, XorbDamage>;
  },
): ScrubState {
  const damaged = [...step.damage].map(([key, found]) => ({
    key,
    chunks: found === 'all' || found === 'none' ? null : [...found],
  }));
  return {
    after: step.key,
    checkedObjects: state.checkedObjects + 1,
    checkedBytes: state.checkedBytes + step.sizeBytes,
    damaged,
  };
}

/** Reads it, and once more where it is damaged: a disk or a cable may say something else next time. */
async function checkObject(
  key: string,
  run: Run,
): Promise<{ readonly found: XorbDamage; readonly info: ObjectInfo } | null> {
  const { store } = run;
  const hash = hashOfKey(key);
  const info = await store.head(key);
  // Deleted meanwhile, or nothing of ours.
  if (info === null || hash === null) return null;
  let found: XorbDamage = 'all';
  for (let attempt = 0; attempt < 2 && found !== 'none'; attempt++) {
    const bytes = await readObject(key, info, run);
    if (bytes === null && (await store.head(key)) === null) return null;
    found = bytes === null ? 'all' : damageIn(key, hash, bytes, run);
  }
  if (found === 'none' && !info.intact) {
    await store.seal?.(key, info.version).catch(() => undefined);
  }
  return { found, info };
}

function damageIn(key: string, hash: MerkleHash, bytes: Uint8Array, run: Run): XorbDamage {
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
  const hash = hashOfKey(key) as MerkleHash;
  const bytes = (await run.repair?.(key)) ?? null;
  if (bytes === null || damageIn(key, hash, bytes, run) !== 'none') return false;
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
  for (const key of [...damage.keys()].slice(0, MAX_DAMAGED)) {
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
