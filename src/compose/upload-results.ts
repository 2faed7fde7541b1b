import type { FileResult } from '../client/index.js';
import { isOrbweaverError } from '../errors.js';
import type { FailedUpload, UploadedFile } from './client-types.js';
import { failedFile } from './failed-file.js';

/** What results of uploads say of a file. */
export function uploadedFile({ name, fileHash, ...file }: FileResult): UploadedFile {
  return { path: name, ...file, fileHash: fileHash.toString() };
}

/** What they say of one that could not be uploaded. @throws what is none of our errors */
export function failedUpload(path: string, error: unknown): FailedUpload {
  if (!isOrbweaverError(error)) throw error;
  return failedFile(path, error);
}
