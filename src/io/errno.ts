import { type ErrorCode, isOrbweaverError, OrbweaverError } from '../errors.js';

/**
 * From the errors of the operating system to codes of the table. One place, so that a full disk is
 * the same code whichever call met it.
 */

/** `ENOENT` and the like, when the error has one. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

const INPUT_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'INPUT_NOT_FOUND',
  ENOTDIR: 'INPUT_NOT_FOUND',
  EISDIR: 'INPUT_IS_DIRECTORY',
};

const OUTPUT_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EACCES: 'OUTPUT_UNWRITABLE',
  EPERM: 'OUTPUT_UNWRITABLE',
  ENOENT: 'OUTPUT_UNWRITABLE',
  ENOTDIR: 'OUTPUT_UNWRITABLE',
  EISDIR: 'OUTPUT_UNWRITABLE',
  EROFS: 'OUTPUT_UNWRITABLE',
  ENAMETOOLONG: 'OUTPUT_UNWRITABLE',
  ELOOP: 'OUTPUT_UNWRITABLE',
  EFBIG: 'OUTPUT_UNWRITABLE',
  EEXIST: 'OUTPUT_UNWRITABLE',
  ENOTEMPTY: 'OUTPUT_UNWRITABLE',
  EXDEV: 'OUTPUT_UNWRITABLE',
  // The reader of a pipe or socket went away.
  EPIPE: 'OUTPUT_UNWRITABLE',
  ECONNRESET: 'OUTPUT_UNWRITABLE',
  ERR_STREAM_DESTROYED: 'OUTPUT_UNWRITABLE',
  ERR_STREAM_PREMATURE_CLOSE: 'OUTPUT_UNWRITABLE',
  ERR_STREAM_WRITE_AFTER_END: 'OUTPUT_UNWRITABLE',
};

/** What went wrong while an input was opened or read. A typed error passes through. */
export function inputError(error: unknown, name: string): OrbweaverError {
  if (isOrbweaverError(error)) return error;
  const errno = errnoOf(error);
  const code = INPUT_CODES[errno ?? ''] ?? 'INPUT_UNREADABLE';
  const text =
    code === 'INPUT_NOT_FOUND' && name.includes('\ufffd')
      ? `"${name}" is not a file name in UTF-8, which is all that can be named here: rename it, or pipe it in`
      : `"${name}" expected a readable input, got ${describe(error, errno)}`;
  return new OrbweaverError(code, text, { path: name, errno: errno ?? null }, error);
}

/** What went wrong while an output was opened or written. A typed error passes through. */
export function outputError(error: unknown, name: string): OrbweaverError {
  if (isOrbweaverError(error)) return error;
  return outputErrnoError(errnoOf(error), name, error);
}

/** The same for an error that is known by its name only, because another thread met it. */
export function outputErrnoError(
  errno: string | undefined,
  name: string,
  cause: unknown,
): OrbweaverError {
  const code = OUTPUT_CODES[errno ?? ''] ?? 'STORAGE_FAILED';
  const message = `"${name}" expected a writable output, got ${describe(cause, errno)}`;
  return new OrbweaverError(code, message, { path: name, errno: errno ?? null }, cause);
}

/** The usual ones in words. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a file where a folder should be',
  EEXIST: 'something else of that name',
  EISDIR: 'a folder',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'a read-only file system',
  ENOSPC: 'a full disk',
  EDQUOT: 'a used-up quota',
  ENAMETOOLONG: 'a name that is too long',
  ELOOP: 'links that go in a circle',
  EPIPE: 'a reader that went away',
};

function describe(error: unknown, errno: string | undefined): string {
  if (errno === undefined) return error instanceof Error ? error.message : String(error);
  const words = WORDS[errno];
  return words === undefined ? errno : `${words} (${errno})`;
}
