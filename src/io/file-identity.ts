import { createHash } from 'node:crypto';
import type { FileVersion } from './input-size.js';

/**
 * A clock of the system moves in steps: whoever writes within the same step leaves the same times. So
 * a file is known again only when its times are older than a step: 10 ms where they are fine, 2 s
 * where they are whole seconds (FAT counts in two).
 */
const FINE_STEP_MS = 20;
const COARSE_STEP_MS = 2000;

/**
 * What tells that a file still has the same bytes, as 16 bytes: device, inode, size, and the times of
 * its last change and of the last change of its record, of which the second one cannot be set by
 * hand. Null: it was changed a moment ago, and may be changed again without a trace.
 *
 * @param nowMs milliseconds since the Unix epoch
 */
export function fileIdentity(found: FileVersion, nowMs: number = Date.now()): Uint8Array | null {
  const { dev, ino, size, mtimeMs, ctimeMs } = found;
  if (!isSettled(mtimeMs, nowMs) || !isSettled(ctimeMs, nowMs)) return null;
  const facts = new Float64Array([dev, ino, size, mtimeMs, ctimeMs]);
  return new Uint8Array(createHash('sha256').update(facts).digest().subarray(0, 16));
}

/** A time in the future was set by hand, and says nothing about what happened when. */
function isSettled(timeMs: number, nowMs: number): boolean {
  return nowMs - timeMs >= (timeMs % 1000 === 0 ? COARSE_STEP_MS : FINE_STEP_MS);
}
