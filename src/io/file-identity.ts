import type { FileVersion } from './input-size.js';

/**
 * A clock of the system moves in steps: whoever writes within the same step leaves the same times. So
 * a file is known again only when its times are older than a step: 10 ms where they are fine, 2 s
 * where they are whole seconds (FAT counts in two).
 */
const FINE_STEP_MS = 20;
const COARSE_STEP_MS = 2000;

/**
 * What tells that a file still has the same bytes, as 40 bytes: the time of the last change of its
 * record, which cannot be set by hand, that of its own last change, inode, size and device. Null: it was changed a moment ago, and may be changed again without a trace.
 *
 * @param nowMs milliseconds since the Unix epoch
 */
export function fileIdentity(found: FileVersion, nowMs: number = Date.now()): Uint8Array | null {
  const { dev, ino, size, mtimeMs, ctimeMs } = found;
  if (!isSettled(mtimeMs, nowMs) || !isSettled(ctimeMs, nowMs)) return null;
  // As they are: a hash of them costs more than looking the file up.
  return new Uint8Array(new Float64Array([ctimeMs, mtimeMs, ino, size, dev]).buffer);
}

/** A time in the future was set by hand, and says nothing about what happened when. */
function isSettled(timeMs: number, nowMs: number): boolean {
  return nowMs - timeMs >= (timeMs % 1000 === 0 ? COARSE_STEP_MS : FINE_STEP_MS);
}
