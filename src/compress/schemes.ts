/**
 * Compression schemes of a chunk record, and the policies that choose among them.
 */

/** Payload is the chunk itself. */
export const SCHEME_NONE = 0;
/** Payload is one LZ4 frame of the chunk. */
export const SCHEME_LZ4 = 1;
/** Payload is one LZ4 frame of the chunk grouped by byte position modulo 4 (BG4). */
export const SCHEME_BG4_LZ4 = 2;

/**
 * A scheme that may stand in a chunk record. 3 (bit slices) is written by one third-party client
 * and read by nobody else; 99 is a configuration value of the reference client. Both are refused.
 */
export type CompressionScheme = 0 | 1 | 2;

/**
 * How a writer picks the scheme of each chunk. Whatever the policy, a chunk that would not get
 * smaller is stored as {@link SCHEME_NONE}.
 *
 * - `auto`: plain LZ4, or BG4 where a cheap look at the chunk says that it pays.
 * - `none`, `lz4`, `bg4-lz4`: that scheme only.
 * - `smallest`: tries both on every chunk and keeps the smaller one (about twice the work).
 */
export type CompressionPolicy = 'auto' | 'none' | 'lz4' | 'bg4-lz4' | 'smallest';

/** Every policy, for option checks and help texts. */
export const COMPRESSION_POLICIES: readonly CompressionPolicy[] = [
  'auto',
  'none',
  'lz4',
  'bg4-lz4',
  'smallest',
];

/** The policy of every writer that is not told otherwise. */
export const DEFAULT_COMPRESSION_POLICY: CompressionPolicy = 'auto';

/** @throws RangeError for what is no policy, from callers without types */
export function checkCompressionPolicy(policy: CompressionPolicy): void {
  if (COMPRESSION_POLICIES.includes(policy)) return;
  const expected = COMPRESSION_POLICIES.join(', ');
  throw new RangeError(`"policy" expected one of ${expected}, got ${String(policy)}`);
}
