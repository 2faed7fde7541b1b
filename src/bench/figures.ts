import type { Sample } from './types.js';
import { bytesText, secondsText } from './units.js';

/** What is measured of every run, in the order of tables and plots. Less is better for each. */
export interface Figure {
  readonly key: keyof Sample;
  /** Heading of a column or plot. */
  readonly title: string;
  readonly text: (value: number) => string;
  /** Compared between reports: the others only explain. */
  readonly compared: boolean;
}

export const FIGURES: readonly Figure[] = [
  { key: 'wallMs', title: 'wall time', text: secondsText, compared: true },
  { key: 'cpuMs', title: 'CPU time', text: secondsText, compared: true },
  { key: 'peakBytes', title: 'peak memory', text: bytesText, compared: true },
  { key: 'wireUpBytes', title: 'sent', text: bytesText, compared: true },
  { key: 'wireDownBytes', title: 'received', text: bytesText, compared: true },
  {
    key: 'requests',
    title: 'requests',
    text: (value) => String(Math.round(value)),
    compared: true,
  },
  { key: 'storedBytes', title: 'stored', text: bytesText, compared: true },
  { key: 'serverCpuMs', title: 'server CPU', text: secondsText, compared: false },
];

/** The values of one figure in a list of samples. */
export function valuesOf(samples: readonly Sample[], figure: Figure): number[] {
  return samples.map((sample) => sample[figure.key]);
}
