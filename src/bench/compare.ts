import { median, relativeNoise } from './stats.js';
import type { BenchReport, Sample } from './types.js';

/** A figure that moved more than its noise between two reports. */
export interface Change {
  /** Scenario or kernel, contender and figure. */
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** `after / before`: above 1 is worse for all figures (times and bytes). */
  readonly ratio: number;
  /** What the ratio had to exceed, from the noise of both reports. */
  readonly threshold: number;
  readonly kind: 'regression' | 'improvement';
}

/** Figures of a sample that are compared. Less is better for each. */
const FIGURES = ['wallMs', 'cpuMs', 'peakBytes', 'wireUpBytes', 'storedBytes', 'requests'] as const;

/** No machine repeats itself better than this. */
const NOISE_FLOOR = 0.03;

/**
 * Names what changed between two runs of the harness beyond three times the noise that they measured.
 * Contenders and scenarios that only one of them has are left out.
 */
export function compareReports(before: BenchReport, after: BenchReport): Change[] {
  const changes: Change[] = [];
  for (const scenario of after.scenarios) {
    const old = before.scenarios.find((candidate) => candidate.name === scenario.name);
    for (const variant of scenario.variants) {
      const former = old?.variants.find((candidate) => candidate.name === variant.name);
      if (former === undefined || former.samples.length === 0 || variant.samples.length === 0)
        continue;
      for (const figure of FIGURES) {
        const pick = (samples: readonly Sample[]): number[] =>
          samples.map((sample) => sample[figure]);
        note(changes, {
          name: `${scenario.name} · ${variant.name} · ${figure}`,
          before: median(pick(former.samples)),
          after: median(pick(variant.samples)),
          noise: relativeNoise(pick(former.samples)) + relativeNoise(pick(variant.samples)),
        });
      }
    }
  }
  for (const kernel of after.kernels) {
    const old = before.kernels.find(
      (candidate) => candidate.name === kernel.name && candidate.variant === kernel.variant,
    );
    if (old === undefined) continue;
    note(changes, {
      name: `${kernel.name} · ${kernel.variant}`,
      before: old.medianNs,
      after: kernel.medianNs,
      noise: old.noise + kernel.noise,
    });
  }
  return changes.sort((a, b) => b.ratio - a.ratio);
}

function note(
  changes: Change[],
  figure: { name: string; before: number; after: number; noise: number },
): void {
  const { name, before, after, noise } = figure;
  if (!(before > 0) || !(after >= 0)) return;
  const ratio = after / before;
  const threshold = 1 + 3 * Math.max(noise, NOISE_FLOOR);
  if (ratio > threshold)
    changes.push({ name, before, after, ratio, threshold, kind: 'regression' });
  else if (ratio < 1 / threshold) {
    changes.push({ name, before, after, ratio, threshold, kind: 'improvement' });
  }
}
