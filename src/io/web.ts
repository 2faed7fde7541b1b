/** Sources and sinks that a page can have, as an entry point of its own: without anything of Node. */
export { blobSource } from './blob-source.js';
export { bytesSource } from './bytes-source.js';
export {
  apart,
  KEPT_PART_MS,
  KeptRuns,
  LEAST_KEPT_BYTES,
  type LedgerPlace,
  type OldRuns,
  type PartLedger,
} from './kept-runs.js';
export { type MemorySink, memorySink } from './memory-sink.js';
export { type Spool, spoolSink } from './spool-sink.js';
export { streamSource } from './stream-source.js';
