import { median, pairedRatio, relativeNoise } from './stats.js';
import type { Sample, ScenarioReport, VariantReport } from './types.js';
import { bytesText, percentText, secondsText, threeFigures } from './units.js';

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
const countText = (value: number): string => String(Math.round(value));

export const FIGURES: readonly Figure[] = [
  { key: 'wallMs', title: 'wall time', text: secondsText, leastChange: 20 },
  { key: 'cpuMs', title: 'CPU time', text: secondsText, leastChange: 20 },
  { key: 'peakBytes', title: 'peak memory', text: bytesText, leastChange: 4 * KIB * KIB },
  { key: 'wireUpBytes', title: 'sent', text: bytesText, leastChange: 64 * KIB },
  { key: 'wireDownBytes', title: 'received', text: bytesText, leastChange: 64 * KIB },
  { key: 'requests', title: 'requests', text: countText, leastChange: 8 },
  { key: 'storedBytes', title: 'stored', text: bytesText, leastChange: 0 },
  { key: 'serverCpuMs', title: 'server CPU', text: secondsText, leastChange: null },
];

/** The values of one figure in a list of samples. */
export function valuesOf(samples: readonly Sample[], figure: Figure): number[] {
  return samples.map((sample) => sample[figure.key]);
}

/** Contenders of a scenario that ran, and the figures that say something about them. */
export function shownOf({ variants }: ScenarioReport): {
  readonly ran: readonly VariantReport[];
  readonly figures: readonly Figure[];
} {
  const ran = variants.filter((variant) => variant.samples.length > 0);
  // A column of zeros says nothing.
  const figures = FIGURES.filter((figure) =>
    ran.some((variant) => median(valuesOf(variant.samples, figure)) > 0),
  );
  return { ran, figures };
}

/** A scenario as a table: a line of headings, then one for each contender that ran. */
export function medianTable(scenario: ScenarioReport): string[][] {
  const { ran, figures } = shownOf(scenario);
  const wallOf = ({ samples }: VariantReport): number[] => samples.map(({ wallMs }) => wallMs);
  const first = ran[0] === undefined ? [] : wallOf(ran[0]);
  const rows = ran.map((variant) => [
    titleOf(variant),
    ...figures.map((figure) => figure.text(median(valuesOf(variant.samples, figure)))),
    `${bytesText((1000 * scenario.inputBytes) / median(wallOf(variant)))}/s`,
    `×${threeFigures(pairedRatio(first, wallOf(variant)))}`,
    // One run shows no noise, which is not the same as having none.
    variant.samples.length < 2 ? '–' : `±${percentText(relativeNoise(wallOf(variant)))}`,
    threeFigures(median(variant.samples.map((sample) => sample.cpuMs / sample.wallMs))),
  ]);
  const heading = [
    '',
    ...figures.map((figure) => figure.title),
    'speed',
    'ratio',
    'noise',
    'cores',
  ];
  return rows.length === 0 ? [] : [heading, ...rows];
}

/** A contender as it is headed: a peer with its version, before what it was told to do. */
export function titleOf({ name, version }: VariantReport): string {
  return version === null ? name : name.replace(/,|$/, (end) => ` ${version}${end}`);
}
