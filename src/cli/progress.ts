import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CliContext } from './context.js';
import { bytesText, rateText, secondsText } from './text.js';

/** A line that is redrawn in place on a terminal, and nothing at all anywhere else. */
export interface ProgressBar {
  /** Draws at most ten times a second. `total` undefined: no bar, only the amount. */
  update(done: number, total: number | undefined, note?: string): void;
  /** Removes the line for good: what is told after it is not drawn. */
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
  let over = false;
  return {
    update(done, total, note = '') {
      const at = now();
      if (over || at - drawnAt < REDRAW_MS) return;
      drawnAt = at;
      drawn = true;
      const text = `${label} ${amountText(done, total, at - startedAt)}  ${note}`;
      context.stderr.write(`\r\u001b[K${text.slice(0, Math.max(20, context.columns - 1))}`);
    },
    clear() {
      if (drawn) context.stderr.write('\r\u001b[K');
      drawn = false;
      over = true;
    },
  };
}

/** Bar, percentage, amount, rate and what is left of the time, as far as they are known. */
function amountText(done: number, total: number | undefined, elapsedMs: number): string {
  const rate = rateText(done, elapsedMs);
  if (total === undefined || total === 0) return `${bytesText(done)}  ${rate}`;
  const share = Math.min(1, done / total);
  const left = done > 0 && share < 1 ? (elapsedMs / 1000 / share) * (1 - share) : 0;
  const eta = left > 0 ? `  ${secondsText(left)} left` : '';
  const percent = `${Math.floor(100 * share)} %`.padStart(5);
  return `${bar(share)}${percent}  ${bytesText(done)} of ${bytesText(total)}  ${rate}${eta}`;
}

function bar(share: number): string {
  const width = 24;
  const filled = Math.floor(share * width);
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`;
}

/** Bytes of these files together; those that are missing count as none. Undefined: not known. */
export async function totalBytesOf(
  paths: readonly string[],
  context: CliContext,
): Promise<number | undefined> {
  if (!context.interactive || paths.includes('-')) return undefined;
  let total = 0;
  for (const path of paths) {
    const stats = await stat(resolve(context.cwd, path)).catch(() => null);
    if (stats?.isFile()) total += stats.size;
    else if (stats?.isFIFO() || stats?.isCharacterDevice()) return undefined;
  }
  return total;
}
