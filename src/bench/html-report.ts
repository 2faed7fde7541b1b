import type { Comparison } from './compare.js';
import { FIGURES, type Figure, valuesOf } from './figures.js';
import { type Bar, plotSvg } from './html-plot.js';
import { STYLE } from './html-style.js';
import { escapeHtml, tableHtml } from './html-text.js';
import { median, pairedRatio } from './stats.js';
import type { BenchReport, KernelReport, ScenarioReport, VariantReport } from './types.js';
import { bytesText, gigabytesText, threeFigures } from './units.js';

export interface HtmlReportOptions {
  /** Shown first, when the report was held against an older one. */
  readonly comparison?: Comparison | undefined;
}

/**
 * A report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.
 * Follows the reader's preference for light or dark. Every text of the report is escaped, so a report
 * of a stranger is safe to draw.
 */
export function htmlReport(report: BenchReport, options: HtmlReportOptions = {}): string {
  const { machine, rounds, inMemory, startedAt, scenarios, kernels } = report;
  const facts = [
    `${machine.cpu} × ${machine.cores}`,
    bytesText(machine.memoryBytes),
    machine.platform,
    `Node ${machine.node}`,
    `orbweaver ${machine.orbweaver}`,
    inMemory ? 'files in memory' : 'files on disk',
    `medians of ${rounds}, whiskers from least to greatest`,
    startedAt,
  ];
  const body = [
    '<header><h1>orbweaver benchmarks</h1>',
    `<p>${facts.map(escapeHtml).join(' · ')}</p></header>`,
    options.comparison === undefined ? '' : comparisonHtml(options.comparison),
    ...scenarios.map(scenarioHtml),
    kernels.length === 0 ? '' : kernelsHtml(kernels),
  ].join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>orbweaver benchmarks</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

function scenarioHtml(scenario: ScenarioReport): string {
  const { name, question, inputBytes, variants } = scenario;
  const ran = variants.filter((variant) => variant.samples.length > 0);
  const shown = FIGURES.filter((figure) =>
    ran.some((variant) => median(valuesOf(variant.samples, figure)) > 0),
  );
  const out = variants
    .filter((variant) => variant.skipped !== null)
    .map(({ name: who, failed, skipped }) => {
      const what = failed ? 'failed' : 'skipped';
      return `<li class="${what}">${escapeHtml(`${who} ${what}: ${skipped}`)}</li>`;
    });
  return [
    `<section><h2>${escapeHtml(name)}</h2>`,
    `<p>${escapeHtml(question)} ${escapeHtml(bytesText(inputBytes))}.</p>`,
    out.length === 0 ? '' : `<ul>${out.join('')}</ul>`,
    `<div class="plots">${shown.map((figure) => figurePlot(figure, ran, scenario)).join('')}</div>`,
    ran.length === 0 ? '' : rawValues(ran, shown),
    '</section>',
  ].join('\n');
}

function figurePlot(
  figure: Figure,
  variants: readonly VariantReport[],
  { newData }: ScenarioReport,
): string {
  const bars = variants.map((variant): Bar => {
    const values = valuesOf(variant.samples, figure);
    const value = median(values);
    const { name, version } = variant;
    return {
      label: version === null ? name : `${name} ${version}`,
      value,
      low: Math.min(...values),
      high: Math.max(...values),
      text: figure.text(value),
      own: version === null,
    };
  });
  const marked = figure.key === 'wireUpBytes' || figure.key === 'storedBytes';
  const mark =
    newData === null || !marked
      ? null
      : { value: newData.packedBytes, label: `new: ${bytesText(newData.packedBytes)}` };
  return plotSvg({ title: figure.title, bars, mark });
}

function rawValues(variants: readonly VariantReport[], shown: readonly Figure[]): string {
  const first = variants[0]?.samples.map((sample) => sample.wallMs) ?? [];
  const rows = variants.flatMap((variant) => {
    const wall = variant.samples.map((sample) => sample.wallMs);
    const ratio = `×${threeFigures(pairedRatio(first, wall))}`;
    return variant.samples.map((sample, round) => [
      variant.name,
      String(round + 1),
      ...shown.map((figure) => figure.text(sample[figure.key])),
      round === 0 ? ratio : '',
    ]);
  });
  const heading = ['contender', 'round', ...shown.map((figure) => figure.title), 'paired ratio'];
  return `<details><summary>raw values</summary>${tableHtml([heading, ...rows])}</details>`;
}

function kernelsHtml(kernels: readonly KernelReport[]): string {
  const names = [...new Set(kernels.map((kernel) => kernel.name))];
  const plots = names.map((name) => {
    const bars = kernels
      .filter((kernel) => kernel.name === name)
      .map(({ variant, bytesPerCall, medianNs, noise }): Bar => {
        const value = bytesPerCall / medianNs;
        return {
          label: variant,
          value,
          low: value / (1 + noise),
          high: value * (1 + noise),
          text: gigabytesText(bytesPerCall, medianNs),
          own: OWN_TIERS.has(variant),
        };
      });
    return plotSvg({ title: name, bars, mark: null });
  });
  return `<section><h2>kernels</h2><p>One thread, warm loops; longer is faster.</p><div class="plots">${plots.join('')}</div></section>`;
}

/** Everyone else in a table of kernels is a peer. */
const OWN_TIERS: ReadonlySet<string> = new Set(['simd', 'portable', 'readable']);

function comparisonHtml({ changes, comparedCount, caveats }: Comparison): string {
  const rows = changes.map(({ kind, name, before, after, ratio, threshold }) => [
    name,
    kind,
    threeFigures(before),
    threeFigures(after),
    `×${threeFigures(ratio)}`,
    `×${threeFigures(threshold)}`,
  ]);
  const heading = ['figure', '', 'before', 'after', 'ratio', 'noise'];
  const notes = caveats.map((caveat) => `<li>${escapeHtml(caveat)}</li>`).join('');
  return [
    '<section><h2>against the older report</h2>',
    `<p>${comparedCount} figures compared, ${changes.length} changed beyond the noise.</p>`,
    rows.length === 0 ? '' : tableHtml([heading, ...rows]),
    notes === '' ? '' : `<ul>${notes}</ul>`,
    '</section>',
  ].join('\n');
}
