import { OrbweaverError } from '../../errors.js';

/** System error code of a failed file operation, or ''. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** Turns what node:fs throws into the two codes of a store. Errors that have a code pass. */
export function storageError(error: unknown, doing: string): unknown {
  if (error instanceof OrbweaverError || error instanceof RangeError) return error;
  const code = systemCode(error);
  if (code === '') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new OrbweaverError('DISK_FULL', `no space left for ${doing}`, { system: code }, error);
  }
  return new OrbweaverError('STORAGE_FAILED', `${doing} failed: ${code}`, { system: code }, error);
}
