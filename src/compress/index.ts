export {
  type ChunkCompressor,
  type ChunkCompressorOptions,
  COMPRESS_SCRATCH_BYTES,
  type CompressedChunk,
  createChunkCompressor,
} from './compress-chunk.js';
export { copyBytes } from './copy-bytes.js';
export { decompressChunk } from './decompress-chunk.js';
export { LZ4_FRAME_OVERHEAD_BYTES, lz4FrameDecode, lz4FrameEncode } from './lz4-frame.js';
export { createReadableCodec } from './readable-codec.js';
export {
  COMPRESSION_POLICIES,
  type CompressionPolicy,
  type CompressionScheme,
  checkCompressionPolicy,
  DEFAULT_COMPRESSION_POLICY,
  SCHEME_BG4_LZ4,
  SCHEME_LZ4,
  SCHEME_NONE,
} from './schemes.js';
export { xxHash32 } from './xxhash32.js';
