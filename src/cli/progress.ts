import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Clock, Speed, secondsLeft } from '../flow/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { CliContext } from './context.js';
import { bytesText, rateText, secondsText } from './text.js';

/** A line that is redrawn in place on a terminal, and nothing at all anywhere else. */
export interface ProgressBar {
  /** Draws at most ten times a second. `total` undefined: no bar, only the amount. `phase` replaces the label. */
  update(done: number, total: number | undefined, note?: string, phase?: string): void;
  /** Writes a line above the bar, on a terminal or not. */
  print(line: string): void;
  /** Removes the line for good: what is told after it is not drawn. */
  clear(): void;
}

const REDRAW_MS = 100;
/** Without news the line is drawn this often, so that rate and rest stay true. */
const IDLE_REDRAW_MS = 1000;

/** A bar on standard error if that is a terminal and neither --quiet nor --json was given. */
export function createProgressBar(
  context: CliContext,
  label: string,
  silent: boolean,
  clock: Clock = SYSTEM_CLOCK,
): ProgressBar {
  const { stderr } = context;
  const print = (line: string): void => {
    stderr.write(`${line}\n`);
  };
  if (silent || !context.interactive) return { update: () => {}, print, clear: () => {} };
  const speed = new Speed(clock.now());
  let state: { done: number; total: number | undefined; note: string; title: string } | null = null;
  let drawnAt = Number.NEGATIVE_INFINITY;
  let drawn = false;
  let over = false;
  let stopTimer = (): void => {};
  const draw = (): void => {
    stopTimer();
    if (over || state === null) return;
    drawn = true;
    const { done, total, note, title } = state;
    const text = `${title} ${amountText(done, total, speed.at(clock.now(), done))}  ${note}`;
    stderr.write(`\r\u001b[K${text.slice(0, Math.max(20, context.columns - 1))}`);
    stopTimer = clock.setTimer(IDLE_REDRAW_MS, draw, { background: true });
  };
  return {
    update(done, total, note = '', title = label) {
      if (over) return;
      if (state !== null && state.title !== title) speed.restart(clock.now(), done);
      state = { done, total, note, title };
      if (clock.now() - drawnAt < REDRAW_MS) return;
      drawnAt = clock.now();
      draw();
    },
    print(line) {
      if (drawn && !over) stderr.write('\r\u001b[K');
      print(line);
      if (drawn) draw();
    },
    clear() {
      stopTimer();
      if (drawn && !over) stderr.write('\r\u001b[K');
      over = true;
    },
  };
}

/** Bar, percentage, amount, rate and what is left of the time, as far as they are known. */
function amountText(done: number, total: number | undefined, bytesPerSecond: number): string {
  const rate = rateText(bytesPerSecond, 1000);
  if (total === undefined || total === 0) return `${bytesText(done)}  ${rate}`;
  const share = Math.min(1, done / total);
  const left = secondsLeft(done, total, bytesPerSecond) ?? 0;
  const eta = left > 0 ? `  ${secondsText(left)} left` : '';
  const percent = `${Math.floor(100 * share)} %`.padStart(5);
  return `${bar(share)}${percent}  ${bytesText(done)} of ${bytesText(total)}  ${rate}${eta}`;
}

function bar(share: number): string {
  const width = 24;
  const filled = Math.floor(share * width);
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`;
}

/**
 * Bytes of these files together; those that are missing count as none. Undefined: not known, or
 * nobody is told.
 */
export async function totalBytesOf(
  paths: readonly string[],
  { cwd, interactive }: Pick<CliContext, 'cwd' | 'interactive'>,
): Promise<number | undefined> {
  if (!interactive || paths.includes('-')) return undefined;
  const found: (Stats | null)[] = [];
  for (const path of paths) found.push(await stat(resolve(cwd, path)).catch(() => null));
  return sumOfSizes(found);
}

/** Bytes of what was found; undefined where something of unknown size is among it. */
export function sumOfSizes(found: readonly (Stats | null)[]): number | undefined {
  let total = 0;
  for (const stats of found) {
    if (stats?.isFile()) total += stats.size;
    else if (stats?.isFIFO() || stats?.isCharacterDevice()) return undefined;
  }
  return total;
}
