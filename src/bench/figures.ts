import type { Sample } from './types.js';
import { bytesText, secondsText } from './units.js';

/** What is measured of every run, in the order of tables and plots. Less is better for each. */
export interface Figure {
  readonly key: keyof Sample;
  /** Heading of a column or plot. */
  readonly title: string;
  readonly text: (value: number) => string;
  /**
   * Compared between reports when they differ by more than this, whatever the ratio: what one and
   * the same build differs by from run to run. Null: not compared, it only explains.
   */
  readonly leastChange: number | null;
}

const KIB = 1024;

export const FIGURES: readonly Figure[] = [
  { key: 'wallMs', title: 'wall time', text: secondsText, leastChange: 20 },
  { key: 'cpuMs', title: 'CPU time', text: secondsText, leastChange: 20 },
  { key: 'peakBytes', title: 'peak memory', text: bytesText, leastChange: 4 * KIB * KIB },
  { key: 'wireUpBytes', title: 'sent', text: bytesText, leastChange: 64 * KIB },
  { key: 'wireDownBytes', title: 'received', text: bytesText, leastChange: 64 * KIB },
  {
    key: 'requests',
    title: 'requests',
    text: (value) => String(Math.round(value)),
    leastChange: 8,
  },
  { key: 'storedBytes', title: 'stored', text: bytesText, leastChange: 0 },
  { key: 'serverCpuMs', title: 'server CPU', text: secondsText, leastChange: null },
];

/** The values of one figure in a list of samples. */
export function valuesOf(samples: readonly Sample[], figure: Figure): number[] {
  return samples.map((sample) => sample[figure.key]);
}
