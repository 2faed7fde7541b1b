export {
  DEFAULT_BLOCK_BYTES,
  DEFAULT_DOWNLOAD_CONCURRENCY,
  type DownloadOptions,
  type DownloadProgress,
  type DownloadRange,
  type DownloadSummary,
  downloadFile,
} from './download/index.js';
export {
  type AddOptions,
  createUploadSession,
  DEFAULT_QUERY_TIMEOUT_MS,
  DEFAULT_READ_CONCURRENCY,
  DEFAULT_SEND_CONCURRENCY,
  type FailedFile,
  type FileResult,
  type UploadOptions,
  type UploadProgress,
  type UploadSession,
  type UploadSessionOptions,
  type UploadSummary,
} from './upload/index.js';
