import { escapeHtml } from './html-text.js';

/** One bar of a plot. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Ends of the whisker: the least and the greatest that was measured. */
  readonly low: number;
  readonly high: number;
  /** The value in words. */
  readonly text: string;
  /** Ours are coloured, peers are grey. */
  readonly own: boolean;
}

export interface Plot {
  readonly title: string;
  readonly bars: readonly Bar[];
  /** A value to hold the bars against, with its name; null for none. */
  readonly mark: { readonly value: number; readonly label: string } | null;
}

const WIDTH = 420;
/** Room for the value in words, right of the longest bar. */
const VALUE_WIDTH = 78;
const BARS_WIDTH = WIDTH - VALUE_WIDTH;
/** Per bar: a line with its label, the bar, a gap. */
const LABEL_HEIGHT = 14;
const BAR_HEIGHT = 13;
const ROW_HEIGHT = LABEL_HEIGHT + BAR_HEIGHT + 7;
const MARK_HEIGHT = 16;

/**
 * Horizontal bars from zero with whiskers, as inline SVG that takes its colours from the page. Titles
 * and numbers are text, so that it can be read aloud and searched.
 */
export function plotSvg({ title, bars, mark }: Plot): string {
  const top = Math.max(...bars.map((bar) => Math.max(bar.high, bar.value)), mark?.value ?? 0);
  const x = (value: number): string =>
    (top > 0 ? (Math.max(0, value) / top) * BARS_WIDTH : 0).toFixed(1);
  const height = bars.length * ROW_HEIGHT + (mark === null ? 0 : MARK_HEIGHT);
  const spoken = bars.map((bar) => `${bar.label}: ${bar.text}`).join('; ');
  const parts = bars.map((bar, index) => {
    const y = index * ROW_HEIGHT;
    const middle = y + LABEL_HEIGHT + BAR_HEIGHT / 2;
    return (
      `<text class="label" x="0" y="${y + LABEL_HEIGHT - 3}">${escapeHtml(bar.label)}</text>` +
      `<rect class="${bar.own ? 'own' : 'peer'}" x="0" y="${y + LABEL_HEIGHT}" width="${x(bar.value)}" height="${BAR_HEIGHT}" rx="2"/>` +
      whisker({ from: x(bar.low), to: x(bar.high), middle }) +
      `<text class="value" x="${WIDTH}" y="${middle + 4}">${escapeHtml(bar.text)}</text>`
    );
  });
  if (mark !== null) {
    const at = x(mark.value);
    const bottom = bars.length * ROW_HEIGHT;
    // The words stay inside the plot, whichever side of it the mark is on.
    const side = Number(at) > BARS_WIDTH / 2 ? 'end' : 'start';
    parts.push(
      `<path class="mark" d="M${at} 0V${bottom}"/>` +
        `<text class="label" x="${at}" y="${bottom + 11}" text-anchor="${side}">${escapeHtml(mark.label)}</text>`,
    );
  }
  return (
    `<figure><figcaption>${escapeHtml(title)}</figcaption>` +
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(`${title}. ${spoken}`)}">` +
    `${parts.join('')}</svg></figure>`
  );
}

function whisker(at: { from: string; to: string; middle: number }): string {
  const { from, to, middle } = at;
  if (from === to) return '';
  const up = middle - 4;
  return `<path class="whisker" d="M${from} ${middle}H${to}M${from} ${up}v8M${to} ${up}v8"/>`;
}
