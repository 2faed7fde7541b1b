export {
  type BatchFile,
  type BatchOptions,
  type BatchSummary,
  downloadBatch,
  planBatch,
} from './download-batch.js';
export {
  DEFAULT_BLOCK_BYTES,
  DEFAULT_DOWNLOAD_BUDGET_BYTES,
  DEFAULT_DOWNLOAD_CONCURRENCY,
  downloadFile,
} from './download-file.js';
export type { KnownChunkHashes } from './known-chunks.js';
export { planFile } from './plan-file.js';
export type {
  DownloadOptions,
  DownloadProgress,
  DownloadRange,
  DownloadSummary,
  FetchPlan,
  FilePlan,
  HashTree,
} from './types.js';
export { downloadVerified, type VerifyRange } from './verified-range.js';
