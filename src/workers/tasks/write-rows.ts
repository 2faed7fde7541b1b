import { writeSync, writevSync } from 'node:fs';
import type { FileRows } from '../../client/ports.js';
import { OrbweaverError } from '../../errors.js';

/**
 * Writes rows of pieces of two slabs into a file, each row in one call of the system as far as it takes
 * it. The file belongs to the sink that lent it: nothing is opened or closed here.
 *
 * @throws OrbweaverError `STORAGE_FAILED` with the system's `errno`, which the sink has a code for
 */
export function writeRows(rows: FileRows, input: Uint8Array, output: Uint8Array): void {
  let piece = 0;
  rows.offsets.forEach((offset, row) => {
    const views: Uint8Array[] = [];
    for (const end = rows.ends[row] as number; piece < end; piece++) {
      const place = rows.pieces[2 * piece] as number;
      const length = rows.pieces[2 * piece + 1] as number;
      const start = place < 0 ? -1 - place : place;
      views.push((place < 0 ? output : input).subarray(start, start + length));
    }
    writeRow(rows.fd, views, offset);
  });
}

/** One call may take less than all (a signal, a full disk): goes on until done or an error. */
function writeRow(fd: number, views: readonly Uint8Array[], offset: number): void {
  const [only] = views as [Uint8Array];
  let skipBytes =
    views.length === 1
      ? taken(() => writeSync(fd, only, 0, only.length, offset))
      : taken(() => writevSync(fd, views, offset));
  let at = offset;
  for (const view of views) {
    for (let done = Math.min(skipBytes, view.length); done < view.length; ) {
      const count = taken(() => writeSync(fd, view, done, view.length - done, at + done));
      if (count === 0) throw writeFailed('none taken', null);
      done += count;
    }
    skipBytes -= Math.min(skipBytes, view.length);
    at += view.length;
  }
}

function taken(call: () => number): number {
  try {
    return call();
  } catch (error) {
    const errno = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw writeFailed(errno, error);
  }
}

function writeFailed(errno: string, cause: unknown): OrbweaverError {
  return new OrbweaverError('STORAGE_FAILED', `writing failed: ${errno}`, { errno }, cause);
}
