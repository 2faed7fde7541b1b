export { type CertainCut, findCertainCut } from './certain-cut.js';
export {
  type ChunkHasher,
  type ChunkHasherOptions,
  createChunkHasher,
  type HashedChunk,
} from './chunk-hasher.js';
export { CutResolver } from './cut-resolver.js';
export { findCuts, nextCut } from './cuts.js';
export { GEAR_TABLE } from './gear-table.js';
export {
  type ChunkerParams,
  chunkBound,
  chunkerParams,
  DEFAULT_PARAMS,
  DEFAULT_TARGET_BYTES,
} from './params.js';
export type { ChunkCutter, CutJob, GearScanner } from './ports.js';
export { createPushChunker, type PushChunker, type PushChunkerOptions } from './push-chunker.js';
export { createReadableScanner, GEAR_WINDOW_BYTES } from './readable-scanner.js';
export {
  type ByteSpan,
  createWindowScanner,
  type WindowScanner,
} from './stable.js';
