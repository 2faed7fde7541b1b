import { ERROR_CODES, isOrbweaverError } from '../errors.js';
import type { FailedUpload } from './client-types.js';

/** Why one file of several did not get through. */
export function failedFile(path: string, error: unknown): FailedUpload {
  const code = isOrbweaverError(error) ? error.code : 'INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  const { hint, exitCode } = ERROR_CODES[code];
  return { path, code, message, hint, exitCode };
}
