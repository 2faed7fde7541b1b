/**
 * The other upload systems: an entry of their own, so that a client of the content-addressed store
 * does not load them.
 */

export { createFileReads, type FileReads } from './file-reads.js';
export {
  type BurnPayment,
  type CascadeDownload,
  type CascadeDownloadProgress,
  type CascadeDownloadResult,
  type CascadeOptions,
  type CascadeReadOptions,
  createCascadeTarget,
  downloadCascade,
  type OpenSocket,
  openUndiciSocket,
  type RestoreOptions,
  type RestoreResult,
  restoreCascade,
} from './targets/cascade/index.js';
export { classOf, type TargetErrorOptions, targetError } from './targets/errors.js';
export {
  createTargetHttp,
  type TargetHttp,
  type TargetHttpOptions,
  type TargetResponse,
} from './targets/http.js';
export { chunkBytesToAsk, type MultipartTargetOptions } from './targets/multipart/options.js';
export { ENDS_ABOVE_BYTES } from './targets/multipart/responses.js';
export { createMultipartTarget } from './targets/multipart/target.js';
export { pauseFor } from './targets/pause.js';
export type {
  Checked,
  DigestName,
  Digests,
  Done,
  Failed,
  Part,
  PartAck,
  PartBody,
  Pending,
  Plan,
  PriorTransfer,
  Repeatable,
  RunTargetOptions,
  SourceInfo,
  StepContext,
  StepRef,
  TargetAbilities,
  TargetErrorClass,
  TargetIds,
  TargetKind,
  TargetNote,
  TargetProgress,
  TargetResult,
  TransferProgress,
  UploadTarget,
  WantedDigests,
} from './targets/ports.js';
export { cancelTransfer, runTarget, runTargets, type TargetInput } from './targets/run-target.js';
export {
  type CidProfile,
  createStartrailTarget,
  STARTRAIL_CATEGORIES,
  type StartrailCategory,
  type StartrailOptions,
} from './targets/startrail/index.js';
export { DEFAULT_BUDGET_BYTES } from './targets/transfer.js';
export { type Replay, replay } from './targets/transfer-journal.js';
export { createTargetWire, type TargetWire, type TargetWireOptions } from './targets/wire.js';
export { createXetTarget, type XetSession, type XetTargetOptions } from './targets/xet.js';
