export { OrderedAssembler, type OrderedPiece } from './assembler.js';
export { type AskedBytes, checkTerms, outputBytesOf, type PlacedTerm } from './check-terms.js';
export {
  type FileChunkHashes,
  type FileChunkHashesJson,
  fileChunkHashesTexts,
  parseFileChunkHashes,
} from './chunk-hashes-json.js';
export { type CoalescedRange, type CoalesceOptions, coalesceRanges } from './coalesce.js';
export {
  type DownloadPlan,
  type DownloadPlanOptions,
  type FetchUse,
  type PlannedFetch,
  type PlanWindow,
  planDownload,
} from './download-plan.js';
export {
  DEFAULT_READ_PRICE,
  type ReadPriceModel,
} from './price.js';
export {
  encodeReconstructionV1,
  encodeReconstructionV2,
  type JsonRange,
  parseReconstruction,
  type ReconstructionHeadJson,
  type ReconstructionV1Json,
  type ReconstructionV2Json,
} from './reconstruction-json.js';
export type { FetchEntry, FetchRange, Reconstruction, Term, XorbFetch } from './types.js';
