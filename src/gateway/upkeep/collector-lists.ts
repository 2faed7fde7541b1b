import type { Clock } from '../../flow/index.js';
import {
  type Condemned,
  condemnedKey,
  decodeCondemned,
  decodeState,
  encodeCondemned,
  encodeState,
  GC_STATE_KEY,
  type GcState,
  MAX_CONDEMNED,
  type Since,
} from '../condemned.js';
import type { ValueStore } from '../ports.js';

/** The collector's side of `condemned.ts`: what it writes there, against everybody else who writes. */
export interface CollectorLists {
  /** Names of the lists that are there. */
  digits(): Promise<readonly string[]>;
  read(digits: string): Promise<Condemned>;
  /**
   * Replaces a list by what `change` makes of it, again when somebody was faster; null: leave it.
   * Resolves with what was written, or read when nothing was.
   */
  update(digits: string, change: (list: Condemned) => Condemned | null): Promise<Condemned>;
  /** After lists were written: everybody reads them anew. This run may be deleting until a time. */
  publish(deletingUntilMs: number | null): Promise<void>;
}

/** @param id names this run */
export function createCollectorLists(
  values: ValueStore,
  { clock, id }: { readonly clock: Clock; readonly id: string },
): CollectorLists {
  async function digits(): Promise<string[]> {
    const found: string[] = [];
    const prefix = condemnedKey('');
    for await (const { key } of values.list(prefix)) found.push(key.slice(prefix.length));
    return found.sort();
  }
  return {
    digits,
    read: async (name) => decodeCondemned((await values.read(condemnedKey(name)))?.bytes),
    async update(name, change) {
      const key = condemnedKey(name);
      for (;;) {
        const found = await values.read(key);
        const list = decodeCondemned(found?.bytes);
        const changed = change(list);
        if (changed === null) return list;
        if (changed.since.size + changed.deleting.size === 0) {
          if (found === null || (await values.delete(key, found.version))) return changed;
        } else {
          const bytes = encodeCondemned(changed);
          if ((await values.write(key, bytes, found?.version ?? null)) !== null) return changed;
        }
      }
    },
    async publish(deletingUntilMs) {
      const nowMs = clock.unixMs();
      for (;;) {
        const found = await values.read(GC_STATE_KEY);
        const before = decodeState(found?.bytes);
        // A run that died long ago deletes nothing any more.
        const others = before.sweeps.filter(
          (sweep) => sweep.id !== id && sweep.untilMs + DEAD_AFTER_MS > nowMs,
        );
        const state: GcState = {
          generation: before.generation + 1,
          lists: await digits(),
          sweeps: deletingUntilMs === null ? others : [...others, { id, untilMs: deletingUntilMs }],
        };
        const version = await values.write(
          GC_STATE_KEY,
          encodeState(state),
          found?.version ?? null,
        );
        if (version !== null) return;
      }
    },
  };
}

const DEAD_AFTER_MS = 24 * 60 * 60 * 1000;

/** The list with these objects condemned from now on, unless they already are, as far as there is room. */
export function withCondemned(list: Condemned, keys: readonly string[], now: Since): Condemned {
  const since = new Map(list.since);
  for (const key of keys) {
    if (since.size >= MAX_CONDEMNED) break;
    if (!since.has(key)) since.set(key, now);
  }
  return { ...list, since };
}
