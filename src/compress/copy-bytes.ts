import type { BlockCodec } from './ports.js';

/**
 * `out.set(bytes)` by the fastest means there is, overlap included. In shared memory engines copy
 * byte by byte unless both sides have the same place within a word: about a tenth of the speed
 * (1.9 against 32 GB/s on a Xeon, 2026-11, `node bench/kernels.mjs`).
 */
export function copyBytes(codec: BlockCodec, bytes: Uint8Array, out: Uint8Array): void {
  if (codec.copy === undefined) out.set(bytes);
  else codec.copy(bytes, out);
}
