/** Least of `maxXorbBytes`: a chunk and its header always fit, and shards stay few. */
export const LEAST_XORB_BYTES: number = 1024 * 1024;
