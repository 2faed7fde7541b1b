export { type KeptSecrets, keptSecrets } from './disk-secrets.js';
export { createDiskStore, type DiskStoreOptions } from './disk-store.js';
export { isObjectKey } from './key-path.js';
export { createMemoryStore } from './memory-store.js';
