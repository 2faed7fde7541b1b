/** The upkeep of a store, while gateways go on working on it. Everything here works over `ObjectStore`. */

export { type Archived, type ArchiveEntry, exportFiles, importFiles } from './archive.js';
export {
  COLLECT_DEFAULTS,
  type Collected,
  type CollectOptions,
  collectGarbage,
} from './collect.js';
export { type Copied, type CopyOptions, copyStore } from './copy.js';
export {
  listStoredFiles,
  type RemovedFiles,
  type RemoveOptions,
  removeStoredFiles,
  type StoredFile,
} from './files.js';
export { createXorbRebuilder, type RebuildParts } from './rebuild-xorb.js';
export {
  type DamagedObject,
  forgetScrub,
  type Scrubbed,
  type ScrubOptions,
  scrubStore,
} from './scrub.js';
export { type StoreStats, storeStats } from './stats.js';
