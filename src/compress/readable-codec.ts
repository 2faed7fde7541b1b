import { bg4Join, bg4Split } from './bg4.js';
import { createLz4BlockEncoder, lz4BlockDecode } from './lz4-block.js';
import type { BlockCodec } from './ports.js';

/**
 * The block codec in plain TypeScript: oracle of the kernels, and the fallback where they do not
 * run. It owns a hash table of 32 KiB and allocates nothing per call.
 *
 * @example
 * const codec = createReadableCodec();
 * const packed = new Uint8Array(1024);
 * const length = codec.lz4Compress(new Uint8Array(4096), packed); // 0 when it does not fit
 */
export function createReadableCodec(): BlockCodec {
  return {
    lz4Compress: createLz4BlockEncoder(),
    lz4Decompress: lz4BlockDecode,
    bg4Split,
    bg4Join,
  };
}
