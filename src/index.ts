/** Entry point `orbweaver`: the client. Gateway, formats and benchmarks have entries of their own. */

export type {
  DownloadProgress,
  FetchPlan,
  FilePlan,
  UploadProgress,
  VerifyRange,
} from './client/index.js';
export type { RandomAccess, Source, SourceReader } from './client/ports.js';
export {
  type ChunkInputOptions,
  type ChunkListing,
  chunkInput,
  type LoadedKernels,
  loadKernels,
} from './compose/chunk.js';
export { createClient } from './compose/client.js';
export type {
  ClientDownloadOptions,
  ClientOptions,
  ClientStreamOptions,
  ClientUploadOptions,
  DownloadResult,
  FailedUpload,
  OrbweaverClient,
  PlacementName,
  PlanDownloadOptions,
  PlanZipOptions,
  UploadBase,
  UploadedFile,
  UploadResult,
  ZipDownloadOptions,
  ZipEntryRequest,
  ZipPlan,
} from './compose/client-types.js';
export type { ClientEditOptions, ClientSplice, EditResult } from './compose/edit.js';
export type { FolderMethods } from './compose/folder-client.js';
export type {
  FailedEntry,
  FolderDiffOptions,
  FolderDownloadOptions,
  FolderDownloadProgress,
  FolderDownloadResult,
  FolderListOptions,
  FolderPlan,
  FolderPlanOptions,
  FolderUploadOptions,
  FolderUploadResult,
  SkippedEntry,
} from './compose/folder-types.js';
export type { NamedInput, UploadInput } from './compose/input.js';
export { createLimits, type TransferLimits } from './compose/limits.js';
export type { ComputeOptions } from './compose/options.js';
export type { OpenOptions, ReadOptions, RemoteFile, RemoteSlice } from './compose/remote-file.js';
export { defaultJournalFolder } from './compose/state-folder.js';
export type { TokenFile } from './compose/token-file.js';
export type { CompressionPolicy } from './compress/index.js';
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorFields,
  type ErrorInfo,
  isOrbweaverError,
  OrbweaverError,
} from './errors.js';
export type {
  ChangedField,
  DirectoryEntry,
  EntryBase,
  FileEntry,
  FolderChange,
  FolderEntry,
  NameRules,
  SymlinkEntry,
} from './folder/index.js';
export { MerkleHash } from './hash/index.js';
export type { KernelTier, TierRequest } from './kernels/index.js';
export type {
  GrantPolicy,
  RequestDispatcher,
  RetryEvent,
  RetryOptions,
  TokenOption,
  TokenSource,
  TokenUrl,
} from './transport/index.js';
