/** Entry point `orbweaver/hub`: repositories of a Hub by name. */

export { createHub } from './compose/hub.js';
export type { HubEdit } from './compose/hub-edit.js';
export {
  type CommitFileOperation,
  type CommitOutput,
  commit,
  createRepo,
  deleteFile,
  deleteFiles,
  deleteRepo,
  downloadFile,
  downloadFolder,
  type FileInput,
  type HubBlob,
  type HubCredentials,
  listFiles,
  uploadFile,
  uploadFiles,
  uploadFolder,
} from './compose/hub-functions.js';

export { defaultHubCache, hubHome } from './compose/hub-home.js';
export { DEFAULT_HUB_URL } from './compose/hub-parts.js';
export { type StoreTokenOptions, storeTokenFrom } from './compose/hub-token.js';
export type {
  FailedDownload,
  Hub,
  HubCommitOptions,
  HubCopy,
  HubCreatedRepo,
  HubCreateOptions,
  HubDownloadedFile,
  HubFile,
  HubFileDownloadOptions,
  HubFolderDownloadOptions,
  HubFolderDownloadResult,
  HubFolderUploadOptions,
  HubListOptions,
  HubMadeCommit,
  HubOptions,
  HubProgress,
  HubRepoOptions,
  HubTransport,
  HubUploadedFile,
  HubUploadOptions,
  HubUploadResult,
} from './compose/hub-types.js';
export {
  type HubAddress,
  type HubEntry,
  isHubAddress,
  parseHubAddress,
  type RepoDesignation,
  type RepoId,
  type RepoType,
  type RepoVisibility,
  type XetGrant,
} from './hub/index.js';
