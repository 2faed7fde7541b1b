import { FIGURES, valuesOf } from './figures.js';
import { median, relativeNoise } from './stats.js';
import type { BenchReport, KernelReport, VariantReport } from './types.js';

/** A figure that moved more than its noise between two reports. */
export interface Change {
  /** Scenario or kernel, contender and figure. */
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** `after / before`: above 1 is worse for all figures (times, bytes, requests). */
  readonly ratio: number;
  /** What the ratio had to exceed, from the noise of both reports. */
  readonly threshold: number;
  readonly kind: 'regression' | 'improvement';
}

/** What two reports have to say together. */
export interface Comparison {
  /** Worst first. */
  readonly changes: readonly Change[];
  /** Figures that were held against each other, changed or not. */
  readonly comparedCount: number;
  /** What stands in the way: other machines, scenarios of other sizes, contenders that failed. */
  readonly caveats: readonly string[];
}

/**
 * No machine repeats itself better than this: the same build measured twice, minutes apart, differs by
 * 2 to 3 % on a quiet one.
 */
const NOISE_FLOOR = 0.03;
/** Of one or two runs the noise is not known: medians of them are trusted this little. */
const FEW_RUNS_NOISE = 0.15;
const FEW_RUNS = 3;
/** A change counts beyond this many times the noise of both reports. */
const NOISE_FACTOR = 3;

/**
 * Names what changed between two runs of the harness: the medians differ by more than three times the
 * noise that was measured and by more than a figure differs by anyway, and no run of one lies within
 * the range of the other. So the same build compared with itself shows nothing.
 * Contenders and scenarios that only one of them has, or that worked on inputs of another size, are
 * left out; the latter are named.
 *
 * @example
 * const { changes } = compareReports(parseReport(oldText), report);
 * const worse = changes.filter((change) => change.kind === 'regression');
 */
export function compareReports(before: BenchReport, after: BenchReport): Comparison {
  const changes: Change[] = [];
  const caveats = machineCaveats(before, after);
  let comparedCount = 0;
  const hold = (figure: HeldFigure): void => {
    comparedCount++;
    const change = changeOf(figure);
    if (change !== null) changes.push(change);
  };
  for (const scenario of after.scenarios) {
    const old = before.scenarios.find((candidate) => candidate.name === scenario.name);
    if (old === undefined) continue;
    if (old.inputBytes !== scenario.inputBytes) {
      caveats.push(
        `${scenario.name}: ${old.inputBytes} bytes before and ${scenario.inputBytes} now, not compared`,
      );
      continue;
    }
    for (const variant of scenario.variants) {
      const former = old.variants.find((candidate) => candidate.name === variant.name);
      if (former === undefined) continue;
      const caveat = variantCaveat(former, variant);
      if (caveat !== null) caveats.push(`${scenario.name} · ${variant.name}: ${caveat}`);
      if (former.samples.length === 0 || variant.samples.length === 0) continue;
      for (const figure of FIGURES) {
        if (figure.leastChange === null) continue;
        hold({
          name: `${scenario.name} · ${variant.name} · ${figure.title}`,
          before: rangeOf(valuesOf(former.samples, figure)),
          after: rangeOf(valuesOf(variant.samples, figure)),
          leastChange: figure.leastChange,
        });
      }
    }
  }
  for (const kernel of after.kernels) {
    const old = before.kernels.find(
      (candidate) => candidate.name === kernel.name && candidate.variant === kernel.variant,
    );
    if (old === undefined) continue;
    hold({
      name: `${kernel.name} · ${kernel.variant}`,
      before: kernelRange(old),
      after: kernelRange(kernel),
      leastChange: 0,
    });
  }
  changes.sort((a, b) => b.ratio - a.ratio);
  return { changes, comparedCount, caveats };
}

/** What the runs of one figure say. */
interface FigureRange {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
  /** Relative. */
  readonly noise: number;
}

interface HeldFigure {
  readonly name: string;
  readonly before: FigureRange;
  readonly after: FigureRange;
  readonly leastChange: number;
}

function rangeOf(values: readonly number[]): FigureRange {
  const measured = relativeNoise(values);
  return {
    low: Math.min(...values),
    middle: median(values),
    high: Math.max(...values),
    // One or two runs do not show how much a figure varies.
    noise: values.length < FEW_RUNS ? Math.max(measured, FEW_RUNS_NOISE / 2) : measured,
  };
}

function kernelRange({ medianNs, noise }: KernelReport): FigureRange {
  return { low: medianNs / (1 + noise), middle: medianNs, high: medianNs * (1 + noise), noise };
}

function changeOf({ name, before, after, leastChange }: HeldFigure): Change | null {
  const [old, now] = [before.middle, after.middle];
  // A figure that was nothing has no ratio; one that becomes something is worse by any measure.
  if (old === now || !(old >= 0) || !(now >= 0) || Math.abs(now - old) <= leastChange) return null;
  const ratio = now / old;
  const threshold = 1 + NOISE_FACTOR * Math.max(before.noise + after.noise, NOISE_FLOOR);
  const change = { name, before: old, after: now, ratio, threshold };
  if (ratio > threshold && after.low > before.high) return { ...change, kind: 'regression' };
  if (ratio < 1 / threshold && after.high < before.low) return { ...change, kind: 'improvement' };
  return null;
}

function machineCaveats(before: BenchReport, after: BenchReport): string[] {
  const caveats: string[] = [];
  for (const key of ['cpu', 'cores', 'platform', 'node'] as const) {
    const [old, now] = [before.machine[key], after.machine[key]];
    if (old !== now) caveats.push(`another machine: ${key} was ${old} and is ${now}`);
  }
  if (before.inMemory !== after.inMemory) {
    caveats.push('only one of the reports had its files in memory');
  }
  return caveats;
}

function variantCaveat(before: VariantReport, after: VariantReport): string | null {
  if (after.failed && !before.failed) return `fails now (${after.skipped})`;
  if (before.version !== after.version && before.samples.length > 0 && after.samples.length > 0) {
    return `version ${before.version} before and ${after.version} now`;
  }
  return null;
}
