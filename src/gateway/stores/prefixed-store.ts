import type { ObjectStore } from '../ports.js';

/** The objects of a store below a prefix, as a store of their own. `prefix` ends with a slash. */
export function prefixedStore(store: ObjectStore, prefix: string): ObjectStore {
  const { putFrom, signedPut, seal, check } = store;
  return {
    head: (key) => store.head(prefix + key),
    read: (key, range) => store.read(prefix + key, range),
    open: (key) => store.open(prefix + key),
    put: (key, body, options) => store.put(prefix + key, body, options),
    ...(putFrom && {
      putFrom: (key, part, options) =>
        putFrom.call(store, prefix + key, { ...part, key: prefix + part.key }, options),
    }),
    ...(signedPut && {
      signedPut: (key, options) => signedPut.call(store, prefix + key, options),
    }),
    ...(seal && { seal: (key, version) => seal.call(store, prefix + key, version) }),
    async *list(below) {
      for await (const entry of store.list(prefix + below)) {
        yield { ...entry, key: entry.key.slice(prefix.length) };
      }
    },
    delete: (key) => store.delete(prefix + key),
    ...(check && { check: () => check.call(store) }),
  };
}
