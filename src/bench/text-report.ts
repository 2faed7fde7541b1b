import type { Comparison } from './compare.js';
import { medianTable } from './figures.js';
import type { BenchReport, Machine, NewData, ScenarioReport } from './types.js';
import { bytesText, gigabytesText, percentText, threeFigures } from './units.js';

/** What the columns of a table say that are not measured. */
export const LEGEND: string =
  'ratio: wall time as a multiple of that of the first line, from pairs that ran side by side; noise: half\n' +
  'the distance of the quartiles of the wall time; cores: CPU time divided by wall time';

/** A report as tables of text, for a terminal. */
export function textReport(report: BenchReport): string {
  return [
    `${machineText(report.machine)}\n${conditionsText(report)}`,
    LEGEND,
    ...report.scenarios.map((scenario) => `\n${scenarioText(scenario)}`),
    ...(report.kernels.length === 0 ? [] : [`\n${kernelText(report)}`]),
    '',
  ].join('\n');
}

/** The machine in a line. */
export function machineText({ cpu, cores, memoryBytes, platform }: Machine): string {
  return `${cpu} × ${cores}, ${bytesText(memoryBytes)}, ${platform}`;
}

/** How it was measured, in a line. */
export function conditionsText({ machine, inMemory, rounds, server }: BenchReport): string {
  const to = server === undefined ? '' : `, server ${server}`;
  const where = `files ${inMemory ? 'in memory' : 'on disk'}${to}`;
  return `orbweaver ${machine.orbweaver}, Node ${machine.node}, ${where}, medians of ${rounds}`;
}

/** What is new in a second version. */
export function newDataText({ chunkCount, rawBytes, packedBytes }: NewData): string {
  const sizes = `${bytesText(rawBytes)}, packed ${bytesText(packedBytes)}`;
  return `new at chunk level: ${chunkCount} chunks, ${sizes}`;
}

function scenarioText(scenario: ScenarioReport): string {
  const { name, question, inputBytes, newData, variants } = scenario;
  const skipped = variants.filter((variant) => variant.skipped !== null);
  return [
    `${name} · ${bytesText(inputBytes)} · ${question}`,
    ...(newData === null ? [] : [`  ${newDataText(newData)}`]),
    ...columns(medianTable(scenario)),
    ...skipped.map((one) => `  ${one.name}: ${one.failed ? 'failed' : 'skipped'}: ${one.skipped}`),
  ].join('\n');
}

function kernelText({ kernels }: BenchReport): string {
  const rows = kernels.map(({ name, variant, bytesPerCall, medianNs, noise }) => [
    name,
    variant,
    gigabytesText(bytesPerCall, medianNs),
    `±${percentText(noise)}`,
  ]);
  const table = columns([['', '', 'speed', 'noise'], ...rows]);
  return ['kernels · one thread, warm', ...table].join('\n');
}

/** What two reports have to say together, as text. */
export function comparisonText({ changes, comparedCount, caveats }: Comparison): string {
  const rows = changes.map(({ kind, name, text, ratio, threshold }) => [
    kind,
    name,
    text,
    `×${threeFigures(ratio)}`,
    `noise ×${threeFigures(threshold)}`,
  ]);
  return [
    `${comparedCount} figures compared, ${changes.length} changed beyond the noise`,
    ...columns(rows),
    ...caveats.map((caveat) => `note: ${caveat}`),
    '',
  ].join('\n');
}

/** Columns as wide as their widest cell, the first to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) => {
    const cells = widths.map((width, column) =>
      column === 0 ? row[column]?.padEnd(width) : row[column]?.padStart(width),
    );
    return `  ${cells.join('  ')}`.trimEnd();
  });
}
