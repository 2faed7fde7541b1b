import { OrbweaverError } from '../errors.js';

/** Small steps that both ZIP readers share. */

/** Moves bytes of the first piece into the view; the rest stays for the next read. */
export function takeInto(into: Uint8Array, ready: Uint8Array[]): number {
  const first = ready[0];
  if (first === undefined) return 0;
  const length = Math.min(first.length, into.length);
  into.set(first.subarray(0, length));
  if (length === first.length) ready.shift();
  else ready[0] = first.subarray(length);
  return length;
}

export function checkLimit(archive: string, what: string, limit: number, got: number): void {
  if (got <= limit) return;
  throw new OrbweaverError(
    'LIMIT_EXCEEDED',
    `"${archive}" expected at most ${limit} ${what}, got ${got}`,
    { archive, limit, got },
  );
}
