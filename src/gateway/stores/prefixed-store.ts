import type { ObjectStore, ValueStore } from '../ports.js';
import { keySegments, prefixSegments } from './key-path.js';

/**
 * The objects and values of a store below a prefix, as a store of their own. Keys are shorter by its
 * segments.
 *
 * @param prefix one to three whole segments, each followed by a slash
 * @throws RangeError for another prefix
 * @example
 * const part = prefixedStore(store, 'tenants/north/');
 */
export function prefixedStore(store: ObjectStore, prefix: string): ObjectStore {
  if (prefixSegments(prefix).length > 3) {
    throw new RangeError(`"prefix" leaves no room for a key: ${JSON.stringify(prefix)}`);
  }
  const at = keysBelow(prefix);
  const { putFrom, readTail, signedPut, signedGet, seal, values, check, dropUnfinished } = store;
  return {
    head: async (key) => store.head(at(key)),
    read: async (key, range) => store.read(at(key), range),
    open: async (key) => store.open(at(key)),
    put: async (key, body, options) => store.put(at(key), body, options),
    ...(putFrom && {
      putFrom: async (key, part, options) =>
        putFrom.call(store, at(key), { ...part, key: at(part.key) }, options),
    }),
    ...(signedPut && {
      signedPut: async (key, options) => signedPut.call(store, at(key), options),
    }),
    ...(readTail && { readTail: async (key, bytes) => readTail.call(store, at(key), bytes) }),
    ...(signedGet && {
      signedGet: async (key, options) => signedGet.call(store, at(key), options),
    }),
    ...(seal && { seal: async (key, version) => seal.call(store, at(key), version) }),
    async *list(below) {
      for await (const entry of store.list(prefix + checkedPrefix(below))) {
        yield { ...entry, key: entry.key.slice(prefix.length) };
      }
    },
    delete: async (key) => store.delete(at(key)),
    ...(dropUnfinished && {
      dropUnfinished: async (below, options) =>
        dropUnfinished.call(store, prefix + checkedPrefix(below), options),
    }),
    ...(values && { values: prefixedValues(values, prefix) }),
    ...(check && { check: () => check.call(store) }),
  };
}

function prefixedValues(values: ValueStore, prefix: string): ValueStore {
  const at = keysBelow(prefix);
  return {
    read: async (key) => values.read(at(key)),
    write: async (key, bytes, expected) => values.write(at(key), bytes, expected),
    delete: async (key, expected) => values.delete(at(key), expected),
    async *list(below) {
      for await (const entry of values.list(prefix + checkedPrefix(below))) {
        yield { ...entry, key: entry.key.slice(prefix.length) };
      }
    },
  };
}

/** What is no key stays none, whatever is before it. */
function keysBelow(prefix: string): (key: string) => string {
  return (key) => {
    keySegments(key);
    return prefix + key;
  };
}

function checkedPrefix(prefix: string): string {
  prefixSegments(prefix);
  return prefix;
}
