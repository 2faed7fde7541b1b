import { FIGURES, valuesOf } from './figures.js';
import { median, relativeNoise } from './stats.js';
import type { BenchReport, VariantReport } from './types.js';
import { gigabytesText } from './units.js';

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
  /** `before` and `after` with their units: `0.712 s → 0.903 s`. */
  readonly text: string;
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
  const olds = rangesOf(before);
  const changes: Change[] = [];
  let comparedCount = 0;
  for (const [name, now] of rangesOf(after)) {
    const old = olds.get(name);
    if (old === undefined || old.inputBytes !== now.inputBytes) continue;
    comparedCount++;
    const change = changeOf(name, old, now);
    if (change !== null) changes.push(change);
  }
  changes.sort((a, b) => b.ratio - a.ratio);
  return { changes, comparedCount, caveats: caveatsOf(before, after) };
}

/** What the runs of one figure say. */
interface Range {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
  /** Relative. */
  readonly noise: number;
  /** A smaller difference is none, whatever the ratio. */
  readonly leastChange: number;
  /** Only the same work is compared. */
  readonly inputBytes: number;
  readonly text: (value: number) => string;
}

/** All figures of a report by name. */
function rangesOf({ scenarios, kernels }: BenchReport): Map<string, Range> {
  const ranges = new Map<string, Range>();
  for (const { name, inputBytes, variants } of scenarios) {
    for (const variant of variants) {
      for (const figure of FIGURES) {
        const { title, leastChange, text } = figure;
        const values = valuesOf(variant.samples, figure);
        if (leastChange === null || values.length === 0) continue;
        const [low, high] = [Math.min(...values), Math.max(...values)];
        // One or two runs do not show how much a figure varies.
        const unknown = values.length < FEW_RUNS ? FEW_RUNS_NOISE / 2 : 0;
        const noise = Math.max(relativeNoise(values), unknown);
        const range = { low, middle: median(values), high, noise, leastChange, inputBytes, text };
        ranges.set(`${name} · ${variant.name} · ${title}`, range);
      }
    }
  }
  for (const { name, variant, medianNs, noise, bytesPerCall } of kernels) {
    ranges.set(`${name} · ${variant}`, {
      low: medianNs / (1 + noise),
      middle: medianNs,
      high: medianNs * (1 + noise),
      noise,
      leastChange: 0,
      inputBytes: bytesPerCall,
      text: (ns) => gigabytesText(bytesPerCall, ns),
    });
  }
  return ranges;
}

function changeOf(name: string, old: Range, now: Range): Change | null {
  const [before, after] = [old.middle, now.middle];
  // A figure that was nothing has no ratio; one that becomes something is worse by any measure.
  if (!(before >= 0 && after >= 0) || Math.abs(after - before) <= now.leastChange) return null;
  const ratio = after / before;
  const threshold = 1 + NOISE_FACTOR * Math.max(old.noise + now.noise, NOISE_FLOOR);
  const text = `${old.text(before)} → ${now.text(after)}`;
  const change = { name, before, after, ratio, threshold, text };
  if (ratio > threshold && now.low > old.high) return { ...change, kind: 'regression' };
  if (ratio < 1 / threshold && now.high < old.low) return { ...change, kind: 'improvement' };
  return null;
}

function caveatsOf(before: BenchReport, after: BenchReport): string[] {
  const caveats: string[] = [];
  for (const key of ['cpu', 'cores', 'platform', 'node'] as const) {
    const [old, now] = [before.machine[key], after.machine[key]];
    if (old !== now) caveats.push(`another machine: ${key} was ${old} and is ${now}`);
  }
  if (before.inMemory !== after.inMemory) {
    caveats.push('only one of the reports had its files in memory');
  }
  for (const { name, inputBytes, variants } of after.scenarios) {
    const old = before.scenarios.find((scenario) => scenario.name === name);
    if (old === undefined) continue;
    if (old.inputBytes !== inputBytes) {
      const sizes = `${old.inputBytes} bytes before and ${inputBytes} now`;
      caveats.push(`${name}: ${sizes}, not compared`);
      continue;
    }
    for (const variant of variants) {
      const former = old.variants.find((candidate) => candidate.name === variant.name);
      const caveat = former && variantCaveat(former, variant);
      if (caveat) caveats.push(`${name} · ${variant.name}: ${caveat}`);
    }
  }
  return caveats;
}

function variantCaveat(before: VariantReport, after: VariantReport): string | null {
  if (after.failed && !before.failed) return `fails now (${after.skipped})`;
  const ran = before.samples.length > 0 && after.samples.length > 0;
  if (!ran || before.version === after.version) return null;
  return `version ${before.version} before and ${after.version} now`;
}
