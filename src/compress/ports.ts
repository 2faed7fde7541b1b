export type { CompressionPolicy } from './schemes.js';

/** What compression needs from outside: the block codecs. The readable implementation lives in `compress/`. */
export interface BlockCodec {
  /** LZ4 block of `src` into `out`; bytes written, or 0 when it does not fit into `out`. */
  lz4Compress(src: Uint8Array, out: Uint8Array): number;
  /**
   * Decodes one LZ4 block into `out` from `outStart`; matches may reach back to `out[0]` (linked
   * blocks). Returns the end position in `out`, or -1 when the block is invalid or does not fit.
   * Never reads or writes outside of `src` and `out`, whatever the bytes.
   */
  lz4Decompress(src: Uint8Array, out: Uint8Array, outStart: number): number;
  /** Byte i goes to group i % 4; groups side by side in `out` (same length as `src`). */
  bg4Split(src: Uint8Array, out: Uint8Array): void;
  /** Inverse of {@link BlockCodec.bg4Split}. */
  bg4Join(src: Uint8Array, out: Uint8Array): void;
  /**
   * `out.set(src)`, overlap included, for codecs that can do it faster: engines move the bytes of
   * shared memory one by one unless both sides have the same place within a word. Absent elsewhere.
   */
  copy?(src: Uint8Array, out: Uint8Array): void;
}
