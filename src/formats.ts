/**
 * The pure core: chunker, hashes, codecs, xorb and shard formats, dedup and reconstruction planning.
 * No I/O and nothing of Node, so it also runs in a browser. Functions that need fast byte work take
 * it through a port (`GearScanner`, `Hasher`, `BlockCodec`); the readable implementations are here,
 * the fast ones come from `loadKernels` of the main entry.
 */

export * from './bytes/index.js';
export * from './chunker/index.js';
export * from './compress/index.js';
export type { BlockCodec } from './compress/ports.js';
export * from './dedup/index.js';
export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorFields,
  type ErrorInfo,
  isOrbweaverError,
  OrbweaverError,
} from './errors.js';
export * from './hash/index.js';
export * from './plan/index.js';
export * from './shard/index.js';
export * from './xorb/index.js';
