export { ChunkMap, type ListedChunk } from './chunk-map.js';
export {
  type ComposedTerms,
  composeTerms,
  hashOfParts,
  type NewRegion,
  type OldTerm,
  placeTerms,
  splitTerms,
} from './compose.js';
export {
  dirtyBytes,
  MAX_DIRTY_RANGES,
  type OrderedSplice,
  orderSplices,
  type Region,
  type RegionStep,
  regionsOf,
  type Splice,
} from './splices.js';
