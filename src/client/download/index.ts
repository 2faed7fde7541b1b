export {
  DEFAULT_BLOCK_BYTES,
  DEFAULT_DOWNLOAD_CONCURRENCY,
  downloadFile,
} from './download-file.js';
export type {
  DownloadOptions,
  DownloadProgress,
  DownloadRange,
  DownloadSummary,
} from './types.js';
