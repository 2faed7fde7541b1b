export {
  CHUNK_FLAG_GLOBAL_DEDUP,
  FOOTER_BYTES,
  NEVER_EXPIRES,
  RECORD_BYTES,
  SHARD_MAX_BYTES,
  XORB_CHUNKS_ACCEPT_MAX,
} from './constants.js';
export { type DecodeShardOptions, decodeShard } from './decode.js';
export {
  type EncodeShardOptions,
  encodeShard,
  encodeShardInSteps,
  type ShardToEncode,
} from './encode.js';
export {
  decodeFooter as decodeShardFooter,
  encodeFooter as encodeShardFooter,
  shardExpired,
  shardKeyOf,
} from './footer.js';
export { HashTable } from './hash-table.js';
export { keyShard, longShardKey, shardKey } from './key.js';
export { fileHashesOf, PackedFiles } from './packed-files.js';
export {
  createShardReader,
  pushInSteps,
  type ShardEvent,
  type ShardReader,
  type ShardReaderOptions,
} from './reader.js';
export { planShards, type ShardPart, type SplitPlanInput } from './split.js';
export type {
  Shard,
  ShardFile,
  ShardFooter,
  ShardTerm,
  ShardVariant,
  ShardXorb,
} from './types.js';
export { verifyShard } from './verify.js';
