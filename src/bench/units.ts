/** Figures for people: text tables and plots use the same words. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1536` → `1.5 KiB`. */
export function bytesText(bytes: number): string {
  if (!Number.isFinite(bytes)) return threeFigures(bytes);
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** Milliseconds as seconds with three figures: `712` → `0.712 s`. */
export function secondsText(ms: number): string {
  return `${threeFigures(ms / 1000)} s`;
}

/** At least three figures: `0.712`, `7.12`, `71.2`, `712`. */
export function threeFigures(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '∞';
  if (!Number.isFinite(value)) return '–';
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return String(Math.round(value));
  return value.toFixed(magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : 3);
}

/** A part of one as percent: `0.031` → `3.1 %`. */
export function percentText(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}

/** Bytes per nanosecond are gigabytes per second. */
export function gigabytesText(bytes: number, ns: number): string {
  return `${threeFigures(bytes / ns)} GB/s`;
}
