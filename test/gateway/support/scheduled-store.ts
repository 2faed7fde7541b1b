import type { Clock } from '../../../src/flow/index.js';
import type { ObjectStore, ValueStore } from '../../../src/gateway/index.js';
import type { Scheduler } from '../../flow/scheduler.js';

type World = Pick<Scheduler, 'op'>;

/**
 * The same store, on which every call waits for its turn in the order of a scheduler.
 * @param onCall told of each call when its turn comes
 */
export function scheduledStore(
  store: ObjectStore,
  scheduler: World,
  onCall: () => void = () => undefined,
): ObjectStore {
  const { values } = store;
  const world: World = {
    op: (effect) =>
      scheduler.op(() => {
        onCall();
        return effect();
      }),
  };
  return {
    head: (key) => world.op(() => store.head(key)),
    read: (key, range) => world.op(() => store.read(key, range)),
    open: (key) => world.op(() => store.open(key)),
    // In the middle of writing nothing is to be seen: it happens in the turn in which it ends.
    put: async (key, body, options) => {
      const pieces: Uint8Array[] = [];
      if (body instanceof Uint8Array) pieces.push(body);
      else for await (const piece of body) pieces.push(piece.slice());
      return world.op(() => store.put(key, pieces, options));
    },
    list: (prefix) => listed(world, store.list(prefix)),
    delete: (key) => world.op(() => store.delete(key)),
    ...(values === undefined ? {} : { values: scheduledValues(values, world) }),
  };
}

function scheduledValues(values: ValueStore, world: World): ValueStore {
  return {
    read: (key) => world.op(() => values.read(key)),
    write: (key, bytes, expected) => world.op(() => values.write(key, bytes, expected)),
    delete: (key, expected) => world.op(() => values.delete(key, expected)),
    list: (prefix) => listed(world, values.list(prefix)),
  };
}

/** A listing begins in its turn; what it says after that may be old, as that of a real store. */
async function* listed<T>(world: World, source: AsyncIterable<T>): AsyncGenerator<T> {
  const entries = await world.op(async () => {
    const all: T[] = [];
    for await (const entry of source) all.push(entry);
    return all;
  });
  yield* entries;
}

/** What a store of `memoryValues` holds. */
export type HeldValues = Map<string, { readonly bytes: Uint8Array; readonly version: string }>;

/** Values in a Map. */
export function memoryValues(held: HeldValues = new Map()): ValueStore {
  let writes = held.size;
  return {
    read: async (key) => held.get(key) ?? null,
    async write(key, bytes, expected) {
      if ((held.get(key)?.version ?? null) !== expected) return null;
      const version = `${++writes}`;
      held.set(key, { bytes: bytes.slice(), version });
      return version;
    },
    async delete(key, expected) {
      return held.get(key)?.version === expected && held.delete(key);
    },
    async *list(prefix) {
      for (const key of [...held.keys()]) {
        if (key.startsWith(prefix)) yield { key, modifiedMs: 0 };
      }
    },
  };
}

/** What a store of `memoryObjects` holds. */
export type HeldObjects = Map<string, { bytes: Uint8Array; modifiedMs: number; version: string }>;

/** Objects in a Map of the test, which can be copied: a prepared store then costs nothing to have again. */
export function memoryObjects(held: HeldObjects, clock: Clock): ObjectStore {
  let writes = held.size;
  return {
    async head(key) {
      const found = held.get(key);
      if (found === undefined) return null;
      const { modifiedMs, version } = found;
      return { sizeBytes: found.bytes.length, modifiedMs, version, intact: true };
    },
    async read(key, range) {
      const bytes = held.get(key)?.bytes;
      return bytes?.slice(range?.start ?? 0, range?.end ?? bytes.length) ?? null;
    },
    async open(key) {
      const bytes = held.get(key)?.bytes;
      if (bytes === undefined) return null;
      return {
        sizeBytes: bytes.length,
        readAt: async (into, offset) => into.set(bytes.subarray(offset, offset + into.length)),
        close: async () => undefined,
      };
    },
    async put(key, body, { replace = false } = {}) {
      const pieces: Uint8Array[] = [];
      if (body instanceof Uint8Array) pieces.push(body);
      else for await (const piece of body) pieces.push(piece);
      if (held.has(key) && !replace) return false;
      const bytes = new Uint8Array(Buffer.concat(pieces));
      held.set(key, { bytes, modifiedMs: clock.unixMs(), version: `${++writes}` });
      return true;
    },
    async *list(prefix) {
      for (const [key, { bytes, modifiedMs }] of [...held]) {
        if (key.startsWith(prefix)) yield { key, sizeBytes: bytes.length, modifiedMs };
      }
    },
    delete: async (key) => held.delete(key),
  };
}
