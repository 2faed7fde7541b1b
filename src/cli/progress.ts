import type { CliContext } from './context.js';
import { bytesText, rateText } from './text.js';

/** A line that is redrawn in place on a terminal, and nothing at all anywhere else. */
export interface ProgressBar {
  /** Draws at most ten times a second. `total` undefined: no bar, only the amount. */
  update(done: number, total: number | undefined, note?: string): void;
  /** Removes the line. */
  clear(): void;
}

const REDRAW_MS = 100;

/** A bar on standard error if that is a terminal and neither --quiet nor --json was given. */
export function createProgressBar(
  context: CliContext,
  label: string,
  silent: boolean,
  now: () => number = () => performance.now(),
): ProgressBar {
  if (silent || !context.interactive) return { update: () => {}, clear: () => {} };
  const startedAt = now();
  let drawnAt = Number.NEGATIVE_INFINITY;
  let drawn = false;
  return {
    update(done, total, note = '') {
      const at = now();
      if (at - drawnAt < REDRAW_MS) return;
      drawnAt = at;
      drawn = true;
      const rate = rateText(done, at - startedAt);
      const amount =
        total === undefined ? bytesText(done) : `${bytesText(done)} of ${bytesText(total)}`;
      const text = `${label} ${total === undefined ? '' : `${bar(done, total)} `}${amount}  ${rate}  ${note}`;
      context.stderr.write(`\r\u001b[K${text.slice(0, Math.max(20, context.columns - 1))}`);
    },
    clear() {
      if (drawn) context.stderr.write('\r\u001b[K');
      drawn = false;
    },
  };
}

function bar(done: number, total: number): string {
  const width = 24;
  const filled = total === 0 ? width : Math.min(width, Math.floor((done / total) * width));
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`;
}
