/** Small statistics: medians and their noise. Means are not used: one hiccup moves them. */

/** The middle value; NaN for none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linear interpolation between the sorted values, `q` from 0 to 1; NaN for none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

/** Half the distance between the quartiles, as a part of the median. 0 for fewer than two values. */
export function relativeNoise(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = median(values);
  return middle === 0 ? 0 : (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / middle;
}

/**
 * Median of the ratios of pairs that ran next to each other, which holds also when the machine's
 * speed drifts during the run. Unpaired values are left out.
 */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): number {
  const ratios: number[] = [];
  for (let i = 0; i < Math.min(ours.length, theirs.length); i++) {
    ratios.push((theirs[i] as number) / (ours[i] as number));
  }
  return median(ratios);
}
