export { CACHE_KEY_BYTES, keysOfShard, keysToFind } from './cache-keys.js';
export { ChunkIndex, type ChunkIndexOptions, hashWords } from './chunk-index.js';
export {
  DEFAULT_MAX_KNOWN_CHUNKS,
  DEFAULT_PLACEMENT_PRICES,
  DEFAULT_SHARD_BYTES,
  type PlacementPrices,
  QUERY_SPACING_CHUNKS,
  READ_FAST_PRICES,
} from './constants.js';
export {
  type FileChunks,
  type KnownXorbRun,
  type PlacedChunks,
  placeChunks,
} from './place-chunks.js';
export { createPricedPlacement, createReadFastPlacement } from './placement-priced.js';
export { createReferencePlacement } from './placement-reference.js';
export { createStoreLeastPlacement } from './placement-store-least.js';
export type { FilePlacement, KnownRun, Origin, PlacedRun, PlacementPolicy } from './ports.js';
export { denseCandidates } from './query-policy.js';
export { createDedupSession } from './session.js';
export type {
  ClosedXorb,
  DedupSession,
  DedupSessionOptions,
  DedupStats,
  FileHandle,
  FileSummary,
  NewRun,
  PlaceResult,
} from './types.js';
