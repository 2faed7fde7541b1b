import type { BigIntStats } from 'node:fs';
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
