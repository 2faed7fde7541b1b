export {
  checkRepoPath,
  type HubAddress,
  hubAddressText,
  isHubAddress,
  parseHubAddress,
  type RepoDesignation,
  type RepoId,
  type RepoType,
  repoOf,
} from './address.js';
export {
  type CommitOperation,
  type CommitOptions,
  commit,
  type HubCommit,
  pullRequestBranch,
} from './commit.js';
export { createHubHttp, type HubHttp, type HubHttpOptions } from './http.js';
export {
  LFS_BATCH_FILES,
  type LfsAnswer,
  type LfsObject,
  type LfsTransfer,
  lfsBatch,
} from './lfs-batch.js';
export { sendLfs } from './lfs-send.js';
export {
  commitOf,
  fileInfo,
  type HubEntry,
  type HubFileInfo,
  listTree,
  pathsInfo,
  resolvePath,
} from './listing.js';
export {
  PREUPLOAD_FILES,
  type PreuploadAnswer,
  type PreuploadFile,
  type PreuploadRules,
  preupload,
  SAMPLE_BYTES,
} from './preupload.js';
export { createRepo, deleteRepo, type RepoVisibility } from './repos.js';
export { askXetToken, type XetAccess, type XetGrant, xetAccess } from './token.js';
