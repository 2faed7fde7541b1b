import type { Comparison } from './compare.js';
import { type Figure, medianTable, shownOf, titleOf, valuesOf } from './figures.js';
import { median } from './stats.js';
import { conditionsText, LEGEND, machineText, newDataText } from './text-report.js';
import type { BenchReport, KernelReport, ScenarioReport } from './types.js';
import { bytesText, gigabytesText, threeFigures } from './units.js';

export interface HtmlReportOptions {
  /** Shown first, when the report was held against an older one. */
  readonly comparison?: Comparison | undefined;
}

/** Markup that needs no escaping any more. */
interface Html {
  readonly html: string;
}
type Value = string | number | Html | readonly Html[];

/** The one way from text to markup: whatever is put into the template is escaped. */
function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  const texts = values.map((value) => {
    if (typeof value === 'string' || typeof value === 'number') return escaped(String(value));
    return (Array.isArray(value) ? (value as readonly Html[]) : [value as Html])
      .map((one) => one.html)
      .join('');
  });
  return { html: parts.map((part, index) => part + (texts[index] ?? '')).join('') };
}

/** Also for quoted attributes. Control characters become U+FFFD. */
function escaped(text: string): string {
  return text
    .replace(/(?![\n\t])\p{Cc}/gu, '\ufffd')
    .replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const STYLE: Html = {
  html: `
:root { color-scheme: light dark; --page: #f6f7f8; --card: #ffffff; --ink: #1c2126; --soft: #56616b;
  --line: #d9dee3; --own: #0b7a6f; --peer: #9aa7b2; --mark: #b4451f; }
@media (prefers-color-scheme: dark) { :root { --page: #14181b; --card: #1d2327; --ink: #e8ecef;
  --soft: #9fabb5; --line: #353e45; --own: #3fc1b0; --peer: #66737d; --mark: #f08a5d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 84rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
p { color: var(--soft); margin: .25rem 0; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 0; }
ul { margin: .5rem 0 0; padding-left: 1.25rem; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem; margin: 1rem 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr));
  gap: 1.25rem 2rem; margin-top: 1rem; }
figure { margin: 0; }
figcaption { font-weight: 600; margin-bottom: .25rem; }
svg { width: 100%; height: auto; display: block; font: 12px system-ui, sans-serif; }
svg .label { fill: var(--soft); }
svg .value { fill: var(--ink); text-anchor: end; font-variant-numeric: tabular-nums; }
svg .own { fill: var(--own); }
svg .peer { fill: var(--peer); }
svg .whisker { stroke: var(--ink); stroke-width: 1.2; fill: none; }
svg .mark { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 4 3; }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin-top: .5rem; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); text-align: right;
  font-weight: 400; white-space: nowrap; }
th:first-child { text-align: left; }
thead th { color: var(--soft); }
.failed { color: var(--mark); }
`,
};

/**
 * A report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere.
 * Follows the reader's preference for light or dark. Every text of the report is escaped, so a report
 * of a stranger is safe to draw.
 */
export function htmlReport(report: BenchReport, { comparison }: HtmlReportOptions = {}): string {
  const { machine, startedAt, scenarios, kernels } = report;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>orbweaver benchmarks</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>orbweaver benchmarks</h1>
<p>${machineText(machine)}</p>
<p>${conditionsText(report)}, ${startedAt}</p>
<p>Less is better, but for the speed. Bars are medians, their whiskers go from the least to the greatest; ${LEGEND}.</p>
</header>
${comparison === undefined ? [] : comparisonSection(comparison)}
${scenarios.map(scenarioSection)}
${kernels.length === 0 ? [] : kernelSection(kernels)}
</body>
</html>
`.html;
}

function comparisonSection({ changes, comparedCount, caveats }: Comparison): Html {
  const rows = changes.map(({ kind, name, text, ratio, threshold }) => [
    ...[name, kind, text, `×${threeFigures(ratio)}`, `×${threeFigures(threshold)}`],
  ]);
  return html`<section><h2>Against the older report</h2>
<p>${comparedCount} figures compared, ${changes.length} changed beyond the noise.</p>
${table(rows.length === 0 ? [] : [['figure', '', 'before → after', 'ratio', 'noise'], ...rows])}
${list(caveats.map((caveat) => html`<li>${caveat}</li>`))}
</section>`;
}

function scenarioSection(scenario: ScenarioReport): Html {
  const { name, question, inputBytes, newData, variants } = scenario;
  const { ran, figures } = shownOf(scenario);
  const out = variants.flatMap(({ name: who, failed, skipped }) => {
    const what = failed ? 'failed' : 'skipped';
    return skipped === null ? [] : html`<li class="${what}">${who} ${what}: ${skipped}</li>`;
  });
  const raw = ran.flatMap((variant) =>
    variant.samples.map((sample, round) => [
      titleOf(variant),
      String(round + 1),
      ...figures.map((figure) => figure.text(sample[figure.key])),
    ]),
  );
  const heading = ['', 'round', ...figures.map((figure) => figure.title)];
  return html`<section><h2>${name}</h2>
<p>${question} ${bytesText(inputBytes)}.</p>
${newData === null ? [] : html`<p>${newDataText(newData)}</p>`}
${table(medianTable(scenario))}
${list(out)}
<div class="plots">${figures.map((figure) => figurePlot(figure, scenario))}</div>
<details><summary>every run</summary>${table(raw.length === 0 ? [] : [heading, ...raw])}</details>
</section>`;
}

/** One bar of a plot. */
interface Bar {
  readonly label: string;
  readonly value: number;
  /** Ends of the whisker. */
  readonly low: number;
  readonly high: number;
  /** The value in words. */
  readonly text: string;
  /** Ours are coloured, peers are grey. */
  readonly own: boolean;
}

function figurePlot(figure: Figure, scenario: ScenarioReport): Html {
  const bars = shownOf(scenario).ran.map((variant): Bar => {
    const values = valuesOf(variant.samples, figure);
    const value = median(values);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const own = variant.version === null;
    return { label: titleOf(variant), value, low, high, text: figure.text(value), own };
  });
  const marked = figure.key === 'wireUpBytes' || figure.key === 'storedBytes';
  return plot(figure.title, bars, marked ? scenario.newData?.packedBytes : undefined);
}

/** Everyone else in a table of kernels is a peer. */
const OWN_TIERS: ReadonlySet<string> = new Set(['simd', 'portable', 'readable']);

function kernelSection(kernels: readonly KernelReport[]): Html {
  const plots = [...new Set(kernels.map(({ name }) => name))].map((name) => {
    const bars = kernels.filter((kernel) => kernel.name === name).map(kernelBar);
    return plot(name, bars);
  });
  return html`<section><h2>kernels</h2><p>One thread, warm loops; more is better.</p>
<div class="plots">${plots}</div></section>`;
}

function kernelBar({ variant: label, bytesPerCall, medianNs, noise }: KernelReport): Bar {
  const value = bytesPerCall / medianNs;
  const [low, high] = [value / (1 + noise), value * (1 + noise)];
  const text = gigabytesText(bytesPerCall, medianNs);
  return { label, value, low, high, text, own: OWN_TIERS.has(label) };
}

const WIDTH = 420;
/** Room for the value in words, right of the longest bar. */
const BARS_WIDTH = WIDTH - 78;
/** Per bar: a line with its label, the bar, a gap. */
const LABEL_HEIGHT = 16;
const BAR_HEIGHT = 13;
const ROW_HEIGHT = LABEL_HEIGHT + BAR_HEIGHT + 9;
const MARK_HEIGHT = 16;

/**
 * Horizontal bars from zero with whiskers, as inline SVG that takes its colours from the page. Titles
 * and numbers are text, so that it can be read aloud and searched. The mark is how little is new.
 */
function plot(title: string, bars: readonly Bar[], newBytes?: number): Html {
  const top = Math.max(...bars.map((bar) => bar.high), newBytes ?? 0);
  const x = (value: number): string => ((top > 0 ? value / top : 0) * BARS_WIDTH).toFixed(1);
  const bottom = bars.length * ROW_HEIGHT;
  const spoken = bars.map((bar) => `${bar.label}: ${bar.text}`).join('; ');
  const drawn = bars.map(({ label, value, low, high, text, own }, index) => {
    const y = index * ROW_HEIGHT + LABEL_HEIGHT;
    const middle = y + BAR_HEIGHT / 2;
    const ends = `M${x(low)} ${middle}H${x(high)}M${x(low)} ${middle - 4}v8M${x(high)} ${middle - 4}v8`;
    return html`<text class="label" x="0" y="${y - 4}">${label}</text>
<rect class="${own ? 'own' : 'peer'}" x="0" y="${y}" width="${x(value)}" height="${BAR_HEIGHT}" rx="2"/>
${low === high ? [] : html`<path class="whisker" d="${ends}"/>`}
<text class="value" x="${WIDTH}" y="${middle + 4}">${text}</text>`;
  });
  // The words of the mark stay inside the plot, whichever side of it the mark is on.
  const mark = (bytes: number): Html => html`<path class="mark" d="M${x(bytes)} 0V${bottom}"/>
<text class="label" x="${x(bytes)}" y="${bottom + 11}" text-anchor="${
    bytes > top / 2 ? 'end' : 'start'
  }">new: ${bytesText(bytes)}</text>`;
  const height = bottom + (newBytes === undefined ? 0 : MARK_HEIGHT);
  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}. ${spoken}">
${drawn}${newBytes === undefined ? [] : mark(newBytes)}
</svg></figure>`;
}

function list(items: readonly Html[]): Html {
  return items.length === 0 ? html`` : html`<ul>${items}</ul>`;
}

/** A table of plain texts; the first row is its heading. Nothing for no rows. */
function table([heading, ...rows]: readonly (readonly string[])[]): Html {
  if (heading === undefined) return html``;
  const row = ([first = '', ...cells]: readonly string[]): Html =>
    html`<tr><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  return html`<div class="scroll"><table>
<thead><tr>${heading.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(row)}</tbody></table></div>`;
}
