import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import { copyBytes } from './copy-bytes.js';
import { lz4FrameDecode } from './lz4-frame.js';
import type { BlockCodec } from './ports.js';
import { type CompressionScheme, SCHEME_BG4_LZ4, SCHEME_LZ4, SCHEME_NONE } from './schemes.js';

/**
 * Decodes the payload of a chunk record into `out`, filling exactly all of it. `payload` is
 * borrowed for the call and must not overlap `out`; both may be views of shared memory.
 * `scratch` (at least `out.length` bytes) saves an allocation for each BG4 chunk.
 *
 * @throws OrbweaverError `FORMAT_INVALID`, `TRUNCATED`, `UNSUPPORTED`, `CHECKSUM_MISMATCH` as
 * {@link lz4FrameDecode}; `LIMIT_EXCEEDED` when `out` is longer than {@link MAX_CHUNK_BYTES}
 */
export function decompressChunk(
  codec: BlockCodec,
  scheme: CompressionScheme,
  payload: Uint8Array,
  out: Uint8Array,
  scratch?: Uint8Array,
): void {
  const length = out.length;
  if (length > MAX_CHUNK_BYTES) {
    throw new OrbweaverError(
      'LIMIT_EXCEEDED',
      `"uncompressed length" expected at most ${MAX_CHUNK_BYTES}, got ${length}`,
      { field: 'uncompressed length' },
    );
  }
  switch (scheme) {
    case SCHEME_NONE:
      if (payload.length !== length) {
        throw new OrbweaverError(
          'FORMAT_INVALID',
          `"payload" expected ${length} bytes, got ${payload.length}`,
          { field: 'payload' },
        );
      }
      copyBytes(codec, payload, out);
      return;
    case SCHEME_LZ4:
      lz4FrameDecode(codec, payload, out);
      return;
    case SCHEME_BG4_LZ4: {
      const grouped = scratch === undefined ? new Uint8Array(length) : scratch.subarray(0, length);
      lz4FrameDecode(codec, payload, grouped);
      codec.bg4Join(grouped, out);
      return;
    }
    default:
      throw new OrbweaverError(
        'UNSUPPORTED',
        `"compression scheme" expected 0, 1 or 2, got ${scheme as number}`,
        { field: 'compression scheme' },
      );
  }
}
