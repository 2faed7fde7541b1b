export { type KeptSecrets, keptSecrets } from './disk-secrets.js';
export { createDiskStore, type DiskStoreOptions } from './disk-store.js';
export { keptTokenKeys } from './disk-token-keys.js';
export { isObjectKey } from './key-path.js';
export { createMemoryStore } from './memory-store.js';
export { prefixedStore } from './prefixed-store.js';
export { MAX_VALUE_BYTES } from './value-limits.js';
