/** Numbers and times in words. */

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];

/** Three digits of a size: 1.23 GB. Units are powers of 1000. */
export function bytesText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export function rateText(bytesPerSecond: number): string {
  return `${bytesText(bytesPerSecond)}/s`;
}

export function countText(count: number): string {
  return count.toLocaleString('en');
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

export function percentText(part: number, whole: number): string {
  if (whole <= 0) return '0 %';
  const percent = (100 * part) / whole;
  return percent > 0 && percent < 10 ? `${percent.toFixed(1)} %` : `${Math.round(percent)} %`;
}

const STEPS: readonly (readonly [number, string])[] = [
  [60, 'second'],
  [60, 'minute'],
  [24, 'hour'],
  [Number.POSITIVE_INFINITY, 'day'],
];

/** A length of time: 3 minutes. */
export function durationText(ms: number): string {
  let value = Math.max(0, ms) / 1000;
  for (const [size, name] of STEPS) {
    if (value < size) return plural(Math.floor(value), name);
    value /= size;
  }
  return '';
}

export function agoText(ms: number): string {
  return ms < 5000 ? 'just now' : `${durationText(ms)} ago`;
}

/** A date as the reader writes it. */
export function dateText(date: string | number): string {
  return new Date(date).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

export function shortHash(hash: string): string {
  return hash.slice(0, 10);
}
