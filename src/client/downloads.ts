/**
 * The half of this module that downloads need, as an entry point of its own: with the other half, its
 * queues and its dedup, loading it would take longer than a small download.
 */
export {
  type BatchFile,
  type BatchOptions,
  type BatchSummary,
  type DownloadOptions,
  type DownloadProgress,
  type DownloadSummary,
  downloadBatch,
  downloadFile,
  downloadVerified,
  type FetchPlan,
  type FilePlan,
  planBatch,
  planFile,
  type VerifyRange,
} from './download/index.js';
export { FileReader } from './reading/index.js';
export { type Pace, Teller } from './teller.js';
