import { stat } from 'node:fs/promises';
import { isPath, pathOf, type UploadInput } from './source-of.js';

/**
 * Bytes of an input as far as they can be told without opening it; undefined: not before it was read,
 * or there is no such file. A guess for those who prepare something, never a promise.
 */
export async function knownSize(input: UploadInput): Promise<number | undefined> {
  if (isPath(input)) {
    const stats = await stat(pathOf(input)).catch(() => undefined);
    return stats?.isFile() === true ? stats.size : undefined;
  }
  if (input instanceof Uint8Array) return input.length;
  if (input instanceof Blob) return input.size;
  return 'sizeBytes' in input ? input.sizeBytes : undefined;
}
