import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf, outputError } from './errno.js';

/**
 * Makes a folder and those above it that are missing. Not by the recursive form of `mkdir`, which
 * never ends where a parent exists and takes no folders (`/proc`).
 *
 * @throws OrbweaverError `OUTPUT_UNWRITABLE`, `DISK_FULL`, `STORAGE_FAILED` with the path
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await make(path, mode);
  } catch (error) {
    throw outputError(error, path);
  }
}

async function make(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST') return;
    const parent = dirname(path);
    if (errno !== 'ENOENT' || parent === path) throw error;
    await make(parent, mode);
    await mkdir(path, { mode }).catch((again: unknown) => {
      if (errnoOf(again) !== 'EEXIST') throw again;
    });
  }
}
