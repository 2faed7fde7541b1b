export type { BaseInput, BaseOutcome } from './base.js';
export { IDENTITY_BYTES } from './file-records.js';
export { KnownFiles } from './known-files.js';
export { type ListChunksOptions, listChunks } from './list-chunks.js';
export { createUploadSession } from './session.js';
export {
  type AddOptions,
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
} from './types.js';
