/** Entry point `orbweaver/targets`: other upload systems, digests, volumes, and servers to test with. */

export type {
  JournalEntry,
  JournalSummary,
  Journals,
  JsonRecord,
  JsonValue,
  TransferJournal,
} from './client/ports.js';
export { type DigestInputOptions, type DigestListing, digestInput } from './compose/digest.js';
export { defaultJournalFolder } from './compose/state-folder.js';
export type {
  StoredDownload,
  StoredEdit,
  StoredList,
  StoredTargetUpload,
  StoredTransfer,
  StoredUpload,
} from './compose/stored-transfer.js';
export {
  type RunningTargetServer,
  startTargetServer,
  TARGET_SERVER_KINDS,
  type TargetServerOptions,
} from './compose/target-server.js';
export { type TargetOutcome, type TargetUploadOptions, uploadToTarget } from './compose/targets.js';
export {
  type CancelStoredOptions,
  cancelStoredTransfer,
  findTransfer,
  forgetTransfer,
  listTransfers,
} from './compose/transfers.js';
export {
  MIN_VOLUME_BYTES,
  type Volume,
  type VolumeFormat,
  type VolumeManifest,
  type WriteVolumesOptions,
  writeVolumes,
} from './compose/volumes.js';
export { type OpenXetTargetOptions, openXetTarget } from './compose/xet-target.js';
export { DIGEST_NAMES, type DigestMaker, type DigestStream } from './digests/index.js';
export { Budget, type Clock } from './flow/index.js';
export type { Body, Exchange, HttpHeaders, HttpRequest, HttpResponse } from './http/index.js';
export { createJournals } from './io/index.js';
export { SYSTEM_CLOCK, systemRandom } from './platform/index.js';
export {
  type CascadeFaults,
  type CascadeServer,
  type CascadeServerOptions,
  createMultipartServer,
  listen,
  type MetadataFaults,
  type MetadataServer,
  type MetadataServerOptions,
  type MultipartServer,
  type MultipartServerOptions,
  startCascadeServer,
  startMetadataServer,
} from './target-servers/index.js';
export {
  type BurnPayment,
  type CascadeDownload,
  type CascadeDownloadProgress,
  type CascadeDownloadResult,
  type CascadeOptions,
  type CascadeReadOptions,
  type Checked,
  type CidProfile,
  cancelTransfer,
  classOf,
  createCascadeTarget,
  createMultipartTarget,
  createStartrailTarget,
  createTargetWire,
  createXetTarget,
  type DigestName,
  type Digests,
  type Done,
  downloadCascade,
  type Failed,
  type MultipartTargetOptions,
  type OpenSocket,
  openUndiciSocket,
  type Part,
  type PartAck,
  type PartBody,
  type Pending,
  type Plan,
  type PriorTransfer,
  type Repeatable,
  type RestoreOptions,
  type RestoreResult,
  type RunTargetOptions,
  restoreCascade,
  runTarget,
  runTargets,
  type SourceInfo,
  STARTRAIL_CATEGORIES,
  type StartrailCategory,
  type StartrailOptions,
  type StepContext,
  type StepRef,
  type TargetAbilities,
  type TargetErrorClass,
  type TargetErrorOptions,
  type TargetIds,
  type TargetInput,
  type TargetKind,
  type TargetNote,
  type TargetProgress,
  type TargetResult,
  type TargetWire,
  type TargetWireOptions,
  type TransferProgress,
  targetError,
  type UploadTarget,
  type WantedDigests,
  type XetSession,
  type XetTargetOptions,
} from './transport/targets.js';
export { createDigestMaker, type DigestMakerOptions } from './workers/index.js';
