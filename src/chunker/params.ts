/** Sizes that steer the cuts. Derived from the target alone, see {@link chunkerParams}. */
export interface ChunkerParams {
  /** Mean distance of hash matches, a power of two. */
  readonly targetBytes: number;
  /** No chunk is shorter, except the last of a file. An eighth of the target. */
  readonly minBytes: number;
  /** No chunk is longer. Twice the target. */
  readonly maxBytes: number;
  /** How many of the highest bits of the Gear hash must be zero: log2 of the target. */
  readonly maskBits: number;
}

/** Target of the protocol: only this one deduplicates against other clients. */
export const DEFAULT_TARGET_BYTES = 65536;

const MIN_TARGET_BYTES = 1024;
const MAX_TARGET_BYTES = 2 ** 31;

/**
 * Parameters for a target of `targetBytes` (default 65536): a power of two from 1024 to 2^31.
 * Other targets than the default are for comparison and own stores; they do not interoperate.
 * @throws RangeError
 */
export function chunkerParams(targetBytes: number = DEFAULT_TARGET_BYTES): ChunkerParams {
  const maskBits = Math.log2(targetBytes);
  if (
    !Number.isInteger(maskBits) ||
    targetBytes < MIN_TARGET_BYTES ||
    targetBytes > MAX_TARGET_BYTES
  ) {
    throw new RangeError(
      `"targetBytes" expected a power of two from ${MIN_TARGET_BYTES} to ${MAX_TARGET_BYTES}, got ${targetBytes}`,
    );
  }
  return Object.freeze({
    targetBytes,
    minBytes: targetBytes / 8,
    maxBytes: targetBytes * 2,
    maskBits,
  });
}

/** Parameters of the protocol: target 65536, minimum 8192, maximum 131072, 16 mask bits. */
export const DEFAULT_PARAMS: ChunkerParams = chunkerParams();

/** No more chunks than this lie in `bytes` bytes of one file: all but the last have the minimum. */
export function chunkBound(bytes: number, { minBytes }: ChunkerParams = DEFAULT_PARAMS): number {
  return Math.floor(bytes / minBytes) + 1;
}
