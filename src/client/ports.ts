/**
 * What uploads and downloads need from outside, one file for each capability. Types only; the
 * implementations live in `io/`, `transport/`, `workers/` and `archive/`, and are passed in.
 */
export type {
  JournalEntry,
  JournalSummary,
  Journals,
  JsonRecord,
  JsonValue,
  TransferJournal,
} from './ports/journal.js';
export type {
  ComputePool,
  DecodeRequest,
  DecodeResult,
  PackRequest,
  PackResult,
  SegmentChunks,
  Sha256Stream,
  Slab,
  SlabSegment,
} from './ports/pool.js';
export type { CachedShard, ShardCache } from './ports/shard-cache.js';
export type { ChunkRun, KeptRun, Sink, SinkPart } from './ports/sink.js';
export type { RandomAccess, Source, SourceReader } from './ports/source.js';
export type {
  BatchReconstruction,
  BatchReconstructions,
  ByteRange,
  CasClient,
  ChunkHashes,
  DedupQueries,
  DedupQuestion,
  DenseDedup,
  FileSizes,
  PutXorbOptions,
  RangeReader,
  RangeSource,
  ReadRangesOptions,
  Reconstructions,
  SendTurn,
  ShardRegistry,
  XorbBody,
  XorbStore,
} from './ports/store.js';
export type {
  PackedXorb,
  ShardConsumer,
  TakeOptions,
  UploadDestination,
  UploadJournal,
  XorbChunks,
  XorbConsumer,
} from './ports/upload-destination.js';
