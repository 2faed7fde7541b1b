import type { Comparison } from './compare.js';
import { FIGURES, valuesOf } from './figures.js';
import { median, pairedRatio, relativeNoise } from './stats.js';
import type { BenchReport, KernelReport, ScenarioReport, VariantReport } from './types.js';
import { bytesText, gigabytesText, percentText, threeFigures } from './units.js';

/** A report as tables of text, for a terminal. */
export function textReport(report: BenchReport): string {
  const { machine, rounds, inMemory } = report;
  const where = inMemory ? 'files in memory' : 'files on disk';
  return [
    `${machine.cpu} × ${machine.cores}, ${bytesText(machine.memoryBytes)}, ${machine.platform}`,
    `orbweaver ${machine.orbweaver}, Node ${machine.node}, ${where}, medians of ${rounds}`,
    '× is the wall time as a multiple of that of the first line, from pairs that ran side by side',
    ...report.scenarios.map((scenario) => `\n${scenarioText(scenario)}`),
    ...(report.kernels.length === 0 ? [] : [`\n${kernelText(report.kernels)}`]),
    '',
  ].join('\n');
}

function scenarioText(scenario: ScenarioReport): string {
  const { name, question, inputBytes, newData, variants } = scenario;
  const lines = [`${name} · ${bytesText(inputBytes)} · ${question}`];
  if (newData !== null) {
    const { chunkCount, rawBytes, packedBytes } = newData;
    lines.push(
      `  new at chunk level: ${chunkCount} chunks, ${bytesText(rawBytes)}, packed ${bytesText(packedBytes)}`,
    );
  }
  const ran = variants.filter((variant) => variant.samples.length > 0);
  const [first] = ran;
  if (first !== undefined) {
    // A column of zeros says nothing.
    const shown = FIGURES.filter((figure) =>
      ran.some((variant) => median(valuesOf(variant.samples, figure)) > 0),
    );
    const rows = ran.map((variant) => [
      contenderText(variant),
      ...shown.map((figure) => figure.text(median(valuesOf(variant.samples, figure)))),
      `×${threeFigures(pairedRatio(wallOf(first), wallOf(variant)))}`,
      `±${percentText(relativeNoise(wallOf(variant)))}`,
      threeFigures(median(variant.samples.map((sample) => sample.cpuMs / sample.wallMs))),
    ]);
    const heading = ['', ...shown.map((figure) => figure.title), '×', 'noise', 'cores'];
    lines.push(columns([heading, ...rows]));
  }
  for (const variant of variants) {
    if (variant.skipped === null) continue;
    lines.push(`  ${variant.name}: ${variant.failed ? 'failed' : 'skipped'}: ${variant.skipped}`);
  }
  return lines.join('\n');
}

function contenderText({ name, version }: VariantReport): string {
  return version === null ? name : `${name} ${version}`;
}

function wallOf(variant: VariantReport): number[] {
  return variant.samples.map((sample) => sample.wallMs);
}

function kernelText(kernels: readonly KernelReport[]): string {
  const rows = kernels.map(({ name, variant, bytesPerCall, medianNs, noise }) => [
    name,
    variant,
    gigabytesText(bytesPerCall, medianNs),
    `±${percentText(noise)}`,
  ]);
  return `kernels · one thread, warm\n${columns([['', '', 'speed', 'noise'], ...rows])}`;
}

/** What two reports have to say together, as text. */
export function comparisonText({ changes, comparedCount, caveats }: Comparison): string {
  const lines = [`${comparedCount} figures compared, ${changes.length} changed beyond the noise`];
  const rows = changes.map(({ kind, name, before, after, ratio, threshold }) => [
    kind,
    name,
    `${threeFigures(before)} → ${threeFigures(after)}`,
    `×${threeFigures(ratio)}`,
    `noise ×${threeFigures(threshold)}`,
  ]);
  if (rows.length > 0) lines.push(columns(rows));
  for (const caveat of caveats) lines.push(`note: ${caveat}`);
  return `${lines.join('\n')}\n`;
}

/** Columns as wide as their widest cell, the first to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      );
      return `  ${cells.join('  ')}`.trimEnd();
    })
    .join('\n');
}
