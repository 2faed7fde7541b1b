import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RandomAccess } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { openRandomAccess } from '../io/index.js';
import type { ClientDownloadOptions } from './client-types.js';
import { closeAll } from './close-all.js';

/** An old copy below this size is fetched faster than it is looked at. */
export const LEAST_OLD_COPY_BYTES: number = 4 * 1024 * 1024;

/**
 * Opens what a download may take chunks from: the seeds, and the file that it is going to replace.
 *
 * @throws OrbweaverError `USAGE` for seeds of a range or a stream; what opening a seed throws
 */
export async function openSeeds({
  to,
  offset,
  length,
  seeds = [],
  resume = true,
}: ClientDownloadOptions): Promise<readonly RandomAccess[]> {
  const isWholeFile = typeof to === 'string' && (offset ?? length) === undefined;
  if (!isWholeFile) {
    if (seeds.length === 0) return [];
    throw new OrbweaverError('USAGE', '"seeds" expected a whole file that goes to a path');
  }
  const opened: RandomAccess[] = [];
  try {
    for (const path of seeds) opened.push(await openRandomAccess(path));
    const isSeed = seeds.some((path) => resolve(path) === resolve(to));
    if (resume && !isSeed && (await isOldCopy(to))) {
      const old = await openRandomAccess(to).catch(() => null);
      if (old !== null) opened.push(old);
    }
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/** Whether it is a file that is worth looking at. */
export async function isOldCopy(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => null);
  return stats?.isFile() === true && stats.size >= LEAST_OLD_COPY_BYTES;
}
