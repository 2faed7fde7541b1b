import type { BigIntStats, Stats } from 'node:fs';
import { OrbweaverError } from '../errors.js';

/** `INPUT_CHANGED`: an input ended elsewhere than it said. `got` is a number or a phrase. */
export function inputChanged(name: string, expected: number, got: number | string): OrbweaverError {
  return new OrbweaverError('INPUT_CHANGED', `"${name}" expected ${expected} bytes, got ${got}`, {
    path: name,
    expected,
  });
}

/**
 * Compares what the system says of an open file before its first byte was read and after its last. A
 * file that is written in place keeps its size, but not its times: `ctime` cannot be set back.
 *
 * @throws OrbweaverError `INPUT_CHANGED`
 */
export function checkUnchanged(
  { name, sizeBytes, mayGrow }: { name: string; sizeBytes: number; mayGrow: boolean },
  before: BigIntStats,
  after: BigIntStats,
): void {
  const isSame =
    after.ino === before.ino &&
    after.dev === before.dev &&
    (mayGrow
      ? after.size >= sizeBytes
      : after.size === before.size &&
        after.mtimeNs === before.mtimeNs &&
        after.ctimeNs === before.ctimeNs);
  if (isSame) return;
  const got =
    after.size === before.size ? 'as many that were written meanwhile' : Number(after.size);
  throw inputChanged(name, sizeBytes, got);
}

/** What changes with any write to a file, and with another file in its place. Milliseconds with a fraction. */
export type FileVersion = Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs' | 'ctimeMs'>;

export function versionOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): FileVersion {
  return { dev, ino, size, mtimeMs, ctimeMs };
}

/** True: nothing was written to the file between the two looks, to a quarter of a microsecond. */
export function isVersion(found: FileVersion, now: FileVersion): boolean {
  return (
    now.ctimeMs === found.ctimeMs &&
    now.mtimeMs === found.mtimeMs &&
    now.size === found.size &&
    now.ino === found.ino &&
    now.dev === found.dev
  );
}
