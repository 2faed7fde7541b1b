/** What the reference client's predictor says about one chunk. */
export interface Bg4Prediction {
  /**
   * Kullback-Leibler divergence (natural logarithm) of each byte group against all bytes; `NaN`
   * for a group that lacks one of the nine bit counts.
   */
  readonly divergences: readonly [number, number, number, number];
  /** Largest divergence that is not `NaN`; 0 when all are. */
  readonly maxDivergence: number;
  /** True when `maxDivergence` is above 0.02. */
  readonly recommendBg4: boolean;
}

/** Origin: the reference client's threshold. */
const RECOMMEND_ABOVE = 0.02;
/** A byte has 0 to 8 bits set. */
const BINS = 9;

/**
 * The predictor by which the reference client chooses between `lz4` and `bg4-lz4`, with its
 * quirks: it compares the bit counts of the bytes of each group (index modulo 4) with those of the
 * whole chunk, and `0 * ln 0` is `NaN` there, so that only groups with all nine bit counts take
 * part. Constant data, text, and the exponents of most floats are thus not seen. It is here to
 * tell what that client would choose; our own choice is made by `createChunkCompressor`.
 *
 * @example
 * bg4Predictor(new Uint8Array(65536)).recommendBg4; // false
 */
export function bg4Predictor(chunk: Uint8Array): Bg4Prediction {
  const counts = new Uint32Array(4 * BINS);
  for (let i = 0; i < chunk.length; i++) {
    const bin = (i & 3) * BINS + bitCount(chunk[i] as number);
    counts[bin] = (counts[bin] as number) + 1;
  }
  // One is added to each bin of the base but not to its total: that is how the reference counts.
  const base = new Float64Array(BINS).fill(1);
  for (let bin = 0; bin < counts.length; bin++) {
    base[bin % BINS] = (base[bin % BINS] as number) + (counts[bin] as number);
  }

  const divergence = (group: number): number => {
    const bins = counts.subarray(group * BINS, (group + 1) * BINS);
    const total = bins.reduce((sum, count) => sum + count, 0);
    let sum = 0;
    for (let bin = 0; bin < BINS; bin++) {
      const p = (bins[bin] as number) / total;
      const q = (base[bin] as number) / chunk.length;
      sum += p * Math.log(p / q);
    }
    return sum;
  };
  const divergences = [divergence(0), divergence(1), divergence(2), divergence(3)] as const;
  let maxDivergence = 0;
  for (const value of divergences) if (value > maxDivergence) maxDivergence = value;
  return { divergences, maxDivergence, recommendBg4: maxDivergence > RECOMMEND_ABOVE };
}

/** Bits set in a byte: sums of neighbours of 1, 2 and 4 bits. */
function bitCount(byte: number): number {
  const pairs = byte - ((byte >> 1) & 0x55);
  const nibbles = (pairs & 0x33) + ((pairs >> 2) & 0x33);
  return (nibbles + (nibbles >> 4)) & 15;
}
