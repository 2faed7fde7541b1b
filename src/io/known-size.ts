import { statSync } from 'node:fs';
import type { UploadInput } from './source-of.js';

/**
 * Bytes of an input as far as they can be told without opening it; undefined: not before it was read,
 * or there is no such file. A guess for those who prepare something, never a promise.
 */
export function knownSize(input: UploadInput): number | undefined {
  if (typeof input === 'string') {
    try {
      const stat = statSync(input, { throwIfNoEntry: false });
      return stat?.isFile() === true ? stat.size : undefined;
    } catch {
      return undefined;
    }
  }
  if (input instanceof Uint8Array) return input.length;
  if (input instanceof Blob) return input.size;
  return 'sizeBytes' in input ? input.sizeBytes : undefined;
}
