export { type WriteFileAtomicOptions, writeFileAtomic } from './atomic-write.js';
export { blobSource } from './blob-source.js';
export { bytesRandomAccess, bytesSource } from './bytes-source.js';
export { createDiskLatency, type DiskLatency } from './disk-latency.js';
export { inputError, outputError } from './errno.js';
export { type FileSinkOptions, fileSink } from './file-sink.js';
export { makeFolder, syncFolder } from './folder.js';
export { createGitBlobHash, type GitBlobHash, gitBlobId } from './git-blob.js';
export { createJournals } from './journal.js';
export { knownSize } from './known-size.js';
export { type MemorySink, memorySink } from './memory-sink.js';
export { outputSink } from './output-sink.js';
export { hasParts, removeKeptParts } from './part-name.js';
export { type Glob, type PathFilter, parseGlob, pathFilter } from './path-filter.js';
export { type PathSourceOptions, pathSource } from './path-source.js';
export { type PlanSink, planSink } from './plan-sink.js';
export { openPlanTree } from './plan-tree.js';
export type { PresentFile } from './present-entry.js';
export { isRunning } from './process-id.js';
export { openRandomAccess } from './random-access.js';
export { rawPathSource } from './raw-path-source.js';
export { openRestoreTree, type RestoreTree } from './restore-tree.js';
export { createShardCache, type ShardCacheOptions } from './shard-cache.js';
export {
  isPath,
  pathOf,
  type SourceOptions,
  sourceNow,
  sourceOf,
  type UploadInput,
} from './source-of.js';
export { createSpool } from './spool.js';
export { type Spool, spoolSink } from './spool-sink.js';
export { type StreamSinkOptions, streamSink } from './stream-sink.js';
export { type StreamInput, streamSource } from './stream-source.js';
export {
  type SymlinkPolicy,
  type Walked,
  type WalkedFile,
  type WalkNode,
  type WalkOptions,
  walkFolder,
} from './walk-folder.js';
