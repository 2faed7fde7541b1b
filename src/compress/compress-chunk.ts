import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import { createBg4Probe } from './bg4-probe.js';
import { LZ4_FRAME_OVERHEAD_BYTES, lz4FrameEncode } from './lz4-frame.js';
import type { BlockCodec } from './ports.js';
import {
  type CompressionPolicy,
  type CompressionScheme,
  checkCompressionPolicy,
  DEFAULT_COMPRESSION_POLICY,
  SCHEME_BG4_LZ4,
  SCHEME_LZ4,
  SCHEME_NONE,
} from './schemes.js';

/**
 * The choice of scheme for one chunk, and its execution.
 *
 * What it relies on: LZ4 crosses incompressible bytes at many times its usual speed (search
 * acceleration), and gives up when its output reaches the room it was given. So plain LZ4 is its
 * own cheap test, and only BG4, which would double the work, needs a look ahead (`bg4-probe.ts`).
 */

/** Scratch that one {@link ChunkCompressor} works in: a grouped chunk and two candidates. */
export const COMPRESS_SCRATCH_BYTES: number = 3 * MAX_CHUNK_BYTES;

/** What {@link createChunkCompressor} needs. */
export interface ChunkCompressorOptions {
  readonly codec: BlockCodec;
  /** @default DEFAULT_COMPRESSION_POLICY */
  readonly policy?: CompressionPolicy | undefined;
  /**
   * At least {@link COMPRESS_SCRATCH_BYTES}, owned by the compressor from now on. Memory of the
   * kernels saves them a copy. Default: allocated here.
   */
  readonly scratch?: Uint8Array | undefined;
}

/** A chunk in the form in which it goes into a record. */
export interface CompressedChunk {
  readonly scheme: CompressionScheme;
  /** A view: of the chunk itself for scheme none, else of scratch, valid until the next call. */
  readonly payload: Uint8Array;
}

/** Compresses chunks one after another in its own scratch memory. */
export interface ChunkCompressor {
  /** `chunk` is borrowed. @throws RangeError when it is longer than `MAX_CHUNK_BYTES` */
  compress(chunk: Uint8Array): CompressedChunk;
}

/**
 * A compressor for any number of chunks; the payload is never longer than the chunk.
 *
 * @example
 * const compressor = createChunkCompressor({ codec: createReadableCodec() });
 * const { scheme, payload } = compressor.compress(new Uint8Array(65536)); // 1, about 280 bytes
 * @throws RangeError when `scratch` is too short or `policy` unknown
 */
export function createChunkCompressor(options: ChunkCompressorOptions): ChunkCompressor {
  const { codec, policy = DEFAULT_COMPRESSION_POLICY } = options;
  const scratch = options.scratch ?? new Uint8Array(COMPRESS_SCRATCH_BYTES);
  checkCompressionPolicy(policy);
  if (scratch.length < COMPRESS_SCRATCH_BYTES) {
    throw new RangeError(
      `"scratch" expected ${COMPRESS_SCRATCH_BYTES} bytes, got ${scratch.length}`,
    );
  }
  const grouped = scratch.subarray(0, MAX_CHUNK_BYTES);
  const first = scratch.subarray(MAX_CHUNK_BYTES, 2 * MAX_CHUNK_BYTES);
  const second = scratch.subarray(2 * MAX_CHUNK_BYTES, 3 * MAX_CHUNK_BYTES);

  /** Each form returns null when its payload would not be shorter than `limit`. */
  const lz4 = (chunk: Uint8Array, limit: number): CompressedChunk | null => {
    const length = lz4FrameEncode(codec, chunk, first, 0, limit);
    return length === 0 ? null : { scheme: SCHEME_LZ4, payload: first.subarray(0, length) };
  };
  const bg4 = (chunk: Uint8Array, limit: number): CompressedChunk | null => {
    const view = grouped.subarray(0, chunk.length);
    codec.bg4Split(chunk, view);
    const length = lz4FrameEncode(codec, view, second, 0, limit);
    return length === 0 ? null : { scheme: SCHEME_BG4_LZ4, payload: second.subarray(0, length) };
  };

  const smaller = (chunk: Uint8Array): CompressedChunk | null => {
    const plain = lz4(chunk, chunk.length);
    return bg4(chunk, plain === null ? chunk.length : plain.payload.length) ?? plain;
  };
  const probe = createBg4Probe(codec, grouped, first);

  const choose = (chunk: Uint8Array): CompressedChunk | null => {
    const limit = chunk.length;
    switch (policy) {
      case 'none':
        return null;
      case 'lz4':
        return lz4(chunk, limit);
      case 'bg4-lz4':
        return bg4(chunk, limit);
      case 'smallest':
        return smaller(chunk);
      case 'auto': {
        const verdict = probe(chunk);
        if (verdict === 'both') return smaller(chunk);
        return verdict === 'bg4' ? bg4(chunk, limit) : lz4(chunk, limit);
      }
    }
  };

  return {
    compress(chunk) {
      if (chunk.length > MAX_CHUNK_BYTES) {
        throw new RangeError(
          `"chunk" expected at most ${MAX_CHUNK_BYTES} bytes, got ${chunk.length}`,
        );
      }
      // A frame of so few bytes cannot be shorter than they are.
      const tried = chunk.length > LZ4_FRAME_OVERHEAD_BYTES ? choose(chunk) : null;
      return tried ?? { scheme: SCHEME_NONE, payload: chunk };
    },
  };
}
