import type { FileResult } from '../client/index.js';
import { ERROR_CODES, isOrbweaverError } from '../errors.js';
import type { FailedUpload, UploadedFile } from './client-types.js';

/** What results of uploads say of a file. */
export function uploadedFile({ name, fileHash, ...file }: FileResult): UploadedFile {
  return { path: name, ...file, fileHash: fileHash.toString() };
}

/** What they say of one that could not be uploaded. @throws what is none of our errors */
export function failedUpload(path: string, error: unknown): FailedUpload {
  if (!isOrbweaverError(error)) throw error;
  const { code, message, hint } = error;
  return { path, code, message, hint, exitCode: ERROR_CODES[code].exitCode };
}
